"""Draw a new instance of a class: its shape, and the donors laid around it to fill it from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from carpet_data.synthesis.contract import Donor, Image, Mask
from carpet_data.synthesis.ops.guided_quilting import Source, lay_donor
from carpet_data.synthesis.ops.new_shape import axis_of, cropped, is_thin, new_shape, turned

__all__ = ["Habits", "Instance", "cut_source", "draw", "edges_touched", "in_channels"]

_INSET_FRAC = 0.04
_FLIPPED = {"left": "right", "right": "left", "top": "top", "bottom": "bottom"}


@dataclass(frozen=True, slots=True)
class Habits:
    """How an instance may differ from its donors.

    Attributes:
        angles_deg: Turn of each donor, counter-clockwise.
        flip: Whether they are mirrored left to right.
        mirrored_too: Whether mirror images may lend texture as well.
        area_range_px: Of the shape.
        morph_range: How far the shape goes towards the second donor's.
        deform_frac: As `shapes.deform`.
        bend_frac: Largest curve and wave of thin shapes, as `shapes.bend`.
    """

    angles_deg: tuple[float, ...]
    flip: bool
    mirrored_too: bool
    area_range_px: tuple[float, float]
    morph_range: tuple[float, float]
    deform_frac: float
    bend_frac: float


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A new shape and what to fill it from, in one frame.

    Attributes:
        shape: bool HxW.
        sources: Donors laid into the frame, the leading one first.
        inner: Rows and columns of the frame that hold the shape and its rim.
        edges: Edges of the image ("left", …) that the shape has to lie on; it meets the same edges of the frame.
        drawn: What was drawn.
    """

    shape: Mask
    sources: list[Source]
    inner: tuple[slice, slice]
    edges: frozenset[str]
    drawn: Mapping[str, Any]


def edges_touched(donor: Donor) -> frozenset[str]:
    """The edges of the donor's image that its defect reaches."""
    x, y, width, height = donor.box
    reached = {
        "left": x == 0 and donor.mask[:, 0].any(),
        "top": y == 0 and donor.mask[0].any(),
        "right": x + width == donor.size[0] and donor.mask[:, -1].any(),
        "bottom": y + height == donor.size[1] and donor.mask[-1].any(),
    }
    return frozenset(name for name, touches in reached.items() if touches)


def draw(
    donors: Sequence[Donor],
    habits: Habits,
    rng: np.random.Generator,
    *,
    rim_px: int,
    search_px: int,
    most: tuple[int, int],
) -> Instance:
    """Draw an instance.

    Args:
        donors: One or more; the first leads.
        habits: What may be drawn.
        rng: Draws it.
        rim_px: How much of the shape's surroundings belongs to the instance.
        search_px: How much more room the frame has, for patches to be looked for.
        most: Rows and columns of the host: a larger shape is cut off.

    Returns:
        The instance.
    """
    lead = donors[0]
    edges = edges_touched(lead)
    if habits.flip:
        edges = frozenset(_FLIPPED[edge] for edge in edges)
    if len(edges & {"left", "right"}) == 2:
        # Hosts may have other sizes than donors: from edge to edge is from one edge as far as it goes.
        edges -= {"right"}
    if len(edges & {"top", "bottom"}) == 2:
        edges -= {"bottom"}
    if is_thin(lead.mask):
        shape, sources, drawn = _thread(lead, habits, rng, rim_px + search_px, straight=bool(edges))
    else:
        shape, sources, drawn = _blob(donors, habits, rng, rim_px + search_px)
    rows, columns = _window(shape, rim_px + search_px, edges)
    shape = np.ascontiguousarray(shape[rows, columns])
    sources = [cut_source(source, rows, columns) for source in sources]
    rows, columns = _window(shape, rim_px, frozenset())
    inner = (_shortened(rows, most[0], "top", "bottom", edges), _shortened(columns, most[1], "left", "right", edges))
    drawn |= {"area_px": int(shape.sum()), "edges": sorted(edges)}
    return Instance(shape, sources, inner, edges, drawn)


def in_channels(source: Source, host: Image) -> Source:
    """The source in as many channels as the host has."""
    if source.image.ndim == host.ndim:
        return source
    if host.ndim == 2:
        return Source(cv2.cvtColor(source.image, cv2.COLOR_RGB2GRAY).astype(np.uint8), source.mask, source.valid)
    return Source(np.repeat(source.image[:, :, None], 3, axis=2), source.mask, source.valid)


def _thread(
    lead: Donor, habits: Habits, rng: np.random.Generator, margin: int, *, straight: bool
) -> tuple[Mask, list[Source], dict[str, Any]]:
    """A thin defect: its texture runs along it, so donor and shape are bent as one."""
    most = 0.0 if straight else habits.bend_frac
    curve, wave = (float(rng.uniform(-most, most)) for _ in range(2))
    phase = float(rng.uniform(0, 2 * np.pi))
    area = float(lead.mask.sum())
    limits = [float(np.sqrt(limit / area)) for limit in habits.area_range_px]
    scale = float(np.clip(rng.uniform(0.85, 1.15), min(limits[0], 1.0), max(limits[1], 1.0)))
    # Twice the farthest pixel from the centre of gravity holds it however it is turned.
    axis = axis_of(lead.mask)
    y, x = np.nonzero(lead.mask)
    farthest = float(np.hypot(x - axis.x, y - axis.y).max()) + 1
    half = int(np.ceil(farthest * scale * (1 + 2 * most))) + margin + 2
    frame = (2 * half + 1, 2 * half + 1)
    angle, flip = habits.angles_deg[0], habits.flip
    first = lay_donor(lead, frame, angle_deg=angle, flip=flip, scale=scale, bend=(curve, wave / 2, phase))
    # Turned half way round the thread runs the other way; the bend has to run with it.
    back = lay_donor(lead, frame, angle_deg=angle + 180, flip=flip, scale=scale, bend=(-curve, wave / 2, -phase))
    drawn = {"angle_deg": angle, "flip": flip, "scale": scale, "bend": [curve, wave / 2, phase]}
    return first.mask, [first, back] if habits.mirrored_too else [first], drawn


def _blob(
    donors: Sequence[Donor], habits: Habits, rng: np.random.Generator, margin: int
) -> tuple[Mask, list[Source], dict[str, Any]]:
    """A defect with an inside: a new outline, the donors laid about its centre, each also mirrored."""
    flip = habits.flip
    turns = list(zip(donors, habits.angles_deg, strict=True))
    masks = [turned(cropped(donor.mask), angle, flip=flip) for donor, angle in turns]
    shape = new_shape(
        masks,
        rng,
        area_range_px=habits.area_range_px,
        morph_range=habits.morph_range,
        deform_frac=habits.deform_frac,
        bend_frac=habits.bend_frac,
    )
    axis = axis_of(shape)
    half = int(np.ceil(max(axis.x, axis.y, shape.shape[1] - axis.x, shape.shape[0] - axis.y))) + margin + 2
    frame = np.zeros((2 * half + 1, 2 * half + 1), np.bool_)
    top, left = half - round(axis.y), half - round(axis.x)
    frame[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
    size = (frame.shape[0], frame.shape[1])
    sources = [lay_donor(donor, size, angle_deg=angle, flip=flip) for donor, angle in turns]
    if habits.mirrored_too:
        # Not the leading donor beside its own mirror image: a symmetric defect looks made.
        others = turns[1:] or turns
        sources += [lay_donor(donor, size, angle_deg=angle, flip=not flip) for donor, angle in others]
    return frame, sources, {"angle_deg": habits.angles_deg[0], "flip": flip}


def _window(shape: Mask, margin: int, edges: frozenset[str]) -> tuple[slice, slice]:
    """The part of the frame that holds the shape and a margin; at the edges it lies on, a little of the shape is cut.

    An outline that meets the edge of an image does so over some length, not in the one pixel that reaches farthest.
    """
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    down, across = int((bottom - top) * _INSET_FRAC), int((right - left) * _INSET_FRAC)
    return (
        slice(
            top + down if "top" in edges else max(0, top - margin),
            bottom - down if "bottom" in edges else min(shape.shape[0], bottom + margin),
        ),
        slice(
            left + across if "left" in edges else max(0, left - margin),
            right - across if "right" in edges else min(shape.shape[1], right + margin),
        ),
    )


def _shortened(part: slice, most: int, first: str, last: str, edges: frozenset[str]) -> slice:
    """At most `most` long: kept where it meets an edge, otherwise in its middle."""
    too_much = max(0, part.stop - part.start - most)
    before = 0 if first in edges else too_much if last in edges else too_much // 2
    return slice(part.start + before, part.stop - (too_much - before))


def cut_source(source: Source, rows: slice, columns: slice) -> Source:
    """A window of the frame."""
    return Source(
        np.ascontiguousarray(source.image[rows, columns]),
        np.ascontiguousarray(source.mask[rows, columns]),
        np.ascontiguousarray(source.valid[rows, columns]),
    )
