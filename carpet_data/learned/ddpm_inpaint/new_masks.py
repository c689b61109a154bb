"""Where a defect made from nothing lies: a new shape from the masks of its class, and a place for it on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from carpet_data.synthesis.contract import Donor, Mask, Redraw, Scene
from carpet_data.synthesis.ops.compositing import free_places, same_part, turn_between
from carpet_data.synthesis.ops.new_instance import Habits, draw, edges_touched
from carpet_data.synthesis.ops.new_shape import is_thin

__all__ = ["new_mask"]

_AREA_SLACK = 1.2


def new_mask(
    scene: Scene,
    rng: np.random.Generator,
    *,
    morph_range: tuple[float, float],
    deform_frac: float,
    bend_frac: float,
) -> tuple[Mask, dict[str, Any]]:
    """Draw a mask such as the class could have on this host.

    Args:
        scene: Its donors give shapes, the first leads; its host and foreground give places.
        rng: Draws everything.
        morph_range: As `instances.Habits`.
        deform_frac: As `instances.Habits`.
        bend_frac: As `instances.Habits`; objects are not bent.

    Returns:
        bool HxW, the host's size, not empty; and what was drawn.

    Raises:
        Redraw: No donor has a mask, or the drawn shape has no room on the host.
    """
    # A class of fewer donors than asked for fills up with repeats.
    donors = list({donor.id: donor for donor in scene.donors if donor.mask.any()}.values())
    if not donors:
        raise Redraw("the donors have no defect pixels")
    height, width = scene.host.shape[:2]
    texture = scene.foreground is None
    areas = [share * height * width for share in scene.facts.areas_frac] or [float(donors[0].mask.sum())]
    angles = tuple(turn_between(donor.foreground, scene.foreground) for donor in donors)
    habits = Habits(
        angles_deg=(_angle(donors[0], (height, width), rng),) * len(donors) if texture else angles,
        flip=texture and bool(rng.integers(2)),
        mirrored_too=False,
        area_range_px=(min(areas) / _AREA_SLACK, max(areas) * _AREA_SLACK),
        morph_range=morph_range,
        deform_frac=deform_frac,
        bend_frac=bend_frac if texture else 0.0,
    )
    instance = draw(donors, habits, rng, rim_px=0, search_px=0, most=(height, width))
    shape = instance.shape[instance.inner]
    if not shape.any():
        raise Redraw("the drawn shape is larger than the host")
    lead = donors[0]
    if scene.foreground is None or lead.foreground is None:
        free = free_places(shape, (height, width), scene.foreground, instance.edges)
    else:
        free = same_part(shape, (height, width), lead, scene.foreground)
    corners = np.flatnonzero(free)
    y, x = divmod(int(corners[int(rng.integers(len(corners)))]), free.shape[1])
    mask = np.zeros((height, width), np.bool_)
    mask[y : y + shape.shape[0], x : x + shape.shape[1]] = shape
    return mask, dict(instance.drawn)


def _angle(lead: Donor, size: tuple[int, int], rng: np.random.Generator) -> float:
    """How far the shapes of a texture are turned, in degrees counter-clockwise.

    Threads lie as they fall; what the weave itself suffers runs along its yarns, of which there are two directions.
    """
    if edges_touched(lead):
        return 0.0
    if is_thin(lead.mask) and np.hypot(lead.box[2], lead.box[3]) < min(size):
        return float(rng.uniform(0, 360))
    return 180.0 * int(rng.integers(2))
