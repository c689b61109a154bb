"""What a camera looks at: color and height per pixel, and the shader that lights it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.weave.noise import F32

__all__ = ["ALONG_WARP", "ALONG_WEFT", "Box", "Fibers", "Host", "Light", "Surface", "grid", "shade"]


ALONG_WARP, ALONG_WEFT = 1, 2

RGB = tuple[float, float, float]
Row = NDArray[np.float64]
Fibers = Callable[[tuple[RGB, RGB], np.random.Generator, Row, Row], "F32 | None"]


@dataclass(frozen=True, slots=True)
class Box:
    """A window of the image, half-open: columns x … x + width - 1, rows y … y + height - 1."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array of the whole image."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    @classmethod
    def around(cls, center: tuple[float, float], half: tuple[float, float], size: int) -> Box:
        """The box center ± half, clipped to a square image of edge `size`."""
        x0, y0 = (int(np.clip(np.floor(c - h), 0, size - 1)) for c, h in zip(center, half, strict=True))
        x1, y1 = (int(np.clip(np.ceil(c + h) + 1, 1, size)) for c, h in zip(center, half, strict=True))
        return cls(x0, y0, x1 - x0, y1 - y0)

    def grown(self, margin: int, size: int) -> Box:
        """This box with a margin on every side, clipped to a square image of edge `size`."""
        x0, y0 = max(0, self.x - margin), max(0, self.y - margin)
        x1, y1 = min(size, self.x + self.width + margin), min(size, self.y + self.height + margin)
        return Box(x0, y0, x1 - x0, y1 - y0)


@dataclass(slots=True)
class Surface:
    """A window of a surface seen from above.

    Attributes:
        albedo: float32 HxWx3 RGB, 0 to 255, as the camera would show it evenly lit.
        height: float32 HxW in pixels, larger is nearer to the camera.
        shine: float32 HxW, 0 to 255, light mirrored from above, added after shading.
        run: uint8 HxW, which way the fibers run: ALONG_WARP, ALONG_WEFT, or 0 where neither is seen.
        fibers: Colors the strands that are laid on it, where the host knows better than noise what yarn looks like:
            ((light, dark) RGB, generator, positions along in pixels (n,), positions across -1 … 1 (m,)) -> float32
            (n, m, 3), or None for colors that it does not know.
    """

    albedo: F32
    height: F32
    shine: F32
    run: NDArray[np.uint8]
    fibers: Fibers | None = None

    def window(self, box: Box) -> Surface:
        """A copy of one window."""
        rows, columns = box.slices
        albedo, height, shine, run = (part[rows, columns].copy() for part in self._parts())
        return Surface(albedo, height, shine, run, self.fibers)

    def patch(self, box: Box, other: Surface) -> None:
        """Replace one window, in place."""
        for mine, its in zip(self._parts(), other._parts(), strict=True):
            mine[box.slices] = its

    def restore(self, where: NDArray[np.bool_], other: Surface) -> None:
        """Take over the pixels of another surface of the same shape where a bool HxW says so, in place."""
        for mine, its in zip(self._parts(), other._parts(), strict=True):
            mine[where] = its[where]

    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.albedo, self.height, self.shine, self.run


@dataclass(frozen=True, slots=True)
class Light:
    """How the surface is lit and photographed.

    Attributes:
        toward: x, y of the direction to the light, in the image plane; its length is the slant (0 = from above).
        shadow: Strength of the cast shadow, 0 … 1.
        occlusion: Strength of the darkening in hollows, per pixel of depth.
        unit: Pixels per cloth unit: scales the reach of shadow and occlusion.
        blur_px: Sigma of the camera's blur.
    """

    toward: tuple[float, float]
    shadow: float
    occlusion: float
    unit: float
    blur_px: float


class Host(Protocol):
    """A surface that defects are put on: the procedural cloth, or another that can be asked at displaced places.

    Attributes:
        size: Edge of the square image in pixels.
        unit: Pixels per unit; a yarn is about 14 units wide.
        angle: Direction of the weft against the x axis, in radians.
        ground: RGB 0 to 255 seen through a hole.
        yarn: RGB of a light and of a dark fiber, for loose ends.
    """

    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def unit(self) -> float: ...  # noqa: D102
    @property
    def angle(self) -> float: ...  # noqa: D102
    @property
    def ground(self) -> tuple[float, float, float]: ...  # noqa: D102
    @property
    def yarn(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]: ...  # noqa: D102

    def surface(
        self, x: F32, y: F32, *, no_warp: NDArray[np.bool_] | None = None, no_weft: NDArray[np.bool_] | None = None
    ) -> Surface:
        """The surface at real pixel positions x, y (float32 HxW), without the yarns where a bool HxW says so."""
        ...


def grid(box: Box) -> tuple[F32, F32]:
    """The pixel positions x, y of a box, float32 HxW each."""
    x, y = np.meshgrid(
        np.arange(box.x, box.x + box.width, dtype=np.float32), np.arange(box.y, box.y + box.height, dtype=np.float32)
    )
    return x, y


def shade(surface: Surface, light: Light) -> F32:
    """Light a surface: slope against the light, darkening in hollows, cast shadows, mirrored light, camera blur.

    Returns:
        float32 HxWx3 RGB, not clipped to 0 to 255.
    """
    height = surface.height
    unit = light.unit
    soft = np.asarray(cv2.GaussianBlur(height, (0, 0), 0.8 * max(unit, 0.5)), dtype=np.float32)
    slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    facing = (1.0 - light.toward[0] * slope_x - light.toward[1] * slope_y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    # Light from all around reaches a point less where its surroundings stand higher, near and farther off.
    near = cv2.GaussianBlur(height, (0, 0), max(2.2 * unit, 0.6)) - height
    far = cv2.GaussianBlur(height, (0, 0), max(5.5 * unit, 0.8)) - height
    depth = (np.maximum(near, 0) + 0.8 * np.maximum(far, 0)) / unit
    tone = (0.55 + 0.45 * np.maximum(facing, 0)) * np.exp(-light.occlusion * depth)
    tone *= 1 - light.shadow * _cast_shadow(soft, light)
    lit = surface.albedo * tone[..., None] + (surface.shine * np.maximum(facing, 0))[..., None]
    return np.asarray(cv2.GaussianBlur(lit, (0, 0), light.blur_px), dtype=np.float32)


def _cast_shadow(height: F32, light: Light) -> F32:
    """How much of the light each pixel loses to obstacles between it and the light, 0 to 1."""
    length = float(np.hypot(*light.toward)) or 1.0
    direction = (light.toward[0] / length, light.toward[1] / length)
    rows, columns = height.shape
    rise = np.zeros_like(height)
    for step in (2.5, 5.0, 9.0):
        shift = np.array(
            [[1, 0, direction[0] * step * light.unit], [0, 1, direction[1] * step * light.unit]], dtype=np.float32
        )
        taller = cv2.warpAffine(
            height,
            shift,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        np.maximum(rise, taller - height - step * light.unit * 0.55, out=rise)
    return np.asarray(np.clip(rise / (5.0 * light.unit), 0, 1), dtype=np.float32)
