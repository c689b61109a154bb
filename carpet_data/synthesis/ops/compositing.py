"""Where on a host a new defect goes, and how it is joined to what lies there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Redraw, Scene
from carpet_data.synthesis.ops.new_shape import axis_of
from carpet_data.synthesis.ops.placement import pose_of
from carpet_data.synthesis.ops.quilting import Finder, agree, cut_between, disc, fill, grey

__all__ = [
    "Joined",
    "free_places",
    "good_on_good",
    "join",
    "noise_level",
    "place_alike",
    "same_part",
    "turn_between",
    "visible",
]

F32 = NDArray[np.float32]

_OFF_OBJECT_FRAC = 0.02
_SPECK_FRAC = 0.04
_PART_PX = 6
_GROUND_PX = 120
_SHARE_SLACK = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A window of the host with the defect in it: uint8 pixels, and bool where they are new."""

    image: Image
    new: Mask


def free_places(
    shape: Mask, size: tuple[int, int], foreground: Mask | None, edges: frozenset[str] = frozenset()
) -> Mask:
    """Where the shape's window may lie.

    Args:
        shape: bool hxw, the window.
        size: Rows and columns of the host.
        foreground: bool HxW: the object the shape has to lie on; None for anywhere.
        edges: Edges of the host ("left", "right", "top", "bottom") that the window has to lie on.

    Returns:
        bool (H-h+1)x(W-w+1): top left corners.

    Raises:
        Redraw: The window is larger than the host, or the object has no room for the shape.
    """
    rows, columns = size[0] - shape.shape[0] + 1, size[1] - shape.shape[1] + 1
    if rows < 1 or columns < 1:
        raise Redraw("the drawn shape is larger than the host")
    if foreground is None:
        free = np.ones((rows, columns), np.bool_)
        for edge, barred in (
            ("left", np.s_[:, 1:]),
            ("right", np.s_[:, :-1]),
            ("top", np.s_[1:]),
            ("bottom", np.s_[:-1]),
        ):
            if edge in edges:
                free[barred] = False
        if not free.any():
            raise Redraw("the drawn shape does not reach from edge to edge of the host")
        return free
    outside = cv2.matchTemplate((~foreground).astype(np.float32), shape.astype(np.float32), cv2.TM_CCORR)
    free = np.asarray(outside) <= _OFF_OBJECT_FRAC * float(shape.sum()) + 0.5
    if not free.any():
        raise Redraw("the object has no room for the drawn shape")
    return np.asarray(free)


def turn_between(donor: Mask | None, host: Mask | None) -> float:
    """How far to turn a donor, in degrees counter-clockwise, for its object to lie as the host's does.

    Args:
        donor: bool, where the object is in the donor's image; None where that is not known.
        host: bool, where it is in the host.
    """
    one, other = (None if mask is None else pose_of(mask) for mask in (donor, host))
    return one.angle_deg - other.angle_deg if one is not None and other is not None else 0.0


def same_part(shape: Mask, size: tuple[int, int], donor: Donor, foreground: Mask) -> Mask:
    """Where the shape's window may lie so that the defect is about where the donor's is on its object.

    Args:
        shape: bool hxw, the window, already turned.
        size: Rows and columns of the host.
        donor: With its object's foreground.
        foreground: bool HxW: the host's object.

    Returns:
        bool (H-h+1)x(W-w+1): top left corners around the right one, as far as poses err.

    Raises:
        Redraw: There is no object, or that part of it lies outside the host.
    """
    own = None if donor.foreground is None else pose_of(donor.foreground)
    pose = pose_of(foreground)
    rows, columns = size[0] - shape.shape[0] + 1, size[1] - shape.shape[1] + 1
    if donor.foreground is None or own is None or pose is None or rows < 1 or columns < 1:
        raise Redraw("the object was not found, or is smaller than the drawn shape")
    centre, middle = axis_of(donor.mask), axis_of(shape)
    across, down = donor.box[0] + centre.x - own.centre[0], donor.box[1] + centre.y - own.centre[1]
    angle = np.radians(pose.angle_deg - own.angle_deg)
    scale = float(np.clip(pose.length_px / max(own.length_px, 1e-6), 0.8, 1.25))
    x = pose.centre[0] + scale * (across * np.cos(angle) - down * np.sin(angle)) - middle.x
    y = pose.centre[1] + scale * (across * np.sin(angle) + down * np.cos(angle)) - middle.y
    column, row = round(float(x)), round(float(y))
    # The pose is good to some pixels; how much of the defect lies on the object says where it is across.
    reach = max(_PART_PX, round(0.05 * pose.length_px))
    top, left = max(0, row - reach), max(0, column - reach)
    bottom, right = min(rows, row + reach + 1), min(columns, column + reach + 1)
    if bottom <= top or right <= left:
        raise Redraw("that part of the object lies outside the host")
    area = foreground[top : bottom + shape.shape[0] - 1, left : right + shape.shape[1] - 1]
    found = cv2.matchTemplate(area.astype(np.float32), shape.astype(np.float32), cv2.TM_CCORR)
    share = np.asarray(found) / float(shape.sum())
    y_own, x_own = np.nonzero(donor.mask)
    wanted = float(donor.foreground[y_own + donor.box[1], x_own + donor.box[0]].mean())
    fitting = np.abs(share - wanted) <= _SHARE_SLACK
    if not fitting.any():
        raise Redraw("that part of the object has another outline on this host")
    free = np.zeros((rows, columns), np.bool_)
    free[top:bottom, left:right] = fitting
    return free


def place_alike(
    host: Image, wanted: Image, weight: F32, free: Mask, rng: np.random.Generator, *, reach_px: int
) -> tuple[int, int]:
    """A free place, drawn evenly, then moved within reach to where the host is most like the defect's surroundings.

    Args:
        host: uint8 HxWx3 or HxW.
        wanted: uint8 hxwx3 or hxw: the defect and its surroundings.
        weight: float32 hxw: the surroundings.
        free: As `free_places` gives it.
        rng: Draws the place.
        reach_px: How far it may be moved; a period of the texture or more.

    Returns:
        Column and row of the window's top left corner.
    """
    y, x = np.nonzero(free)
    chosen = int(rng.integers(len(y)))
    row, column = int(y[chosen]), int(x[chosen])
    height, width = weight.shape
    top, left = max(0, row - reach_px), max(0, column - reach_px)
    area = np.s_[
        top : min(host.shape[0], row + reach_px + height), left : min(host.shape[1], column + reach_px + width)
    ]
    crop = np.ascontiguousarray(host[area])
    corners = free[top : top + crop.shape[0] - height + 1, left : left + crop.shape[1] - width + 1]
    barred = np.ones(crop.shape[:2], np.bool_)
    barred[height // 2 : height // 2 + corners.shape[0], width // 2 : width // 2 + corners.shape[1]] = ~corners
    places = Finder(crop, np.ones(crop.shape[:2], np.bool_)).find(wanted, weight, besides=barred, candidates=4)
    if not places:
        return column, row
    return left + places[0].x, top + places[0].y


def join(window: Image, defect: Image, filled: Mask, shape: Mask, *, ring_px: int, feather_px: float) -> Joined:
    """Put the defect into the window: bent and lit to meet it, cut along the least visible way near the shape's edge.

    Args:
        window: uint8 hxwx3 or hxw of the host.
        defect: uint8 of the same shape.
        filled: bool hxw: where `defect` holds pixels; the shape and some of its surroundings.
        shape: bool hxw.
        ring_px: How far the cut may leave the shape's edge, either way.
        feather_px: Standard deviation of the transition across the cut; 0 for none.

    Returns:
        The window and which of its pixels were replaced.
    """
    rim = filled & ~shape
    met = agree(defect, window, rim) if int(rim.sum()) >= 64 else defect
    bits = shape.astype(np.uint8)
    # At the window's own edge nothing is taken off: there the shape goes on beyond the image.
    core = (cv2.erode(bits, disc(min(ring_px, 3)), borderType=cv2.BORDER_REPLICATE) > 0) & filled
    if not core.any():
        core = shape & filled
    outer = (cv2.dilate(bits, disc(ring_px)) > 0) & filled
    new = cut_between(window, met, ~core, ~outer)
    new |= core
    if feather_px <= 0:
        cover = new.astype(np.float32)
    else:
        soft = np.asarray(cv2.GaussianBlur(new.astype(np.float32), (0, 0), feather_px), np.float32)
        cover = np.where(filled, soft, np.float32(0))
    heavy = cover if window.ndim == 2 else cover[:, :, None]
    mixed = window + heavy * (met.astype(np.float32) - window)
    return Joined(np.clip(np.rint(mixed), 0, 255).astype(np.uint8), np.asarray(cover > 0.02))


def visible(before: Image, after: Image, within: Mask, *, threshold: float) -> Mask:
    """The pixels of a defect: the change that can be seen, gaps of chance agreement closed.

    Args:
        before: uint8 hxwx3 or hxw.
        after: uint8 of the same shape.
        within: bool hxw: where a change may count.
        threshold: Least difference of the channel that changed most, in grey values.

    Returns:
        bool hxw, part of `within`.
    """
    difference = cv2.absdiff(before, after)
    if difference.ndim == 3:
        difference = difference.max(axis=2)
    pad = 6
    changed = np.pad(((difference > threshold) & within).astype(np.uint8), pad)
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, disc(3))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # Specks beside a defect are noise that happens to differ; a defect that is itself a speck stays.
    areas = [max(cv2.contourArea(outline), 1.0) for outline in outlines]
    kept = [outline for outline, area in zip(outlines, areas, strict=True) if area >= _SPECK_FRAC * max(areas)]
    filled = np.zeros_like(closed)
    cv2.drawContours(filled, kept, -1, 1, cv2.FILLED)
    return np.asarray((filled[pad:-pad, pad:-pad] > 0) & within)


def good_on_good(scene: Scene, shape: Mask, corner: tuple[int, int], rng: np.random.Generator) -> Candidate:
    """A null sample: the shape filled with the host's own ground, so that it carries every trace but the defect.

    Args:
        scene: Its host gives the ground. An object has no second place like the first: it stays as it is.
        shape: bool hxw: where a defect would have been.
        corner: Column and row of its window on the host.
        rng: Chooses the ground.

    Returns:
        The candidate, its mask empty.

    Raises:
        Redraw: The shape leaves too little ground.
    """
    host = scene.host
    x, y = corner
    height, width = shape.shape
    image: Image = host.copy()
    reach = _GROUND_PX + max(height, width)
    left, top = max(0, x - reach), max(0, y - reach)
    area = np.s_[top : y + height + reach, left : x + width + reach]
    hole = np.zeros(host.shape[:2], np.bool_)
    hole[y : y + height, x : x + width] = shape
    if scene.foreground is None and shape.any():
        part = hole[area]
        image[area] = fill(np.ascontiguousarray(host[area]), part, ~part, rng)
    rows, columns = host[area].shape[:2]
    return Candidate(image, np.zeros(host.shape[:2], np.bool_), (left, top, columns, rows), {"null": True})


def noise_level(image: Image) -> float:
    """Standard deviation of the noise in grey values (Immerkaer, "Fast noise variance estimation", CVIU 1996)."""
    values = grey(image)
    if min(values.shape) < 3:
        return 0.0
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(values, -1, kernel))[1:-1, 1:-1]
    # The median instead of the mean: edges are no noise.
    return float(np.median(response)) / 0.6745 / 6.0
