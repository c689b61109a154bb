"""A new defect from parts of real ones: quilting guided by how deep each pixel lies in its defect.

Efros and Freeman, "Image quilting for texture synthesis and transfer" (SIGGRAPH 2001): a patch has to agree with its
neighbors and with a correspondence map. The map here is the signed distance to the edge of the defect, so that rims
come from rims and middles from middles, and patches stay about where they were, so that ends stay ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Image, Mask, Redraw
from carpet_data.synthesis.ops.masks import signed_distance
from carpet_data.synthesis.ops.new_shape import grid
from carpet_data.synthesis.ops.pixels import F32, in_channels
from carpet_data.synthesis.ops.pose import axis_of
from carpet_data.synthesis.ops.quilting import agree
from carpet_data.synthesis.ops.seam import cut_between
from carpet_data.synthesis.ops.warp import bow

_SAME_PLACE_PX = 8
_TOLERANCE = 1.15
_GUIDE_WEIGHT = 1500.0
"""A patch one rim's width too deep costs as much as gray levels that are off by the root of this."""


@dataclass(frozen=True, slots=True, eq=False)
class LaidDonor:
    """A donor laid into the frame of the new shape.

    Attributes:
        image: uint8 HxWx3 or HxW, the frame.
        mask: bool HxW: the donor's defect.
        valid: bool HxW: where the frame holds pixels of the donor.
    """

    image: Image
    mask: Mask
    valid: Mask

    def like(self, image: Image) -> LaidDonor:
        """The source in as many channels as an image."""
        return replace(self, image=in_channels(self.image, image))

    def part(self, rows: slice, columns: slice) -> LaidDonor:
        """A window of the frame."""
        image, mask = np.ascontiguousarray(self.image[rows, columns]), np.ascontiguousarray(self.mask[rows, columns])
        return LaidDonor(image, mask, np.ascontiguousarray(self.valid[rows, columns]))


def lay_donor(
    donor: Donor,
    frame: tuple[int, int],
    *,
    angle_deg: float = 0.0,
    flip: bool = False,
    scale: float = 1.0,
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> LaidDonor:
    """Turn, flip, scale and bend a donor, and lay the center of its defect on the center of the frame (rows, columns).

    The turn is counter-clockwise; a flip swaps left and right first; `bend` is curve, wave and phase as in `warp.bow`,
    along the donor's own main axis. The donor's mask must not be empty.
    """
    axis = axis_of(donor.mask)
    x, y = grid(frame)
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
        leave = half * bow((x_turned * cosine + y_turned * sine) / half, curve, wave, phase)
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
    return LaidDonor(image, mask, valid)


def mosaic(
    shape: Mask, sources: Sequence[LaidDonor], rng: np.random.Generator, *, patch_px: int, rim_px: int, light: bool
) -> tuple[Image, Mask]:
    """Fill a shape (bool HxW, the frame) and the rim around it from parts of the sources, laid into the same frame.

    The first source leads. The surroundings of a defect belong to how it looks, so `rim_px` around the shape are filled
    too. `light` brings neighboring patches to one light, which takes the gloss off what shines.

    Returns:
        uint8 HxWx3 or HxW, and bool HxW: where it is filled.

    Raises:
        Redraw: The sources are too small for the shape.
    """
    depth = signed_distance(shape)
    work = _Mosaic(
        shape,
        sources,
        guide=_guide(depth, rim_px),
        guides=[_guide(signed_distance(source.mask), rim_px) for source in sources],
        canvas=np.zeros_like(sources[0].image),
        known=np.zeros_like(shape),
        zone=depth > -rim_px,
    )
    while (missing := work.zone & ~work.known).any():
        if not work.used:
            start = np.where(work.zone, depth, -np.inf)
        else:
            edge = (patch_px, patch_px)
            start = cv2.boxFilter(work.known.astype(np.float32), -1, edge, borderType=cv2.BORDER_CONSTANT)
            start = np.where(missing, start, np.float32(-1))
        y, x = divmod(int(np.argmax(start)), shape.shape[1])
        top, left = max(0, y - patch_px // 2), max(0, x - patch_px // 2)
        work.lay(
            np.s_[top : min(shape.shape[0], top + patch_px), left : min(shape.shape[1], left + patch_px)], rng, light
        )
    return work.canvas, work.known


@dataclass(slots=True, eq=False)
class _Mosaic:
    """A fill on its way; arrays are of the frame.

    Attributes:
        guide: Depth of each pixel in the shape, see `_guide`.
        guides: The same of each source.
        known: What of the canvas is filled so far.
        zone: What is to be filled, the rim included, as far as the sources reach.
        used: Source and shift (number, dx, dy) of the patches so far.
    """

    shape: Mask
    sources: Sequence[LaidDonor]
    guide: F32
    guides: Sequence[F32]
    canvas: Image
    known: Mask
    zone: Mask
    used: list[tuple[int, int, int]] = field(default_factory=list)

    def lay(self, window: tuple[slice, slice], rng: np.random.Generator, light: bool) -> None:
        """Lay a patch in a window, or leave to the host what no source can cover."""
        old = self.known[window]
        found = self._chosen(window, rng)
        if found is None:
            if not self.used:
                raise Redraw("the donors are too small for the drawn shape")
            # A rim that lies outside the donor's image stays the host's.
            if (self.shape & self.zone & ~self.known)[window].any():
                raise Redraw("the donors do not cover the drawn shape")
            self.zone[window] &= old
            return
        number, dx, dy = found
        self.used.append(found)
        moved = np.s_[window[0].start + dy : window[0].stop + dy, window[1].start + dx : window[1].stop + dx]
        patch, new = self.sources[number].image[moved], self.sources[number].valid[moved] & self.zone[window]
        valid = new
        if old.any():
            patch = agree(patch, self.canvas[window], old, light=light)
            new = cut_between(patch, self.canvas[window], ~old, ~old | valid) & valid
        self.canvas[window][new] = patch[new]
        self.known[window] |= valid
        self.zone[window] &= self.known[window]

    def _chosen(self, window: tuple[slice, slice], rng: np.random.Generator) -> tuple[int, int, int] | None:
        """Source and shift for a window: it fits its neighbors and the guide, and is not a plain copy."""
        rows, columns = window
        reach = max(4, max(rows.stop - rows.start, columns.stop - columns.start) // 3)
        top, left = max(0, rows.start - reach), max(0, columns.start - reach)
        area = np.s_[top : rows.stop + reach, left : columns.stop + reach]
        at = (columns.start - left, rows.start - top)
        options: list[tuple[float, int, int, int]] = []
        copies: list[tuple[float, int, int, int]] = []
        for number in range(len(self.sources)):
            cost = self._costs(window, area, number)
            copies += _least(cost, number, at)
            for earlier, dx, dy in self.used:
                if earlier == number:
                    row, column, near = at[1] + dy, at[0] + dx, _SAME_PLACE_PX
                    cost[
                        max(0, row - near) : max(0, row + near + 1), max(0, column - near) : max(0, column + near + 1)
                    ] = np.inf
            options += _least(cost, number, at)
        # To continue where an earlier patch came from is to copy the donor: only where nothing else covers the shape.
        options = sorted(options or copies)
        if not options:
            return None
        good = [option for option in options if option[0] <= options[0][0] * _TOLERANCE + 1.0]
        _, number, dx, dy = good[int(rng.integers(len(good)))]
        return number, dx, dy

    def _costs(self, window: tuple[slice, slice], area: tuple[slice, slice], number: int) -> F32:
        """What each place of a source in an area would cost as a patch for the window; inf where it lacks pixels."""
        source, old = self.sources[number], self.known[window].astype(np.float32)
        touched = self.zone[window].astype(np.float32)
        found = cv2.matchTemplate(self.guides[number][area], self.guide[window], cv2.TM_SQDIFF, mask=touched)
        cost = np.asarray(found, np.float32) * (_GUIDE_WEIGHT / max(1.0, float(touched.sum())))
        if old.any():
            heavy = old if source.image.ndim == 2 else np.repeat(old[:, :, None], 3, axis=2)
            wanted, there = self.canvas[window].astype(np.float32), source.image[area].astype(np.float32)
            found = cv2.matchTemplate(there, wanted, cv2.TM_SQDIFF, mask=heavy)
            cost = cost + np.maximum(np.asarray(found), 0) / max(1.0, float(heavy.sum()))
        need = self.shape[window].astype(np.float32)
        lacking = cv2.matchTemplate((~source.valid[area]).astype(np.float32), need, cv2.TM_CCORR)
        return np.asarray(np.where(np.asarray(lacking) > 0.5, np.float32(np.inf), cost), np.float32)


def _least(cost: NDArray[Any], number: int, at: tuple[int, int]) -> list[tuple[float, int, int, int]]:
    """The cheapest shift, as (cost, source, dx, dy), if there is any."""
    row, column = divmod(int(np.argmin(cost)), cost.shape[1])
    least = float(cost[row, column])
    return [(least, number, column - at[0], row - at[1])] if np.isfinite(least) else []


def _guide(depth: F32, rim_px: int) -> F32:
    """Depth in rims, flat beyond two rims inside and one outside."""
    return np.asarray(np.clip(depth / np.float32(rim_px), -1.0, 2.0), dtype=np.float32)
