"""Where a defect goes: anywhere on a texture, on the same part of an object, at the same border, where it fits best."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Image, Mask, Redraw
from carpet_data.synthesis.ops.masks import mask_box
from carpet_data.synthesis.ops.pixels import F32, grey
from carpet_data.synthesis.ops.pose import Sides, axis_of, pose_of, same_place, share_on_object, similarity
from carpet_data.synthesis.ops.quilting import Finder
from carpet_data.synthesis.ops.warp import Patch

_MARGIN_PX = 16
"""Blending may reach this far beyond the mask; a defect that should not touch the border stays this far from it."""
_COARSE_SIDE = 64
"""Patches of at least this side are aligned at half resolution, with the minimum found between its pixels."""
_OFF_OBJECT_FRAC = 0.02
_PART_PX, _PART_FRAC = 6, 0.05
_SHARE_SLACK = 0.1


def anywhere(
    mask: Mask, host: tuple[int, int], sides: Sides, center_frac: tuple[float, float] | None, rng: np.random.Generator
) -> tuple[int, int]:
    """Where a cut's corner (x, y) goes on a texture; it may lie outside the host (width, height).

    The defect (bool hxw, not empty) stays inside, and at the borders that it must reach. `center_frac` is where its
    middle should be, as shares of the host; None for anywhere.

    Raises:
        Redraw: The defect is larger than the host.
    """
    x, y, width, height = mask_box(mask)
    corner = []
    for axis, (start, extent, whole, low, high) in enumerate(
        ((x, width, host[0], "left", "right"), (y, height, host[1], "top", "bottom"))
    ):
        if extent > whole and not (low in sides and high in sides):
            raise Redraw(f"the defect is {width}x{height} pixels after the warp, the host {host[0]}x{host[1]}")
        room = whole - extent
        margin = min(_MARGIN_PX, max(room, 0) // 2)
        place = int(rng.integers(margin, max(room - margin, margin) + 1))
        if low in sides:
            place = 0
        elif high in sides:
            place = room
        elif center_frac is not None:
            place = int(np.clip(round(center_frac[axis] * whole - extent / 2), margin, room - margin))
        corner.append(place - start)
    return corner[0], corner[1]


def clip(patch: Patch, x: int, y: int, host: tuple[int, int]) -> tuple[Patch, int, int]:
    """The part of a patch that lies on the host (width, height), and its corner there.

    Raises:
        Redraw: No pixel of the defect is left.
    """
    width, height = patch.size
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(width, host[0] - x), min(height, host[1] - y)
    part = patch.part(slice(top, max(bottom, top)), slice(left, max(right, left)))
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
    if not ring.any():
        return x, y, 1.0
    height, width = host.shape[:2]
    patch_width, patch_height = patch.size
    left, right = min(reach[0], x), min(reach[0], width - patch_width - x)
    top, bottom = min(reach[1], y), min(reach[1], height - patch_height - y)
    window = grey(host[y - top : y + patch_height + bottom, x - left : x + patch_width + right])
    template = grey(patch.image)
    template = template - float(template[ring].mean())
    window = window - float(window.mean())
    step = 2 if min(patch.size) >= _COARSE_SIDE and left + right + top + bottom > 8 else 1
    weight = ring[::step, ::step].astype(np.float32)
    scores = np.asarray(cv2.matchTemplate(window[::step, ::step], template[::step, ::step], cv2.TM_SQDIFF, mask=weight))
    if stay:
        rows, columns = (np.arange(n) * step for n in scores.shape)
        distance = ((rows[:, None] - top) / max(reach[1], 1)) ** 2 + ((columns - left) / max(reach[0], 1)) ** 2
        scores = scores + stay * float(template[ring].var()) * float(weight.sum()) * distance
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
    """Where between its neighbors a minimum really lies, by a parabola through the three: -0.5..0.5."""
    if at in (0, len(line) - 1):
        return 0.0
    before, here, after = (float(v) for v in line[at - 1 : at + 2])
    bend = before - 2 * here + after
    return 0.0 if bend <= 0 else float(np.clip((before - after) / (2 * bend), -0.5, 0.5))


def drawn_corner(free: Mask, rng: np.random.Generator) -> tuple[int, int]:
    """Column and row of one of the corners that are free, each as likely as another."""
    rows, columns = np.nonzero(free)
    chosen = int(rng.integers(len(rows)))
    return int(columns[chosen]), int(rows[chosen])


def free_places(shape: Mask, size: tuple[int, int], foreground: Mask | None, sides: Sides = frozenset()) -> Mask:
    """Where the top left corner of a shape's window (bool hxw) may lie on a host (rows, columns): bool (H-h+1)x(W-w+1).

    Where a foreground (bool HxW) is given, the shape has to lie on that object; elsewhere the window lies on the
    borders in `sides`.

    Raises:
        Redraw: The window is larger than the host, or the object has no room for the shape.
    """
    rows, columns = size[0] - shape.shape[0] + 1, size[1] - shape.shape[1] + 1
    if rows < 1 or columns < 1:
        raise Redraw("the drawn shape is larger than the host")
    if foreground is None:
        free = np.ones((rows, columns), np.bool_)
        barred: dict[str, Any] = {"left": np.s_[:, 1:], "right": np.s_[:, :-1], "top": np.s_[1:], "bottom": np.s_[:-1]}
        for side in sides:
            free[barred[side]] = False
        if not free.any():
            raise Redraw("the drawn shape does not reach from edge to edge of the host")
        return free
    outside = cv2.matchTemplate((~foreground).astype(np.float32), shape.astype(np.float32), cv2.TM_CCORR)
    free = np.asarray(outside) <= _OFF_OBJECT_FRAC * float(shape.sum()) + 0.5
    if not free.any():
        raise Redraw("the object has no room for the drawn shape")
    return free


def same_part(shape: Mask, size: tuple[int, int], donor: Donor, foreground: Mask) -> Mask:
    """Where a shape's window may lie so that the defect is about where the donor's is on its object.

    The shape (bool hxw) is already turned; size (rows, columns) and foreground (bool HxW) are the host's.

    Returns:
        bool (H-h+1)x(W-w+1): top left corners around the right one, as far as poses err.

    Raises:
        Redraw: There is no object, or that part of it lies outside the host.
    """
    own = None if donor.foreground is None else pose_of(donor.foreground)
    pose, wanted = pose_of(foreground), share_on_object(donor)
    rows, columns = size[0] - shape.shape[0] + 1, size[1] - shape.shape[1] + 1
    if own is None or pose is None or wanted is None or rows < 1 or columns < 1:
        raise Redraw("the object was not found, or is smaller than the drawn shape")
    center, middle = axis_of(donor.mask), axis_of(shape)
    scale = float(np.clip(pose.length_px / max(own.length_px, 1e-6), 0.8, 1.25))
    matrix = similarity(pose.angle_deg - own.angle_deg, scale, scale)
    x, y = same_place((donor.box[0] + center.x, donor.box[1] + center.y), own, pose, matrix)
    column, row = round(x - middle.x), round(y - middle.y)
    # The pose is good to some pixels; how much of the defect lies on the object says where it is across.
    reach = max(_PART_PX, round(_PART_FRAC * pose.length_px))
    top, left = max(0, row - reach), max(0, column - reach)
    bottom, right = min(rows, row + reach + 1), min(columns, column + reach + 1)
    if bottom <= top or right <= left:
        raise Redraw("that part of the object lies outside the host")
    area = foreground[top : bottom + shape.shape[0] - 1, left : right + shape.shape[1] - 1]
    found = cv2.matchTemplate(area.astype(np.float32), shape.astype(np.float32), cv2.TM_CCORR)
    fitting = np.abs(np.asarray(found) / float(shape.sum()) - wanted) <= _SHARE_SLACK
    if not fitting.any():
        raise Redraw("that part of the object has another outline on this host")
    free = np.zeros((rows, columns), np.bool_)
    free[top:bottom, left:right] = fitting
    return free


def place_alike(
    host: Image, wanted: Image, weight: F32, free: Mask, rng: np.random.Generator, *, reach_px: int
) -> tuple[int, int]:
    """A free place, drawn evenly, then moved within reach to where the host is most like the defect's surroundings.

    `wanted` (uint8 hxwx3 or hxw) is the defect and its surroundings, `weight` (float32 hxw) the surroundings.
    `reach_px` is a period of the texture or more. Returns column and row of the window's top left corner.
    """
    column, row = drawn_corner(free, rng)
    height, width = weight.shape
    top, left = max(0, row - reach_px), max(0, column - reach_px)
    crop = np.ascontiguousarray(host[top : row + reach_px + height, left : column + reach_px + width])
    corners = free[top : top + crop.shape[0] - height + 1, left : left + crop.shape[1] - width + 1]
    barred = np.ones(crop.shape[:2], np.bool_)
    barred[height // 2 : height // 2 + corners.shape[0], width // 2 : width // 2 + corners.shape[1]] = ~corners
    places = Finder(crop, np.ones(crop.shape[:2], np.bool_)).find(wanted, weight, besides=barred, candidates=4)
    return (left + places[0].x, top + places[0].y) if places else (column, row)
