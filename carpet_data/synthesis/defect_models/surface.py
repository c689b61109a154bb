"""Defects of any surface: scratch, abrasion, crack, spot and stain, in the tones of their host.

Each function draws one of them on a square: `pixels` (float32 SxSx3, 0..255) is the surface, `center` (x, y) the
middle of the defect, `extent` its length in pixels, `look` its tone, strength, light and direction; `rng` draws its
shape. They return float32 SxSx3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.ops.pixels import F32, blurred
from carpet_data.weave.noise import smooth_field, streaks
from carpet_data.weave.strands import curve

Point: TypeAlias = tuple[float, float]
Line: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Points (n, 2) in pixels and the width at each of them (n,) in pixels."""

_DARK_SURFACE = 15.0
"""Mean brightness below which a dark defect could not be seen."""
_FINE = 4
"""Subpixels per pixel and direction."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a defect differs from its surface.

    Attributes:
        darker: Whether it is darker than the surface.
        strength: How far it goes towards black (or white), 0..1.
        light: x, y of the direction to the light in the image plane, length 1.
        turn: Direction of what is long, in radians against the x axis.
    """

    darker: bool
    strength: float
    light: Point
    turn: float


def look_at(pixels: F32, tone: str, strength_range: Point, turn_range: Point, rng: np.random.Generator) -> Look:
    """Draw a look for a surface, float32 SxSx3; `tone` is "dark", "light", or "auto": dark, unless the surface is."""
    angle = float(rng.normal(-np.pi / 2, 0.8))
    darker = tone == "dark" or (tone == "auto" and float(pixels.mean()) >= _DARK_SURFACE)
    light = (float(np.cos(angle)), float(np.sin(angle)))
    return Look(darker, float(rng.uniform(*strength_range)), light, float(rng.uniform(*turn_range)))


def scratch(pixels: F32, center: Point, extent: float, look: Look, rng: np.random.Generator) -> F32:
    """One to a few grooves side by side, drawn in one movement, with a lit far edge."""
    direction = np.array([np.cos(look.turn), np.sin(look.turn)])
    side = np.array([-direction[1], direction[0]])
    bend = rng.normal(0, 0.05) * extent
    width = float(np.clip(extent * rng.uniform(0.008, 0.025), 0.7, 4.0))
    lines = []
    for groove in range(1 + int(rng.random() < 0.4) + int(rng.random() < 0.2)):
        first, last = np.sort(rng.uniform(-0.5, 0.5, 2)) if groove else (-0.5, 0.5)
        share = np.linspace(first, last, 5)
        offset = groove * rng.normal(0, 2.5 * width)
        leave = bend * (1 - 4 * share**2) + offset + rng.normal(0, 0.003 * extent, 5)
        points = curve(np.asarray(center) + np.outer(share * extent, direction) + np.outer(leave, side), 80)
        # Pressure rises quickly and fades; the tool jumps where it meets something hard.
        place = np.linspace(0, 1, 80)
        pressure = np.minimum(place / 0.08, 1) * np.minimum((1 - place) / 0.3, 1) ** 0.7
        jumps = cv2.GaussianBlur(rng.standard_normal((1, 80)), (0, 0), 2.5).ravel()
        pressure *= np.clip(1 + 1.2 * jumps, 0.15, 1.6)
        lines.append((points, width * pressure * (1.0 if groove == 0 else rng.uniform(0.4, 0.9))))
    return _carved(pixels, coverage(len(pixels), lines), look, 0.6 * width + 0.4, 0.25)


def crack(pixels: F32, center: Point, extent: float, look: Look, rng: np.random.Generator) -> F32:
    """A rough line that branches, wider in the middle, with a thin lit rim."""
    half = extent / 2 * np.array([np.cos(look.turn), np.sin(look.turn)])
    width = float(np.clip(extent * rng.uniform(0.012, 0.03), 0.8, 6.0))
    main = rough_path(np.asarray(center) - half, np.asarray(center) + half, rng.uniform(0.04, 0.11), rng)
    # How wide it stands open along it: nothing at its tips.
    place = np.linspace(-1, 1, len(main))
    rough = cv2.GaussianBlur(rng.standard_normal((1, len(main))), (0, 0), 3).ravel()
    opening = np.asarray((1 - np.abs(place) ** 3) * np.clip(0.8 + 1.2 * rough, 0.25, 1.5) + 0.02, np.float64)
    lines = [(main, width * opening)]
    for _ in range(int(rng.integers(0, 4))):
        root = int(rng.integers(len(main) // 8, 7 * len(main) // 8))
        ahead = main[min(root + 4, len(main) - 1)] - main[root]
        heading = np.arctan2(ahead[1], ahead[0]) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        goal = main[root] + extent * rng.uniform(0.08, 0.28) * np.array([np.cos(heading), np.sin(heading)])
        branch = rough_path(main[root], goal, 0.09, rng, levels=5)
        lines.append((branch, 0.6 * width * np.linspace(1, 0.15, len(branch))))
    return _carved(pixels, blurred(coverage(len(pixels), lines), 0.6), look, 1.0, 0.2)


def abrasion(pixels: F32, center: Point, extent: float, look: Look, rng: np.random.Generator) -> F32:
    """A patch rubbed by something hard, many short grooves (along `look.turn`) and bright burrs side by side."""
    along, across = _axes(len(pixels), center, look.turn)
    half = np.float32(max(extent / 2, 0.5))
    width = np.float32(np.clip(0.028 * extent, 1.2, 2.4))
    # Every groove begins and ends where it likes, so the patch is ragged along them and smooth across.
    ragged = np.float32(0.09) * streaks(rng, along, across, float(half) * 0.9, float(width))
    lumpy = np.float32(0.15) * smooth_field(rng, along.shape, max(0.35 * extent, 2))
    slant = rng.uniform(-0.4, 0.4)
    shape = np.hypot((along + slant * across) / half, across / (half * np.float32(rng.uniform(0.5, 0.9))))
    patch = blurred(np.clip((1 - shape - ragged - lumpy) / 0.18, 0, 1), 0.6)
    grooves = streaks(rng, along, across, max(0.8 * extent, 6), float(width))
    grooves += np.float32(0.6) * streaks(rng, along, across, max(0.4 * extent, 4), max(float(width) * 0.6, 1.1))
    # Rubbing takes the old skin off: its texture goes, a flatter, fresher one comes.
    flat = blurred(pixels, max(0.08 * extent, 1))
    fresh = pixels + (flat - pixels) * (np.float32(0.6) * patch)[..., None]
    bias = np.float32(-0.25 if look.darker else 0.25)
    depth = np.clip(blurred(grooves, 0.7) * np.float32(0.55) + bias, -1.2, 1.2) * patch * np.float32(look.strength)
    return toned(toned(fresh, np.maximum(-depth, 0), darker=True), np.maximum(depth, 0), darker=False)


def spot(pixels: F32, center: Point, extent: float, look: Look, rng: np.random.Generator) -> F32:
    """A pit or blowhole, dark where its wall turns from the light, bright on the far rim; its extent may be 1."""
    size = (len(pixels), len(pixels))
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.55, 1.0)
    along, across = _axes(len(pixels), center, turn)
    dx, dy = _offsets(len(pixels), center)
    half = np.float32(max(extent / 2, 0.5))
    bumpy = 1 + np.float32(0.10) * smooth_field(rng, size, max(0.45 * extent, 1.5))
    bumpy += np.float32(0.05) * smooth_field(rng, size, max(0.15 * extent, 1.0))
    radius = np.hypot(along, across / np.float32(flat)) / (half * np.clip(bumpy, 0.5, 1.6))
    # One pixel of ramp at the rim, as a lens gives.
    soft = np.float32(max(1.2 / float(half), 0.12))
    pit = np.clip((1 - radius) / soft + np.float32(0.5), 0, 1)
    # The wall under the light lies in shadow, the one across from it catches it.
    toward = (dx * np.float32(look.light[0]) + dy * np.float32(look.light[1])) / half
    shadow = np.clip(np.float32(0.75) + np.float32(0.35) * toward, 0.25, 1.0)
    grain = 1 + np.float32(0.12) * smooth_field(rng, size, max(0.12 * extent, 1.0))
    deep = toned(pixels, pit * shadow * grain * np.float32(look.strength), look.darker)
    ring = np.exp(-(((radius - 1) / (2 * soft)) ** 2)) * np.clip(-toward, 0, 1)
    return toned(deep, blurred(ring * (1 - pit), 0.5) * np.float32(0.2 * look.strength), not look.darker)


def stain(pixels: F32, center: Point, extent: float, look: Look, rng: np.random.Generator) -> F32:
    """One to three blots of soaked or dried liquid, the texture kept, the rim often darker."""
    size = (len(pixels), len(pixels))
    distance = np.full(size, np.inf, np.float32)
    for blot in range(int(rng.integers(1, 4))):
        share = 1.0 if blot == 0 else rng.uniform(0.25, 0.6)
        turn, flat = rng.uniform(0, np.pi), rng.uniform(0.5, 0.95)
        middle = np.asarray(center) + (blot > 0) * rng.normal(0, 0.22 * extent, 2)
        along, across = _axes(len(pixels), (middle[0], middle[1]), turn)
        half = max(0.5 * extent * share, 0.5)
        np.minimum(distance, np.hypot(along / np.float32(half), across / np.float32(half * flat)), out=distance)
    distance += np.float32(0.16) * smooth_field(rng, size, max(0.28 * extent, 2))
    distance += np.float32(0.05) * smooth_field(rng, size, max(0.08 * extent, 1.5))
    edge = max(rng.uniform(0.05, 0.35), 1.5 / max(0.5 * extent, 0.5))
    body = np.clip((1 - distance) / np.float32(edge) + np.float32(0.5), 0, 1)
    # Drying carries pigment to the rim (Deegan et al., "Capillary flow as the cause of ring stains", Nature 1997).
    dried = np.float32(rng.uniform(0.2, 0.6) if rng.random() < 0.5 else 0.0)
    rim = np.exp(-(((distance - np.float32(0.92)) / np.float32(0.10)) ** 2))
    uneven = 1 + np.float32(0.12) * smooth_field(rng, size, max(0.2 * extent, 2))
    amount = blurred(body * (1 - dried * (1 - rim)) * uneven, 0.7)
    tinted = toned(pixels, amount * np.float32(look.strength), look.darker)
    tint = 1 + amount[..., None] * rng.normal(0, 0.05, 3).astype(np.float32)
    return np.asarray(tinted * tint, np.float32)


def toned(pixels: F32, amount: F32, darker: bool) -> F32:
    """The surface (float32 HxWx3, 0..255) darkened (multiplied) or lightened (screened), so that its texture stays.

    `amount` is float32 HxW, 0 (no change) to 1 (black or white).
    """
    part = np.clip(amount, 0, 1)[..., None]
    if darker:
        return np.asarray(pixels * (1 - part), np.float32)
    return np.asarray(255 - (255 - pixels) * (1 - part), np.float32)


def rough_path(
    start: NDArray[np.float64], goal: NDArray[np.float64], roughness: float, rng: np.random.Generator, levels: int = 6
) -> NDArray[np.float64]:
    """A broken line by midpoint displacement (Fournier, Fussell and Carpenter, CACM 1982).

    `roughness` is the deviation of the first midpoint as a share of the length; each level has 0.55 of the one before.

    Returns:
        float64 (2 ** levels + 1, 2).
    """
    points = np.stack([start, goal]).astype(np.float64)
    length = float(np.hypot(*(goal - start)))
    across = np.array([-(goal - start)[1], (goal - start)[0]]) / max(length, 1e-9)
    scale = roughness * length
    for _ in range(levels):
        middle = (points[:-1] + points[1:]) / 2 + rng.normal(0, scale, (len(points) - 1, 1)) * across
        woven = np.empty((2 * len(points) - 1, 2))
        woven[0::2], woven[1::2] = points, middle
        points, scale = woven, scale * 0.55
    return points


def coverage(size: int, lines: Sequence[Line]) -> F32:
    """How much of each pixel of a square is covered by lines, float32 size x size, 0..1, anti-aliased.

    Lines thinner than a pixel cover a part of it.
    """
    everything = np.concatenate([points for points, _ in lines])
    widest = max(float(width.max()) for _, width in lines)
    low = np.clip(np.floor(everything.min(axis=0) - widest - 2).astype(int), 0, size - 1)
    high = np.clip(np.ceil(everything.max(axis=0) + widest + 3).astype(int), low + 1, size)
    columns, rows = (int(v) for v in high - low)
    fine = np.zeros((rows * _FINE, columns * _FINE), np.uint8)
    for points, width in lines:
        # Both sides of the outline, offset along the normals.
        step = np.gradient(points, axis=0)
        normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
        side = normal * (np.maximum(width, 0.05) / 2)[:, None]
        left, right = points + side, points - side
        for quad in np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1):
            corners = np.rint(((quad - low + 0.5) * _FINE - 0.5) * 16).astype(np.int32)
            cv2.fillConvexPoly(fine, corners, 255, cv2.LINE_AA, shift=4)
    part = np.asarray(cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    result = np.zeros((size, size), np.float32)
    result[low[1] : high[1], low[0] : high[0]] = part / 255
    return result


def _carved(pixels: F32, area: F32, look: Look, reach: float, glint: float) -> F32:
    """The surface with grooves; the wall that faces the light is bright: the grooves, moved away from the light."""
    shift = np.array([[1, 0, -look.light[0] * reach], [0, 1, -look.light[1] * reach]], np.float32)
    wall = np.asarray(cv2.warpAffine(area, shift, area.shape[::-1], flags=cv2.INTER_LINEAR), np.float32)
    lit = np.clip(wall - area, 0, 1)
    deep = toned(pixels, area * np.float32(look.strength), look.darker)
    return toned(deep, lit * np.float32(glint * look.strength), not look.darker)


def _offsets(size: int, center: Point) -> tuple[F32, F32]:
    """x and y of each pixel of a square, from a point."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    return x - np.float32(center[0]), y - np.float32(center[1])


def _axes(size: int, center: Point, turn: float) -> tuple[F32, F32]:
    """How far along and across a direction each pixel of a square lies, from a point."""
    dx, dy = _offsets(size, center)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    return dx * cosine + dy * sine, dy * cosine - dx * sine
