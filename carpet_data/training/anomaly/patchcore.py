"""PatchCore: cells of good images in a memory; a cell far from all of them is abnormal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from carpet_data.core import seeds
from carpet_data.training.anomaly.cells import F16, Scored, smooth, standard

__all__ = ["PatchCore", "greedy_coreset"]

_POOL = 40_000
"""Cells out of which the coreset is chosen; drawn at random from all images alike."""
_FEWEST, _MOST = 1000, 4000
_PROJECTED = 64
_NEIGHBORS = 9


@dataclass(frozen=True, slots=True, eq=False)
class PatchCore:
    """A memory of locally averaged cells (Roth et al., CVPR 2022).

    Cells are means of 3x3 neighbors; the memory is a greedy coreset chosen by randomly projected distances, out of at
    most 40,000 cells. The anomaly of a cell is the distance to the nearest cell of the memory, smoothed; that of an
    image is the largest, weighted by how lonely the nearest cell of its worst is in the memory. Unlike the original,
    features are standardized by the deviations of good cells.

    Attributes:
        deviation: float32 (c,), by which features are divided.
        memory: float32 (m, c).
        near: int64 (m, b): for each cell of the memory, the nearest of them, itself first.
    """

    deviation: torch.Tensor
    memory: torch.Tensor
    near: torch.Tensor

    @classmethod
    def fit(cls, maps: Sequence[F16], *, coreset: float = 0.01, seed: int = 0) -> PatchCore:
        """Fit to the maps of good images, each float16 (c, rows, columns).

        `coreset` is the share of all cells that the memory keeps, of at least 1,000 and at most 4,000 cells.
        """
        random = seeds.generator(seed, "patchcore")
        _, deviation = standard(maps)
        total = sum(values[0].size for values in maps)
        pool = []
        for values in maps:
            cells = _local(values) / deviation
            count = math.ceil(len(cells) * min(1.0, _POOL / total))
            chosen = random.choice(len(cells), count, replace=False)
            pool.append(cells[torch.from_numpy(np.sort(chosen))])
        cells = torch.cat(pool)
        count = min(max(math.ceil(coreset * total), _FEWEST), _MOST, len(cells))
        projection = random.standard_normal((cells.shape[1], _PROJECTED)).astype(np.float32) / math.sqrt(_PROJECTED)
        memory = cells[greedy_coreset(cells @ torch.from_numpy(projection), count)].contiguous()
        near = torch.cdist(memory, memory).topk(min(_NEIGHBORS, len(memory)), largest=False).indices
        return cls(deviation, memory, near)

    @classmethod
    def restore(cls, state: Mapping[str, torch.Tensor]) -> PatchCore:
        """The model of a state."""
        return cls(state["deviation"], state["memory"], state["near"])

    def state(self) -> dict[str, torch.Tensor]:
        """See `CellModel`."""
        return {"deviation": self.deviation, "memory": self.memory, "near": self.near}

    def score(self, values: F16) -> Scored:
        """See `CellModel`."""
        cells = _local(values) / self.deviation
        squares = torch.addmm(self.memory.square().sum(1), cells, self.memory.T, alpha=-2)
        smallest, nearest = squares.min(1)
        distances = (smallest + cells.square().sum(1)).clamp(min=0).sqrt()
        worst = int(distances.argmax())
        around = (cells[worst] - self.memory[self.near[int(nearest[worst])]]).norm(dim=1)
        lonely = 1 - float(torch.softmax(around, 0)[0]) if len(around) > 1 else 1.0
        found = smooth(distances.numpy().reshape(values.shape[1:]))
        return found, float(found.max()) * lonely


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


def _local(values: F16) -> torch.Tensor:
    """Cells of a map averaged over their 3x3 neighbors, float32 (rows * columns, c)."""
    whole = torch.from_numpy(values.astype(np.float32))[None]
    return functional.avg_pool2d(whole, 3, 1, 1, count_include_pad=False)[0].flatten(1).T.contiguous()
