"""New defect shapes from the masks of a class: between two of them, bent, stretched, turned.

Shapes are handled as signed distances (Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE
TMI 1990): distances can be mixed and warped smoothly, where masks would fray.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Mask

__all__ = ["Axis", "axis_of", "bend", "cropped", "deform", "is_thin", "morph", "new_shape", "signed_distance", "turned"]

F32 = NDArray[np.float32]

_THIN = 2.5


@dataclass(frozen=True, slots=True)
class Axis:
    """The main axis of a shape: centre in pixels, direction in radians, standard deviations along and across."""

    x: float
    y: float
    angle: float
    along: float
    across: float


def signed_distance(mask: Mask) -> F32:
    """Distance to the edge of the shape in pixels: positive inside, negative outside, never 0; float32 HxW."""
    padded = np.pad(mask, 1).astype(np.uint8)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    if not mask.any():
        return np.full(mask.shape, -float(max(mask.shape)), np.float32)
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    return np.asarray(np.where(mask, inside - 0.5, 0.5 - outside), dtype=np.float32)


def axis_of(mask: Mask) -> Axis:
    """The main axis of a shape that is not empty."""
    y, x = np.nonzero(mask)
    covariance = np.cov(np.stack([x, y]).astype(np.float64), bias=True)
    values, vectors = np.linalg.eigh(covariance)
    along, across = float(np.sqrt(max(values[1], 0.0))), float(np.sqrt(max(values[0], 0.0)))
    return Axis(float(x.mean()), float(y.mean()), float(np.arctan2(vectors[1, 1], vectors[0, 1])), along, across)


def is_thin(mask: Mask) -> bool:
    """Whether a shape is a thread rather than a blob: much longer, along its course, than it is wide."""
    area = int(mask.sum())
    half = float(signed_distance(mask).max()) + 0.5
    # A ribbon of width w has length area / w; for a disc this ratio is about 0.8, for a square 1.
    return area / (2 * half) ** 2 > _THIN


def cropped(mask: Mask, margin: int = 0) -> Mask:
    """The shape in the smallest array that holds it and a margin."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(inner, margin) if margin else inner.copy()


def turned(mask: Mask, angle_deg: float, scale: float = 1.0, *, flip: bool = False) -> Mask:
    """The shape turned counter-clockwise about its centre and scaled, in an array that just holds it."""
    source = mask[:, ::-1] if flip else mask
    reach = int(np.ceil(np.hypot(*source.shape) * scale / 2)) + 3
    centre = ((source.shape[1] - 1) / 2, (source.shape[0] - 1) / 2)
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, angle_deg, scale), np.float64)
    matrix[:, 2] += (reach - centre[0], reach - centre[1])
    size = (2 * reach + 1, 2 * reach + 1)
    pad = 3
    distance = signed_distance(np.pad(source, pad))
    matrix[:, 2] -= matrix[:, :2] @ np.array([pad, pad], np.float64)
    moved = cv2.warpAffine(distance, matrix, size, flags=cv2.INTER_LINEAR, borderValue=-1e3)
    return cropped(_whole(moved.astype(np.float32), source))


def morph(first: Mask, second: Mask, share: float) -> Mask:
    """The shape `share` of the way from the first to the second, laid centre on centre, axis on axis.

    Args:
        first: bool hxw, not empty.
        second: bool hxw, not empty.
        share: 0 (the first) to 1 (the second).

    Returns:
        bool: an array that just holds it. Thin shapes that miss each other give the nearer one.
    """
    one, other = axis_of(first), axis_of(second)
    # An axis has no arrow: the turn is the smaller of the two.
    turn = (one.angle - other.angle + np.pi / 2) % np.pi - np.pi / 2
    round_shape = min(one.along / max(one.across, 1e-6), other.along / max(other.across, 1e-6)) < 1.2
    laid = second if round_shape else turned(second, -float(np.degrees(turn)))
    distances = [signed_distance(square) for square in _on_common_ground(first, laid)]
    mixed = (1 - share) * distances[0] + share * distances[1]
    if not (mixed > 0).any():
        return cropped(first if share < 0.5 else second)
    return cropped(mixed > 0)


def deform(mask: Mask, rng: np.random.Generator, *, strength: float, cell_frac: float = 0.35) -> Mask:
    """The shape after a smooth random displacement.

    Args:
        mask: bool hxw, not empty.
        rng: Draws the displacement.
        strength: Its standard deviation as a share of the shape's mean radius.
        cell_frac: How far apart independent displacements are, as a share of the shape's longer side.

    Returns:
        bool: an array that just holds it.
    """
    radius = float(np.sqrt(mask.sum() / np.pi))
    # A thread's radius overstates it: no displacement may tear what is only a few pixels wide.
    reach = strength * radius
    pad = int(np.ceil(3 * reach)) + 2
    padded = np.pad(mask, pad)
    cell = max(4.0, cell_frac * max(mask.shape))
    grid_x, grid_y = _grid(padded.shape)
    shift_x, shift_y = (np.clip(_field(rng, padded.shape, cell), -2.5, 2.5) * np.float32(reach) for _ in range(2))
    moved = cv2.remap(
        signed_distance(padded), grid_x + shift_x, grid_y + shift_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cropped(_whole(moved.astype(np.float32), mask))


def bend(mask: Mask, curve: float, wave: float = 0.0, phase: float = 0.0) -> Mask:
    """The shape bent about its main axis: for threads and scratches, whose width must stay.

    Args:
        mask: bool hxw, not empty.
        curve: How far both ends leave the axis, as a share of the half length.
        wave: Height of an added wave with one period over the length, as a share of the half length.
        phase: Of that wave, in radians.

    Returns:
        bool: an array that just holds it.
    """
    axis = axis_of(mask)
    half = max(2.0, 2 * axis.along)
    pad = int(np.ceil(half * (abs(curve) * 1.5 + abs(wave) * 2))) + 2
    padded = np.pad(mask, pad)
    x, y = _grid(padded.shape)
    cosine, sine = np.cos(axis.angle), np.sin(axis.angle)
    x_from, y_from = x - (axis.x + pad), y - (axis.y + pad)
    along = x_from * cosine + y_from * sine
    place = np.clip(along / half, -1.5, 1.5)
    leave = half * (curve * (place * place - 0.33) + wave * np.sin(np.pi * place + phase))
    moved = cv2.remap(
        signed_distance(padded),
        (x + leave * sine).astype(np.float32),
        (y - leave * cosine).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cropped(_whole(moved.astype(np.float32), mask))


def new_shape(
    masks: Sequence[Mask],
    rng: np.random.Generator,
    *,
    area_range_px: tuple[float, float],
    morph_range: tuple[float, float] = (0.2, 0.8),
    deform_frac: float = 0.12,
    bend_frac: float = 0.25,
) -> Mask:
    """A shape that the class does not hold yet, of an area it does.

    Args:
        masks: One or more masks of the class; the first two are mixed unless one of them is thin.
        rng: Draws everything.
        area_range_px: Smallest and largest area of the class in pixels.
        morph_range: Range of the share of the second shape.
        deform_frac: As `deform`'s strength, for shapes that are not thin.
        bend_frac: Largest curve and wave of thin shapes, as `bend`.

    Returns:
        bool: an array that just holds it.
    """
    shape = cropped(masks[0])
    if is_thin(shape):
        curve, wave = (float(rng.uniform(-bend_frac, bend_frac)) for _ in range(2))
        shape = bend(shape, curve, wave, float(rng.uniform(0, 2 * np.pi)))
    else:
        if len(masks) > 1 and not is_thin(masks[1]):
            shape = morph(shape, cropped(masks[1]), float(rng.uniform(*morph_range)))
        if min(shape.shape) > 3:
            shape = deform(shape, rng, strength=deform_frac)
    area = float(shape.sum())
    wanted = float(np.clip(area * rng.uniform(0.8, 1.25), *area_range_px))
    scale = float(np.sqrt(wanted / area))
    return turned(shape, 0.0, scale) if abs(scale - 1) > 0.02 else shape


def _whole(distance: F32, before: Mask) -> Mask:
    """The warped shape, its edge let out by up to a pixel where the warp would tear it into more parts."""
    parts = _count(before)
    for edge in (0.0, -0.35, -0.7, -1.0):
        mask = distance > edge
        if mask.any() and _count(mask) <= parts:
            return mask
    mask = distance > 0
    return mask if mask.any() else distance >= distance.max()


def _count(mask: Mask) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def _on_common_ground(first: Mask, second: Mask) -> list[Mask]:
    """Both shapes in arrays of one size, centroid on centroid."""
    placed = []
    reach = int(np.ceil(max(*first.shape, *second.shape))) + 2
    for mask in (first, second):
        axis = axis_of(mask)
        ground = np.zeros((2 * reach + 1, 2 * reach + 1), np.bool_)
        top, left = reach - round(axis.y), reach - round(axis.x)
        ground[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        placed.append(ground)
    return placed


def _field(rng: np.random.Generator, shape: tuple[int, ...], cell: float) -> F32:
    """A smooth field of deviation about 1."""
    rows, columns = (int(np.ceil(length / cell)) + 3 for length in shape[:2])
    knots = rng.standard_normal((rows, columns), dtype=np.float32)
    x, y = _grid(shape)
    field = cv2.remap(knots, x / np.float32(cell) + 1, y / np.float32(cell) + 1, cv2.INTER_CUBIC)
    return np.asarray(field * np.float32(1.4), dtype=np.float32)


def _grid(shape: tuple[int, ...]) -> tuple[F32, F32]:
    x, y = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    return x, y
