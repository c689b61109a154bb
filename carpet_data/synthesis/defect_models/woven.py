"""The defects of woven cloth on a photograph: `carpet_data.weave.defects`, in the colors and the weave of the host."""

from __future__ import annotations

import numpy as np

from carpet_data.synthesis.defect_models.fabric import Fabric, runs_along
from carpet_data.synthesis.defect_models.photo_host import photo_host
from carpet_data.synthesis.defect_models.window import Window
from carpet_data.synthesis.ops.pixels import F32, blurred, camera_noise
from carpet_data.weave.defects import DEFECTS
from carpet_data.weave.surface import Light, shade

_MODEL_MEAN = 95.0
"""Mean brightness of the cloth that the models' own colors (metal, dark threads) were made for."""
_COARSER = {"cut": 1.25, "hole": 1.15, "thread": 0.95}
"""Width of the strands that a model lays, against those of the cloth it was made for: measured by eye on carpet."""
_RELIEF = 0.5
BLUR_PX = 0.7
"""Sigma of the camera's blur on what is laid down."""
_SHARP = 0.05
"""A blur that changes nothing: the host has been through its camera already."""


def draw(kind: str, window: Window, extent: float, unit: float, fabric: Fabric | None, rng: np.random.Generator) -> F32:
    """Draw a defect on the center of a window: float32 SxSx3 RGB, 0..255.

    `kind` is a name in `carpet_data.weave.defects.DEFECTS`, `extent` is its length in pixels, `unit` the pixels per
    cloth unit; `fabric` is None where the host has no weave.
    """
    exposure = float(np.clip(window.pixels.mean() / _MODEL_MEAN, 0.5, 1.8))
    run = None if fabric is None else runs_along(window.pixels, fabric)
    pitch = 0.0 if fabric is None else fabric.mean_pitch
    angle = float(rng.uniform(-np.pi, np.pi)) if fabric is None else fabric.angle
    host = photo_host(window.pixels / np.float32(exposure), run, unit * _COARSER.get(kind, 1.0), angle, pitch)
    surface = host.clean()
    change = DEFECTS[kind].make(host, surface, window.center, extent, rng)
    surface.patch(change.box, change.surface)
    azimuth, slant = rng.normal(-np.pi / 2, 0.6), rng.uniform(0.2, 0.45)
    light = Light(
        toward=(slant * float(np.cos(azimuth)), slant * float(np.sin(azimuth))),
        shadow=0.5,
        occlusion=0.06,
        unit=unit,
        blur_px=_SHARP,
    )
    if kind == "color":
        return _soaked(window.pixels, surface.albedo / host.pixels.clip(1), unit, rng)
    drawn = (np.abs(surface.height) > 1e-3).astype(np.float32)
    # A photograph's own relief is not known, so strands stand on a plain: at full height they would look cut out.
    surface.height *= np.float32(_RELIEF)
    lit = shade(surface, light)
    # Only what was laid or lowered has not been through a camera: it gets the camera's blur and noise.
    weight = np.clip(blurred(drawn, 0.8) * 1.6, 0, 1)[..., None]
    soft = blurred(lit, BLUR_PX)
    noise = rng.normal(0, camera_noise(window.pixels[..., 1]) + 0.3, lit.shape).astype(np.float32)
    return np.asarray((lit + (soft - lit) * weight) * np.float32(exposure) + noise * weight, np.float32)


def _soaked(pixels: F32, factor: F32, unit: float, rng: np.random.Generator) -> F32:
    """A stain whose edge runs out: liquid spreads between the yarns too, and less of it the farther it went.

    `factor` (float32 SxSx3, 0..1) is what the sharp-edged stain leaves of the pixels.
    """
    near, far = (blurred(factor, width * unit) for width in (1.8, 9.0))
    strength = np.float32(rng.uniform(0.7, 1.0))
    return np.asarray(pixels * (1 - strength * (1 - (np.float32(0.6) * near + np.float32(0.4) * far))), np.float32)
