"""Polygons along pixel edges: an exact second way to write a mask down.

Vertices lie on pixel corners, so a single pixel is the square (x, y) … (x + 1, y + 1) and pycocotools' rasterizer
gives back the same pixels. A hole is part of its polygon: a vertical seam, walked there and back, joins it to the
outline above. The seam encloses nothing, and COCO's even-odd filling leaves the hole open.

How the outlines are found. Both ends of a run are unit edges of the outline: edge 2i is the upper end of run i and
edge 2i + 1 its lower end. On the vertical line between two columns, the outline runs where exactly one of the two
columns is set; so the end points of all edges on that line, sorted from top to bottom, are joined two by two. That
makes every edge point to the next, and the rings are walked without looking at a pixel.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np

from carpet_data.core.masks.regions import Regions
from carpet_data.core.masks.runs import IntArray

Ring: TypeAlias = list[int]
"""Flat x, y, x, y … of a closed ring; the first vertex is not repeated at the end."""


@dataclass(slots=True)
class _Outline:
    """One ring: its vertices, and the holes seamed to it.

    A hole's first vertex is its upper left corner, the foot of its seam.
    """

    xy: Ring
    is_hole: bool
    seams: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(position in xy, hole, x, y): before that position, go to (x, y) and from there down to the hole."""


def exact(regions: Regions) -> list[list[Ring]]:
    """The polygons of every instance, exact to the pixel.

    Pixels that touch at a corner are joined, so an 8-connected instance has one polygon, and an instance of several
    parts has several; their union is the instance.
    """
    return [_joined(rings) for rings in _outlines(regions)]


def simplified(regions: Regions, tolerance_px: float) -> list[list[Ring]]:
    """Polygons of fewer vertices (Douglas & Peucker, 1973), as `exact` gives them.

    A vertex that is left out is at most `tolerance_px` from the new outline. A ring that would collapse keeps its exact
    vertices, so that no instance is lost.
    """
    result = []
    for rings in _outlines(regions):
        for ring in rings.values():
            _simplify(ring, tolerance_px)
        result.append(_joined(rings))
    return result


def _outlines(regions: Regions) -> list[dict[int, _Outline]]:
    """The rings of each instance, by their first edge, in the order in which they are met column by column."""
    if len(regions) == 0:
        return []
    column = np.repeat(regions.runs.column, 2)
    y = np.empty(len(column), np.int64)
    y[0::2] = regions.runs.start
    y[1::2] = regions.runs.stop
    xs, ys, partners = column.tolist(), y.tolist(), _partners(regions, column, y)
    unseen = bytearray(b"\x01") * len(xs)
    position = [0] * len(xs)
    bounds: list[int] = (2 * regions.first).tolist()
    result = []
    for begin, end in itertools.pairwise(bounds):
        rings: dict[int, _Outline] = {}
        first = unseen.find(1, begin, end)
        while first >= 0:
            xy = _walk(first, xs, ys, partners, unseen, position)
            # Met column by column, an outline begins with the upper end of a run; a hole with the lower end of one.
            rings[first] = _Outline(xy, is_hole=bool(first & 1))
            first = unseen.find(1, first + 1, end)
        if any(ring.is_hole for ring in rings.values()):
            ring_of = _ring_of_edges(rings, xs, partners)
            for hole, ring in rings.items():
                if ring.is_hole:
                    # The run above the hole's upper left corner ends, higher up, in another ring: seam them.
                    upper = hole - 1
                    rings[ring_of[upper]].seams.append((position[upper], hole, xs[upper], ys[upper]))
        result.append(rings)
    return result


def _partners(regions: Regions, column: IntArray, y: IntArray) -> list[int]:
    """For each end point the one it is joined to; end point e is the left end of edge e, total + e its right end."""
    total = len(column)
    instance = np.repeat(regions.runs.value, 2)
    line = np.concatenate((column, column + 1))
    kind = np.arange(2 * total) & 1  # total is even, so left and right ends alternate alike
    # Upper ends before lower ends where they meet: this joins pixels that touch at a corner.
    key = ((np.tile(instance, 2) * (regions.runs.width + 2) + line) * (regions.runs.height + 2) + np.tile(y, 2)) * 2
    order = np.argsort(key + kind, kind="stable")
    partner = np.empty(2 * total, np.int64)
    partner[order[0::2]] = order[1::2]
    partner[order[1::2]] = order[0::2]
    joined: list[int] = partner.tolist()
    return joined


def _walk(
    first: int, xs: list[int], ys: list[int], partners: list[int], unseen: bytearray, position: list[int]
) -> Ring:
    """Go once round a ring: upper ends rightwards, lower ends leftwards, so that the mask is on the right hand."""
    total = len(xs)
    xy: Ring = []
    edge = first
    while True:
        unseen[edge] = 0
        position[edge] = len(xy)
        if edge & 1:
            x, joined = xs[edge], partners[edge]
        else:
            x, joined = xs[edge] + 1, partners[total + edge]
        following = joined if joined < total else joined - total
        y, next_y = ys[edge], ys[following]
        if y != next_y:
            xy += (x, y, x, next_y)
        edge = following
        if edge == first:
            return xy


def _ring_of_edges(rings: dict[int, _Outline], xs: list[int], partners: list[int]) -> dict[int, int]:
    """edge -> first edge of its ring; only needed where there are holes."""
    total = len(xs)
    ring_of: dict[int, int] = {}
    for first in rings:
        edge = first
        while edge not in ring_of:
            ring_of[edge] = first
            joined = partners[edge] if edge & 1 else partners[total + edge]
            edge = joined if joined < total else joined - total
    return ring_of


def _joined(rings: dict[int, _Outline]) -> list[Ring]:
    """The polygons of one instance: every outline with its holes seamed in."""
    whole: dict[int, Ring] = {}
    # A hole is always met after the ring it is seamed to, so going backwards finds every hole finished.
    for first, ring in reversed(rings.items()):
        if not ring.seams:
            whole[first] = ring.xy
            continue
        xy: Ring = []
        done = 0
        for position, hole, x, y in sorted(ring.seams):
            inner = whole.pop(hole)
            xy += ring.xy[done:position]
            xy += (x, y, *inner, inner[0], inner[1], x, y)
            done = position
        whole[first] = xy + ring.xy[done:]
    return [whole[first] for first in rings if first in whole]


def _simplify(ring: _Outline, tolerance_px: float) -> None:
    """Thin out a ring in place; the first vertex and the feet of seams stay."""
    pieces: list[Ring] = []
    done = 0
    head = ring.xy[:2]
    for position, _, x, y in sorted(ring.seams):
        pieces.append([*head, *ring.xy[done:position], x, y])
        head, done = [x, y], position
    pieces.append([*head, *ring.xy[done:], *ring.xy[:2]])
    if len(pieces) == 1:
        pieces = _halves(pieces[0])
    thin = [_thin(piece, tolerance_px) for piece in pieces]
    if sum(len(piece) // 2 - 1 for piece in thin) < 3:
        return
    xy: Ring = []
    seams = []
    for number, piece in enumerate(thin):
        # A piece's last vertex is the next one's first; a seam's own vertex is written with the seam.
        xy += piece[:-2] if number == 0 or not ring.seams else piece[2:-2]
        if ring.seams and number < len(ring.seams):
            _, hole, x, y = sorted(ring.seams)[number]
            seams.append((len(xy), hole, x, y))
    ring.xy, ring.seams = xy, seams


def _halves(piece: Ring) -> list[Ring]:
    """A piece that ends where it begins, cut at its farthest vertex: a line needs two different ends."""
    points = np.array(piece, np.int64).reshape(-1, 2)
    farthest = 2 * int(((points - points[0]) ** 2).sum(axis=1).argmax())
    return [piece[: farthest + 2], piece[farthest:]]


def _thin(piece: Ring, tolerance_px: float) -> Ring:
    points = np.array(piece, np.int32).reshape(-1, 1, 2)
    kept: list[int] = cv2.approxPolyDP(points, tolerance_px, closed=False).ravel().tolist()
    return kept
