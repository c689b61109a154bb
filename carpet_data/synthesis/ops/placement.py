"""Where a defect goes: anywhere on a texture, on the same part of an object, at the same border.

The pose of an object is its axis by second moments, and which end is which by the third.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Image, Mask, Redraw
from carpet_data.synthesis.ops.warp import Patch

_MARGIN_PX = 16
"""Blending may reach this far beyond the mask; a defect that should not touch the border keeps so far from it."""
_POSE_SIDE = 384
"""Foregrounds are thinned to about so many pixels across before moments are taken: exact to a tenth of a degree."""
_COARSE_SIDE = 64
"""Patches of at least this side are aligned at half resolution, with the minimum found between its pixels."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How an object lies in its image.

    Attributes:
        centre: x, y of its centroid, pixels.
        angle_deg: Of its long axis, from its light end to its heavy end; clockwise from +x on the screen.
        length_px: Its extent along the axis.
        elongated: Whether the axis is well defined; where not, `angle_deg` is 0.
    """

    centre: tuple[float, float]
    angle_deg: float
    length_px: float
    elongated: bool


@dataclass(frozen=True, slots=True)
class Sides:
    """Which borders of its image a defect reaches."""

    left: bool = False
    top: bool = False
    right: bool = False
    bottom: bool = False

    @property
    def any(self) -> bool:
        """Whether it reaches any."""
        return self.left or self.top or self.right or self.bottom

    def flipped(self) -> Sides:
        """After mirroring left to right."""
        return Sides(self.right, self.top, self.left, self.bottom)


def pose_of(foreground: Mask) -> Pose | None:
    """The pose of an object, None where there is none.

    Args:
        foreground: bool HxW.
    """
    step = max(1, max(foreground.shape) // _POSE_SIDE)
    ys, xs = np.nonzero(foreground[::step, ::step])
    if len(xs) < 8:
        return None
    x, y = xs * float(step), ys * float(step)
    centre_x, centre_y = float(x.mean()), float(y.mean())
    x -= centre_x
    y -= centre_y
    values, vectors = np.linalg.eigh(np.cov(np.stack([x, y])))
    axis = vectors[:, 1]
    along = x * axis[0] + y * axis[1]
    elongated = bool(values[1] > 2.0 * values[0])
    if float((along**3).mean()) > 0:
        # The long thin tail is the light end: the axis points away from it.
        axis = -axis
    length = float(along.max() - along.min()) + step
    angle = float(np.degrees(np.arctan2(axis[1], axis[0]))) if elongated else 0.0
    return Pose((centre_x, centre_y), angle, length, elongated)


def sides_of(donor: Donor) -> Sides:
    """Which borders of its own image the donor's defect reaches."""
    x, y, width, height = donor.box
    image_width, image_height = donor.size
    mask = donor.mask
    return Sides(
        left=x <= 0 and bool(mask[:, :2].any()),
        top=y <= 0 and bool(mask[:2].any()),
        right=x + width >= image_width and bool(mask[:, -2:].any()),
        bottom=y + height >= image_height and bool(mask[-2:].any()),
    )


def mask_box(mask: Mask) -> tuple[int, int, int, int]:
    """x, y, width, height of the True pixels.

    Raises:
        Redraw: There are none.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if width == 0:
        raise Redraw("nothing is left of the defect after the warp")
    return x, y, width, height


def anywhere(
    patch: Patch,
    host: tuple[int, int],
    sides: Sides,
    centre_frac: tuple[float, float] | None,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Where the patch's corner goes on a texture: its defect stays inside, and at the borders that it must reach.

    Args:
        patch: The warped cut.
        host: Width and height of the host.
        sides: Borders that the defect reaches and is to reach again.
        centre_frac: Where its middle should be, as shares of the host; None for anywhere.
        rng: Draws the place.

    Raises:
        Redraw: The defect is larger than the host.
    """
    x, y, width, height = mask_box(patch.mask)
    if (width > host[0] and not (sides.left and sides.right)) or (
        height > host[1] and not (sides.top and sides.bottom)
    ):
        raise Redraw(f"the defect is {width}x{height} pixels after the warp, the host {host[0]}x{host[1]}")
    corner = []
    for start, extent, whole, low, high, wanted in (
        (x, width, host[0], sides.left, sides.right, None if centre_frac is None else centre_frac[0]),
        (y, height, host[1], sides.top, sides.bottom, None if centre_frac is None else centre_frac[1]),
    ):
        room = whole - extent
        margin = min(_MARGIN_PX, max(room, 0) // 2)
        drawn = int(rng.integers(margin, max(room - margin, margin) + 1))
        if low:
            place = 0
        elif high:
            place = room
        elif wanted is not None:
            place = int(np.clip(round(wanted * whole - extent / 2), margin, room - margin))
        else:
            place = drawn
        corner.append(place - start)
    return corner[0], corner[1]


def clip(patch: Patch, x: int, y: int, host: tuple[int, int]) -> tuple[Patch, int, int]:
    """The part of a patch that lies on the host, and its corner there.

    Raises:
        Redraw: No pixel of the defect is left.
    """
    width, height = patch.size
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(width, host[0] - x), min(height, host[1] - y)
    if right <= left or bottom <= top:
        raise Redraw("the defect would lie outside the host")
    part = patch.part(slice(top, bottom), slice(left, right))
    if not part.mask.any():
        raise Redraw("the defect would lie outside the host")
    return part, x + left, y + top


def align(
    host: Image, patch: Patch, x: int, y: int, ring: Mask, reach: tuple[int, int], stay: float = 0.0
) -> tuple[int, int, float]:
    """Shift a patch so that its collar continues the host's pattern.

    Args:
        host: uint8 HxWx3 or HxW.
        patch: It lies wholly on the host.
        x: Column of its corner.
        y: Row of its corner.
        ring: bool hxw, the collar's pixels to compare.
        reach: Farthest shift along x and y; it is cut where the host ends.
        stay: What the farthest shift costs, as a share of the collar's variance: the same part of an object is where
            its pose says unless the pixels say otherwise.

    Returns:
        The new corner and the mismatch there: mean squared difference on the ring over the sum of both variances
        (0 = the same, 1 = unrelated).
    """
    height, width = host.shape[:2]
    patch_width, patch_height = patch.size
    left, right = min(reach[0], x), min(reach[0], width - patch_width - x)
    top, bottom = min(reach[1], y), min(reach[1], height - patch_height - y)
    window = _grey(host[y - top : y + patch_height + bottom, x - left : x + patch_width + right])
    template = _grey(patch.image)
    weight = ring.astype(np.float32)
    if not ring.any():
        return x, y, 1.0
    template = template - float(template[ring].mean())
    window = window - float(window.mean())
    step = 2 if min(patch.size) >= _COARSE_SIDE and left + right + top + bottom > 8 else 1
    scores = np.asarray(
        cv2.matchTemplate(window[::step, ::step], template[::step, ::step], cv2.TM_SQDIFF, mask=weight[::step, ::step])
    )
    if stay:
        rows, columns = (np.arange(n) * step for n in scores.shape)
        farness = ((rows[:, None] - top) / max(reach[1], 1)) ** 2 + ((columns - left) / max(reach[0], 1)) ** 2
        scores = scores + stay * float(template[ring].var()) * float(weight[::step, ::step].sum()) * farness
    best_row, best_column = (int(i) for i in np.unravel_index(int(np.argmin(scores)), scores.shape))
    row = min(top + bottom, round(step * (best_row + _vertex(scores[:, best_column], best_row))))
    column = min(left + right, round(step * (best_column + _vertex(scores[best_row], best_column))))
    there = np.ascontiguousarray(window[row : row + patch_height, column : column + patch_width])
    where = ring.view(np.uint8)
    (mean, spread), (_, own) = (cv2.meanStdDev(v, mask=where) for v in (there, template))
    error, error_spread = cv2.meanStdDev(there - float(mean[0, 0]) - template, mask=where)
    total = float(spread[0, 0] ** 2 + own[0, 0] ** 2) + 1e-6
    mismatch = float(error[0, 0] ** 2 + error_spread[0, 0] ** 2) / total
    return x - left + column, y - top + row, mismatch


def _vertex(line: NDArray[Any], at: int) -> float:
    """Where between its neighbours a minimum really lies, by a parabola through the three: -0.5..0.5."""
    if at in (0, len(line) - 1):
        return 0.0
    before, here, after = (float(v) for v in line[at - 1 : at + 2])
    bend = before - 2 * here + after
    return 0.0 if bend <= 0 else float(np.clip((before - after) / (2 * bend), -0.5, 0.5))


def _grey(image: Image) -> NDArray[np.float32]:
    grey = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return grey.astype(np.float32)


def period(image: Image) -> tuple[int, int, float]:
    """The pattern's period by autocorrelation.

    Args:
        image: uint8 hxwx3 or hxw; at most its middle 256x256 pixels are looked at.

    Returns:
        Pixels along x and along y (0 where nothing repeats), and how strong the weaker of the two repeats (0..1).
    """
    grey = _grey(image)
    height, width = grey.shape
    rows = slice(max(0, height // 2 - 128), height // 2 + 128)
    columns = slice(max(0, width // 2 - 128), width // 2 + 128)
    grey = grey[rows, columns]
    if min(grey.shape) < 16:
        return 0, 0, 0.0
    grey = grey - cv2.blur(grey, (31, 31))
    spectrum = np.abs(np.fft.rfft2(grey)) ** 2
    correlation = np.fft.irfft2(spectrum, s=grey.shape)
    zero = float(correlation[0, 0])
    if zero <= 0:
        return 0, 0, 0.0
    along_x, strength_x = _first_peak(correlation[0, : grey.shape[1] // 2] / zero)
    along_y, strength_y = _first_peak(correlation[: grey.shape[0] // 2, 0] / zero)
    return along_x, along_y, max(0.0, min(strength_x, strength_y))


def _first_peak(correlation: NDArray[Any]) -> tuple[int, float]:
    """The lag of the highest local maximum in 4..64, and its height above the valley before it."""
    line = np.asarray(correlation[:65], np.float64)
    if len(line) < 8:
        return 0, 0.0
    peaks = [lag for lag in range(4, len(line) - 1) if line[lag] >= line[lag - 1] and line[lag] > line[lag + 1]]
    if not peaks:
        return 0, 0.0
    best = max(peaks, key=lambda lag: line[lag])
    return best, float(line[best] - line[:best].min())
