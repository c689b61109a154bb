"""A loose thread on the cloth: a bit of light yarn, a dark stiff fibre, or a curl of teased-out yarn."""

from __future__ import annotations

import numpy as np

from carpet_data.weave.defects.base import Change
from carpet_data.weave.strands import Strand, curve, fray, lay
from carpet_data.weave.surface import Box, Host, Surface

__all__ = ["make"]


def make(host: Host, clean: Surface, centre: tuple[float, float], extent: float, rng: np.random.Generator) -> Change:
    """Draw a thread; long ones are more often curls.

    Args:
        host: The surface it lies on.
        clean: Its undisturbed surface, whole image.
        centre: x, y of the middle in pixels.
        extent: Length in pixels.
        rng: Draws kind, shape and colour.

    Returns:
        The changed window.
    """
    unit = host.unit
    box = Box.around(centre, (0.62 * extent + 20 * unit, 0.62 * extent + 20 * unit), host.size)
    surface = clean.window(box)
    curled = rng.random() < (0.6 if extent > 180 * unit else 0.15)
    if curled:
        _curl(host, surface, box, centre, extent, rng)
    else:
        _straight(host, surface, box, centre, extent, rng)
    return Change(box, surface)


def _straight(
    host: Host, surface: Surface, box: Box, centre: tuple[float, float], extent: float, rng: np.random.Generator
) -> None:
    unit = host.unit
    light, dark = (np.asarray(colour) for colour in host.yarn)
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
        np.asarray(centre)
        + np.outer((np.linspace(0, 1, knots) - 0.5) * extent, direction)
        + np.outer(np.cumsum(rng.normal(0, bend, knots)) * extent / 3, side)
    )
    thread = Strand(
        path, radius, _rgb(light), _rgb(dark), lift=(5 * unit, 8 * unit, 5 * unit), ply=rng.uniform(0.02, 0.09)
    )
    lay(surface, box, thread, rng)
    for end, before in ((path[0], path[3]), (path[-1], path[-4])):
        heading = float(np.arctan2(*(end - before)[::-1]))
        fray(surface, box, end, heading, 16 * unit, int(rng.integers(3, 8)), thread, rng)


def _curl(
    host: Host, surface: Surface, box: Box, centre: tuple[float, float], extent: float, rng: np.random.Generator
) -> None:
    """A hook of many loose fibres that share one bend."""
    unit = host.unit
    light, dark = (np.asarray(colour) for colour in host.yarn)
    turn, sense = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    sweep = np.linspace(0, rng.uniform(3.4, 5.4), 9)
    size = np.linspace(1.0, rng.uniform(0.45, 0.8), 9) * extent * 0.40
    angle = turn + sense * sweep
    hook = np.stack([np.cos(angle) * size, np.sin(angle) * size * rng.uniform(0.55, 0.8)], axis=1)
    spread = rng.uniform(5, 9) * unit
    for strand in range(int(rng.integers(9, 15))):
        # Half of the bundle is thick plies, the rest fine fibres that stray farther.
        thick = strand % 2 == 0
        shift = rng.normal(0, spread * (0.55 if thick else 0.9), 2)
        start, stop = int(rng.integers(0, 3)), 9 - int(rng.integers(0, 3))
        knots = np.asarray(centre) + shift + hook[start:stop] + rng.normal(0, 0.022 * extent, (stop - start, 2))
        tone = rng.uniform(0.95, 1.15)
        piece = Strand(
            curve(knots, 96),
            (rng.uniform(2.6, 4.2) if thick else rng.uniform(0.8, 1.4)) * unit,
            _rgb(light * tone),
            _rgb((0.6 * light + 0.4 * dark) * tone),
            lift=(rng.uniform(4, 7) * unit, rng.uniform(8, 14) * unit, rng.uniform(5, 9) * unit),
            ply=rng.uniform(0.0, 0.06),
        )
        lay(surface, box, piece, rng)
    fray(surface, box, np.asarray(centre) + hook[-1], turn, 18 * unit, 8, piece, rng)


def _rgb(colour: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in colour)
    return red, green, blue
