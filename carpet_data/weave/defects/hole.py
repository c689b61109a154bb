"""A hole: yarns torn out and pushed aside, dark ground with loose fibres, ends that stand over the rim."""

from __future__ import annotations

import numpy as np

from carpet_data.weave.defects.base import Change
from carpet_data.weave.noise import smooth_field
from carpet_data.weave.strands import Strand, curve, fray, lay
from carpet_data.weave.surface import Box, Host, Surface, grid

__all__ = ["make"]


def make(host: Host, clean: Surface, centre: tuple[float, float], extent: float, rng: np.random.Generator) -> Change:
    """Draw a hole; its extent counts the disturbed yarns around it.

    Args:
        host: The surface that is torn.
        clean: Its undisturbed surface, whole image; a hole asks the host again, at displaced places.
        centre: x, y of the middle in pixels.
        extent: Width of hole and disturbed rim in pixels.
        rng: Draws shape and loose ends.

    Returns:
        The changed window.
    """
    unit = host.unit
    box = Box.around(centre, (0.7 * extent, 0.7 * extent), host.size)
    x, y = grid(box)
    shape = x.shape
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
    dx, dy = x - centre[0], y - centre[1]
    a = dx * np.cos(turn) + dy * np.sin(turn)
    b = (dy * np.cos(turn) - dx * np.sin(turn)) / flat
    radius = np.maximum(np.hypot(a, b), 1e-3)
    bumpy = 1 + 0.10 * smooth_field(rng, shape, max(20 * unit, 2))
    opening = extent * rng.uniform(0.17, 0.24)
    # Yarns are pushed outwards: what is seen at `radius` lay at `source`, and the push fades out at the rim's edge.
    reach = extent / 2
    fade = np.clip((reach - radius) / (reach - opening), 0, 1)
    source = np.maximum(radius - 0.8 * opening * bumpy * fade**2, 0)
    ratio = (source / radius).astype(np.float32)
    moved_x = (centre[0] + dx * ratio).astype(np.float32)
    moved_y = (centre[1] + dy * ratio).astype(np.float32)
    torn = source < 0.35 * opening * bumpy
    warp_torn = torn | (source < opening * 0.55 * (1 + 0.35 * smooth_field(rng, shape, max(12 * unit, 2))))
    surface = host.surface(moved_x, moved_y, no_warp=warp_torn, no_weft=torn)
    # The ground under a hole lies deeper than between yarns.
    surface.height[torn & warp_torn] -= 6 * unit
    outside = radius > reach
    kept = clean.window(box)
    surface.albedo[outside], surface.height[outside] = kept.albedo[outside], kept.height[outside]
    surface.shine[outside] = kept.shine[outside]
    _loose_ends(host, surface, box, centre, opening, rng)
    return Change(box, surface)


def _loose_ends(
    host: Host, surface: Surface, box: Box, centre: tuple[float, float], opening: float, rng: np.random.Generator
) -> None:
    unit = host.unit
    light, dark = host.yarn
    for _ in range(int(rng.integers(4, 8))):
        # An end leaves the rim across or along the weave, and bends round the hole or over it.
        angle = host.angle + rng.integers(0, 4) * np.pi / 2 + rng.normal(0, 0.5)
        start = np.asarray(centre) + opening * rng.uniform(0.9, 1.35) * np.array([np.cos(angle), np.sin(angle)])
        heading = angle + np.pi / 2 * rng.choice([-1, 1]) + rng.normal(0, 0.35)
        bend = -0.34 * np.sign(np.sin(heading - angle)) * -1 + rng.normal(0, 0.12)
        length = opening * rng.uniform(0.9, 1.9)
        steps = heading + bend * np.arange(7)
        path = curve(
            np.concatenate(
                [start[None], start + np.cumsum(np.stack([np.cos(steps), np.sin(steps)], 1), 0) * (length / 7)]
            )
        )
        end = Strand(
            path,
            rng.uniform(3.0, 6.0) * unit,
            light,
            dark,
            lift=(1 * unit, rng.uniform(3, 9) * unit, rng.uniform(1, 6) * unit),
            ply=rng.uniform(0, 0.06),
            taper=0.2,
        )
        lay(surface, box, end, rng)
        fray(surface, box, path[-1], float(steps[-1]), 12 * unit, 6, end, rng)
    for _ in range(int(rng.integers(10, 22))):
        # Single fibres across the opening.
        angle = rng.uniform(0, 2 * np.pi)
        start = np.asarray(centre) + opening * rng.uniform(0.4, 1.0) * np.array([np.cos(angle), np.sin(angle)])
        knots = start + np.cumsum(
            np.concatenate([[[0, 0]], rng.normal(-0.35 * (start - np.asarray(centre)), 0.3 * opening, (3, 2))]), 0
        )
        fibre = Strand(curve(knots, 24), max(0.5, 0.55 * unit), light, dark, lift=-4 * unit, ply=0.0)
        lay(surface, box, fibre, rng)
