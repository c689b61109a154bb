"""perlin: shapes of Perlin noise, filled with texture from another place of the train images.

After DRAEM (Zavrtanik, Kristan and Skocaj, "DRAEM: a discriminatively trained reconstruction embedding for surface
anomaly detection", ICCV 2021), without its outside texture data set.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, Field

from carpet_data.synthesis.contract import Candidate, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.methods.parameters import FactorRange, Parameters, Share, ShareRange, VisibleLevels
from carpet_data.synthesis.ops.compositing import candidate, good_on_good
from carpet_data.synthesis.ops.masks import largest_parts
from carpet_data.synthesis.ops.perlin_noise import perlin_noise
from carpet_data.synthesis.ops.pixels import blurred, in_channels, like, to_bytes
from carpet_data.synthesis.ops.placement import drawn_corner, free_places
from carpet_data.synthesis.ops.visible import visible_levels, visible_mask

_SMALLEST_WINDOW_PX = 8


class PerlinParameters(Parameters):
    """Parameters of `perlin`."""

    area_frac_range: ShareRange | None = Field(
        None, description="Area of the shape as a share of the image; None: as the class's training masks."
    )
    cells_range: FactorRange = Field(
        (1.5, 5.0), description="Grid cells of the noise across its window: more make more and raggeder parts."
    )
    stretch_range: FactorRange = Field((1.0, 2.5), description="How much longer than wide a cell is.")
    parts: int = Field(
        3, ge=1, le=64, description="Maximum number of separate parts of one shape; the largest are kept."
    )
    opacity_range: ShareRange = Field((0.4, 1.0), description="Share of the other texture (DRAEM's beta).")
    texture: Literal["any", "host", "other"] = Field(
        "any", description="Take the texture from another place of the host, from another image, or from either."
    )
    zoom_range: FactorRange = Field((0.6, 1.6), description="Enlargement of the texture.")
    gain_range: FactorRange = Field((0.5, 1.5), description="Factor on the texture's brightness.")
    contrast_range: FactorRange = Field((0.6, 1.6), description="Factor on the texture's contrast.")
    solarize_share: Share = Field(0.1, description="Share of draws in which the texture's bright half is inverted.")
    edge_px: float = Field(0.7, ge=0, le=16, description="Softness of the shape's edge; 0 for none.")
    visible_levels: VisibleLevels = None


class Perlin(Method):
    """Noise-shaped patches of other texture; see `PerlinParameters`."""

    version = 1
    textures_needed = 1
    makes_nulls = True
    Parameters: type[BaseModel] = PerlinParameters

    def render(self, scene: Scene, parameters: PerlinParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate.

        Raises:
            Redraw: The shape has no room on the host, or the change cannot be seen.
        """
        host, p = scene.host, parameters
        shape, drawn = _shape(_area(scene, p, rng), min(host.shape[:2]), p, rng)
        x, y = drawn_corner(free_places(shape, (host.shape[0], host.shape[1]), scene.foreground), rng)
        if scene.null:
            return good_on_good(scene, shape, (x, y), rng)
        texture, drawn_texture = _texture(scene, shape.shape, p, rng)
        opacity = float(rng.uniform(*p.opacity_range))
        before = host[y : y + shape.shape[0], x : x + shape.shape[1]]
        cover = blurred(shape, p.edge_px) if p.edge_px > 0 else shape.astype(np.float32)
        cover = cover * np.float32(opacity)
        after = to_bytes(before + like(cover, host) * (texture.astype(np.float32) - before))
        seen = visible_mask(after, before, cover > 0, visible_levels(before, p.visible_levels))
        if not seen.any():
            raise Redraw("the change cannot be seen")
        drawn |= {"x": x, "y": y, "opacity": opacity, **drawn_texture}
        return candidate(host, (x, y), after, seen, drawn)


def _area(scene: Scene, parameters: PerlinParameters, rng: np.random.Generator) -> float:
    """Area of the shape in pixels; evenly in its logarithm, as most defects are small."""
    whole = float(scene.host.shape[0] * scene.host.shape[1])
    limits = parameters.area_frac_range
    if limits is None:
        areas = scene.facts.areas_frac or (0.01,)
        limits = (min(areas), max(areas))
    low, high = (max(1.0, limit * whole) for limit in limits)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _shape(
    area: float, side: int, parameters: PerlinParameters, rng: np.random.Generator
) -> tuple[Mask, dict[str, object]]:
    """A shape of about that area: what of the noise, lowered towards the window's rim, lies highest."""
    window = int(np.clip(np.ceil(2.2 * np.sqrt(area)) + 4, min(_SMALLEST_WINDOW_PX, side), side))
    cell = window / float(rng.uniform(*parameters.cells_range))
    stretch = float(np.sqrt(rng.uniform(*parameters.stretch_range)))
    angle = float(rng.uniform(0, 180))
    noise = perlin_noise(rng, (window, window), (max(2.0, cell * stretch), max(2.0, cell / stretch)), angle)
    noise += 0.35 * perlin_noise(rng, (window, window), (max(2.0, cell / 3), max(2.0, cell / 3)), angle)
    middle = (window - 1) / 2
    y, x = np.mgrid[:window, :window]
    away = np.hypot(x - middle, y - middle) / max(middle, 1.0)
    field = noise - 0.9 * np.float32(away**2)
    inner = away <= 1.0
    count = min(int(np.clip(round(area), 1, window * window * 3 // 5)), int(inner.sum()))
    level = np.partition(field[inner], -count)[-count]
    shape, _ = largest_parts((field >= level) & inner, parameters.parts)
    return shape, {"area_px": int(shape.sum()), "cell_px": cell, "angle_deg": angle}


def _texture(
    scene: Scene, shape: tuple[int, ...], parameters: PerlinParameters, rng: np.random.Generator
) -> tuple[Image, dict[str, object]]:
    """A window of other texture, varied, in the host's channels."""
    others = [texture for texture in scene.textures if min(texture.shape[:2]) >= 2]
    from_host = parameters.texture == "host" or not others
    if parameters.texture == "any" and others:
        from_host = bool(rng.integers(2))
    source = scene.host if from_host else others[int(rng.integers(len(others)))]
    source = in_channels(source, scene.host)
    zoom = float(rng.uniform(*parameters.zoom_range))
    height, width = (
        int(np.clip(np.ceil(length / zoom), 2, most)) for length, most in zip(shape, source.shape, strict=False)
    )
    top, left = int(rng.integers(source.shape[0] - height + 1)), int(rng.integers(source.shape[1] - width + 1))
    window = source[top : top + height, left : left + width]
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    window = np.rot90(window[:, ::-1] if flip else window, turns)
    sized = cv2.resize(np.ascontiguousarray(window), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    values = sized.astype(np.float32)
    solarized = bool(rng.uniform() < parameters.solarize_share)
    if solarized:
        values = np.where(values > 128, 255 - values, values)
    contrast, gain = float(rng.uniform(*parameters.contrast_range)), float(rng.uniform(*parameters.gain_range))
    mean = values.mean(axis=(0, 1))
    values = (mean + (values - mean) * contrast) * gain
    drawn: dict[str, object] = {
        "texture": "host" if from_host else "other",
        "from": [left, top, width, height],
        "turns": turns,
        "flip": flip,
        "gain": gain,
        "contrast": contrast,
        "solarized": solarized,
    }
    return to_bytes(values), drawn
