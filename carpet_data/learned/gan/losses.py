"""What keeps the training of the gan recipe stable on a handful of crops: augmentation and additional loss terms."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

__all__ = ["area_gap", "augmented", "defect_only", "diversity", "mode_seeking"]

_BRIGHTNESS = 0.15
_SATURATION = (0.8, 1.2)
_CONTRAST = (0.8, 1.2)
_SHIFT = 0.125
_HOLE = 0.3
_SLACK = 0.1
"""Keeps the mode-seeking term below 10 while all samples are still the same."""
_COMPARED_PX = 32
"""Crops are resized to this before they are compared with each other."""


def augmented(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Differentiable augmentation (Zhao et al., NeurIPS 2020): brightness, saturation, contrast, shift, cutout.

    Real and generated crops are augmented the same way before they are judged, so that nothing of it leaks into the
    generated ones, and gradients pass through it. They are n x (3 + m) x c x c, -1..1: colors, then m channels (a mask)
    that are moved but not recolored. What is shifted in, and the cutout, is 0.
    """
    return _holed(_shifted(_recolored(values, rng), rng), rng)


def _recolored(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    colors, others = values[:, :3], values[:, 3:]
    count = len(values)
    brightness = _column(rng.uniform(-_BRIGHTNESS, _BRIGHTNESS, count), values)
    saturation = _column(rng.uniform(*_SATURATION, count), values)
    contrast = _column(rng.uniform(*_CONTRAST, count), values)
    colors = colors + brightness
    grey = colors.mean(dim=1, keepdim=True)
    colors = grey + saturation * (colors - grey)
    level = colors.mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([level + contrast * (colors - level), others], dim=1)


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


def area_gap(made: torch.Tensor, real: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Relative difference of the mean mask area of each class from that of real crops, mean over the classes."""
    chosen = functional.one_hot(labels, classes).float()
    found, wanted = (chosen.T @ masks.float().mean(dim=(1, 2, 3)) for masks in (made, real))
    return ((found - wanted).abs() / wanted.clamp_min(1e-3)).mean()


def mode_seeking(
    one: torch.Tensor, other: torch.Tensor, latent: torch.Tensor, other_latent: torch.Tensor
) -> torch.Tensor:
    """Inverse of how much the masks of two samples differ, relative to their latents, 0..10."""
    apart = (one - other).abs().mean(dim=(1, 2, 3)) / (latent - other_latent).abs().mean(dim=1)
    return (1 / (apart + _SLACK)).mean()


def defect_only(values: torch.Tensor) -> torch.Tensor:
    """The defect alone: colors under the mask, and the mask."""
    mask = (values[:, 3:] + 1) / 2
    return torch.cat([values[:, :3] * mask, mask], dim=1)


def diversity(fake: torch.Tensor, real: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How much crops of one class differ within a batch, relative to real ones; near 0 after a mode collapse.

    Crops are n x k x c x c, `labels` int64 n of both; 1 where no two labels are equal.
    """
    alike = (labels[:, None] == labels[None]) & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)

    def apart(batch: torch.Tensor) -> torch.Tensor:
        flat = functional.adaptive_avg_pool2d(batch.detach().float(), _COMPARED_PX).flatten(1)
        return (torch.cdist(flat, flat, p=1.0) * alike).sum() + 1e-6

    return apart(fake) / apart(real)
