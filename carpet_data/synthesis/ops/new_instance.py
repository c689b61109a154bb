"""Draw a new instance of a class: its shape, and the donors laid around it to fill it from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from carpet_data.synthesis.contract import Donor, Mask, Redraw, Scene
from carpet_data.synthesis.ops.guided_quilting import LaidDonor, lay_donor
from carpet_data.synthesis.ops.masks import cropped, window_of
from carpet_data.synthesis.ops.new_shape import centerd, is_thin, new_shape, turned
from carpet_data.synthesis.ops.placement import free_places, same_part
from carpet_data.synthesis.ops.pose import Sides, axis_of, mirrored, sides_of, turn_between

_INSET_FRAC = 0.04


@dataclass(frozen=True, slots=True)
class InstanceLimits:
    """How far an instance may differ from its donors.

    Attributes:
        area_slack: Its area may leave the range of the training masks by this factor.
        morph_range: How far its shape goes towards the second donor's.
        deform_frac: As `new_shape.deform`.
        bend_frac: Largest curve and wave of thin shapes, as `new_shape.bend`; objects are not bent.
        mirrored_too: Whether mirror images of donors may lend texture as well; not on objects.
    """

    area_slack: float
    morph_range: tuple[float, float]
    deform_frac: float
    bend_frac: float
    mirrored_too: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class NewInstance:
    """A new shape and what to fill it from, in one frame.

    Attributes:
        shape: bool HxW.
        sources: Donors laid into the frame, the leading one first.
        inner: Rows and columns of the frame that hold the shape and its rim.
        sides: Borders of the image that the shape has to lie on; it meets the same borders of the frame.
        drawn: What was drawn.
    """

    shape: Mask
    sources: list[LaidDonor]
    inner: tuple[slice, slice]
    sides: Sides
    drawn: Mapping[str, Any]


def distinct_donors(scene: Scene) -> list[Donor]:
    """The scene's donors with defect pixels, each once: a class of fewer donors than asked for fills up with repeats.

    Raises:
        Redraw: There are none.
    """
    donors = list({donor.id: donor for donor in scene.donors if donor.mask.any()}.values())
    if not donors:
        raise Redraw("the donors have no defect pixels")
    return donors


def drawn_turn(lead: Donor, size: tuple[int, int], rng: np.random.Generator, *, freely: bool = True) -> float:
    """How far the donors of a texture are turned, in degrees counter-clockwise.

    Threads lie as they fall, by any angle where `freely` and the host (rows, columns) has room; what the weave itself
    suffers runs along its yarns, so it is turned half way round or not at all; what reaches a border is not turned.
    """
    if sides_of(lead):
        return 0.0
    if freely and is_thin(lead.mask) and np.hypot(lead.box[2], lead.box[3]) < min(size):
        return float(rng.uniform(0, 360))
    return 180.0 * int(rng.integers(2))


def places_for(scene: Scene, shape: Mask, sides: Sides) -> Mask:
    """Corners that a shape's window may have on the host: anywhere, or on the leading donor's part of the object.

    Raises:
        Redraw: There are none.
    """
    size = (scene.host.shape[0], scene.host.shape[1])
    if scene.foreground is None or scene.donors[0].foreground is None:
        return free_places(shape, size, scene.foreground, sides)
    return same_part(shape, size, scene.donors[0], scene.foreground)


def draw(
    scene: Scene,
    donors: Sequence[Donor],
    angle_deg: float,
    limits: InstanceLimits,
    rng: np.random.Generator,
    *,
    rim_px: int = 0,
    search_px: int = 0,
) -> NewInstance:
    """Draw an instance for a host; a shape larger than the host is cut off.

    The first of the donors, as `distinct_donors` gives them, leads. `angle_deg` turns them on a texture,
    counter-clockwise, where they may also be mirrored; on an object they lie as the host's object does. `rim_px` of the
    shape's surroundings belong to the instance; the frame has `search_px` more room, for patches to be looked for.

    Raises:
        Redraw: Nothing of the shape is left on the host.
    """
    texture, (height, width) = scene.foreground is None, scene.host.shape[:2]
    areas = [share * height * width for share in scene.facts.areas_frac] or [float(donors[0].mask.sum())]
    ranges = _Ranges(
        angles_deg=tuple(angle_deg if texture else turn_between(d.foreground, scene.foreground) for d in donors),
        flip=texture and bool(rng.integers(2)),
        mirrored_too=texture and limits.mirrored_too,
        area_px=(min(areas) / limits.area_slack, max(areas) * limits.area_slack),
        bend_frac=limits.bend_frac if texture else 0.0,
    )
    sides = mirrored(sides_of(donors[0])) if ranges.flip else sides_of(donors[0])
    # Hosts may have other sizes than donors: from border to border is from one border as far as it goes.
    for one, other in (("left", "right"), ("top", "bottom")):
        if one in sides:
            sides -= {other}
    if is_thin(donors[0].mask):
        shape, sources, drawn = _thread(donors[0], ranges, rng, rim_px + search_px, straight=bool(sides))
    else:
        shape, sources, drawn = _blob(donors, ranges, limits, rng, rim_px + search_px)
    rows, columns = _window(shape, rim_px + search_px, sides)
    shape = np.ascontiguousarray(shape[rows, columns])
    sources = [source.part(rows, columns) for source in sources]
    rows, columns = window_of(shape, rim_px)
    inner = (_shortened(rows, height, "top", "bottom", sides), _shortened(columns, width, "left", "right", sides))
    if not shape[inner].any():
        raise Redraw("the drawn shape is larger than the host")
    drawn |= {"area_px": int(shape.sum()), "edges": sorted(sides)}
    return NewInstance(shape, sources, inner, sides, drawn)


@dataclass(frozen=True, slots=True)
class _Ranges:
    """What of the limits holds on this host: how each donor lies, the areas in pixels."""

    angles_deg: tuple[float, ...]
    flip: bool
    mirrored_too: bool
    area_px: tuple[float, float]
    bend_frac: float


def _thread(
    lead: Donor, ranges: _Ranges, rng: np.random.Generator, margin: int, *, straight: bool
) -> tuple[Mask, list[LaidDonor], dict[str, Any]]:
    """A thin defect: its texture runs along it, so donor and shape are bent as one."""
    most = 0.0 if straight else ranges.bend_frac
    curve, wave = (float(rng.uniform(-most, most)) for _ in range(2))
    phase = float(rng.uniform(0, 2 * np.pi))
    area = float(lead.mask.sum())
    limits = [float(np.sqrt(limit / area)) for limit in ranges.area_px]
    scale = float(np.clip(rng.uniform(0.85, 1.15), min(limits[0], 1.0), max(limits[1], 1.0)))
    # Twice the farthest pixel from the center of gravity holds it however it is turned.
    axis = axis_of(lead.mask)
    y, x = np.nonzero(lead.mask)
    farthest = float(np.hypot(x - axis.x, y - axis.y).max()) + 1
    half = int(np.ceil(farthest * scale * (1 + 2 * most))) + margin + 2
    frame = (2 * half + 1, 2 * half + 1)
    angle, flip = ranges.angles_deg[0], ranges.flip
    first = lay_donor(lead, frame, angle_deg=angle, flip=flip, scale=scale, bend=(curve, wave / 2, phase))
    # Turned half way round the thread runs the other way; the bend has to run with it.
    back = lay_donor(lead, frame, angle_deg=angle + 180, flip=flip, scale=scale, bend=(-curve, wave / 2, -phase))
    drawn = {"angle_deg": angle, "flip": flip, "scale": scale, "bend": [curve, wave / 2, phase]}
    return first.mask, [first, back] if ranges.mirrored_too else [first], drawn


def _blob(
    donors: Sequence[Donor], ranges: _Ranges, limits: InstanceLimits, rng: np.random.Generator, margin: int
) -> tuple[Mask, list[LaidDonor], dict[str, Any]]:
    """A defect with an inside: a new outline, the donors laid about its center, each also mirrored."""
    flip = ranges.flip
    turns = list(zip(donors, ranges.angles_deg, strict=True))
    shape = new_shape(
        [turned(cropped(donor.mask), angle, flip=flip) for donor, angle in turns],
        rng,
        area_range_px=ranges.area_px,
        morph_range=limits.morph_range,
        deform_frac=limits.deform_frac,
        bend_frac=ranges.bend_frac,
    )
    axis = axis_of(shape)
    half = int(np.ceil(max(axis.x, axis.y, shape.shape[1] - axis.x, shape.shape[0] - axis.y))) + margin + 2
    frame = centerd(shape, half)
    size = (frame.shape[0], frame.shape[1])
    sources = [lay_donor(donor, size, angle_deg=angle, flip=flip) for donor, angle in turns]
    if ranges.mirrored_too:
        # Not the leading donor beside its own mirror image: a symmetric defect looks made.
        others = turns[1:] or turns
        sources += [lay_donor(donor, size, angle_deg=angle, flip=not flip) for donor, angle in others]
    return frame, sources, {"angle_deg": ranges.angles_deg[0], "flip": flip}


def _window(shape: Mask, margin: int, sides: Sides) -> tuple[slice, slice]:
    """The part of the frame that holds the shape and a margin; at the borders it lies on, a little of it is cut off.

    An outline that meets the border of an image does so over some length, not in the one pixel that reaches farthest.
    """
    inner, outer = window_of(shape), window_of(shape, margin)
    inset = [int((part.stop - part.start) * _INSET_FRAC) for part in inner]
    return tuple(  # type: ignore[return-value]
        slice(
            tight.start + cut if first in sides else wide.start,
            tight.stop - cut if last in sides else wide.stop,
        )
        for tight, wide, cut, first, last in zip(inner, outer, inset, ("top", "left"), ("bottom", "right"), strict=True)
    )


def _shortened(part: slice, most: int, first: str, last: str, sides: Sides) -> slice:
    """At most `most` long: kept where it meets a border, otherwise in its middle."""
    too_much = max(0, part.stop - part.start - most)
    before = 0 if first in sides else too_much if last in sides else too_much // 2
    return slice(part.start + before, part.stop - (too_much - before))
