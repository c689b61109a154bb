"""Textures of a strict order: a wire mesh at any angle, with and without a bent wire, and a fine twill."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Image, Mask
from carpet_data.synthesis.ops.masks import grown, window_of
from carpet_data.synthesis.ops.period import structure_of


@dataclass(frozen=True)
class Mesh:
    """Wires along two directions: at whole values of the coordinates u and v."""

    image: Image
    u: NDArray[np.float64]
    v: NDArray[np.float64]


_WIRE = 0.13
"""Half the width of a wire, of a period."""


def _wires(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(1 - (np.abs(distance) / _WIRE) ** 2, 0, 1)


def coordinates(
    side: int, angle_deg: float, period: float, phase: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[:side, :side].astype(np.float64)
    angle = np.radians(angle_deg)
    # Not square, so that a quarter turn is not a symmetry.
    u = (x * np.cos(angle) + y * np.sin(angle)) / period + phase[0]
    v = (-x * np.sin(angle) + y * np.cos(angle)) / (1.4 * period) + phase[1]
    return u, v


def _lit(cover: NDArray[np.float64], seed: int, gain: float) -> Image:
    noise = np.random.default_rng(seed).normal(0, 1.5, cover.shape)
    return np.clip(gain * (185 - 120 * cover) + noise, 0, 255).astype(np.uint8)


def mesh(
    side: int = 256,
    angle_deg: float = 20.0,
    period: float = 28.0,
    phase: tuple[float, float] = (0.2, 0.4),
    gain: float = 1.0,
) -> Mesh:
    """A clean mesh."""
    u, v = coordinates(side, angle_deg, period, phase)
    cover = np.maximum(_wires(u - np.rint(u)), _wires(v - np.rint(v)))
    return Mesh(_lit(cover, 1, gain), u, v)


def bent(
    side: int = 256, angle_deg: float = -15.0, period: float = 28.0, phase: tuple[float, float] = (0.1, 0.3)
) -> tuple[Image, Mask]:
    """A mesh of which one wire leaves its place by 0.4 periods for a while; the mask holds the wire, not its place."""
    u, v = coordinates(side, angle_deg, period, phase)
    middle_u, middle_v = round(float(u[side // 2, side // 2])), round(float(v[side // 2, side // 2])) + 0.5
    along = np.clip(1 - np.abs(v - middle_v) / 0.45, 0, 1)
    away = 0.4 * np.sin(np.pi / 2 * along) ** 2
    own = np.abs(u - middle_u) < 0.5
    shifted = np.where(own, u - middle_u - away, u - np.rint(u))
    image = _lit(np.maximum(_wires(shifted), _wires(v - np.rint(v))), 2, 0.8)
    mask = own & (away > 0.1) & (_wires(shifted) > 0)
    return image, np.asarray(mask, np.bool_)


def twill(side: int = 256, angle_deg: float = 60.0, seed: int = 0) -> Image:
    """Fine diagonal ridges 7 pixels apart on threads 5.5 pixels apart, at a phase of the seed's."""
    rng = np.random.default_rng(seed)
    first, second = rng.random(2)
    y, x = np.mgrid[:side, :side].astype(np.float64)
    angle = np.radians(angle_deg)
    ridges = np.cos(2 * np.pi * ((x * np.cos(angle) + y * np.sin(angle)) / 7.0 + first))
    threads = np.cos(2 * np.pi * (y / 5.5 + second))
    return np.clip(120 + 45 * ridges + 14 * threads + rng.normal(0, 6, x.shape), 0, 255).astype(np.uint8)


def cut_of(image: Image, mask: Mask, name: str = "donor", margin: int = 70) -> Donor:
    """A donor as the engine cuts it from a texture of strict order."""
    rows, columns = window = window_of(mask, margin)
    box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    size = (image.shape[1], image.shape[0])
    return Donor(name, image[window], mask[window], box, size, None, structure_of(image, grown(mask, 4)))


def bar(image: Image, center: tuple[int, int], size: tuple[int, int], angle_deg: float) -> tuple[Image, Mask]:
    """A dark bar (length, width) on an image: a broken end, at an angle clockwise from +x."""
    corners = cv2.boxPoints(((float(center[0]), float(center[1])), (float(size[0]), float(size[1])), angle_deg))
    inside = np.zeros(image.shape, np.uint8)
    cv2.fillPoly(inside, [np.rint(corners).astype(np.int32)], (1,))
    return np.where(inside > 0, np.uint8(50), image), inside > 0
