"""A square of the host around a place: a model sees this and nothing else; what it visibly changes is the defect."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from carpet_data.synthesis.contract import Box, Candidate, Image, Mask
from carpet_data.synthesis.ops.compositing import candidate
from carpet_data.synthesis.ops.masks import depth_of
from carpet_data.synthesis.ops.pixels import F32, in_color, to_bytes
from carpet_data.synthesis.ops.visible import visible_region

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A square cut; beyond the border of the image its pixels are mirrored.

    Attributes:
        pixels: float32 SxSx3 RGB, 0..255; the three channels are equal where the image is grayscale.
        x: Column of the image under the window's first column; may be negative.
        y: Row of the image under the window's first row; may be negative.
        center: x, y of the place it was cut around, in the window's own pixels.
        image_size: (width, height) of the image.
    """

    pixels: F32
    x: int
    y: int
    center: tuple[float, float]
    image_size: tuple[int, int]

    @property
    def box(self) -> Box:
        """The part of the window that lies in the image, in the image's pixels."""
        (width, height), size = self.image_size, len(self.pixels)
        x0, y0 = max(self.x, 0), max(self.y, 0)
        return x0, y0, min(self.x + size, width) - x0, min(self.y + size, height) - y0

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the window that lie in the image."""
        x, y, width, height = self.box
        return slice(y - self.y, y - self.y + height), slice(x - self.x, x - self.x + width)


def window_around(image: Image, center: tuple[float, float], half: float) -> Window:
    """Cut the square `center` (x, y within the image) ± `half` pixels out of an image (uint8 HxWx3 RGB or HxW)."""
    height, width = image.shape[:2]
    half_px = max(int(np.ceil(half)), 4)
    left, top = int(center[0]) - half_px, int(center[1]) - half_px
    edge = 2 * half_px + 1
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + edge, width), min(top + edge, height)
    cut = in_color(image[y0:y1, x0:x1])
    beyond = (y0 - top, top + edge - y1, x0 - left, left + edge - x1)
    if any(beyond):
        cut = np.asarray(cv2.copyMakeBorder(cut, *beyond, cv2.BORDER_REFLECT), np.uint8)
    place = (center[0] - left, center[1] - top)
    return Window(cut.astype(np.float32), left, top, place, (width, height))


def settled(host: Image, window: Window, changed: F32, reach: float, allowed: Mask | None = None) -> Candidate:
    """The host with a changed window where it visibly differs; the mask is empty where nothing does.

    The window is float32 SxSx3 RGB. What the mask leaves out is too faint to leave a seam at its outline; where
    `allowed` (bool HxW, None for everywhere) cuts a defect off, the change fades in over two pixels. Differences are
    averaged over `reach` pixels, see `visible.visible_region`. The host is not written to.
    """
    if host.ndim == 2:
        changed = np.repeat((changed @ _LUMINANCE)[..., None], 3, axis=2)
    mask = visible_region(changed, window.pixels, reach)[window.inside]
    x, y, width, height = window.box
    if allowed is not None:
        mask &= allowed[y : y + height, x : x + width]
    # Beyond the image's border the defect continues, so it does not fade there.
    weight = np.minimum(depth_of(mask) / np.float32(1.2 if allowed is None else 2.0), 1)
    before = window.pixels[window.inside]
    pixels = to_bytes(before + (changed[window.inside] - before) * weight[..., None])
    return candidate(host, (x, y), pixels[..., 0] if host.ndim == 2 else pixels, mask)
