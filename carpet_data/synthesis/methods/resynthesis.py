"""resynthesis: a new shape from the class's masks, filled from parts of its donors and joined to the host."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Candidate, Donor, Mask, Method, Redraw, Scene
from carpet_data.synthesis.ops.compositing import (
    Joined,
    free_places,
    join,
    noise_level,
    place_alike,
    same_part,
    turn_between,
    visible,
)
from carpet_data.synthesis.ops.guided_quilting import Source, mosaic
from carpet_data.synthesis.ops.new_instance import Habits, Instance, cut_source, draw, edges_touched, in_channels
from carpet_data.synthesis.ops.new_shape import is_thin
from carpet_data.synthesis.ops.quilting import disc
from carpet_data.synthesis.ops.stain_transfer import is_stain, likeness, stained

__all__ = ["Resynthesis", "ResynthesisParameters"]

_SEARCH_PX = 24
_OPAQUE = 0.72
_LEAST_SEEN = 0.3

Share = Annotated[float, Field(ge=0, le=1)]


class ResynthesisParameters(BaseModel):
    """Parameters of `resynthesis`, version 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fill: Literal["auto", "quilt", "tint"] = Field(
        "auto",
        description="quilt: replace the ground by parts of the donors; tint: keep it and change its colour, as a stain "
        "does; auto: measured on the first donor.",
    )
    morph_range: tuple[Share, Share] = Field(
        (0.15, 0.6), description="How far the shape goes from the first donor's towards the second's."
    )
    deform_frac: float = Field(
        0.08, ge=0, le=0.5, description="Random displacement of the edge, as a share of the shape's radius."
    )
    bend_frac: float = Field(
        0.2, ge=0, le=0.6, description="Threads: how far the ends may leave the axis, as a share of half the length."
    )
    turn: Literal["auto", "quarter", "free", "none"] = Field(
        "auto",
        description="Turns of the donors: by any angle, or by quarters so that a weave keeps its directions; auto: any "
        "angle for thin defects that hide the ground, half turns for others. At an image edge nothing is turned.",
    )
    patch_frac: float = Field(
        0.6, ge=0.1, le=2, description="Edge of a patch as a share of the root of the shape's area."
    )
    area_slack: float = Field(
        1.2, ge=1, le=4, description="Area may leave the range of the train masks by this factor."
    )
    ring_px: int = Field(5, ge=1, le=32, description="How far the cut may leave the edge of the shape.")
    feather_px: float = Field(0.8, ge=0, le=8, description="Softness of the cut; 0 for none.")
    visible_levels: int | None = Field(
        None, ge=1, le=128, description="Change of a grey value that counts as visible; None: by the host's own noise."
    )


class Resynthesis(Method):
    """New instances of a class; see `ResynthesisParameters`."""

    version = 1
    donors_needed = 3
    makes_nulls = True
    Parameters: type[BaseModel] = ResynthesisParameters

    def render(self, scene: Scene, parameters: ResynthesisParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate; the first donor leads, the others lend shape and texture.

        Raises:
            Redraw: The donors are too small for the drawn shape, or it has no room on the host.
        """
        # A class of fewer donors than asked for fills up with repeats.
        donors = list({donor.id: donor for donor in scene.donors if donor.mask.any()}.values())
        if not donors:
            raise Redraw("the donors have no defect pixels")
        alike = likeness(donors[0], scene.host) if scene.foreground is None else None
        stain = parameters.fill == "tint" or (parameters.fill == "auto" and is_stain(donors[0], alike))
        rim = int(np.clip(0.12 * np.sqrt(donors[0].mask.sum()), 6, 16))
        habits = _habits(scene, donors, parameters, alike, rng)
        size = (scene.host.shape[0], scene.host.shape[1])
        instance = draw(donors, habits, rng, rim_px=rim, search_px=0 if stain else _SEARCH_PX, most=size)
        if not instance.shape[instance.inner].any():
            raise Redraw("the drawn shape is larger than the host")
        if stain:
            joined, x, y = _tint(scene, instance, rng, rim)
        else:
            joined, x, y = _quilt(scene, instance, parameters, rng, rim)
        height, width = joined.new.shape
        before = scene.host[y : y + height, x : x + width]
        levels = parameters.visible_levels
        threshold = float(np.clip(3 * noise_level(before), 4, 10)) if levels is None else float(levels)
        seen = visible(before, joined.image, joined.new, threshold=threshold)
        if seen.sum() < _LEAST_SEEN * instance.shape[instance.inner].sum() and not scene.null:
            raise Redraw("hardly any of the change can be seen")
        image = scene.host.copy()
        image[y : y + height, x : x + width] = joined.image
        mask = np.zeros(scene.host.shape[:2], np.bool_)
        mask[y : y + height, x : x + width] = seen & (not scene.null)
        drawn = {"fill": "tint" if stain else "quilt", "x": x, "y": y, **instance.drawn}
        return Candidate(image, mask, (x, y, width, height), drawn)


def _habits(
    scene: Scene, donors: list[Donor], parameters: ResynthesisParameters, alike: float | None, rng: np.random.Generator
) -> Habits:
    """What may be drawn on this host."""
    host_area = scene.host.shape[0] * scene.host.shape[1]
    areas = [share * host_area for share in scene.facts.areas_frac] or [float(donors[0].mask.sum())]
    texture = scene.foreground is None
    if texture:
        angles = (_angle(scene, donors[0], parameters, alike, rng),) * len(donors)
    else:
        angles = tuple(turn_between(donor.foreground, scene.foreground) for donor in donors)
    return Habits(
        angles_deg=angles,
        flip=texture and bool(rng.integers(2)),
        mirrored_too=texture,
        area_range_px=(min(areas) / parameters.area_slack, max(areas) * parameters.area_slack),
        morph_range=parameters.morph_range,
        deform_frac=parameters.deform_frac,
        bend_frac=parameters.bend_frac if texture else 0.0,
    )


def _angle(
    scene: Scene, lead: Donor, parameters: ResynthesisParameters, alike: float | None, rng: np.random.Generator
) -> float:
    """How far the donors of a texture are turned, in degrees counter-clockwise."""
    how = parameters.turn
    if how == "none" or edges_touched(lead):
        return 0.0
    if how == "quarter":
        return 90.0 * int(rng.integers(4))
    # The ground that a loose mask takes in would show its weave at a slant.
    opaque = alike is None or alike < _OPAQUE
    if how == "free" or (is_thin(lead.mask) and opaque):
        reach = float(np.hypot(lead.box[2], lead.box[3]))
        if how == "free" or reach < min(scene.host.shape[:2]):
            return float(rng.uniform(0, 360))
    return 180.0 * int(rng.integers(2))


def _free(scene: Scene, shape: Mask, edges: frozenset[str]) -> Mask:
    """Corners that the shape's window may have."""
    size = (scene.host.shape[0], scene.host.shape[1])
    if scene.foreground is None:
        return free_places(shape, size, None, edges)
    lead = scene.donors[0]
    if lead.foreground is None:
        return free_places(shape, size, scene.foreground, edges)
    return same_part(shape, size, lead, scene.foreground)


def _quilt(
    scene: Scene, instance: Instance, parameters: ResynthesisParameters, rng: np.random.Generator, rim: int
) -> tuple[Joined, int, int]:
    """Fill the shape from the donors and join it to the host."""
    sources = [in_channels(source, scene.host) for source in instance.sources]
    extent = np.sqrt(instance.shape.sum())
    thin = is_thin(instance.shape)
    if thin:
        # A thread's parts are long: short ones would lose the gloss and twist that run along it.
        extent = max(instance.shape.shape) * 0.7
    patch = int(np.clip(parameters.patch_frac * extent, 12, 160))
    shape = instance.shape[instance.inner]
    free = _free(scene, shape, instance.edges)
    defect, filled = mosaic(instance.shape, sources, rng, patch_px=patch, rim_px=rim, light=not thin)
    defect, filled = defect[instance.inner], filled[instance.inner]
    reach = 0 if instance.edges else max(64, max(shape.shape) // 3)
    if scene.foreground is not None:
        x, y = _on_object(scene, instance, sources[0], free, rng, reach)
    else:
        surroundings = (filled & ~shape).astype(np.float32)
        x, y = place_alike(scene.host, defect, surroundings, free, rng, reach_px=reach)
    window = scene.host[y : y + shape.shape[0], x : x + shape.shape[1]]
    ring = min(parameters.ring_px, rim)
    return join(window, defect, filled, shape, ring_px=ring, feather_px=parameters.feather_px), x, y


def _on_object(
    scene: Scene, instance: Instance, lead: Source, free: Mask, rng: np.random.Generator, reach: int
) -> tuple[int, int]:
    """The place where the object around the leading donor lies on the host's: its outline shows best where it is."""
    rows, columns = instance.inner
    up, left = min(rows.start, _SEARCH_PX), min(columns.start, _SEARCH_PX)
    wide = np.s_[rows.start - up : rows.stop + _SEARCH_PX, columns.start - left : columns.stop + _SEARCH_PX]
    around = lead.valid & (cv2.dilate(lead.mask.astype(np.uint8), disc(2)) == 0)
    height, width = around[wide].shape
    corners = free[up:, left:][: max(0, scene.host.shape[0] - height + 1), : max(0, scene.host.shape[1] - width + 1)]
    if not corners.any() or not around[wide].any():
        raise Redraw("that part of the object lies too near the edge of the host")
    weight = around[wide].astype(np.float32)
    x, y = place_alike(scene.host, lead.image[wide], weight, np.ascontiguousarray(corners), rng, reach_px=reach)
    return x + left, y + up


def _tint(scene: Scene, instance: Instance, rng: np.random.Generator, rim: int) -> tuple[Joined, int, int]:
    """Give the host's own texture the donor's stain."""
    shape = instance.shape[instance.inner]
    free = _free(scene, shape, instance.edges)
    rows, columns = np.nonzero(free)
    chosen = int(rng.integers(len(rows)))
    x, y = int(columns[chosen]), int(rows[chosen])
    window = scene.host[y : y + shape.shape[0], x : x + shape.shape[1]]
    source = in_channels(instance.sources[0], scene.host)
    image = stained(window, shape, cut_source(source, *instance.inner), rng)
    near = cv2.dilate(shape.astype(np.uint8), disc(min(rim, 4))) > 0
    return Joined(image, np.asarray(near)), x, y
