"""A square of the host around a place: a model sees this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from carpet_data.synthesis.contract import Box, Image
from carpet_data.weave.noise import F32

__all__ = ["Window", "window_around"]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A square cut; beyond the border of the image its pixels are mirrored.

    Attributes:
        pixels: float32 SxSx3 RGB, 0 … 255; the three channels are equal where the image is grey.
        x: Column of the image under the window's first column; may be negative.
        y: Row of the image under the window's first row; may be negative.
        centre: x, y of the place it was cut around, in the window's own pixels.
        image_size: (width, height) of the image.
    """

    pixels: F32
    x: int
    y: int
    centre: tuple[float, float]
    image_size: tuple[int, int]

    @property
    def size(self) -> int:
        """Edge in pixels."""
        return int(self.pixels.shape[0])

    @property
    def box(self) -> Box:
        """The part of the window that lies in the image, in the image's pixels."""
        width, height = self.image_size
        x0, y0 = max(self.x, 0), max(self.y, 0)
        return x0, y0, min(self.x + self.size, width) - x0, min(self.y + self.size, height) - y0

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the window that lie in the image."""
        x, y, width, height = self.box
        return slice(y - self.y, y - self.y + height), slice(x - self.x, x - self.x + width)


def window_around(image: Image, centre: tuple[float, float], half: float) -> Window:
    """Cut the square centre ± half.

    Args:
        image: uint8 HxWx3 RGB or HxW.
        centre: x, y in pixels, within the image.
        half: Half the edge in pixels.

    Returns:
        The window.
    """
    height, width = image.shape[:2]
    half_px = max(int(np.ceil(half)), 4)
    left, top = int(centre[0]) - half_px, int(centre[1]) - half_px
    edge = 2 * half_px + 1
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + edge, width), min(top + edge, height)
    cut = image[y0:y1, x0:x1]
    if cut.ndim == 2:
        cut = np.repeat(cut[..., None], 3, axis=2)
    beyond = (y0 - top, top + edge - y1, x0 - left, left + edge - x1)
    if any(beyond):
        cut = np.asarray(cv2.copyMakeBorder(cut, *beyond, cv2.BORDER_REFLECT), np.uint8)
    place = (centre[0] - left, centre[1] - top)
    return Window(cut.astype(np.float32), left, top, place, (width, height))
