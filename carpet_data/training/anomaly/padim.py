"""PaDiM: a Gaussian of good cells at each position, or one for all positions where images are not aligned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional

from carpet_data.core import seeds
from carpet_data.training.anomaly.cells import F16, Scored, as_cells, smooth, standard

__all__ = ["Padim", "alignment"]

_CHANNELS = 100
_RIDGE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Padim:
    """Gaussians of good cells (Defard et al., 2021), of at most 100 channels chosen at random.

    The anomaly of a cell is its Mahalanobis distance, that of an image the largest of its cells. Unlike the original,
    features are standardized, and 0.01 on the diagonal of the covariance counts in units of that.

    Attributes:
        channels: int64 (d,), those that are used.
        mean, deviation: float32 (d,), by which they are standardized.
        centers: float32 (rows, columns, d); (1, 1, d) where the position does not matter.
        factors: float32 (rows, columns, d, d): L^-1 of covariances L L^T.
    """

    channels: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    centers: torch.Tensor
    factors: torch.Tensor

    @property
    def aligned(self) -> bool:
        """Whether each position has a Gaussian of its own."""
        return self.centers.shape[:2] != (1, 1)

    @classmethod
    def fit(cls, maps: Sequence[F16], *, aligned: bool, seed: int = 0) -> Padim:
        """Fit to the maps of good images, each float16 (c, rows, columns); `aligned` gives each position its own."""
        random = seeds.generator(seed, "padim")
        count = len(maps[0])
        channels = torch.from_numpy(np.sort(random.choice(count, min(count, _CHANNELS), replace=False)))
        mean, deviation = (each[channels] for each in standard(maps))
        shape = (maps[0].shape[1], maps[0].shape[2]) if aligned else (1, 1)
        stacks = (
            [_on_grid(values, shape)[:, channels] for values in maps]
            if aligned
            else [as_cells(values)[:, channels] for values in maps]
        )
        places = shape[0] * shape[1]
        total = torch.zeros(places, len(channels))
        moment = torch.zeros(places, len(channels), len(channels))
        seen = 0
        for cells in stacks:
            x = (cells - mean) / deviation
            x = x.reshape(-1, places, len(channels)) if aligned else x.reshape(-1, 1, len(channels))
            seen += len(x)
            total += x.sum(0)
            moment += torch.einsum("npc,npd->pcd", x, x)
        center = total / seen
        covariance = moment / seen - torch.einsum("pc,pd->pcd", center, center)
        if seen > 1:
            covariance *= seen / (seen - 1)
        covariance += _RIDGE * torch.eye(len(channels))
        factor = torch.linalg.cholesky(covariance.double())
        eye = torch.eye(len(channels), dtype=torch.float64).expand_as(factor)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False).float()
        return cls(channels, mean, deviation, center.reshape(*shape, -1), inverse.reshape(*shape, *inverse.shape[1:]))

    @classmethod
    def restore(cls, state: Mapping[str, torch.Tensor]) -> Padim:
        """The model of a state."""
        return cls(*(state[name] for name in ("channels", "mean", "deviation", "centers", "factors")))

    def state(self) -> dict[str, torch.Tensor]:
        """See `CellModel`."""
        return {name: getattr(self, name) for name in ("channels", "mean", "deviation", "centers", "factors")}

    def score(self, values: F16) -> Scored:
        """See `CellModel`; a map of another size than the grid of positions is resized to it and back."""
        shape = (int(self.centers.shape[0]), int(self.centers.shape[1]))
        cells = _on_grid(values, shape) if self.aligned else as_cells(values)
        x = (cells[:, self.channels] - self.mean) / self.deviation - self.centers.flatten(0, 1)
        factors = self.factors.flatten(0, 1)
        white = torch.einsum("pcd,pd->pc", factors, x) if self.aligned else x @ factors[0].T
        found = white.norm(dim=1).numpy()
        grid = found.reshape(shape if self.aligned else values.shape[1:])
        if grid.shape != values.shape[1:]:
            grid = cv2.resize(grid, values.shape[:0:-1], interpolation=cv2.INTER_LINEAR)
        smoothed = smooth(grid)
        return smoothed, float(smoothed.max())


def alignment(maps: Sequence[F16]) -> float:
    """The share of the variance of cells that their position explains, in [0, 1]; 0 for maps of several sizes.

    Of the inner cells, and corrected for chance: the mean of n images varies by 1/n of their variance where positions
    mean nothing.
    """
    if len(maps) < 2 or len({values.shape for values in maps}) > 1:
        return 0.0
    # The inner part only: at the border of an image the network's padding shows, whatever the image.
    rows, columns = (max((length - 1) // 3, 0) for length in maps[0].shape[1:])
    inner = [values[:, rows : values.shape[1] - rows, columns : values.shape[2] - columns] for values in maps]
    mean, deviation = standard(inner)
    center = torch.stack([(as_cells(values) - mean) / deviation for values in inner]).mean(0)
    share, chance = float(center.square().mean()), 1 / len(maps)
    return max((share - chance) / (1 - chance), 0.0)


def _on_grid(values: F16, shape: tuple[int, int]) -> torch.Tensor:
    """float32 (rows * columns, c) of a map on a grid of this shape."""
    if values.shape[1:] == shape:
        return as_cells(values)
    whole = torch.from_numpy(values.astype(np.float32))[None]
    return functional.interpolate(whole, size=shape, mode="bilinear")[0].flatten(1).T
