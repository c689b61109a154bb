"""Training crops of a latent diffusion model: encoded once, with the masks of what is to be painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.nn import functional

from carpet_data.learned.crops import CropDataset
from carpet_data.learned.fit_runtime import tensors
from carpet_data.learned.pretrained_inpaint.pipeline import Painter, celled, quiet
from carpet_data.synthesis.contract import Mask

__all__ = ["Views", "encoded"]

_BOXES = (2, 6)
"""Minimum and maximum number of random boxes."""
_BOX_FRAC = (0.1, 0.4)
_AT_ONCE_PX = 4 * 512 * 512
"""Pixels encoded at once: in full precision, one crop of 1024 pixels takes gigabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Encoded crops, float32 on the device; h x w are latent pixels.

    Attributes:
        clean: n x channels x h x w: the crop.
        defect: n x1 x h x w, 0 or 1: cells that show the defect.
        cover: n x1 x h x w, 0..1: the share of each cell that is defect.
        around_defect: n x channels x h x w: the crop without these cells.
        boxes: n x1 x h x w, 0 or 1: random boxes.
        around_boxes: n x channels x h x w: the crop without them.
        labels: int64 n.
    """

    clean: torch.Tensor
    defect: torch.Tensor
    cover: torch.Tensor
    around_defect: torch.Tensor
    boxes: torch.Tensor
    around_boxes: torch.Tensor
    labels: torch.Tensor

    def take(self, rows: torch.Tensor) -> Views:
        """The crops with these indices, int64."""
        return Views(*(getattr(self, entry.name)[rows] for entry in fields(self)))


def encoded(data: CropDataset, painter: Painter, count: int, rng: np.random.Generator) -> Views:
    """Draw crops that show defects, and encode them.

    The mode of the encoder's distribution is taken: its spread is small, and the same crop then stays the same.
    """
    found: list[tuple[torch.Tensor, ...]] = []
    at_once = max(1, _AT_ONCE_PX // data.crop_px**2)
    for start in range(0, count, at_once):
        batch = data.draw(rng, min(at_once, count - start), 1.0)
        images = tensors(batch.images, painter.device)
        defect = _cells([celled(mask > 0, painter.cell_px) for mask in batch.masks], painter)
        boxes = _cells([celled(_boxes(rng, data.crop_px), painter.cell_px) for _ in batch.masks], painter)
        cover = torch.from_numpy(batch.masks)[:, None].to(painter.device)
        clean = _latents(images, painter)
        found.append(
            (
                clean,
                functional.interpolate(defect, clean.shape[-2:]),
                functional.adaptive_avg_pool2d(cover, clean.shape[-1]),
                _latents(images * (1 - defect), painter),
                functional.interpolate(boxes, clean.shape[-2:]),
                _latents(images * (1 - boxes), painter),
                torch.from_numpy(batch.labels).to(painter.device),
            )
        )
    return Views(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _cells(masks: Sequence[Mask], painter: Painter) -> torch.Tensor:
    return torch.from_numpy(np.stack(masks)[:, None].astype(np.float32)).to(painter.device)


def _boxes(rng: np.random.Generator, size: int) -> Mask:
    mask = np.zeros((size, size), np.bool_)
    for _ in range(int(rng.integers(_BOXES[0], _BOXES[1] + 1))):
        width, height = (round(size * float(share)) for share in rng.uniform(*_BOX_FRAC, 2))
        x, y = (int(rng.integers(0, size - side + 1)) for side in (width, height))
        mask[y : y + height, x : x + width] = True
    return mask


def _latents(images: torch.Tensor, painter: Painter) -> torch.Tensor:
    vae = painter.pipe.vae
    # SDXL's encoder overflows in half precision; full precision costs little here.
    before = vae.dtype
    with torch.no_grad(), quiet():
        if before != torch.float32:
            vae.to(torch.float32)
        mean = vae.encode(images).latent_dist.mode()
        if before != torch.float32:
            vae.to(before)
    shift = getattr(vae.config, "shift_factor", None) or 0.0
    return torch.as_tensor((mean - shift) * vae.config.scaling_factor)
