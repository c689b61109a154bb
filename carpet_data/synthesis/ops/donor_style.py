"""What a donor's pixels say about its defect: how to blend it, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.blend import log
from carpet_data.synthesis.ops.masks import depth_of, disc, grown
from carpet_data.synthesis.ops.pixels import F32, blurred, grey

Style: TypeAlias = Literal["tint", "relief", "cutout", "seam"]
"""The names of the functions of `blend`."""

RICH_TEXTURE = 0.12
"""Standard deviation of the high-passed log luminance: woven carpet has 0.3, bare metal tiles 0.04."""
_SAME_TEXTURE = 0.975
_STAINED_TEXTURE = 0.985
_TINTED = 1.3
_TINTED_SMOOTH = 0.04
_THIN_PX = 20.0
_DISTINCT = 1.2
_RIM_PX = 8.0


@dataclass(frozen=True, slots=True)
class Character:
    """The measurements of a donor.

    Attributes:
        similarity: Bhattacharyya overlap of gradient directions inside the mask and in the collar (1 = the same).
        energy: Gradient inside over gradient in the collar, of log luminance.
        tint: Shift of low-passed log luminance inside, in units of the collar's own spread.
        texture: Spread (by the median deviation) of the high-passed log luminance of the collar.
        depth_px: Radius of the largest disc inside the mask.
    """

    style: Style
    similarity: float
    energy: float
    tint: float
    texture: float
    depth_px: float

    @property
    def hides_texture(self) -> bool:
        """Whether no weave shows in or through the defect, so that it may be turned by any angle."""
        return self.style == "cutout" or self.texture < RICH_TEXTURE


def measure(image: Image, mask: Mask, *, is_object: bool) -> Character:
    """Measure a donor: the cut with its collar (uint8 hxwx3 or hxw) and its mask (bool hxw).

    The parts of an object have edges of their own, so for it only "seam" will do.

    Example:
        >>> from carpet_data.weave.image import generator, render
        >>> stain = render("color", generator(0, "train", "color", 0, 256), 256)
        >>> measure(stain.image, stain.mask, is_object=False).style
        'tint'
    """
    light = log(grey(image))
    low = blurred(light, 6.0)
    gradient_x, gradient_y = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    strength, angle = (np.asarray(found, np.float32) for found in cv2.cartToPolar(gradient_x, gradient_y))
    inside, outside = depth_of(mask), depth_of(~mask)
    depth = float(inside.max())
    core = (inside > min(0.3 * depth, 6.0)).view(np.uint8)
    collar = ((outside > 4) & (outside < 40)).view(np.uint8)
    if cv2.countNonZero(collar) < 16 or cv2.countNonZero(core) == 0:
        return Character("relief" if depth <= _THIN_PX and not is_object else "seam", 1.0, 1.0, 0.0, 0.0, depth)
    here, there = (_directions(angle, strength, x) for x in (core, collar))
    similarity = float(np.sqrt(here * there).sum())
    energy = cv2.mean(strength, core)[0] / max(cv2.mean(strength, collar)[0], 1e-6)
    level, spread = (float(x[0, 0]) for x in cv2.meanStdDev(low, mask=collar))
    shift = cv2.mean(low, core)[0] - level
    tint = shift / max(spread, 1e-3)
    # A median, because an object's edge or the image's dark border in the collar is not texture.
    texture = 1.48 * float(np.median(np.abs(light - low)[collar.view(np.bool_)]))
    same = similarity >= _SAME_TEXTURE and 0.6 <= energy <= 1.5
    # A stain dims the texture evenly; a hole is dark too, but patchy, and it turns and tears the yarns.
    patchy = float(cv2.meanStdDev(low, mask=core)[1][0, 0]) / max(spread, 1e-3)
    stained = same and similarity >= _STAINED_TEXTURE and energy <= 1.2 and patchy <= max(1.25, 0.45 * abs(tint))
    style: Style
    if is_object:
        style = "seam"
    elif texture >= RICH_TEXTURE:
        style = ("tint" if stained and abs(tint) >= _TINTED else "seam") if same else "cutout"
    elif stained and abs(shift) >= _TINTED_SMOOTH:
        style = "tint"
    else:
        style = "relief" if depth <= _THIN_PX else "seam"
    return Character(style, similarity, energy, tint, texture, depth)


def _directions(angle: F32, strength: F32, where: Image) -> NDArray[np.float64]:
    """Share of the gradient in each of 12 directions of a half turn."""
    chosen = where.view(np.bool_)
    bins = (angle[chosen] * np.float32(12 / np.pi)).astype(np.int32) % 12
    counts = np.bincount(bins, weights=strength[chosen], minlength=12) + 1e-6
    return np.asarray(counts / counts.sum(), np.float64)


def tightened(image: Image, mask: Mask) -> Mask:
    """The mask of something that lies on a texture, without the texture that a loose outline caught at its rim.

    Only where it is clearly darker or lighter than its collar: rim pixels on the collar's side of the middle between
    the two are left out. The result (bool hxw) is a part of `mask`, never less than half of it.
    """
    light = blurred(grey(image), 1.2)
    inside = depth_of(mask)
    deep = float(inside.max())
    core, collar = inside > 0.5 * deep, ~grown(mask, 4)
    if deep < 3 or not collar.any():
        return mask
    here, there = float(np.median(light[core])), float(np.median(light[collar]))
    if abs(here - there) < _DISTINCT * float(light[collar].std()):
        return mask
    middle = (here + there) / 2
    foreground = light < middle if here < there else light > middle
    rim = inside <= min(0.6 * deep, _RIM_PX)
    kept = np.asarray(mask & (foreground | ~rim)).view(np.uint8)
    opened = cv2.morphologyEx(cv2.morphologyEx(kept, cv2.MORPH_CLOSE, disc(2)), cv2.MORPH_OPEN, disc(2))
    result = np.asarray((np.asarray(opened) > 0) & mask)
    return result if 2 * result.sum() >= mask.sum() else mask
