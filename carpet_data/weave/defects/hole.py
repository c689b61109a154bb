"""A hole: yarns torn out and pushed aside, dark ground with loose fibers, ends that stand over the rim."""

from __future__ import annotations

import numpy as np

from carpet_data.weave.defects.base import Change
from carpet_data.weave.noise import smooth_field
from carpet_data.weave.strands import Strand, bent, curve, lay, lay_yarn, rgb
from carpet_data.weave.surface import Box, Host, Surface, grid

__all__ = ["make"]


def make(host: Host, clean: Surface, center: tuple[float, float], extent: float, rng: np.random.Generator) -> Change:
    """Draw a hole; its extent counts the disturbed yarns around it."""
    unit = host.unit
    box = Box.around(center, (0.7 * extent, 0.7 * extent), host.size)
    x, y = grid(box)
    shape = x.shape
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
    dx, dy = x - center[0], y - center[1]
    a = dx * np.cos(turn) + dy * np.sin(turn)
    b = (dy * np.cos(turn) - dx * np.sin(turn)) / flat
    radius = np.maximum(np.hypot(a, b), 1e-3)
    bumpy = 1 + 0.18 * smooth_field(rng, shape, max(18 * unit, 2))
    opening = extent * rng.uniform(0.17, 0.24)
    # Yarns are pushed outwards: what is seen at `radius` lay at `source`, and the push fades out at the rim's edge.
    reach = extent / 2
    fade = np.clip((reach - radius) / (reach - opening), 0, 1)
    source = np.maximum(radius - 0.8 * opening * bumpy * fade**2, 0)
    ratio = (source / radius).astype(np.float32)
    moved_x = (center[0] + dx * ratio).astype(np.float32)
    moved_y = (center[1] + dy * ratio).astype(np.float32)
    torn = source < 0.35 * opening * bumpy
    warp_torn = torn | (source < opening * 0.55 * (1 + 0.35 * smooth_field(rng, shape, max(12 * unit, 2))))
    surface = host.surface(moved_x, moved_y, no_warp=warp_torn, no_weft=torn)
    # The ground under a hole lies deeper than between yarns.
    bare = torn & warp_torn
    surface.height[bare] -= 4 * unit
    surface.albedo[bare] *= 0.4
    outside = radius > reach
    surface.restore(outside, clean.window(box))
    _loose_ends(host, surface, box, center, opening, rng)
    return Change(box, surface)


def _loose_ends(
    host: Host, surface: Surface, box: Box, center: tuple[float, float], opening: float, rng: np.random.Generator
) -> None:
    unit = host.unit
    light, dark = (np.asarray(color) for color in host.yarn)
    middle = np.asarray(center)
    for _ in range(int(rng.integers(3, 8))):
        # An end leaves the rim across or along the weave, and bends round the hole or lies over it.
        angle = host.angle + rng.integers(0, 4) * np.pi / 2 + rng.normal(0, 0.6)
        start = middle + opening * rng.uniform(0.9, 1.5) * np.array([np.cos(angle), np.sin(angle)])
        round_it = rng.random() < 0.6
        sense = rng.choice([-1, 1])
        heading = angle + sense * (rng.normal(1.7, 0.25) if round_it else rng.uniform(2.2, 3.6))
        length = opening * (rng.uniform(0.8, 2.2) if round_it else rng.uniform(0.6, 1.6))
        bend = sense * (length / 7 / opening * rng.uniform(0.5, 1.0) if round_it else rng.normal(0, 0.14))
        steps = heading + bend * np.arange(7)
        tone = rng.uniform(0.9, 1.15)
        end = Strand(
            curve(bent(start, steps, length)),
            rng.uniform(2.8, 5.5) * unit,
            rgb(light * tone),
            rgb(dark * tone),
            lift=(1 * unit, rng.uniform(3, 8) * unit, rng.uniform(0, 6) * unit),
            ply=rng.uniform(0, 0.06),
            taper=0.2,
        )
        lay_yarn(surface, box, end, rng, flare=(0.1, rng.uniform(0.3, 2.0)), stray_px=14 * unit)
    for _ in range(int(rng.integers(8, 20))):
        # Single fibers across the opening.
        angle = rng.uniform(0, 2 * np.pi)
        start = middle + opening * np.array([np.cos(angle), np.sin(angle)])
        goal = middle + rng.normal(0, 0.45 * opening, 2)
        knots = np.stack([start, (start + goal) / 2 + rng.normal(0, 0.15 * opening, 2), goal])
        color = rgb(light * rng.uniform(0.6, 1.0))
        fiber = Strand(curve(knots, 24), max(0.5, 0.5 * unit), color, color, lift=-3 * unit, ply=0.0, cover=0.5)
        lay(surface, box, fiber, rng)
