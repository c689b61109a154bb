"""A method of synthesis: a round dent, darker on one side and lighter on the other."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Candidate, Method, Redraw, Scene


class DentParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    depth: float = Field(0.7, gt=0, le=1, description="Relative change of brightness at the rim.")
    visible_levels: float = Field(8, gt=0, description="Minimum change of gray levels inside the mask.")


class Dent(Method):
    version = 1
    Parameters = DentParameters

    def render(self, scene: Scene, parameters: DentParameters, rng: np.random.Generator) -> Candidate:
        height, width = scene.host.shape[:2]
        areas = scene.facts.areas_frac or (0.01,)
        radius = round(float(np.sqrt(rng.choice(areas) * height * width / np.pi)))
        if min(height, width) < 2 * radius + 3:
            raise Redraw
        x, y = (int(rng.integers(radius + 1, side - radius - 1)) for side in (width, height))
        across, down = np.arange(width) - x, (np.arange(height) - y)[:, None]
        inside = across**2 + down**2 <= radius**2
        shade = np.where(inside, 1 + parameters.depth * across / max(1, radius), 1.0)
        light = shade[..., None] if scene.host.ndim == 3 else shade
        image = np.clip(np.rint(scene.host * light), 0, 255).astype(np.uint8)
        change = np.abs(image.astype(np.int16) - scene.host)
        mask = (change if change.ndim == 2 else change.max(axis=2)) >= parameters.visible_levels
        image[~mask] = scene.host[~mask]
        box = (x - radius, y - radius, 2 * radius + 1, 2 * radius + 1)
        return Candidate(image, mask, box, {"radius_px": radius, "center": [x, y]})
