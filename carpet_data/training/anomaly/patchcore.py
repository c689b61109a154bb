"""PatchCore: cells of good images in a memory; a cell far from all of them is abnormal."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from carpet_data.core import seeds
from carpet_data.training.anomaly.cells import F16, Scored, as_cells, smooth, standard

__all__ = ["PatchCore", "greedy_coreset"]

_POOL = 40_000
"""Cells out of which the coreset is chosen, a coreset of each image: random ones would miss what is rare in it."""
_FEWEST, _MOST = 4000, 10_000
_PROJECTED = 64


@dataclass(frozen=True, slots=True, eq=False)
class PatchCore:
    """A memory of cells of good images (Roth et al., CVPR 2022).

    The memory is a greedy coreset chosen by randomly projected distances; more than 40,000 cells are first reduced to
    a coreset of each image. The anomaly of a cell is the distance to the nearest cell of the memory, smoothed; that of
    an image is the largest. Unlike the original, features are standardized by the deviations of good cells, and neither
    averaged over neighbors (the blocks of EfficientNet-Lite0 see far enough, and small defects drown) nor weighted by
    how lonely a cell is.

    Attributes:
        deviation: float32 (c,), by which features are divided.
        memory: float32 (m, c).
        origin: int64 (m,): the number of the map that each cell is of; empty in a model that was read from a file.
    """

    deviation: torch.Tensor
    memory: torch.Tensor
    origin: torch.Tensor

    @classmethod
    def fit(cls, maps: Sequence[F16], *, coreset: float = 0.01, seed: int = 0) -> PatchCore:
        """Fit to the maps of good images, each float16 (c, rows, columns).

        `coreset` is the share of all cells that the memory keeps, of at least 4,000 and at most 10,000 cells.
        """
        random = seeds.generator(seed, "patchcore")
        _, deviation = standard(maps)
        total = sum(values[0].size for values in maps)
        projection = random.standard_normal((len(deviation), _PROJECTED)).astype(np.float32) / math.sqrt(_PROJECTED)
        project = torch.from_numpy(projection)
        pool, origin = [], []
        for number, values in enumerate(maps):
            cells = as_cells(values) / deviation
            count = math.ceil(len(cells) * min(1.0, _POOL / total))
            pool.append(cells if count == len(cells) else cells[greedy_coreset(cells @ project, count)])
            origin.append(torch.full((count,), number))
        cells = torch.cat(pool)
        count = min(max(math.ceil(coreset * total), _FEWEST), _MOST, len(cells))
        chosen = greedy_coreset(cells @ project, count)
        return cls(deviation, cells[chosen].contiguous(), torch.cat(origin)[chosen])

    @classmethod
    def restore(cls, state: Mapping[str, torch.Tensor]) -> PatchCore:
        """The model of a state."""
        return cls(state["deviation"], state["memory"], torch.zeros(0, dtype=torch.int64))

    def state(self) -> dict[str, torch.Tensor]:
        """See `CellModel`."""
        return {"deviation": self.deviation, "memory": self.memory}

    def without(self, numbers: Collection[int]) -> PatchCore:
        """The model without the cells of these maps.

        What they share with other maps may have been left to them alone by the coreset, so distances are those of a
        model that never saw them, or a little larger.
        """
        kept = ~torch.isin(self.origin, torch.tensor(sorted(numbers), dtype=torch.int64))
        return PatchCore(self.deviation, self.memory[kept], self.origin[kept])

    def score(self, values: F16) -> Scored:
        """See `CellModel`."""
        cells = as_cells(values) / self.deviation
        squares = torch.addmm(self.memory.square().sum(1), cells, self.memory.T, alpha=-2)
        distances = (squares.amin(1) + cells.square().sum(1)).clamp(min=0).sqrt()
        found = smooth(distances.numpy().reshape(values.shape[1:]))
        return found, float(found.max())


def greedy_coreset(points: torch.Tensor, count: int) -> torch.Tensor:
    """Points that lie far from each other: the first, then each time the one farthest from all chosen (k-center).

    Args:
        points: float32 (n, d).
        count: Number of points to choose, at most n.

    Returns:
        int64 (count,), indices in the order of choice.
    """
    norms = points.square().sum(1)
    chosen = torch.zeros(count, dtype=torch.int64)
    farthest = torch.full((len(points),), torch.inf)
    newest = 0
    for number in range(count):
        chosen[number] = newest
        squares = torch.addmv(norms, points, points[newest], alpha=-2).add_(norms[newest])
        torch.minimum(farthest, squares, out=farthest)
        farthest[newest] = -torch.inf  # rounding must not choose it again
        newest = int(farthest.argmax())
    return chosen
