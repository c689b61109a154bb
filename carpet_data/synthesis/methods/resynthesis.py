"""resynthesis: a new shape from the class's masks, filled from parts of its donors and joined to the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Method, Redraw, Scene, Unsuited
from carpet_data.synthesis.methods.parameters import Parameters, ShareRange, VisibleLevels
from carpet_data.synthesis.ops.compositing import candidate, join
from carpet_data.synthesis.ops.donor_style import Character, measure
from carpet_data.synthesis.ops.guided_quilting import LaidDonor, mosaic
from carpet_data.synthesis.ops.likeness import contrast_of, unlike
from carpet_data.synthesis.ops.masks import grown
from carpet_data.synthesis.ops.new_instance import (
    InstanceLimits,
    NewInstance,
    distinct_donors,
    draw,
    drawn_turn,
    places_for,
)
from carpet_data.synthesis.ops.new_shape import is_thin
from carpet_data.synthesis.ops.placement import drawn_corner, place_alike
from carpet_data.synthesis.ops.pose import sides_of
from carpet_data.synthesis.ops.relief import relief_of
from carpet_data.synthesis.ops.stain_transfer import stained
from carpet_data.synthesis.ops.visible import visible_levels, visible_mask

_SEARCH_PX = 24
_LEAST_SEEN = 0.3
_AROUND_PX = 24


class ResynthesisParameters(Parameters):
    """Parameters of `resynthesis`."""

    fill: Literal["auto", "quilt", "tint"] = Field(
        "auto",
        description="quilt: replace the texture by parts of the donors; tint: keep it and change its color, as a stain "
        "does; auto: measured on the first donor.",
    )
    morph_range: ShareRange = Field(
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
        "angle for thin defects that hide the texture, half turns for others. At an image border nothing is turned.",
    )
    patch_frac: float = Field(
        0.6, ge=0.1, le=2, description="Edge of a patch as a share of the root of the shape's area."
    )
    area_slack: float = Field(
        1.2, ge=1, le=4, description="Factor by which the area may leave the range of the training masks."
    )
    ring_px: int = Field(5, ge=1, le=32, description="How far the cut may leave the edge of the shape.")
    feather_px: float = Field(0.8, ge=0, le=8, description="Softness of the cut; 0 for none.")
    visible_levels: VisibleLevels = None


class Resynthesis(Method):
    """New instances of a class; see `ResynthesisParameters`."""

    # Version 2 measures donors as donor-paste does (stains, borders, what hides a weave); before, it had its own
    # measures, which did not recognize the stains of the sample carpet. Version 3 refuses what it cannot make:
    # lattices, lit reliefs, streaks and blocks.
    version = 3
    donors_needed = 3
    makes_nulls = True
    Parameters: type[BaseModel] = ResynthesisParameters

    def render(self, scene: Scene, parameters: ResynthesisParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate; the first donor leads, the others lend shape and texture.

        Raises:
            Redraw: The donors are too small for the drawn shape, or it has no room on the host.
        """
        p, size = parameters, (scene.host.shape[0], scene.host.shape[1])
        donors = distinct_donors(scene)
        _check_suited(scene, donors[0])
        character = measure(donors[0].image, donors[0].mask, is_object=scene.facts.is_object)
        # Where no weave has to be kept, parts of the donors show more of a defect than its color does.
        tinted = character.style == "tint" and not character.hides_texture
        stain = p.fill == "tint" or (p.fill == "auto" and tinted)
        rim = int(np.clip(0.12 * np.sqrt(donors[0].mask.sum()), 6, 16))
        angle = _angle(donors[0], size, character, p, rng) if scene.foreground is None else 0.0
        limits = InstanceLimits(p.area_slack, p.morph_range, p.deform_frac, p.bend_frac, mirrored_too=True)
        search = 0 if stain else _SEARCH_PX
        instance = draw(scene, donors, angle, limits, rng, rim_px=rim, search_px=search)
        shape = instance.shape[instance.inner]
        free = places_for(scene, shape, instance.sides)
        if stain:
            image, new, x, y = _stained(scene, instance, shape, free, rim, rng)
        else:
            image, new, x, y = _quilted(scene, instance, shape, free, p, rim, rng)
        before = scene.host[y : y + shape.shape[0], x : x + shape.shape[1]]
        seen = visible_mask(image, before, new, visible_levels(before, p.visible_levels))
        if seen.sum() < _LEAST_SEEN * shape.sum() and not scene.null:
            raise Redraw("hardly any of the change can be seen")
        if not (stain or scene.null):
            _check_like(scene, (x, y), image, seen, donors)
        drawn = {"fill": "tint" if stain else "quilt", "x": x, "y": y, **instance.drawn}
        return candidate(scene.host, (x, y), image, seen & (not scene.null), drawn)


def _check_suited(scene: Scene, lead: Donor) -> None:
    """Refuse what a new shape filled from parts cannot show.

    Raises:
        Unsuited: A lattice runs through the defect, or it is a relief under light from one side.
    """
    if scene.null or scene.foreground is not None:
        return
    if scene.structure is not None and scene.structure.lattice is not None:
        raise Unsuited(
            "a strict lattice runs through these defects, and a new shape would cut it; donor-paste keeps it"
        )
    if relief_of(lead.image, lead.mask).is_lit:
        raise Unsuited(
            "these defects are reliefs lit from one side, and their shading continues beyond a new shape; donor-paste "
            "keeps both"
        )


def _check_like(scene: Scene, corner: tuple[int, int], image: Image, seen: Mask, donors: Sequence[Donor]) -> None:
    """Refuse streaks that let the host shine through, and blocks.

    Raises:
        Redraw: The defect has another contrast than the donors.
    """
    (x, y), (height, width) = corner, seen.shape
    top, left = max(0, y - _AROUND_PX), max(0, x - _AROUND_PX)
    part = np.s_[top : y + height + _AROUND_PX, left : x + width + _AROUND_PX]
    after, mask = scene.host[part].copy(), np.zeros(scene.host[part].shape[:2], np.bool_)
    place = np.s_[y - top : y - top + height, x - left : x - left + width]
    after[place], mask[place] = image, seen
    why = unlike(contrast_of(after, mask), [contrast_of(donor.image, donor.mask) for donor in donors])
    if why is not None:
        raise Redraw(why)


def _angle(
    lead: Donor, size: tuple[int, int], character: Character, p: ResynthesisParameters, rng: np.random.Generator
) -> float:
    """How far the donors of a texture are turned, in degrees counter-clockwise."""
    if p.turn == "none" or sides_of(lead):
        return 0.0
    if p.turn == "quarter":
        return 90.0 * int(rng.integers(4))
    if p.turn == "free":
        return float(rng.uniform(0, 360))
    # A loose mask takes in some of the texture around, which would show its weave at a slant.
    return drawn_turn(lead, size, rng, freely=character.hides_texture)


def _stained(
    scene: Scene, instance: NewInstance, shape: Mask, free: Mask, rim: int, rng: np.random.Generator
) -> tuple[Image, Mask, int, int]:
    """Give the host's own texture the donor's stain: the window, where it is new, and its corner."""
    x, y = drawn_corner(free, rng)
    window = scene.host[y : y + shape.shape[0], x : x + shape.shape[1]]
    image = stained(window, shape, instance.sources[0].like(scene.host).part(*instance.inner), rng)
    return image, grown(shape, min(rim, 4)), x, y


def _quilted(
    scene: Scene,
    instance: NewInstance,
    shape: Mask,
    free: Mask,
    p: ResynthesisParameters,
    rim: int,
    rng: np.random.Generator,
) -> tuple[Image, Mask, int, int]:
    """Fill the shape from the donors and join it to the host: the window, where it is new, and its corner."""
    sources = [source.like(scene.host) for source in instance.sources]
    thin = is_thin(instance.shape)
    # A thread's parts are long: short ones would lose the gloss and twist that run along it.
    extent = max(instance.shape.shape) * 0.7 if thin else np.sqrt(instance.shape.sum())
    patch = int(np.clip(p.patch_frac * extent, 12, 160))
    defect, known = mosaic(instance.shape, sources, rng, patch_px=patch, rim_px=rim, light=not thin)
    defect, known = defect[instance.inner], known[instance.inner]
    reach = 0 if instance.sides else max(64, max(shape.shape) // 3)
    if scene.foreground is not None:
        x, y = _on_object(scene, instance, sources[0], free, reach, rng)
    else:
        x, y = place_alike(scene.host, defect, (known & ~shape).astype(np.float32), free, rng, reach_px=reach)
    window = scene.host[y : y + shape.shape[0], x : x + shape.shape[1]]
    image, new = join(window, defect, known, shape, ring_px=min(p.ring_px, rim), feather_px=p.feather_px)
    return image, new, x, y


def _on_object(
    scene: Scene, instance: NewInstance, lead: LaidDonor, free: Mask, reach: int, rng: np.random.Generator
) -> tuple[int, int]:
    """The place where the object around the leading donor lies on the host's: its outline shows best where it is."""
    rows, columns = instance.inner
    up, left = min(rows.start, _SEARCH_PX), min(columns.start, _SEARCH_PX)
    wide = np.s_[rows.start - up : rows.stop + _SEARCH_PX, columns.start - left : columns.stop + _SEARCH_PX]
    around = (lead.valid & ~grown(lead.mask, 2))[wide]
    height, width = around.shape
    corners = free[up:, left:][: max(0, scene.host.shape[0] - height + 1), : max(0, scene.host.shape[1] - width + 1)]
    if not corners.any() or not around.any():
        raise Redraw("that part of the object lies too near the edge of the host")
    weight = around.astype(np.float32)
    x, y = place_alike(scene.host, lead.image[wide], weight, np.ascontiguousarray(corners), rng, reach_px=reach)
    return x + left, y + up
