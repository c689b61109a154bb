"""A new defect from parts of real ones: quilting led by how deep each pixel lies in its defect.

Efros and Freeman, "Image quilting for texture synthesis and transfer" (SIGGRAPH 2001): a patch has to agree with its
neighbours and with a correspondence map. The map here is the signed distance to the edge of the defect, so that rims
come from rims and middles from middles, and patches stay about where they were, so that ends stay ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Image, Mask, Redraw
from carpet_data.synthesis.ops.new_shape import axis_of, signed_distance
from carpet_data.synthesis.ops.quilting import agree, cut_between

__all__ = ["Source", "lay_donor", "mosaic"]

F32 = NDArray[np.float32]

_SAME_PLACE_PX = 8
_TOLERANCE = 1.15
_GUIDE_WEIGHT = 1500.0
"""A patch one rim's width too deep costs as much as grey values that are off by the root of this."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A donor laid into the frame of the new shape.

    Attributes:
        image: uint8 HxWx3 or HxW, the frame.
        mask: bool HxW: the donor's defect.
        valid: bool HxW: where the frame holds pixels of the donor.
    """

    image: Image
    mask: Mask
    valid: Mask


def lay_donor(
    donor: Donor,
    frame: tuple[int, int],
    *,
    angle_deg: float = 0.0,
    flip: bool = False,
    scale: float = 1.0,
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Source:
    """Turn, flip, scale and bend a donor, and lay the centre of its defect on the centre of the frame.

    Args:
        donor: Its mask must not be empty.
        frame: Rows and columns.
        angle_deg: Counter-clockwise.
        flip: Swap left and right first.
        scale: Of the donor.
        bend: Curve, wave and phase as `shapes.bend`, along the donor's own main axis.

    Returns:
        The source.
    """
    axis = axis_of(donor.mask)
    x, y = np.meshgrid(np.arange(frame[1], dtype=np.float32), np.arange(frame[0], dtype=np.float32))
    angle = np.radians(angle_deg)
    x_from, y_from = (x - (frame[1] - 1) / 2) / scale, (y - (frame[0] - 1) / 2) / scale
    # From frame to donor: undo the turn, then the flip, then the bend.
    x_turned = x_from * np.cos(angle) - y_from * np.sin(angle)
    y_turned = x_from * np.sin(angle) + y_from * np.cos(angle)
    if flip:
        x_turned = -x_turned
    curve, wave, phase = bend
    if curve or wave:
        cosine, sine = np.cos(axis.angle), np.sin(axis.angle)
        half = max(2.0, 2 * axis.along)
        place = np.clip((x_turned * cosine + y_turned * sine) / half, -1.5, 1.5)
        leave = half * (curve * (place * place - 0.33) + wave * np.sin(np.pi * place + phase))
        x_turned, y_turned = x_turned + leave * sine, y_turned - leave * cosine
    map_x, map_y = (x_turned + axis.x).astype(np.float32), (y_turned + axis.y).astype(np.float32)
    # Half turns and flips of whole pixels stay sharp; anything else is interpolated once.
    image = cv2.remap(donor.image, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
    distance = cv2.remap(signed_distance(donor.mask), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    height, width = donor.mask.shape
    valid = (map_x >= 0) & (map_x <= width - 1) & (map_y >= 0) & (map_y <= height - 1)
    mask = (np.asarray(distance) > 0) & valid
    if not mask.any():
        # A defect of one pixel may fall between the samples.
        mask[frame[0] // 2, frame[1] // 2] = True
    return Source(image, mask, valid)


def mosaic(
    shape: Mask, sources: Sequence[Source], rng: np.random.Generator, *, patch_px: int, rim_px: int, light: bool
) -> tuple[Image, Mask]:
    """Fill a shape and the rim around it from parts of the sources.

    Args:
        shape: bool HxW, the frame: the new defect.
        sources: Donors laid into the same frame; the first leads.
        rng: Chooses where patches come from.
        patch_px: Edge of a patch.
        rim_px: How far around the shape to fill; the surroundings of a defect belong to how it looks.
        light: Whether neighbouring patches are brought to one light; takes the gloss off what shines.

    Returns:
        uint8 HxWx3 or HxW, and bool HxW: where it is filled.

    Raises:
        Redraw: The sources are too small for the shape.
    """
    depth = signed_distance(shape)
    zone = depth > -rim_px
    guide = _guide(depth, rim_px)
    guides = [_guide(signed_distance(source.mask), rim_px) for source in sources]
    lead = sources[0]
    canvas = np.zeros_like(lead.image)
    known = np.zeros_like(shape)
    used: list[tuple[int, int, int]] = []
    start = np.where(zone, depth, -np.inf)
    while True:
        missing = zone & ~known
        if not missing.any():
            break
        if not used:
            y, x = divmod(int(np.argmax(start)), shape.shape[1])
        else:
            share = cv2.boxFilter(known.astype(np.float32), -1, (patch_px, patch_px), borderType=cv2.BORDER_CONSTANT)
            y, x = divmod(int(np.argmax(np.where(missing, share, np.float32(-1)))), shape.shape[1])
        top, left = max(0, y - patch_px // 2), max(0, x - patch_px // 2)
        window = np.s_[top : min(shape.shape[0], top + patch_px), left : min(shape.shape[1], left + patch_px)]
        found = _choose(window, canvas, known, zone, shape, guide, sources, guides, used, rng)
        if found is None:
            if not used:
                raise Redraw("the donors are too small for the drawn shape")
            # What no donor can cover (a rim that lies outside the donor's image) stays the host's.
            if (missing[window] & shape[window]).any():
                raise Redraw("the donors do not cover the drawn shape")
            zone[window] &= known[window]
            continue
        number, dx, dy = found
        used.append(found)
        moved = np.s_[window[0].start + dy : window[0].stop + dy, window[1].start + dx : window[1].stop + dx]
        patch, valid = sources[number].image[moved], sources[number].valid[moved] & zone[window]
        old = known[window]
        if old.any():
            patch = agree(patch, canvas[window], old, light=light)
            new = cut_between(canvas[window], patch, old, old & ~valid) & valid
        else:
            new = valid
        canvas[window][new] = patch[new]
        known[window] |= valid
        zone[window] &= known[window]
    return canvas, known


def _choose(
    window: tuple[slice, slice],
    canvas: Image,
    known: Mask,
    zone: Mask,
    shape: Mask,
    guide: F32,
    sources: Sequence[Source],
    guides: Sequence[F32],
    used: Sequence[tuple[int, int, int]],
    rng: np.random.Generator,
) -> tuple[int, int, int] | None:
    """Source and shift (number, dx, dy) for a window: it fits its neighbours and the guide, and is no plain copy."""
    rows, columns = window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    old = known[window]
    channels = 1 if canvas.ndim == 2 else 3
    weight = old.astype(np.float32)
    counted = max(1.0, float(weight.sum()) * channels)
    wanted = canvas[window].astype(np.float32)
    heavy = weight if channels == 1 else np.repeat(weight[:, :, None], 3, axis=2)
    need = shape[window].astype(np.float32)
    touched = zone[window].astype(np.float32)
    reach = max(4, max(height, width) // 3)
    options = []
    copies = []
    for number, source in enumerate(sources):
        top, left = max(0, rows.start - reach), max(0, columns.start - reach)
        area = np.s_[top : min(shape.shape[0], rows.stop + reach), left : min(shape.shape[1], columns.stop + reach)]
        cost = cv2.matchTemplate(guides[number][area], guide[window], cv2.TM_SQDIFF, mask=touched)
        cost = np.asarray(cost, np.float32) * (_GUIDE_WEIGHT / max(1.0, float(touched.sum())))
        if old.any():
            found = cv2.matchTemplate(source.image[area].astype(np.float32), wanted, cv2.TM_SQDIFF, mask=heavy)
            cost = cost + np.maximum(np.asarray(found), 0) / counted
        lacking = cv2.matchTemplate((~source.valid[area]).astype(np.float32), need, cv2.TM_CCORR)
        cost = np.where(np.asarray(lacking) > 0.5, np.float32(np.inf), cost)
        at = (columns.start - left, rows.start - top)
        copies += _least(cost, number, at)
        for earlier, dx, dy in used:
            if earlier == number:
                row, column = at[1] + dy, at[0] + dx
                near = np.s_[
                    max(0, row - _SAME_PLACE_PX) : max(0, row + _SAME_PLACE_PX + 1),
                    max(0, column - _SAME_PLACE_PX) : max(0, column + _SAME_PLACE_PX + 1),
                ]
                cost[near] = np.inf
        options += _least(cost, number, at)
    # To go on where an earlier patch came from is to copy the donor: only where nothing else covers the shape.
    options = sorted(options or copies)
    if not options:
        return None
    good = [option for option in options if option[0] <= options[0][0] * _TOLERANCE + 1.0]
    _, number, dx, dy = good[int(rng.integers(len(good)))]
    return number, dx, dy


def _least(cost: NDArray[Any], number: int, at: tuple[int, int]) -> list[tuple[float, int, int, int]]:
    """The cheapest shift, as (cost, source, dx, dy), if there is any."""
    row, column = divmod(int(np.argmin(cost)), cost.shape[1])
    least = float(cost[row, column])
    return [(least, number, column - at[0], row - at[1])] if np.isfinite(least) else []


def _guide(depth: F32, rim_px: int) -> F32:
    """Depth in rims, flat beyond two rims inside and one outside."""
    return np.asarray(np.clip(depth / np.float32(rim_px), -1.0, 2.0), dtype=np.float32)
