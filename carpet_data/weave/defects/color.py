"""A stain: dark liquid that soaked in and wicked along the yarns; the weave stays visible in it."""

from __future__ import annotations

import numpy as np

from carpet_data.weave.defects.base import Change
from carpet_data.weave.noise import smooth_field, streaks
from carpet_data.weave.surface import ALONG_WARP, ALONG_WEFT, Box, Host, Surface, grid

__all__ = ["make"]


def make(host: Host, clean: Surface, center: tuple[float, float], extent: float, rng: np.random.Generator) -> Change:
    """Draw a stain of one to three blots."""
    unit = host.unit
    box = Box.around(center, (0.75 * extent, 0.75 * extent), host.size)
    x, y = grid(box)
    surface = clean.window(box)
    heading = host.angle + rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    distance = np.full(x.shape, np.inf, dtype=np.float32)
    for blot in range(int(rng.integers(1, 4))):
        share = 1.0 if blot == 0 else rng.uniform(0.35, 0.7)
        half = extent * share / 2
        slack = (extent / 2 - half) * np.array([np.cos(heading), np.sin(heading)])
        middle = np.asarray(center) + slack * rng.uniform(-1, 1) + (blot > 0) * rng.normal(0, 0.12 * extent, 2)
        turn = heading + (rng.normal(0, 0.4) if blot else 0.0)
        along = (x - middle[0]) * np.cos(turn) + (y - middle[1]) * np.sin(turn)
        across = (y - middle[1]) * np.cos(turn) - (x - middle[0]) * np.sin(turn)
        np.minimum(distance, np.hypot(along / half, across / (half * rng.uniform(0.38, 0.75))), out=distance)
    # The liquid creeps along the yarns, farther in some than in others: the edge follows single yarns.
    shape = (box.height, box.width)
    cosine, sine = np.float32(np.cos(host.angle)), np.float32(np.sin(host.angle))
    weft_way, warp_way = cosine * x + sine * y, cosine * y - sine * x
    weft = streaks(rng, weft_way, warp_way, 70 * unit, 15 * unit)
    warp = streaks(rng, warp_way, weft_way, 70 * unit, 13 * unit)
    creep = np.where(surface.run == ALONG_WARP, warp, np.where(surface.run == ALONG_WEFT, weft, 0.5 * (warp + weft)))
    ragged = 0.10 * smooth_field(rng, shape, max(34 * unit, 2)) + 0.14 * creep
    raised = np.clip(surface.height / unit, -6, 6) / 6
    depth = (1.0 - (distance + ragged - 0.05 * raised)) / rng.uniform(0.16, 0.30)
    soaked = np.clip(depth, 0, 1) ** 1.3
    strength = rng.uniform(0.52, 0.72)
    ink = np.array([0.93, 0.98, 1.06], dtype=np.float32) * (1 - strength)
    amount = (soaked * np.clip(1 + 0.08 * smooth_field(rng, shape, max(14 * unit, 1)) - 0.10 * creep, 0.55, 1.25))[
        ..., None
    ]
    surface.albedo *= 1 + (ink - 1) * np.clip(amount, 0, 1)
    return Change(box, surface)
