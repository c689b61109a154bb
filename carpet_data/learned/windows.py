"""Windows: the square around a defect that a network sees at its own size, cut from an image and pasted back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Box, Image, Mask

__all__ = ["CropWindow", "around", "cut", "cut_mask", "enlarged", "laid_back", "mask_on", "part_of", "without_cut_off"]

F32 = NDArray[np.float32]

_EDGE_PX = 2


@dataclass(frozen=True, slots=True)
class CropWindow:
    """A square of an image, half-open, from its top left corner; beyond the image, it shows the image mirrored."""

    x: int
    y: int
    side: int

    def inside(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the image that it covers; empty if it is outside."""
        return _covered(self.y, self.side, height), _covered(self.x, self.side, width)

    def box(self, height: int, width: int) -> Box:
        """The box of the image that it covers."""
        rows, columns = self.inside(height, width)
        return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start

    def own(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Rows and columns of the image, relative to its corner."""
        return slice(rows.start - self.y, rows.stop - self.y), slice(columns.start - self.x, columns.stop - self.x)


def around(box: Box, crop_px: int, context: float) -> CropWindow:
    """The window around a defect: `context` times its longer side, at least the size of the network (`crop_px`).

    A context of 1 is the defect alone, 2 as much background again.
    """
    x, y, width, height = box
    side = max(crop_px, round(context * max(width, height)))
    return CropWindow(x + (width - side) // 2, y + (height - side) // 2, side)


def cut(image: Image, window: CropWindow, crop_px: int) -> Image:
    """The window around a box: `context` times its longer side, at least `crop_px` wide."""
    part = _padded(image, window)
    if part.ndim == 2:
        part = np.repeat(part[:, :, None], 3, axis=2)
    return np.asarray(_resized(part, crop_px), np.uint8)


def cut_mask(mask: Mask, window: CropWindow, crop_px: int) -> F32:
    """The crop that the network sees of an image, uint8 crop_px x crop_px x3; gray becomes three equal channels."""
    return np.asarray(_resized(part_of(mask, window).astype(np.float32), crop_px), np.float32)


def part_of(mask: Mask, window: CropWindow) -> Mask:
    """The share of each pixel that a mask covers, float32 crop_px x crop_px, 0..1.

    A thin scratch leaves a trace at any scale; beyond the image the mask is empty.
    """
    part: Mask = np.zeros((window.side, window.side), np.bool_)
    rows, columns = window.inside(*mask.shape)
    if rows.stop > rows.start and columns.stop > columns.start:
        part[window.own(rows, columns)] = mask[rows, columns]
    return part


def mask_on(size: tuple[int, int], window: CropWindow, part: Mask) -> Mask:
    """The part of a mask in a window at the scale of the image, bool side x side; empty beyond the image."""
    mask: Mask = np.zeros(size, np.bool_)
    rows, columns = window.inside(*size)
    if rows.stop > rows.start and columns.stop > columns.start:
        mask[rows, columns] = part[window.own(rows, columns)]
    return mask


def enlarged(values: F32, window: CropWindow) -> F32:
    """The mask of a window, bool side x side, on an image of (height, width); what is beyond the image is dropped."""
    size = (window.side, window.side)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_CUBIC), np.float32)


def laid_back(host: Image, window: CropWindow, values: F32, mask: Mask) -> Image:
    """The host (uint8 HxWx3 or HxW, not written to) with new pixels under a mask, all others unchanged byte for byte.

    `values` are float32 side x side x3, levels 0..255, for the window; a grayscale host takes their mean. The mask,
    bool HxW, lies inside the window and the host.
    """
    result: Image = host.copy()
    rows, columns = window.inside(host.shape[0], host.shape[1])
    part = values[window.own(rows, columns)]
    if host.ndim == 2 and part.ndim == 3:
        part = part.mean(axis=2)
    here = mask[rows, columns]
    result[rows, columns][here] = np.clip(np.rint(part[here]), 0, 255).astype(np.uint8)
    return result


def without_cut_off(mask: Mask, window: CropWindow) -> Mask:
    """A mask without the components that reach an edge of the window inside the image, where they would look cut off.

    A weak network puts specks into corners; the defect in the middle stays. The mask is of the whole image, bool HxW.
    """
    height, width = mask.shape
    rows, columns = window.inside(height, width)
    part, edge = mask[rows, columns], _EDGE_PX
    rim = np.zeros(part.shape, np.bool_)
    rim[:edge] |= rows.start > 0
    rim[part.shape[0] - edge :] |= rows.stop < height
    rim[:, :edge] |= columns.start > 0
    rim[:, part.shape[1] - edge :] |= columns.stop < width
    _, labels = cv2.connectedComponents(part.view(np.uint8))
    dropped = np.unique(labels[rim & part])
    found: Mask = mask.copy()
    found[rows, columns] = part & ~np.isin(labels, dropped)
    return found


def _covered(start: int, length: int, size: int) -> slice:
    # A stop below 0 would count from the end.
    return slice(min(max(start, 0), size), min(max(start + length, 0), size))


def _padded(image: Image, window: CropWindow) -> Image:
    height, width = image.shape[:2]
    if min(window.x, window.y) >= 0 and window.y + window.side <= height and window.x + window.side <= width:
        return image[window.y : window.y + window.side, window.x : window.x + window.side]
    rows = _mirrored(np.arange(window.y, window.y + window.side), height)
    columns = _mirrored(np.arange(window.x, window.x + window.side), width)
    return image[rows[:, None], columns[None, :]]


def _mirrored(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices beyond the ends, reflected as often as needed (the edge itself is not repeated)."""
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
