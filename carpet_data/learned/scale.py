"""The color scale of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["ColorScale"]

_MIN_DEVIATION = 0.06
"""Minimum deviation, of -1..1: on plain background with hardly any, a defect would be far beyond the noise."""
_MIN_COLOR = 0.2
"""Minimum share of the largest deviation: gray background has no color at all, but a defect may."""


@dataclass(frozen=True, slots=True)
class ColorScale:
    """Brings the colors of crops to a mean of 0 and a deviation of about 1 along each of their principal axes.

    Noise schedules are made for such values. A carpet uses a tenth of the range and is almost gray: without the scale,
    a network would first have to learn that there are no colors.

    Attributes:
        mean: Mean of each channel, -1..1.
        axes: 3 rows of 3; the color of a scaled channel is its column.
    """

    mean: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, crops: NDArray[np.uint8]) -> ColorScale:
        """The scale of crops, uint8 n x c x c x3."""
        values = crops.reshape(-1, 3).astype(np.float64) / 127.5 - 1.0
        variances, vectors = np.linalg.eigh(np.cov(values.T, bias=True))
        deviations = np.sqrt(np.maximum(variances, 0))
        deviations = np.maximum(deviations, max(_MIN_DEVIATION, _MIN_COLOR * float(deviations.max())))
        # An axis has no direction: each points where most of it is positive.
        vectors = vectors * np.sign(vectors.sum(axis=0) + 1e-9)
        axes = vectors * deviations
        return cls(
            tuple(round(float(value), 6) for value in values.mean(axis=0)),
            tuple(tuple(round(float(value), 6) for value in row) for row in axes),
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Images of -1..1, n x3 x c x c, scaled."""
        mean, inverse = self._on(images, np.linalg.inv(np.array(self.axes)))
        return torch.einsum("ij,njhw->nihw", inverse, images - mean)

    def back(self, values: torch.Tensor) -> torch.Tensor:
        """Scaled images in their original colors."""
        mean, axes = self._on(values, np.array(self.axes))
        return torch.einsum("ij,njhw->nihw", axes, values) + mean

    @property
    def reach(self) -> float:
        """The maximum distance of a scaled value from 0."""
        inverse = np.linalg.inv(np.array(self.axes))
        farthest = 1.0 + np.abs(np.array(self.mean))
        return float((np.abs(inverse) @ farthest).max())

    def _on(self, like: torch.Tensor, matrix: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        mean = torch.tensor(self.mean, dtype=like.dtype, device=like.device)[:, None, None]
        return mean, torch.tensor(matrix, dtype=like.dtype, device=like.device)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"mean": list(self.mean), "axes": [list(row) for row in self.axes]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ColorScale:
        """From plain values.

        Raises:
            KeyError, TypeError, ValueError: They are not a scale.
        """
        mean = tuple(float(value) for value in values["mean"])
        return cls(mean, tuple(tuple(float(value) for value in row) for row in values["axes"]))
