"""A cut: a slit whose sides spring apart, with the cut yarns' ends curling over it."""

from __future__ import annotations

import numpy as np

from carpet_data.weave.defects.base import Change
from carpet_data.weave.noise import smooth_field
from carpet_data.weave.strands import Strand, bent, curve, lay_yarn, rgb
from carpet_data.weave.surface import Box, Host, Surface, grid

__all__ = ["make"]


def make(host: Host, clean: Surface, center: tuple[float, float], extent: float, rng: np.random.Generator) -> Change:
    """Draw a cut; its extent counts the displaced yarns around it."""
    unit = host.unit
    reach = extent / 2
    box = Box.around(center, (reach + 14 * unit, reach + 14 * unit), host.size)
    x, y = grid(box)
    # Mostly along one family of yarns, so that the other is cut.
    turn = host.angle + rng.integers(0, 2) * np.pi / 2 + rng.normal(0, 0.2)
    cosine, sine = np.cos(turn), np.sin(turn)
    dx, dy = x - center[0], y - center[1]
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    slit = extent * rng.uniform(0.30, 0.36)
    across = across - 0.05 * extent * np.sin(along / slit * rng.uniform(0.8, 1.6) + rng.uniform(0, 6))
    gape = extent * rng.uniform(0.035, 0.065)
    shape = x.shape
    open_here = gape * np.sqrt(np.maximum(1 - (along / slit) ** 2, 0))
    # The push decays away from the slit and is nothing at the edge of the region.
    fade = np.clip(1 - np.hypot(along / reach, across / (0.85 * reach)) ** 2, 0, 1)
    sway = 0.04 * extent * fade * smooth_field(rng, shape, max(66 * unit, 2))
    spring = np.clip(1 - np.abs(along) / (1.25 * slit), 0, 1) ** 0.5 * gape
    push = np.sign(across) * np.minimum(spring * np.exp(-np.abs(across) / (0.22 * extent)) * fade, np.abs(across))
    slip = 0.5 * sway
    source_along, source_across = along + slip, across - push + sway * np.minimum(np.abs(across) / (8 * unit), 1)
    shift_along, shift_across = source_along - along, source_across - across
    moved_x = (x + shift_along * cosine - shift_across * sine).astype(np.float32)
    moved_y = (y + shift_along * sine + shift_across * cosine).astype(np.float32)
    # Cut yarns draw back unevenly, each by its own length.
    ragged = 1 + 0.45 * smooth_field(rng, shape, max(9 * unit, 1))
    missing = np.abs(across) < open_here * np.clip(ragged, 0.15, 2.2)
    surface = host.surface(moved_x, moved_y, no_warp=missing, no_weft=missing)
    surface.height[missing] -= 4 * unit
    surface.albedo[missing] *= 0.5
    outside = fade <= 0
    surface.restore(outside, clean.window(box))
    _ends(host, surface, box, center, turn, slit, gape, rng)
    return Change(box, surface)


def _ends(
    host: Host,
    surface: Surface,
    box: Box,
    center: tuple[float, float],
    turn: float,
    slit: float,
    gape: float,
    rng: np.random.Generator,
) -> None:
    """The ends of the cut yarns: they start a little behind the edge, lean over each other, and fray."""
    unit = host.unit
    light, dark = (np.asarray(color) for color in host.yarn)
    direction, normal = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    # Whatever made the cut swept all ends the same way along it.
    sweep = rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
    count = int(np.ceil(2 * slit / (21 * unit)))
    for side in (-1.0, 1.0):
        for k in range(count):
            if rng.random() < 0.15:
                continue
            place = (-1 + (2 * k + 1) / count) * slit + rng.normal(0, 4 * unit)
            rim = gape * np.sqrt(max(1 - (place / slit) ** 2, 0.05))
            start = np.asarray(center) + direction * place + normal * side * (rim + rng.uniform(4, 16) * unit)
            inward = float(np.arctan2(*(-side * normal)[::-1])) + side * (sweep + rng.normal(0, 0.35))
            bend = rng.normal(0, 0.10) + (0.3 * rng.choice([-1, 1]) if rng.random() < 0.2 else 0.0)
            length = rng.uniform(20, 72) * unit
            steps = inward + bend * np.arange(7)
            tone = rng.uniform(0.85, 1.12)
            end = Strand(
                curve(bent(start, steps, length)),
                rng.uniform(3.5, 6.0) * unit,
                rgb(light * tone),
                rgb(dark * tone),
                lift=(3.5 * unit, rng.uniform(5, 10) * unit, rng.uniform(0, 8) * unit),
                ply=rng.uniform(0, 0.07),
                taper=0.15,
            )
            lay_yarn(surface, box, end, rng, flare=(0.0, rng.uniform(0.3, 2.0)), stray_px=18 * unit)
