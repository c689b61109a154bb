"""New defect shapes from the masks of a class: between two of them, bent, stretched, turned.

Shapes are handled as signed distances (Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE
TMI 1990): distances can be mixed and warped smoothly, where masks would fray. Every mask in and out is bool hxw and
not empty; what comes out lies in an array that just holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from carpet_data.synthesis.contract import Mask
from carpet_data.synthesis.ops.masks import cropped, signed_distance
from carpet_data.synthesis.ops.pixels import F32
from carpet_data.synthesis.ops.pose import axis_of
from carpet_data.synthesis.ops.warp import bow

_THIN = 2.5


def is_thin(mask: Mask) -> bool:
    """Whether a shape is a thread rather than a blob: much longer, along its course, than it is wide."""
    half = float(signed_distance(mask).max()) + 0.5
    # A ribbon of width w has length area / w; for a disc this ratio is about 0.8, for a square 1.
    return int(mask.sum()) / (2 * half) ** 2 > _THIN


def turned(mask: Mask, angle_deg: float, scale: float = 1.0, *, flip: bool = False) -> Mask:
    """The shape mirrored where `flip`, turned counter-clockwise about its center and scaled."""
    source = mask[:, ::-1] if flip else mask
    reach = int(np.ceil(np.hypot(*source.shape) * scale / 2)) + 3
    center = ((source.shape[1] - 1) / 2, (source.shape[0] - 1) / 2)
    matrix = np.asarray(cv2.getRotationMatrix2D(center, angle_deg, scale), np.float64)
    matrix[:, 2] += (reach - center[0], reach - center[1])
    pad = 3
    matrix[:, 2] -= matrix[:, :2] @ np.array([pad, pad], np.float64)
    size = (2 * reach + 1, 2 * reach + 1)
    distance = signed_distance(np.pad(source, pad))
    moved = cv2.warpAffine(distance, matrix, size, flags=cv2.INTER_LINEAR, borderValue=-1e3)
    return cropped(_untorn(np.asarray(moved, np.float32), source))


def morph(first: Mask, second: Mask, share: float) -> Mask:
    """The shape `share` (0..1) of the way from the first to the second, laid center on center, axis on axis.

    Thin shapes that miss each other give the nearer one.
    """
    one, other = axis_of(first), axis_of(second)
    # An axis has no arrow: the turn is the smaller of the two.
    turn = (one.angle - other.angle + np.pi / 2) % np.pi - np.pi / 2
    round_shape = min(one.along / max(one.across, 1e-6), other.along / max(other.across, 1e-6)) < 1.2
    laid = second if round_shape else turned(second, -float(np.degrees(turn)))
    reach = max(*first.shape, *laid.shape) + 2
    distances = [signed_distance(centerd(square, reach)) for square in (first, laid)]
    mixed = (1 - share) * distances[0] + share * distances[1]
    if not (mixed > 0).any():
        return cropped(first if share < 0.5 else second)
    return cropped(mixed > 0)


def deform(mask: Mask, rng: np.random.Generator, *, strength: float, cell_frac: float = 0.35) -> Mask:
    """The shape after a smooth random displacement.

    Its standard deviation is `strength` times the shape's mean radius; independent displacements are `cell_frac` of the
    shape's longer side apart.
    """
    # A thread's radius overstates it: no displacement may tear what is only a few pixels wide.
    reach = strength * float(np.sqrt(mask.sum() / np.pi))
    padded = np.pad(mask, int(np.ceil(3 * reach)) + 2)
    cell = max(4.0, cell_frac * max(mask.shape))
    shift_x, shift_y = (np.clip(_field(rng, padded.shape, cell), -2.5, 2.5) * np.float32(reach) for _ in range(2))
    return _displaced(padded, shift_x, shift_y, mask)


def bend(mask: Mask, curve: float, wave: float = 0.0, phase: float = 0.0) -> Mask:
    """The shape bent about its main axis, see `warp.bow`: for threads and scratches, whose width must stay."""
    axis = axis_of(mask)
    half = max(2.0, 2 * axis.along)
    pad = int(np.ceil(half * (abs(curve) * 1.5 + abs(wave) * 2))) + 2
    padded = np.pad(mask, pad)
    x, y = grid(padded.shape)
    cosine, sine = np.cos(axis.angle), np.sin(axis.angle)
    leave = half * bow(((x - (axis.x + pad)) * cosine + (y - (axis.y + pad)) * sine) / half, curve, wave, phase)
    return _displaced(padded, leave * sine, -leave * cosine, mask)


def new_shape(
    masks: Sequence[Mask],
    rng: np.random.Generator,
    *,
    area_range_px: tuple[float, float],
    morph_range: tuple[float, float] = (0.2, 0.8),
    deform_frac: float = 0.12,
    bend_frac: float = 0.25,
) -> Mask:
    """A shape that the class does not hold yet, of an area it does (`area_range_px`, the smallest and the largest).

    The first two masks are mixed unless one of them is thin, `morph_range` bounds the share of the second. Shapes that
    are not thin are deformed by `deform_frac`, thin ones get a curve and a wave of at most `bend_frac`.
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


def centerd(mask: Mask, reach: int) -> Mask:
    """The shape in a square of side 2 `reach` + 1, its centroid in the middle."""
    axis = axis_of(mask)
    square = np.zeros((2 * reach + 1, 2 * reach + 1), np.bool_)
    top, left = reach - round(axis.y), reach - round(axis.x)
    square[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return square


def grid(shape: tuple[int, ...]) -> tuple[F32, F32]:
    """Column and row of every pixel, float32 HxW each."""
    x, y = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    return x, y


def _displaced(padded: Mask, shift_x: F32, shift_y: F32, before: Mask) -> Mask:
    x, y = grid(padded.shape)
    maps = (np.asarray(x + shift_x, np.float32), np.asarray(y + shift_y, np.float32))
    moved = cv2.remap(signed_distance(padded), *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cropped(_untorn(np.asarray(moved, np.float32), before))


def _untorn(distance: F32, before: Mask) -> Mask:
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


def _field(rng: np.random.Generator, shape: tuple[int, ...], cell: float) -> F32:
    """A smooth field of deviation about 1."""
    rows, columns = (int(np.ceil(length / cell)) + 3 for length in shape[:2])
    knots = rng.standard_normal((rows, columns), dtype=np.float32)
    x, y = grid(shape)
    field = cv2.remap(knots, x / np.float32(cell) + 1, y / np.float32(cell) + 1, cv2.INTER_CUBIC)
    return np.asarray(field * np.float32(1.4), dtype=np.float32)
