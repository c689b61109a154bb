"""Filling the place of a defect: a texture from its own surroundings, an object from other images at the same place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.masks import grown, window_of
from carpet_data.synthesis.ops.membrane import membrane
from carpet_data.synthesis.ops.pixels import F32, blurred, to_bytes
from carpet_data.synthesis.ops.quilting import across, regrained
from carpet_data.synthesis.ops.seam import cut_between
from carpet_data.synthesis.plates.alignment import Matrix, bend, laid, laid_mask

_MARGIN_FRAC = 0.12
_MARGIN_RANGE_PX = (4, 32)
_CONTEXT_FRAC, _CONTEXT_RANGE_PX = 0.5, (40, 160)
_CUT_REACH_PX = 16
_LIGHT_PX = 6.0
_QUANTILE = 0.95
_MISFIT_LEVELS, _MISFIT_CONTRAST = 6.0, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Another image of the product.

    Attributes:
        id: Its sample.
        image: uint8, of the target's size.
        hole: bool HxW: its own defects, with a margin.
        matrix: How it lies under the target.
    """

    id: str
    image: Image
    hole: Mask
    matrix: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class LaidReference:
    """A reference in a window of the target: bent and lit to meet it.

    Attributes:
        image: uint8 hxwx3 or hxw.
        misfit: Gray levels by which it differs from the target around the hole, where it differs most.
    """

    id: str
    image: Image
    misfit: float


def hole_of(mask: Mask) -> Mask:
    """What is filled for a mask (bool HxW): each component grown by a share of its size.

    Annotations stop short of bent yarns and shadows.
    """
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    hole = np.zeros_like(mask)
    for number in range(1, count):
        part = parts == number
        extent = max(side.stop - side.start for side in window_of(part))
        margin = int(np.clip(_MARGIN_FRAC * extent, *_MARGIN_RANGE_PX))
        window = window_of(part, margin)
        hole[window] |= grown(part[window], margin)
    return hole


def parts_of(hole: Mask) -> Iterator[Mask]:
    """The connected parts of a hole, each bool HxW."""
    count, parts = cv2.connectedComponents(hole.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        yield parts == number


def window_around(part: Mask) -> tuple[slice, slice]:
    """The window in which a part is filled and judged."""
    extent = max(side.stop - side.start for side in window_of(part))
    return window_of(part, int(np.clip(_CONTEXT_FRAC * extent, *_CONTEXT_RANGE_PX)))


def laid_references(
    image: Image, hole: Mask, part: Mask, window: tuple[slice, slice], references: Sequence[Reference]
) -> list[LaidReference]:
    """The references that are intact where a part of the hole is, laid into its window; the best fitting first."""
    here = np.ascontiguousarray(image[window])
    core = part[window]
    near = grown(core, _CUT_REACH_PX) & ~hole[window]
    found = []
    for reference in references:
        spoiled = laid_mask(reference.hole, reference.matrix, window)
        if (spoiled & (core | near)).any() or not near.any():
            continue
        known = ~hole[window] & ~spoiled
        flow = bend(here, laid(reference.image, reference.matrix, window), known)
        there = laid(reference.image, reference.matrix, window, flow)
        lit = to_bytes(there.astype(np.float32) + membrane(here, there, known, _LIGHT_PX))
        lit = regrained(lit, here, near)
        found.append(LaidReference(reference.id, lit, misfit(lit, here, near)))
    return sorted(found, key=lambda each: (each.misfit, each.id))


def misfit(one: Image, other: Image, where: Mask) -> float:
    """By how many levels two windows differ, of the channel that differs most; at the places that differ most."""
    difference = np.abs(one.astype(np.float32) - other).reshape(*one.shape[:2], -1).max(axis=2)
    return float(np.quantile(blurred(difference, 2.0)[where], _QUANTILE))


def inlaid(here: Image, laid_in: Image, core: Mask, free: Mask) -> tuple[Image, Mask, F32]:
    """A window with a laid reference in it: the window, what of it is filled, and the rim.

    `core` (bool hxw) is filled in any case; the cut runs through what is `free` around it, where it shows least.
    """
    reach = grown(core, _CUT_REACH_PX) & free & ~core
    area = cut_between(laid_in, here, core, reach)
    result = here.copy()
    result[area] = laid_in[area]
    return result, area, across(area, ~area)


def rim_misfit(laid_in: Image, here: Image, rim: F32, known: Mask) -> float:
    """How far a laid reference is off what it meets along the rim; above 1 an eye sees it.

    More may pass beside an edge or in rough texture than on a plain surface.
    """
    line = (rim[..., 0] != 0) | (rim[..., 1] != 0)
    near = grown(line, 3) & known
    if not near.any():
        return 0.0
    apart = np.abs(blurred(laid_in, 1.5) - blurred(here, 1.5)).reshape(*known.shape, -1).max(axis=2)
    light = here.astype(np.float32).reshape(*known.shape, -1).mean(axis=2)
    mean, square = (cv2.blur(values, (9, 9)) for values in (light, light * light))
    allowed = _MISFIT_LEVELS + _MISFIT_CONTRAST * np.sqrt(np.maximum(square - mean * mean, 0))
    return float(np.quantile((apart / allowed)[near], _QUANTILE))
