"""perlin: shapes of Perlin noise, filled with texture from another place of the train images.

After DRAEM (Zavrtanik, Kristan and Skocaj, "DRAEM: a discriminatively trained reconstruction embedding for surface
anomaly detection", ICCV 2021), without its outside texture data set.
"""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Candidate, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.ops.compositing import free_places, good_on_good, noise_level, visible
from carpet_data.synthesis.ops.perlin_noise import perlin_noise

__all__ = ["Perlin", "PerlinParameters"]

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=8)]

_SMALLEST_WINDOW_PX = 8


class PerlinParameters(BaseModel):
    """Parameters of `perlin`, version 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    area_frac_range: tuple[Share, Share] | None = Field(
        None, description="Area of the shape as a share of the image; None: as the class's train masks."
    )
    cells_range: tuple[Factor, Factor] = Field(
        (1.5, 5.0), description="Grid cells of the noise across its window: more make more and raggeder parts."
    )
    stretch_range: tuple[Factor, Factor] = Field((1.0, 2.5), description="How much longer than wide a cell is.")
    parts: int = Field(3, ge=1, le=64, description="Most separate parts of one shape; the largest are kept.")
    opacity_range: tuple[Share, Share] = Field((0.4, 1.0), description="Share of the other texture (DRAEM's beta).")
    texture: Literal["any", "host", "other"] = Field(
        "any", description="Take the texture from another place of the host, from another image, or from either."
    )
    zoom_range: tuple[Factor, Factor] = Field((0.6, 1.6), description="Enlargement of the texture.")
    gain_range: tuple[Factor, Factor] = Field((0.5, 1.5), description="Factor on the texture's brightness.")
    contrast_range: tuple[Factor, Factor] = Field((0.6, 1.6), description="Factor on the texture's contrast.")
    solarize_share: Share = Field(0.1, description="Share of draws in which the texture's bright half is inverted.")
    edge_px: float = Field(0.7, ge=0, le=16, description="Softness of the shape's edge; 0 for none.")
    visible_levels: int | None = Field(
        None, ge=1, le=128, description="Change of a grey value that counts as visible; None: by the host's own noise."
    )


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
        host = scene.host
        area = _area(scene, parameters, rng)
        shape, drawn = _shape(area, min(host.shape[:2]), parameters, rng)
        free = free_places(shape, (host.shape[0], host.shape[1]), scene.foreground)
        rows, columns = np.nonzero(free)
        chosen = int(rng.integers(len(rows)))
        x, y = int(columns[chosen]), int(rows[chosen])
        height, width = shape.shape
        if scene.null:
            return good_on_good(scene, shape, (x, y), rng)
        texture, drawn_texture = _texture(scene, shape.shape, parameters, rng)
        opacity = float(rng.uniform(*parameters.opacity_range))
        before = host[y : y + height, x : x + width]
        cover = shape.astype(np.float32)
        if parameters.edge_px > 0:
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), parameters.edge_px), np.float32)
        cover = cover * np.float32(opacity)
        heavy = cover if host.ndim == 2 else cover[:, :, None]
        after = np.clip(np.rint(before + heavy * (texture.astype(np.float32) - before)), 0, 255).astype(np.uint8)
        levels = parameters.visible_levels
        threshold = float(np.clip(3 * noise_level(before), 4, 10)) if levels is None else float(levels)
        seen = visible(before, after, cover > 0, threshold=threshold)
        if not seen.any():
            raise Redraw("the change cannot be seen")
        image: Image = host.copy()
        image[y : y + height, x : x + width] = after
        mask = np.zeros(host.shape[:2], np.bool_)
        mask[y : y + height, x : x + width] = seen
        drawn |= {"x": x, "y": y, "opacity": opacity, **drawn_texture}
        return Candidate(image, mask, (x, y, width, height), drawn)


def _area(scene: Scene, parameters: PerlinParameters, rng: np.random.Generator) -> float:
    """Area of the shape in pixels; evenly in its logarithm, as small defects are the many."""
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
    count = int(np.clip(round(area), 1, window * window * 3 // 5))
    inner = away <= 1.0
    level = np.partition(field[inner], -min(count, int(inner.sum())))[-min(count, int(inner.sum()))]
    shape = (field >= level) & inner
    number, parts, stats, _ = cv2.connectedComponentsWithStats(shape.astype(np.uint8), connectivity=8)
    if number - 1 > parameters.parts:
        largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[: parameters.parts]
        shape = np.isin(parts, largest)
    return np.asarray(shape), {"area_px": int(shape.sum()), "cell_px": cell, "angle_deg": angle}


def _texture(
    scene: Scene, shape: tuple[int, ...], parameters: PerlinParameters, rng: np.random.Generator
) -> tuple[Image, dict[str, object]]:
    """A window of other texture, varied, in the host's channels."""
    others = [texture for texture in scene.textures if min(texture.shape[:2]) >= 2]
    from_host = parameters.texture == "host" or not others
    if parameters.texture == "any" and others:
        from_host = bool(rng.integers(2))
    source = scene.host if from_host else others[int(rng.integers(len(others)))]
    source = _in_channels(source, scene.host)
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
    return np.clip(np.rint(values), 0, 255).astype(np.uint8), drawn


def _in_channels(image: Image, host: Image) -> Image:
    if image.ndim == host.ndim:
        return image
    if host.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    return np.repeat(image[:, :, None], 3, axis=2)
