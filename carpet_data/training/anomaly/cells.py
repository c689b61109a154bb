"""Feature maps as tables of cells, and what models of cells have in common. Cells are float32 on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["CellModel", "Scored", "as_cells", "smooth", "standard", "top_share"]

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]

Scored = tuple[F32, float]
"""The anomaly of each cell, float32 (rows, columns), and of the image; 0 or more, in units of the model."""

_SMALLEST_DEVIATION = 1e-4
_SMOOTHING_CELLS = 0.7


class CellModel(Protocol):
    """What a model of good feature maps can do. Its state is tensors and plain numbers, for its file."""

    def score(self, values: F16) -> Scored:
        """The smoothed anomaly of each cell of a map, float16 (c, rows, columns), and the anomaly of its image."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """All that the model is made of, by name."""
        ...


def as_cells(values: F16) -> torch.Tensor:
    """float32 (rows * columns, c) of a map, float16 (c, rows, columns)."""
    return torch.from_numpy(values.reshape(len(values), -1).astype(np.float32)).T


def standard(maps: Sequence[F16]) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 (c,) each: mean and deviation of the channels over all cells; 1 for a channel that never changes."""
    count, total = 0, torch.zeros(len(maps[0]), dtype=torch.float64)
    squares = torch.zeros_like(total)
    for values in maps:
        cells = as_cells(values).double()
        count += len(cells)
        total += cells.sum(0)
        squares += cells.square().sum(0)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    deviation[deviation < _SMALLEST_DEVIATION] = 1.0
    return mean.float(), deviation.float()


def smooth(cells: F32) -> F32:
    """Cells averaged with their neighbors by a Gaussian, so that none stands alone by chance."""
    found = cv2.GaussianBlur(cells, (0, 0), _SMOOTHING_CELLS, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def top_share(cells: F32, share: float) -> float:
    """The mean of the largest values: a share of them, at least one."""
    flat = cells.ravel()
    count = max(round(share * flat.size), 1)
    return float(np.partition(flat, flat.size - count)[flat.size - count :].mean())
