"""A clean plate: the defects of an image taken out, and the verdict on what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carpet_data.synthesis.contract import Image, Mask, Redraw
from carpet_data.synthesis.ops.masks import grown
from carpet_data.synthesis.ops.period import structure_of
from carpet_data.synthesis.ops.pixels import F32
from carpet_data.synthesis.ops.quilting import quilted
from carpet_data.synthesis.plates import gate, leftovers
from carpet_data.synthesis.plates.alignment import Target, aligned, laid_mask
from carpet_data.synthesis.plates.alignment import laid as laid_image
from carpet_data.synthesis.plates.filling import (
    LaidReference,
    Reference,
    hole_of,
    inlaid,
    laid_references,
    parts_of,
    rim_misfit,
    window_around,
)
from carpet_data.synthesis.plates.gate import PlateVerdict, View

__all__ = ["COMPARED", "Other", "Plate", "make_plate", "references_of"]

_TRIES = 3
COMPARED = 12


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """Another training image.

    Attributes:
        id: Its sample.
        image: uint8 HxWx3 or HxW.
        mask: bool HxW: all of its defects.
        foreground: bool HxW: its object; None where none was found.
    """

    id: str
    image: Image
    mask: Mask
    foreground: Mask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """A defect image without its defects.

    Attributes:
        image: uint8, the shape of the image.
        area: bool HxW: what was filled; no other pixel differs.
        rim: float32 HxWx2: where the cuts run, and the direction across them (see `measures.FilledShape`).
        verdict: Whether it may be used.
        filled_from: Ids of the other images that lent pixels; none for a texture, which is filled from itself.
    """

    image: Image
    area: Mask
    rim: F32
    verdict: PlateVerdict
    filled_from: tuple[str, ...] = ()


def make_plate(
    image: Image,
    mask: Mask,
    others: Sequence[Other],
    rng: np.random.Generator,
    *,
    is_object: bool,
    foreground: Mask | None = None,
) -> Plate:
    """Take all defects out of an image, and judge the result.

    A texture is quilted from its own clean part; an object is filled from other images at the same place. The best of a
    few tries is returned, passed or not.

    Args:
        image: uint8 HxWx3 or HxW.
        mask: bool HxW: every defect in it, of every class.
        others: Other training images: donors of objects, and what is compared with.
        rng: Chooses among patches, and places to compare with.
        is_object: Whether images show an object on a background.
        foreground: bool HxW: the object; needed for objects.

    Raises:
        ValueError: The mask is of another size.
    """
    if mask.shape != image.shape[:2]:
        raise ValueError(f"mask of shape {mask.shape} for an image of shape {image.shape}")
    hole = hole_of(mask)
    if not hole.any():
        return _none(image, hole)
    if is_object:
        return _of_object(image, mask, hole, foreground, others)
    return _of_texture(image, mask, hole, others, rng)


def _of_texture(image: Image, mask: Mask, hole: Mask, others: Sequence[Other], rng: np.random.Generator) -> Plate:
    views = [View(other.image, ~hole_of(other.mask)) for other in others if other.image.shape == image.shape]
    structure = structure_of(image, hole)
    best: Plate | None = None
    for _ in range(_TRIES):
        try:
            quilt = quilted(image, hole, ~hole, rng, keep_grain=True)
        except Redraw:
            break
        known = View(quilt.image, ~(hole | quilt.area))
        verdict = gate.judged_by_places(known, quilt.area, quilt.rim, views, rng)
        if verdict.passed and structure is not None:
            parts = [gate.off_period(known, part, structure) for part in parts_of(quilt.area)]
            verdict = verdict.with_score("period", max(parts))
        if verdict.passed:
            verdict = verdict.with_score("leftover", leftovers.likeness(image, quilt.image, mask, quilt.area)[0])
        plate = Plate(quilt.image, quilt.area, quilt.rim, _exact(verdict, image, quilt.image, mask, quilt.area))
        if plate.verdict.passed:
            return plate
        best = plate if best is None or plate.verdict.worst < best.verdict.worst else best
        if plate.verdict.worst >= gate.HOPELESS:
            break
    return best or _none(image, hole, "no-room")


def _of_object(image: Image, mask: Mask, hole: Mask, foreground: Mask | None, others: Sequence[Other]) -> Plate:
    references = references_of(image, hole, foreground, others)
    result, area, rims = image.copy(), np.zeros_like(hole), np.zeros((*hole.shape, 2), np.float32)
    sources: set[str] = set()
    verdict = PlateVerdict()
    for part in parts_of(hole):
        window = window_around(part)
        laid = laid_references(image, hole, part, window, references)
        if not laid:
            return _none(image, hole, "no-reference")
        filled = _part_filled(result[window], hole[window], part[window], laid)
        result[window] = filled.image
        area[window] |= filled.area
        np.copyto(rims[window], filled.rim, where=filled.rim.any(axis=-1, keepdims=True))
        sources.update(filled.filled_from)
        verdict = verdict.and_also(filled.verdict)
        if not verdict.passed:
            # What is left of the defect shows on the sheet; the plate is refused already.
            return Plate(result, area | hole, rims, verdict, tuple(sorted(sources)))
    whole = (slice(0, hole.shape[0]), slice(0, hole.shape[1]))
    compared = references[:COMPARED]
    known = [~grown(area, 2), *(~laid_mask(each.hole, each.matrix, whole) for each in compared)]
    laid_whole = [laid_image(each.image, each.matrix, whole) for each in compared]
    verdict = verdict.with_score("leftover", leftovers.strangeness(result, known, laid_whole))
    return Plate(result, area, rims, _exact(verdict, image, result, mask, area), tuple(sorted(sources)))


def references_of(image: Image, hole: Mask, foreground: Mask | None, others: Sequence[Other]) -> list[Reference]:
    """The other images that can be laid under this one."""
    everywhere = np.ones(hole.shape, np.bool_)
    target = Target(image, ~hole, everywhere if foreground is None else foreground)
    found = []
    for other in others:
        if other.image.shape == image.shape:
            there = everywhere if other.foreground is None else other.foreground
            matrix = aligned(target, other.image, there)
            if matrix is not None:
                found.append(Reference(other.id, other.image, hole_of(other.mask), matrix))
    return found


def _part_filled(here: Image, hole: Mask, core: Mask, laid: Sequence[LaidReference]) -> Plate:
    """A window filled from the first of the best fitting references that passes; the best of them if none does."""
    best: Plate | None = None
    here = np.ascontiguousarray(here)
    for donor in laid[:_TRIES]:
        filled, area, rim = inlaid(here, donor.image, core, ~hole)
        verdict = PlateVerdict().with_score("misfit", rim_misfit(donor.image, here, rim, ~hole))
        if verdict.passed:
            compared = [each.image for each in laid if each is not donor][:COMPARED]
            verdict = verdict.and_also(gate.judged_by_references(filled, area, rim, ~(hole | area), compared))
        if best is None or verdict.worst < best.verdict.worst:
            best = Plate(filled, area, rim, verdict, (donor.id,))
        if verdict.passed or verdict.worst >= gate.HOPELESS:
            break
    assert best is not None
    return best


def _none(image: Image, hole: Mask, *reasons: str) -> Plate:
    return Plate(image.copy(), hole, np.zeros((*hole.shape, 2), np.float32), PlateVerdict(reasons))


def _exact(verdict: PlateVerdict, image: Image, plate: Image, mask: Mask, area: Mask) -> PlateVerdict:
    """What no fill may fail: nothing changed outside the filled area, and everything marked lies in it."""
    verdict = verdict.with_score("outside", float(gate.changed_outside(plate, image, area) > 0) * 2)
    return verdict.with_score("uncovered", float((mask & ~area).any()) * 2)
