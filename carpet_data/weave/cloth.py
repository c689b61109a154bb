"""A plain (1/1) weave: each warp yarn goes over one weft yarn and under the next, its neighbor the other way around.

Lengths are in cloth units; the warp pitch is about 21 units and the weft pitch about 26, as on a carpet photographed
at 1024x1024. A smaller image shows smaller yarns, by the square root of its size: a 256 px image has yarns of half the
width and thus half as many of them, so that both the yarns and their number stay recognizable.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.weave.noise import F32, fiber_tile, sample, smooth_field, smooth_lines, wrapped
from carpet_data.weave.surface import ALONG_WARP, ALONG_WEFT, Surface

__all__ = ["Cloth", "Yarns", "make_cloth"]

_NATIVE_SIZE = 1024
_WARP_PITCH, _WEFT_PITCH = 21.1, 25.9
_STEP = 0.5
"""Units between two samples along a yarn."""
_TILE = 512
_LIFT, _BULGE = 2.6, 3.4
"""How far a yarn goes up and down, and how far it bulges, in units."""
_MEAN_RADIUS = 8.0
_GROUND_HEIGHT = -5.0


@dataclass(frozen=True, slots=True)
class Yarns:
    """One family of parallel yarns; tables have one row per yarn and one column per half unit along it.

    Attributes:
        centers: float32 (n,), positions across, ascending, in units.
        start: Position along of the first column, in units.
        sway: Sideways deviation in units.
        radius: Half the visible width in units.
        tone: Brightness, deviation about 1.
        hue: Share of the dark fiber, deviation about 1.
        twist: Sideways run of the fibers in units.
    """

    centers: F32
    start: float
    sway: F32
    radius: F32
    tone: F32
    hue: F32
    twist: F32


@dataclass(frozen=True, slots=True)
class Cloth:
    """A woven cloth under a camera; a `Host` for defects.

    Attributes:
        size: Edge of the square image in pixels.
        unit: Pixels per unit.
        angle: Rotation of the weft against the x axis, in radians.
        warp: The yarns along the (rotated) y axis.
        weft: The yarns along the (rotated) x axis.
        wander: How far the weave is displaced: float32 2xHxW in units.
        tint: Slow change of color over the image: float32 HxW.
        hair: Stray fibers: uint8 HxW coverage.
        fine: Tile of single fibers.
        coarse: Tile of streaks of dark fibers.
        ground: RGB of the backing, 0 to 255.
        yarn: RGB of the light and of the dark fiber.
    """

    size: int
    unit: float
    angle: float
    warp: Yarns
    weft: Yarns
    wander: F32
    tint: F32
    hair: NDArray[np.uint8]
    fine: F32
    coarse: F32
    ground: tuple[float, float, float]
    yarn: tuple[tuple[float, float, float], tuple[float, float, float]]
    contrast: float

    def surface(
        self, x: F32, y: F32, *, no_warp: NDArray[np.bool_] | None = None, no_weft: NDArray[np.bool_] | None = None
    ) -> Surface:
        """The cloth at real pixel positions.

        `x` and `y` (columns and rows, float32 HxW) are not a whole grid where a defect has displaced the yarns;
        `no_warp` and `no_weft` (bool HxW) mark where those yarns are missing.
        """
        u, v = self._to_cloth(x, y)
        warp = _Layer(self.warp, u, v)
        weft = _Layer(self.weft, v, u)
        parity = (warp.index + weft.index) & 1
        sign = (1 - 2 * parity).astype(np.float32)
        # Up at the crossing it goes over, down at the next: a cosine along the yarn, steepened, for yarns bend sharply.
        warp_lift = sign * _steep(np.cos(np.pi * (weft.position - weft.index)))
        weft_lift = -sign * _steep(np.cos(np.pi * (warp.position - warp.index)))
        warp_height, in_warp = warp.height(warp_lift)
        weft_height, in_weft = weft.height(weft_lift)
        if no_warp is not None:
            in_warp &= ~no_warp
        if no_weft is not None:
            in_weft &= ~no_weft
        over = in_warp & (~in_weft | (warp_height >= weft_height))
        under = in_weft & ~over
        height = np.where(over, warp_height, np.where(under, weft_height, _GROUND_HEIGHT))
        albedo = self._yarn_color(warp, weft, over, x, y)
        ground = ~(over | under)
        albedo[ground] = self._ground_color(u[ground], v[ground])
        strength = sample(self.hair.astype(np.float32), x, y)[..., None] / np.float32(255)
        albedo += (np.asarray(self.yarn[0], np.float32) * np.float32(1.05) - albedo) * strength
        run = np.where(over, np.uint8(ALONG_WARP), np.where(under, np.uint8(ALONG_WEFT), np.uint8(0)))
        return Surface(albedo, (height * self.unit).astype(np.float32), np.zeros_like(x), run)

    def _to_cloth(self, x: F32, y: F32) -> tuple[F32, F32]:
        middle = np.float32((self.size - 1) / 2)
        cosine, sine = np.float32(np.cos(self.angle) / self.unit), np.float32(np.sin(self.angle) / self.unit)
        u = cosine * (x - middle) + sine * (y - middle) + sample(self.wander[0], x, y)
        v = cosine * (y - middle) - sine * (x - middle) + sample(self.wander[1], x, y)
        return u, v

    def _yarn_color(self, warp: _Layer, weft: _Layer, over: NDArray[np.bool_], x: F32, y: F32) -> F32:
        along = np.where(over, warp.along, weft.along)
        # Fibers keep to their share of the width, so they draw together where the yarn is thin.
        across = np.where(over, warp.across / warp.radius, weft.across / weft.radius) * np.float32(_MEAN_RADIUS)
        flat = np.where(over, warp.cell, weft.cell + self.warp.tone.size)
        tone, hue, twist = (
            np.concatenate([a.ravel(), b.ravel()])[flat]
            for a, b in (
                (self.warp.tone, self.weft.tone),
                (self.warp.hue, self.weft.hue),
                (self.warp.twist, self.weft.twist),
            )
        )
        # Every yarn reads another stretch of the fiber tiles.
        key = np.where(over, warp.index, weft.index + 1000).astype(np.float32)
        unit = np.float32(self.unit)
        place_x = (along + key * np.float32(61.7)) * unit
        place_y = (across + twist + key * np.float32(37.3)) * unit
        fine = wrapped(self.fine, place_x, place_y)
        coarse = wrapped(self.coarse, place_x, place_y)
        tint = sample(self.tint, x, y)
        mixture = np.float32(0.85) * (hue + tint) + np.float32(1.15) * coarse + np.float32(0.6) * fine
        share = 1 / (1 + np.exp(np.float32(-0.5) - mixture))
        light, dark = (np.asarray(color, np.float32) for color in self.yarn)
        bright = 1 + self.contrast * (np.float32(0.05) * tone + np.float32(0.21) * fine)
        # The rim of a yarn turns away from the camera.
        edge = np.where(over, warp.edge, weft.edge)
        bright *= 1 - np.float32(0.40) * edge**3
        color = (light + (dark - light) * share[..., None]) * bright[..., None]
        # A color camera sees single fibers with a fringe: it measures red and blue at different pixels.
        fringe = wrapped(self.fine, place_x + np.float32(97), place_y + np.float32(211)) * np.float32(4)
        color[..., 0] += fringe
        color[..., 2] -= fringe
        return np.asarray(color, dtype=np.float32)

    def _ground_color(self, u: F32, v: F32) -> F32:
        """Near-black with the dim gray knots of a backing net."""
        knots = np.maximum(np.sin(u * np.float32(0.71)) * np.sin(v * np.float32(0.66)), 0) ** 2
        return np.asarray(np.asarray(self.ground) * (1 + 0.75 * knots)[:, None], dtype=np.float32)


class _Layer:
    def __init__(self, yarns: Yarns, across: F32, along: F32) -> None:
        count, samples = yarns.tone.shape
        self.position = np.interp(across, yarns.centers, np.arange(count)).astype(np.float32)
        self.index = np.rint(self.position).astype(np.int32)
        column = np.clip(((along - yarns.start) / _STEP).astype(np.int32), 0, samples - 1)
        self.cell = self.index * samples + column
        self.along = along
        self.across = across - yarns.centers[self.index] - yarns.sway.ravel()[self.cell]
        self.radius = yarns.radius.ravel()[self.cell]
        self.edge = np.minimum(np.abs(self.across) / self.radius, 1)

    def height(self, lift: F32) -> tuple[F32, NDArray[np.bool_]]:
        """Height in units, and where the yarn is; it is squeezed where it dives."""
        radius = self.radius * (np.float32(0.92) + np.float32(0.08) * lift)
        rim = np.abs(self.across) / radius
        bulge = np.sqrt(np.maximum(1 - rim**2, 0))
        return np.asarray(_LIFT * lift + _BULGE * bulge, np.float32), rim < 1


def _steep(wave: F32) -> F32:
    return np.asarray(np.sign(wave) * np.abs(wave) ** np.float32(0.75), dtype=np.float32)


def make_cloth(rng: np.random.Generator, size: int) -> Cloth:
    """Draw a cloth for a square image of `size` pixels, at least 64: pitch, rotation, tone and every yarn of it."""
    unit = float(np.sqrt(size / _NATIVE_SIZE))
    reach = size / unit * 0.75 + 4 * _WEFT_PITCH
    quarter_turn = np.pi / 2 if rng.random() < 0.15 else 0.0
    angle = quarter_turn + float(np.deg2rad(np.clip(rng.normal(0, 0.9), -2.5, 2.5)))
    wander = np.stack(
        [
            1.6 * smooth_field(rng, (size, size), 260 * unit) + 0.45 * smooth_field(rng, (size, size), 60 * unit)
            for _ in range(2)
        ]
    )
    warmth, value = rng.normal(0, 0.008), rng.normal(1, 0.02)
    light = (163 * value * (1 + warmth), 158 * value, 147 * value * (1 - warmth))
    dark = (92 * value * (1 + warmth), 80 * value, 84 * value * (1 - warmth))
    return Cloth(
        size=size,
        unit=unit,
        angle=angle,
        warp=_make_yarns(rng, _WARP_PITCH * float(rng.normal(1, 0.012)), reach, 8.2),
        weft=_make_yarns(rng, _WEFT_PITCH * float(rng.normal(1, 0.012)), reach, 7.7),
        wander=wander.astype(np.float32),
        tint=0.28 * smooth_field(rng, (size, size), 120 * unit),
        hair=_stray_fibers(rng, size, unit),
        fine=fiber_tile(rng, _TILE, 3.2 * max(unit, 0.35), 0.45),
        coarse=fiber_tile(rng, _TILE, 13.0 * max(unit, 0.35), max(1.5 * unit, 0.6)),
        ground=(48.0, 52.0, 65.0),
        yarn=(light, dark),
        contrast=1.0,
    )


def _make_yarns(rng: np.random.Generator, pitch: float, reach: float, radius: float) -> Yarns:
    count = int(np.ceil(2 * reach / pitch))
    samples = int(np.ceil(2 * reach / _STEP))
    gaps = pitch * (1 + 0.045 * np.clip(rng.standard_normal(count), -2.5, 2.5))
    centers = np.cumsum(gaps) - gaps.sum() / 2

    def lines(sigma_units: float) -> F32:
        return smooth_lines(rng, count, samples, sigma_units / _STEP)

    each = rng.standard_normal((count, 1)).astype(np.float32)
    slub = 0.05 * np.clip(each, -2, 2) + 0.085 * lines(7) + 0.05 * lines(40) + 0.035 * lines(0.9)
    tilt = 0.13 * lines(8) + 0.07 * rng.standard_normal((count, 1)).astype(np.float32)
    return Yarns(
        centers=centers.astype(np.float32),
        start=-reach,
        sway=0.55 * lines(30) + 0.75 * lines(11),
        radius=np.asarray(radius * np.clip(1 + slub, 0.7, 1.2), dtype=np.float32),
        tone=np.asarray(0.5 * each + 0.9 * lines(11), dtype=np.float32),
        hue=np.asarray(0.25 * rng.standard_normal((count, 1)) + 0.55 * lines(55) + 0.75 * lines(10), dtype=np.float32),
        twist=np.asarray(np.cumsum(tilt, axis=1) * _STEP + 0.22 * lines(3), dtype=np.float32),
    )


def _stray_fibers(rng: np.random.Generator, size: int, unit: float) -> NDArray[np.uint8]:
    """Fine hairs that stand off the yarns, as coverage 0 to 255."""
    hair = np.zeros((size, size), dtype=np.uint8)
    for _ in range(int(0.0022 * (size / unit) ** 2)):
        start = rng.uniform(0, size, 2)
        heading, bend, length = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.09), rng.uniform(4, 18) * unit
        turn = heading + bend * np.arange(9)
        path = start + np.cumsum(np.stack([np.cos(turn), np.sin(turn)], axis=1), axis=0) * (length / 9)
        points = np.rint(path * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(hair, [points], False, int(rng.uniform(25, 120)), 1, cv2.LINE_AA, shift=4)
    return hair
