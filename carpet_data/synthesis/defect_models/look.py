"""How a generic defect differs from its surface: drawn once, shared by scratch, crack, spot and stain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carpet_data.weave.noise import F32

__all__ = ["Look", "look_at", "toned"]

_DARK_SURFACE = 15.0
"""Mean brightness below which a dark defect could not be seen."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a model may know of its surface.

    Attributes:
        darker: Whether the defect is darker than the surface.
        strength: How far it goes towards black (or white), 0 … 1.
        light: x, y of the direction to the light in the image plane, length 1.
        turn: Direction of what is long, in radians against the x axis.
    """

    darker: bool
    strength: float
    light: tuple[float, float]
    turn: float


def look_at(
    pixels: F32,
    tone: str,
    strength_range: tuple[float, float],
    turn_range: tuple[float, float],
    rng: np.random.Generator,
) -> Look:
    """Draw a look.

    Args:
        pixels: float32 SxSx3, the surface around.
        tone: "dark", "light", or "auto": dark, unless the surface is.
        strength_range: Smallest and largest strength, 0 … 1.
        turn_range: Smallest and largest direction, in radians.
        rng: Draws strength, light and direction.
    """
    angle = float(rng.normal(-np.pi / 2, 0.8))
    darker = tone == "dark" or (tone == "auto" and float(pixels.mean()) >= _DARK_SURFACE)
    light = (float(np.cos(angle)), float(np.sin(angle)))
    return Look(darker, float(rng.uniform(*strength_range)), light, float(rng.uniform(*turn_range)))


def toned(pixels: F32, amount: F32, darker: bool) -> F32:
    """The surface darkened (multiplied) or lightened (screened), so that its texture stays.

    Args:
        pixels: float32 HxWx3, 0 … 255.
        amount: float32 HxW, 0 (as it is) … 1 (black or white).
        darker: Which way.
    """
    part = np.clip(amount, 0, 1)[..., None]
    if darker:
        return np.asarray(pixels * (1 - part), np.float32)
    return np.asarray(255 - (255 - pixels) * (1 - part), np.float32)
