"""What a defect model is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from carpet_data.weave.surface import Box, Host, Surface

__all__ = ["Change", "Defect", "Maker"]


@dataclass(frozen=True, slots=True)
class Change:
    """A window of the host's surface with the defect in it; beyond the defect it equals the host."""

    box: Box
    surface: Surface


Maker = Callable[[Host, Surface, tuple[float, float], float, np.random.Generator], Change]
"""Draws a defect: (host, its undisturbed surface of the whole image, center x and y in pixels, extent in pixels,
generator of its shape) -> the changed window. Holes and cuts ask the host again, at displaced places."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect model.

    Attributes:
        extent_units: Smallest and largest usual extent, in cloth units.
    """

    make: Maker
    extent_units: tuple[float, float]
