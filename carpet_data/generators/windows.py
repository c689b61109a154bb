"""Windows: the square around a defect that a network sees at its own size, cut from an image and laid back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Box, Image, Mask

__all__ = ["Window", "around", "cut", "cut_mask", "enlarged", "laid_back"]

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """A square of an image, half-open; it may leave the image, where the image's mirror goes on.

    Attributes:
        x: Left column.
        y: Top row.
        side: Columns and rows.
    """

    x: int
    y: int
    side: int

    def inside(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the image that it covers; empty where it lies beside it."""
        return _covered(self.y, self.side, height), _covered(self.x, self.side, width)


def around(box: Box, crop_px: int, context: float) -> Window:
    """The window around a defect: `context` times its longer side, and never less than the network's own size.

    Args:
        box: Of the defect.
        crop_px: Pixels across and down of what the network sees.
        context: 1 for the defect alone, 2 for as much ground again.
    """
    x, y, width, height = box
    side = max(crop_px, round(context * max(width, height)))
    return Window(x + (width - side) // 2, y + (height - side) // 2, side)


def cut(image: Image, window: Window, crop_px: int) -> Image:
    """What the network sees of an image.

    Args:
        image: uint8 HxWx3 or HxW.
        window: Where.
        crop_px: Pixels across and down of the result.

    Returns:
        uint8 crop_px x crop_px x3; grey becomes three equal channels.
    """
    part = _padded(image, window)
    if part.ndim == 2:
        part = np.repeat(part[:, :, None], 3, axis=2)
    return np.asarray(_resized(part, crop_px), np.uint8)


def cut_mask(mask: Mask, window: Window, crop_px: int) -> F32:
    """Which share of each pixel a mask covers: a thin scratch leaves its trace however much it is reduced.

    Args:
        mask: bool HxW.
        window: Where; beyond the image there is no defect.
        crop_px: Pixels across and down of the result.

    Returns:
        float32 crop_px x crop_px, 0..1.
    """
    part = np.zeros((window.side, window.side), np.float32)
    rows, columns = window.inside(*mask.shape)
    if rows.stop > rows.start and columns.stop > columns.start:
        top, left = rows.start - window.y, columns.start - window.x
        inner = mask[rows, columns]
        part[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return np.asarray(_resized(part, crop_px), np.float32)


def enlarged(values: F32, window: Window) -> F32:
    """Network pixels at the window's own size, float32 side x side (x channels)."""
    size = (window.side, window.side)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_CUBIC), np.float32)


def laid_back(host: Image, window: Window, values: F32, mask: Mask) -> Image:
    """The host with new pixels under a mask, all others byte for byte as they were.

    Args:
        host: uint8 HxWx3 or HxW; not written to.
        window: Where `values` lie.
        values: float32 side x side x3, levels 0..255; for a grey host their mean counts.
        mask: bool HxW, inside the window and the host.

    Returns:
        uint8, the shape of the host.
    """
    result: Image = host.copy()
    rows, columns = window.inside(host.shape[0], host.shape[1])
    part = values[rows.start - window.y : rows.stop - window.y, columns.start - window.x : columns.stop - window.x]
    if host.ndim == 2 and part.ndim == 3:
        part = part.mean(axis=2)
    here = mask[rows, columns]
    result[rows, columns][here] = np.clip(np.rint(part[here]), 0, 255).astype(np.uint8)
    return result


def _covered(start: int, length: int, size: int) -> slice:
    # A stop below 0 would count from the end.
    return slice(min(max(start, 0), size), min(max(start + length, 0), size))


def _padded(image: Image, window: Window) -> Image:
    height, width = image.shape[:2]
    columns = _mirrored(np.arange(window.x, window.x + window.side), width)
    if min(window.x, window.y) >= 0 and window.y + window.side <= height and window.x + window.side <= width:
        return image[window.y : window.y + window.side, window.x : window.x + window.side]
    rows = _mirrored(np.arange(window.y, window.y + window.side), height)
    return image[rows[:, None], columns[None, :]]


def _mirrored(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices beyond the ends, reflected as often as it takes (the edge itself is not repeated)."""
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    folded = np.mod(index, period)
    return np.asarray(np.minimum(folded, period - folded))


def _resized(part: NDArray[Any], crop_px: int) -> NDArray[Any]:
    side = part.shape[0]
    if side == crop_px:
        return part
    how = cv2.INTER_AREA if side > crop_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(part), (crop_px, crop_px), interpolation=how))
