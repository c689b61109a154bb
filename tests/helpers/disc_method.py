"""A small real method for tests of the engine: it paints what its donor shows as a disc, or a plain disc."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Candidate, Method, Redraw, Scene

TARGET = "helpers.disc_method:Disc"


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    soft: float = Field(0.0, ge=0, le=1, description="Share of the host that shines through.")


class DiscParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_px: tuple[int, int] = Field((3, 5), description="Least and most.")
    level: int = Field(255, ge=0, le=255, description="Grey value where there is no donor.")
    redraw_share: float = Field(0.0, ge=0, le=1, description="How often a draw is thrown away.")
    outside: bool = Field(False, description="Break the contract: change a pixel outside the box.")
    blend: Inner = Field(default_factory=Inner, description="Of the disc with the host.")


class Disc(Method):
    version = 1
    Parameters = DiscParameters

    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        if rng.random() < parameters.redraw_share:
            raise Redraw
        height, width = scene.host.shape[:2]
        low, high = parameters.radius_px
        radius = int(rng.integers(low, high + 1))
        if 2 * radius + 3 > min(height, width):
            raise Redraw
        x = int(rng.integers(radius + 1, width - radius - 1))
        y = int(rng.integers(radius + 1, height - radius - 1))
        rows, columns = np.ogrid[:height, :width]
        mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        image = scene.host.copy()
        colour = scene.donors[0].image[scene.donors[0].mask].mean(axis=0) if scene.donors else parameters.level
        image[mask] = colour
        if parameters.outside:
            image[0, 0] = 255 - image[0, 0]
        box = (x - radius, y - radius, 2 * radius + 1, 2 * radius + 1)
        return Candidate(image, mask, box, {"radius_px": radius, "centre": np.array([x, y])})


class DonorDisc(Disc):
    donors_needed = 1
    makes_nulls = True


class WholeDisc(Disc):
    donors_needed = 1
    makes_nulls = True
    needs_whole = True


class TextureDisc(Disc):
    textures_needed = 2
