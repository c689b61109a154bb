"""One image of the sample data set, with and without its defect, and the mask between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import seeds
from carpet_data.dataset import GOOD
from carpet_data.weave.cloth import Cloth, make_cloth
from carpet_data.weave.defects import DEFECTS
from carpet_data.weave.defects.base import Change
from carpet_data.weave.noise import F32, smooth_field
from carpet_data.weave.surface import Box, Light, Surface, grid, shade

__all__ = ["MIN_SIZE", "VISIBLE", "Rendered", "difference_mask", "generator", "render"]

MIN_SIZE = 64
VISIBLE = 6.0
"""Gray levels by which the surroundings of a pixel must differ on average to belong to the defect."""
_VERSION = "weave-1"
"""Part of every seed: raise it whenever the same seed would draw another picture."""
_SHADE_REACH = 24
"""Units from which light and shadow reach a pixel."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One image.

    Attributes:
        image: uint8 HxWx3 RGB.
        clean: uint8 HxWx3 RGB, the same without the defect.
        mask: bool HxW; outside it `image` equals `clean`.
    """

    image: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def generator(seed: int, part: str, class_name: str, k: int, size: int) -> np.random.Generator:
    """The generator of one image: a function of its arguments alone."""
    return seeds.generator(seed, "/".join((_VERSION, part, class_name)), k, size)


def render(class_name: str, rng: np.random.Generator, size: int) -> Rendered:
    """Draw one image of a class (`good` or a name in DEFECTS), `size` pixels wide and high, at least 64.

    Examples:
        >>> drawn = render("hole", generator(0, "test", "hole", 0, 64), 64)
        >>> bool((drawn.image[~drawn.mask] == drawn.clean[~drawn.mask]).all())
        True
    """
    cloth = make_cloth(rng, size)
    whole = Box(0, 0, size, size)
    surface = cloth.surface(*grid(whole))
    azimuth = rng.normal(-np.pi / 2, 0.5)
    slant = rng.uniform(0.25, 0.5)
    light = Light(
        toward=(slant * float(np.cos(azimuth)), slant * float(np.sin(azimuth))),
        shadow=0.3,
        occlusion=0.066,
        unit=cloth.unit,
        blur_px=max(0.45, 0.62 * cloth.unit),
    )
    exposure = _exposure(rng, size)
    grain = rng.normal(0, 1.0, (size, size, 3)).astype(np.float32)
    without = shade(surface, light) * exposure
    clean = _quantized(without, grain)
    if class_name == GOOD:
        return Rendered(clean, clean, np.zeros((size, size), dtype=np.bool_))

    while True:
        change = _place(class_name, cloth, surface, rng)
        box = change.box.grown(int(np.ceil(_SHADE_REACH * cloth.unit)), size)
        with_defect = _shaded_window(surface, change, box, light, size) * exposure[box.slices]
        inside = difference_mask(with_defect, without[box.slices], cloth.unit)
        if inside.any():
            break
    mask = np.zeros((size, size), dtype=np.bool_)
    mask[box.slices] = inside
    # The defect fades in over its outermost pixels, within the mask, so that the mask's outline leaves no seam.
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    weight = np.clip(depth / 2.0, 0, 1)[..., None]
    merged = without.copy()
    merged[box.slices] += (with_defect - merged[box.slices]) * weight
    return Rendered(_quantized(merged, grain), clean, mask)


def difference_mask(changed: F32, clean: F32, unit: float) -> NDArray[np.bool_]:
    """Where two pictures of the same cloth (float32 HxWx3, 0 to 255) visibly differ: bool HxW.

    The largest difference of the three channels is averaged over the width of a fiber bundle (a Gaussian of 2.2 units
    of `unit` pixels), because a displaced yarn crosses its old place here and there and a dark hollow stays dark in a
    stain; pixels of at least VISIBLE gray levels belong to the defect. Holes and specks smaller than a float of the
    weave follow their surroundings.
    """
    difference = np.abs(changed - clean).max(axis=2)
    soft = cv2.GaussianBlur(difference, (0, 0), max(2.2 * unit, 0.6))
    mask = soft >= VISIBLE
    small = max(4, int(150 * unit**2))
    mask &= ~_small_parts(mask, small)
    return np.asarray(mask | _small_parts(~mask, small), dtype=np.bool_)


def _small_parts(mask: NDArray[np.bool_], area: int) -> NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < area
    small[0] = False
    return np.asarray(small[labels], dtype=np.bool_)


def _place(class_name: str, cloth: Cloth, surface: Surface, rng: np.random.Generator) -> Change:
    defect = DEFECTS[class_name]
    low, high = (min(extent * cloth.unit, 0.6 * cloth.size) for extent in defect.extent_units)
    extent = float(rng.uniform(low, high)) if high > low else low
    margin = 0.55 * extent
    center = rng.uniform(margin, cloth.size - 1 - margin, 2)
    return defect.make(cloth, surface, (float(center[0]), float(center[1])), extent, rng)


def _shaded_window(surface: Surface, change: Change, box: Box, light: Light, size: int) -> F32:
    """The window `box` of the picture with the change; its surroundings light it too, so a wider one is shaded."""
    wide = box.grown(int(np.ceil(_SHADE_REACH * light.unit)), size)
    window = surface.window(wide)
    inner = Box(change.box.x - wide.x, change.box.y - wide.y, change.box.width, change.box.height)
    window.patch(inner, change.surface)
    picture = shade(window, light)
    rows, columns = Box(box.x - wide.x, box.y - wide.y, box.width, box.height).slices
    return picture[rows, columns]


def _exposure(rng: np.random.Generator, size: int) -> F32:
    """Uneven light over the image and the camera's tone: float32 HxWx3, about 1.1."""
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    tilt_x, tilt_y = rng.normal(0, 0.03, 2)
    vignette = rng.uniform(0.02, 0.07) * (ramp[None, :] ** 2 + ramp[:, None] ** 2) / 2
    field = 1 + tilt_x * ramp[None, :] + tilt_y * ramp[:, None] - vignette
    field = field + 0.02 * smooth_field(rng, (size, size), size / 3)
    gain = rng.normal(1.08, 0.02)
    balance = 1 + np.array([1, 0, -1]) * rng.normal(-0.002, 0.008)
    return np.asarray(field[..., None] * gain * balance, dtype=np.float32)


def _quantized(picture: F32, grain: F32) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(picture + grain), 0, 255), dtype=np.uint8)
