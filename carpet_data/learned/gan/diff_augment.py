"""Differentiable augmentation: what lets a discriminator learn from ten crops (Zhao et al., NeurIPS 2020).

Real and generated crops are augmented alike before they are judged, so that none of it leaks into what is generated,
and gradients pass through it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

__all__ = ["augmented"]

_BRIGHTNESS = 0.15
_SATURATION = (0.8, 1.2)
_CONTRAST = (0.8, 1.2)
_SHIFT = 0.125
_HOLE = 0.3


def augmented(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Each crop with its own light, colour, contrast, shift and hole.

    Args:
        values: n x (3 + m) x c x c, -1..1: colours, then m channels (a mask) that are moved but not recoloured.
        rng: Draws them.

    Returns:
        The same shape; what was shifted in, and the hole, is 0.
    """
    return _holed(_shifted(_coloured(values, rng), rng), rng)


def _coloured(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    colours, others = values[:, :3], values[:, 3:]
    count = len(values)
    brightness = _column(rng.uniform(-_BRIGHTNESS, _BRIGHTNESS, count), values)
    saturation = _column(rng.uniform(*_SATURATION, count), values)
    contrast = _column(rng.uniform(*_CONTRAST, count), values)
    colours = colours + brightness
    grey = colours.mean(dim=1, keepdim=True)
    colours = grey + saturation * (colours - grey)
    level = colours.mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([level + contrast * (colours - level), others], dim=1)


def _shifted(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    size = values.shape[-1]
    reach = round(_SHIFT * size)
    padded = functional.pad(values, (reach,) * 4)
    corners = rng.integers(0, 2 * reach + 1, (len(values), 2))
    # Slices instead of a gather: its gradient is added up in an order that is not fixed.
    moved = [
        crop[:, int(y) : int(y) + size, int(x) : int(x) + size] for crop, (y, x) in zip(padded, corners, strict=True)
    ]
    return torch.stack(moved)


def _holed(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    size = values.shape[-1]
    side = round(_HOLE * size)
    kept = np.ones((len(values), 1, size, size), np.float32)
    for row, (y, x) in enumerate(rng.integers(-side // 2, size - side // 2, (len(values), 2))):
        kept[row, :, max(0, y) : y + side, max(0, x) : x + side] = 0
    return values * torch.from_numpy(kept).to(values.device)


def _column(drawn: np.ndarray[tuple[int, ...], np.dtype[np.float64]], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(drawn.astype(np.float32)).to(like.device)[:, None, None, None]
