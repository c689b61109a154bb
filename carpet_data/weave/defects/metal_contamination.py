"""A metal shard: one to three bits of bent wire lying across each other."""

from __future__ import annotations

import numpy as np

from carpet_data.weave.defects.base import Change
from carpet_data.weave.strands import Strand, curve, lay
from carpet_data.weave.surface import Box, Host, Surface

__all__ = ["make"]


def make(host: Host, clean: Surface, center: tuple[float, float], extent: float, rng: np.random.Generator) -> Change:
    """Draw a shard of bent wire."""
    unit = host.unit
    box = Box.around(center, (0.62 * extent + 16 * unit, 0.62 * extent + 16 * unit), host.size)
    surface = clean.window(box)
    heading = rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(5.2, 7.2) * unit
    middle = np.asarray(center)
    value = rng.uniform(0.9, 1.15)
    for piece in range(int(rng.integers(1, 4))):
        turn = heading + (0 if piece == 0 else rng.choice([-1, 1]) * rng.uniform(0.25, 0.8))
        length = extent * (1.0 if piece == 0 else rng.uniform(0.4, 0.6))
        direction = np.array([np.cos(turn), np.sin(turn)])
        side = np.array([-direction[1], direction[0]])
        start = middle - direction * length / 2
        if piece:
            start = middle + rng.uniform(-0.25, 0.05) * extent * np.array([np.cos(heading), np.sin(heading)])
        bends = np.concatenate([[0.0], rng.normal(0, 0.07 * length, 2), [0.0]])
        knots = start + np.outer(np.linspace(0, 1, 4) * length, direction) + np.outer(bends, side)
        wire = Strand(
            curve(knots),
            radius * (1.0 if piece == 0 else rng.uniform(0.8, 1.0)),
            light=(126 * value, 126 * value, 118 * value),
            dark=(64 * value, 65 * value, 62 * value),
            lift=(6.0 + 3 * piece) * unit,
            taper=0.02,
            metal=True,
        )
        lay(surface, box, wire, rng)
    return Change(box, surface)
