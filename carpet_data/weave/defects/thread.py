"""A loose thread on the cloth: a bit of light yarn, a dark stiff fiber, or a curl of teased-out yarn."""

from __future__ import annotations

import numpy as np

from carpet_data.weave.defects.base import Change
from carpet_data.weave.strands import Strand, curve, lay, lay_yarn, rgb
from carpet_data.weave.surface import Box, Host, Surface

__all__ = ["make"]


def make(host: Host, clean: Surface, center: tuple[float, float], extent: float, rng: np.random.Generator) -> Change:
    """Draw a thread; long ones are more often curls."""
    unit = host.unit
    box = Box.around(center, (0.62 * extent + 20 * unit, 0.62 * extent + 20 * unit), host.size)
    surface = clean.window(box)
    curled = rng.random() < (0.5 if extent > 180 * unit else 0.15)
    if curled:
        _curl(host, surface, box, center, extent, rng)
    else:
        _straight(host, surface, box, center, extent, rng)
    return Change(box, surface)


def _straight(
    host: Host, surface: Surface, box: Box, center: tuple[float, float], extent: float, rng: np.random.Generator
) -> None:
    unit = host.unit
    light, dark = (np.asarray(color) for color in host.yarn)
    if rng.random() < 0.35:
        light, dark, radius = np.array([52.0, 52.0, 60.0]), np.array([24.0, 25.0, 32.0]), rng.uniform(2.6, 3.8) * unit
        bend = 0.04
    else:
        light, dark, radius = light * 1.12, (light + dark) / 2, rng.uniform(3.6, 6.0) * unit
        bend = 0.12
    turn = rng.uniform(0, 2 * np.pi)
    direction, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    knots = 6
    path = curve(
        np.asarray(center)
        + np.outer((np.linspace(0, 1, knots) - 0.5) * extent, direction)
        + np.outer(np.cumsum(rng.normal(0, bend, knots)) * extent / 3, side)
    )
    thread = Strand(
        path, radius, rgb(light), rgb(dark), lift=(5 * unit, 8 * unit, 5 * unit), ply=rng.uniform(0.02, 0.09)
    )
    lay_yarn(surface, box, thread, rng, flare=(0.5, 0.7), stray_px=12 * unit)


def _curl(
    host: Host, surface: Surface, box: Box, center: tuple[float, float], extent: float, rng: np.random.Generator
) -> None:
    """A hook of many loose fibers that share one bend."""
    unit = host.unit
    light, dark = (np.asarray(color) for color in host.yarn)
    light = light * np.array([1.03, 1.0, 0.99])
    turn, sense = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    sweep = np.linspace(0, rng.uniform(3.4, 5.4), 9)
    size = np.linspace(1.0, rng.uniform(0.45, 0.8), 9) * extent * 0.40
    angle = turn + sense * sweep
    hook = np.stack([np.cos(angle) * size, np.sin(angle) * size * rng.uniform(0.55, 0.8)], axis=1)
    knots = np.asarray(center) + hook + rng.normal(0, 0.02 * extent, hook.shape)
    for ply in range(int(rng.integers(2, 5))):
        # The plies part: each takes its own way round the bend and ends where it likes.
        start, stop = (0, 9) if ply == 0 else (int(rng.integers(0, 4)), 9 - int(rng.integers(0, 3)))
        course = knots[start:stop] + rng.normal(0, 5 * unit, 2) + rng.normal(0, 0.02 * extent, (stop - start, 2))
        tone = rng.uniform(0.95, 1.12)
        piece = Strand(
            curve(course, 96),
            rng.uniform(3.5, 7.0) * unit,
            rgb(light * tone),
            rgb((0.35 * light + 0.65 * dark) * tone),
            lift=(rng.uniform(3, 6) * unit, rng.uniform(7, 12) * unit, rng.uniform(4, 8) * unit),
            ply=rng.uniform(0.0, 0.05),
            taper=0.2,
        )
        lay_yarn(
            surface, box, piece, rng, flare=(rng.uniform(0.4, 1.5), rng.uniform(0.8, 2.5)), fibers=34,
            stray_px=26 * unit,
        )  # fmt: skip
    for _ in range(int(rng.integers(14, 26))):
        # Single fibers stray from the bundle.
        start, length = int(rng.integers(0, 6)), 3
        course = knots[start : start + length] + rng.normal(0, 8 * unit, (length, 2))
        fiber = Strand(
            curve(course, 40), max(0.5, 0.55 * unit), rgb(light), rgb(light), lift=13 * unit, ply=0.0, cover=0.5
        )
        lay(surface, box, fiber, rng)
