"""Loose strands laid over a surface: yarn ends, threads, hairs and wires."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.weave.noise import F32
from carpet_data.weave.surface import Box, Surface

__all__ = ["Strand", "bent", "curve", "lay", "lay_yarn", "rgb"]

_SPACING = 0.4
"""Pixels between two samples of a strand: dense enough that no pixel of it is missed."""

RGB = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Strand:
    """A tube along a path.

    Attributes:
        path: float64 (n, 2), x and y in pixels; a polyline, dense where it bends.
        radius: Half the width in pixels.
        light: RGB of its light fibers.
        dark: RGB of its dark fibers.
        lift: Height of its middle above the reference plane, in pixels; one value, or start, middle and end.
        ply: Turns of its fibers around it, in radii across a pixel along; 0 lies straight.
        taper: Share of the length over which an end thins out, 0 … 0.5.
        metal: Mirrors the light instead of scattering it.
        cover: Opacity, 0 to 1; fine fibers let the ground through.
    """

    path: NDArray[np.float64]
    radius: float
    light: RGB
    dark: RGB
    lift: float | tuple[float, float, float] = 8.0
    ply: float = 0.05
    taper: float = 0.08
    metal: bool = False
    cover: float = 1.0


def curve(knots: NDArray[np.float64], count: int = 64) -> NDArray[np.float64]:
    """A smooth path of `count` points through knots, both float64 (n, 2).

    Catmull-Rom spline with chord-length parameter (Catmull and Rom, 1974).
    """
    ends = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    place = np.linspace(0, len(knots) - 1, count)
    first = np.minimum(place.astype(int), len(knots) - 2)
    t = (place - first)[:, None]
    a, b, c, d = (ends[first + k] for k in range(4))
    return np.asarray(
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3),
        dtype=np.float64,
    )


def bent(start: NDArray[np.float64], headings: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """A path of equal steps from a start: float64 (n + 1, 2) for n headings in radians, `length` pixels long."""
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.concatenate([start[None], start + np.cumsum(steps, axis=0) * (length / len(headings))])


def rgb(values: NDArray[np.float64]) -> RGB:
    """A color as a tuple of numbers."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def lay(surface: Surface, box: Box, strand: Strand, rng: np.random.Generator) -> None:
    """Lay a strand on a window of a surface, in place; it goes under whatever is higher.

    Parts outside the window are skipped.
    """
    path, along = _resampled(strand.path)
    if len(path) < 2:
        return
    normal = _normals(path)
    share = along / along[-1]
    taper = np.minimum(np.minimum(share, 1 - share) / max(strand.taper, 1e-6), 1)
    wobble = 1 + (0.0 if strand.metal else 0.12) * _smooth_row(rng, len(path), 12)
    radius = strand.radius * (0.25 + 0.75 * taper) * wobble
    count = max(3, int(np.ceil(2 * strand.radius * 1.15 / _SPACING)))
    across = np.linspace(-1, 1, count)
    spot = path[:, None, :] + normal[:, None, :] * (radius[:, None] * across)[..., None]
    column, row = (np.rint(spot[..., k]).astype(np.int64) - (box.x, box.y)[k] for k in (0, 1))
    base = np.interp(share, (0.0, 0.5, 1.0), _three(strand.lift))
    height = base[:, None] + 0.8 * radius[:, None] * np.sqrt(1 - across**2)
    known = None
    if surface.fibers is not None and not strand.metal:
        known = surface.fibers((strand.light, strand.dark), rng, along, across)
    if known is not None:
        color, shine = known, np.zeros(known.shape[:2], np.float32)
    else:
        color, shine = (_metal if strand.metal else _fibrous)(strand, rng, along, across)

    rows, columns = surface.height.shape
    flat = row * columns + column
    above = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    flat, height, color, shine = flat[above], height[above], color[above], shine[above]
    above = height > surface.height.ravel()[flat]
    flat, height, color, shine = flat[above], height[above], color[above], shine[above]
    # Where a strand crosses itself the upper part is written last; the sort is stable, so the result is one.
    order = np.argsort(height, kind="stable")
    flat = flat[order]
    tall, albedo = surface.height.reshape(-1), surface.albedo.reshape(-1, 3)
    tall[flat] += strand.cover * (height[order] - tall[flat])
    albedo[flat] += np.float32(strand.cover) * (color[order] - albedo[flat])
    surface.shine.reshape(-1)[flat] = shine[order]


def lay_yarn(
    surface: Surface, box: Box, strand: Strand, rng: np.random.Generator, *, flare: tuple[float, float] = (0.3, 1.2),
    fibers: int = 22, stray_px: float = 8.0,
) -> None:  # fmt: skip
    """Lay a yarn as a bundle of fibers that run beside each other, cross, and part towards its ends.

    `fibers` fibers lie on top of the core. They spread by `flare` at the start and at the end, in radii, beyond the
    yarn's own width, and run out beyond the ends by `stray_px`.
    """
    path, along = _resampled(strand.path)
    if len(path) < 8:
        return
    lay(surface, box, strand, rng)
    share = along / along[-1]
    normal = _normals(path)
    lift = np.interp(share, (0.0, 0.5, 1.0), _three(strand.lift))
    spread = strand.radius * (
        0.85 + flare[0] * np.clip(1 - 4 * share, 0, 1) ** 2 + flare[1] * np.clip(4 * share - 3, 0, 1) ** 2
    )
    light, dark = np.asarray(strand.light), np.asarray(strand.dark)
    fine = max(0.5, 0.13 * strand.radius)
    if surface.fibers is not None:
        # The yarn's own fibers are on it already; a few more join its ends to it.
        fibers, fine = (2 * fibers) // 3, 0.75 * fine
    for _ in range(fibers):
        where = rng.uniform(-1, 1) + rng.normal(0, 0.5) * (share - 0.5) + 0.12 * _smooth_row(rng, len(path), 8)
        course = path + normal * (where * spread)[:, None]
        course, first, last = _part(course, rng, stray_px)
        middle = float(lift[(first + last) // 2]) + 0.75 * strand.radius
        mix = rng.beta(0.8, 0.6)
        tone = (light * (1 - mix) + dark * mix) * rng.uniform(0.9, 1.12)
        rise = (float(lift[first]) + 0.5 * strand.radius, middle, float(lift[last - 1]) + 0.5 * strand.radius)
        radius, cover = fine * rng.uniform(0.8, 1.5), rng.uniform(0.35, 0.8)
        lay(surface, box, Strand(course, radius, rgb(tone), rgb(tone), lift=rise, ply=0.0, cover=cover), rng)


def _part(
    course: NDArray[np.float64], rng: np.random.Generator, stray_px: float
) -> tuple[NDArray[np.float64], int, int]:
    """A fiber's part of a course, which may end early or run out beyond the ends; with its first and last place."""
    count = len(course)
    first, last = 0 if rng.random() < 0.6 else int(0.4 * count * rng.random()), count
    if rng.random() < 0.4:
        last -= int(0.4 * count * rng.random())
    course = course[first:last]
    if last == count:
        course = _run_out(course, rng, stray_px)
    if first == 0:
        course = _run_out(course[::-1], rng, 0.6 * stray_px)[::-1]
    return course, first, last


def _normals(path: NDArray[np.float64]) -> NDArray[np.float64]:
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def _run_out(course: NDArray[np.float64], rng: np.random.Generator, reach: float) -> NDArray[np.float64]:
    """Let a fiber run on past its end, bending away."""
    if len(course) < 4:
        return course
    step = course[-1] - course[-4]
    heading = np.arctan2(step[1], step[0]) + rng.normal(0, 0.2)
    turn = heading + rng.normal(0, 0.16) * np.arange(1, 9)
    length = reach * rng.uniform(0.1, 1.3)
    return np.concatenate([course, bent(course[-1], turn, length)[1:]])


def _three(lift: float | tuple[float, float, float]) -> tuple[float, float, float]:
    return lift if isinstance(lift, tuple) else (lift, lift, lift)


def _resampled(path: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The path at even spacing, and the distance along it."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    along = np.arange(0, distance[-1], _SPACING)
    return np.stack([np.interp(along, distance, path[:, k]) for k in (0, 1)], axis=1), along


def _smooth_row(rng: np.random.Generator, length: int, sigma_px: float) -> NDArray[np.float64]:
    sigma = sigma_px / _SPACING
    white = rng.standard_normal((1, length))
    smooth = cv2.GaussianBlur(white, (2 * int(3 * sigma) + 1, 1), sigmaX=sigma, sigmaY=1)
    return np.asarray(smooth[0] * np.sqrt(2 * np.sqrt(np.pi) * sigma), dtype=np.float64)


def _fibrous(
    strand: Strand, rng: np.random.Generator, along: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[F32, F32]:
    """Colors of twisted fibers, float32 (n, m, 3), and no shine."""
    streaks = rng.standard_normal((len(across) * 2, len(along)), dtype=np.float32)
    blurred = cv2.GaussianBlur(
        streaks, (0, 0), sigmaX=4.0 / _SPACING, sigmaY=0.55 / _SPACING, borderType=cv2.BORDER_REFLECT_101
    )
    streaks = np.asarray(blurred / max(float(np.std(blurred)), 1e-6), dtype=np.float32)
    # The fibers run around the strand: each step along reads the streaks a little further across.
    turn = np.arange(len(across))[None, :] + strand.ply * strand.radius * along[:, None] / _SPACING
    fiber = streaks[np.mod(turn.astype(np.int64), len(streaks)), np.arange(len(along))[:, None]]
    share = 1 / (1 + np.exp(-1.8 * fiber - 0.5))
    light, dark = np.asarray(strand.light), np.asarray(strand.dark)
    edge = 1 - 0.35 * np.abs(across) ** 3
    color = (light + (dark - light) * share[..., None]) * ((1 + 0.12 * fiber) * edge)[..., None]
    return color.astype(np.float32), np.zeros(color.shape[:2], np.float32)


def _metal(
    strand: Strand, rng: np.random.Generator, along: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[F32, F32]:
    """Colors of a wire, float32 (n, m, 3), and its glints, float32 (n, m)."""
    side = 1 if rng.random() < 0.5 else -1
    light, dark = np.asarray(strand.light), np.asarray(strand.dark)
    share = np.clip(0.5 - 0.5 * side * across, 0, 1)[None, :, None] + np.zeros((len(along), 1, 1))
    brushed = 1 + 0.05 * rng.standard_normal((1, len(across))) + 0.06 * _smooth_row(rng, len(along), 5)[:, None]
    color = (light + (dark - light) * share) * (brushed * (1 - 0.5 * np.abs(across) ** 4))[..., None]
    ridge = np.exp(-(((across - 0.35 * side) / 0.2) ** 2))
    glint = np.abs(_smooth_row(rng, len(along), 7)) ** 1.7
    shine = 62 * ridge[None, :] * (0.25 + np.minimum(glint, 2.6)[:, None])
    return color.astype(np.float32), shine.astype(np.float32)
