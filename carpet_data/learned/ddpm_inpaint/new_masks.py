"""The mask of a defect that starts from noise: a new shape from the masks of its class, and its place on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from carpet_data.synthesis.contract import Mask, Scene
from carpet_data.synthesis.ops.new_instance import InstanceLimits, distinct_donors, draw, drawn_turn, places_for
from carpet_data.synthesis.ops.placement import drawn_corner

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
    """Draw a mask such as the class could have on this host, bool HxW and not empty, and say what was drawn.

    The donors give shapes: the first leads, and is morphed by a share from `morph_range` towards the second; host and
    foreground give places. `deform_frac` is that of `new_shape.deform`, `bend_frac` the largest curve and wave of thin
    shapes; objects are not bent.

    Raises:
        Redraw: No donor has a mask, or the drawn shape has no room on the host.
    """
    donors, size = distinct_donors(scene), (scene.host.shape[0], scene.host.shape[1])
    angle = drawn_turn(donors[0], size, rng) if scene.foreground is None else 0.0
    instance = draw(scene, donors, angle, InstanceLimits(_AREA_SLACK, morph_range, deform_frac, bend_frac), rng)
    shape = instance.shape[instance.inner]
    x, y = drawn_corner(places_for(scene, shape, instance.sides), rng)
    mask = np.zeros(size, np.bool_)
    mask[y : y + shape.shape[0], x : x + shape.shape[1]] = shape
    return mask, dict(instance.drawn)
