"""The gate of clean plates: a fill passes where its numbers are those of places that nobody filled.

Every threshold is what untouched places of the same shape reach, with a little room; `benchmarks/plates.py` measures
how often the gate then refuses a place that was never touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask, Structure
from carpet_data.synthesis.ops.masks import grown, window_of
from carpet_data.synthesis.ops.pixels import F32, grey
from carpet_data.synthesis.plates.measures import FilledShape, detail, measured
from carpet_data.synthesis.plates.nearest import Company

_TILE_FRAC, _TILE_RANGE_PX = 6, (32, 128)
_MARGIN_PX = 24
_LEAST_TILE = 0.02
_PLACES = 12
_LEAST_PLACES, _LEAST_REFERENCES = 5, 3
_DRAWS = 300
HOPELESS = 1.6
"""A fill that is so far off is not looked at further, and no second try is made."""
_LEAST_AROUND_FRAC = 0.5
_ROOM = {"seam": 1.25, "light": 1.25, "detail": 1.5, "direction": 1.5, "unlike": 1.25}
"""How much farther a fill may be than the farthest untouched place."""
_FLOORS = {"seam": 2.0, "light": 2.5, "detail": 0.12, "direction": 0.1, "unlike": 4.0}
"""What is added to the most that untouched places reach: nobody sees less."""
_TWO_SIDED = ("detail", "direction")
"""These may be too low as well as too high; steps and lights are sizes."""
_CELLS = 3


@dataclass(frozen=True, slots=True)
class PlateVerdict:
    """Whether a fill may be used.

    Attributes:
        reasons: Why not: "seam", "light", "detail", "outside", "few-places", "misfit", "unlike", "leftover"; none if it
            passes.
        scores: Measure -> the largest value over what untouched places allow; above 1 it refuses.
    """

    reasons: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it passes."""
        return not self.reasons

    @property
    def worst(self) -> float:
        """The largest score; infinite where the fill could not be judged."""
        return max(self.scores.values(), default=0.0) if "few-places" not in self.reasons else float("inf")

    def with_score(self, name: str, score: float) -> PlateVerdict:
        """The verdict with one more measure; above 1 it refuses."""
        reasons = self.reasons if score <= 1 or name in self.reasons else (*self.reasons, name)
        return PlateVerdict(reasons, {**self.scores, name: round(score, 3)})

    def and_also(self, other: PlateVerdict) -> PlateVerdict:
        """The verdict on two parts: the reasons of both, and the larger scores."""
        names = dict.fromkeys((*self.scores, *other.scores))
        scores = {name: max(self.scores.get(name, 0.0), other.scores.get(name, 0.0)) for name in names}
        return PlateVerdict(tuple(dict.fromkeys((*self.reasons, *other.reasons))), scores)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An image to compare with: uint8 HxWx3 or HxW, and (bool HxW) what of it shows no defect and was not filled."""

    image: Image
    known: Mask


def changed_outside(plate: Image, before: Image, area: Mask) -> int:
    """The number of pixels outside the filled area (bool HxW) that differ; 0 is what the gate asks for."""
    differs = np.asarray(plate != before).reshape(*area.shape, -1).any(axis=-1)
    return int(np.count_nonzero(differs & ~area))


def judged_by_places(
    plate: View, area: Mask, rim: F32, others: Sequence[View], rng: np.random.Generator
) -> PlateVerdict:
    """Judge a fill by untouched places of the same shape: in the image itself, and in others where it has too few.

    `plate.known` is what of the image is neither filled nor a defect.
    """
    worst: dict[str, float] = {}
    few = False
    own = _roughness(plate)
    scaled = [(view, own / _roughness(view)) for view in others]
    for window, shape in tiles(area, rim, plate.known):
        values = measured(np.ascontiguousarray(plate.image[window]), shape)
        places = _measured_places(plate, scaled, shape, rng, _PLACES)
        scores = scores_among(values, places, _LEAST_PLACES)
        if 1 < max(scores.values(), default=0.0) < HOPELESS:
            # Of a dozen places one may be the most uneven by chance: more are asked before the fill is refused.
            places += _measured_places(plate, scaled, shape, rng, _PLACES)
            scores = scores_among(values, places, _LEAST_PLACES)
        few |= _take(worst, values, scores)
        if max(worst.values(), default=0.0) >= HOPELESS:
            break
    return _verdict(worst, few=few)


def judged_by_references(plate: Image, area: Mask, rim: F32, known: Mask, laid: Sequence[Image]) -> PlateVerdict:
    """Judge a fill by the same place of other images.

    Args:
        plate: uint8 hxwx3 or hxw, a window.
        area: bool hxw: what was filled.
        rim: float32 hxwx2, see `FilledShape`.
        known: bool hxw: what is neither filled nor a defect.
        laid: Other images as they lie in the window.
    """
    worst: dict[str, float] = {}
    few = False
    for tile, shape in tiles(area, rim, known):
        values = measured(np.ascontiguousarray(plate[tile]), shape)
        places = [measured(np.ascontiguousarray(image[tile]), shape) for image in laid]
        # The farthest of a few images is not as far as the next one may be.
        scores = scores_among(values, places, _LEAST_REFERENCES, 1 + 2 / max(1, len(places)))
        few |= _take(worst, values, scores)
        if max(worst.values(), default=0.0) >= HOPELESS:
            break
    if len(laid) >= _LEAST_REFERENCES:
        worst["unlike"] = round(unlike(plate, area, laid), 3)
    return _verdict(worst, few=few)


def off_period(plate: View, area: Mask, structure: Structure | None) -> float:
    """How far an area is from the same texture whole periods away, as `unlike` counts; 0 where nothing repeats."""
    if structure is None or structure.lattice is None:
        return 0.0
    first, second = structure.lattice
    window = window_of(area, 2)
    core = area[window]
    shifted = []
    # Nearest first: periods are never quite even.
    for i, j in sorted(product(range(-_CELLS, _CELLS + 1), repeat=2), key=lambda ij: ij[0] ** 2 + ij[1] ** 2):
        x, y = (round(i * one + j * other) for one, other in zip(first, second, strict=True))
        rows, columns = (slice(s.start + by, s.stop + by) for s, by in zip(window, (y, x), strict=True))
        inside = rows.start >= 0 <= columns.start and rows.stop <= area.shape[0] and columns.stop <= area.shape[1]
        if inside and plate.known[rows, columns][core].all():
            shifted.append(np.ascontiguousarray(plate.image[rows, columns]))
    if len(shifted) < _LEAST_REFERENCES:
        return 0.0
    return unlike(np.ascontiguousarray(plate.image[window]), core, shifted[:_PLACES])


def unlike(image: Image, area: Mask, others: Sequence[Image]) -> float:
    """How far an area is from all others at that place, over how far these are from each other; above 1 is too far."""
    company = Company((image, *others), 1.5)
    reached = max(company.farthest(number, area, 0.98) for number in range(1, len(others) + 1))
    return company.farthest(0, area, 0.98) / (_ROOM["unlike"] * reached + _FLOORS["unlike"])


def tiles(area: Mask, rim: F32, known: Mask) -> Iterator[tuple[tuple[slice, slice], FilledShape]]:
    """The area in pieces, each a window with its shape: a fault must not vanish in the average of a large fill."""
    side = int(np.clip(min(area.shape) // _TILE_FRAC, *_TILE_RANGE_PX))
    line = _line(rim)
    rows, columns = window_of(area | line)
    for top in range(rows.start, rows.stop, side):
        for left in range(columns.start, columns.stop, side):
            inside = np.zeros_like(area)
            inside[top : top + side, left : left + side] = True
            piece, cut = area & inside, line & inside
            if piece.sum() < _LEAST_TILE * side * side and not cut.any():
                continue
            window = window_of(piece | cut, _MARGIN_PX)
            core = piece[window]
            around = grown(core, _MARGIN_PX) & ~area[window] & known[window]
            yield window, FilledShape(core, np.where(cut[window][..., None], rim[window], np.float32(0)), around)


def _line(rim: F32) -> Mask:
    return np.asarray((rim[..., 0] != 0) | (rim[..., 1] != 0))


def _places(
    view: View, shape: FilledShape, rng: np.random.Generator, count: int
) -> Iterator[tuple[Image, FilledShape]]:
    """Windows of an image where a shape would lie on known pixels only, with the shape there; drawn at random."""
    height, width = shape.area.shape
    rows, columns = view.known.shape[0] - height + 1, view.known.shape[1] - width + 1
    if rows < 1 or columns < 1:
        return
    core = (shape.area | _line(shape.rim)).astype(np.float32)
    # Where no unknown pixel lies under the core: a correlation, exact for numbers as small as these.
    under = cv2.filter2D(
        (~view.known).astype(np.float32), cv2.CV_32F, core, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT
    )
    free = np.flatnonzero((np.asarray(under)[:rows, :columns] < 0.5).ravel())
    if len(free) == 0:
        return
    found = 0
    for place in rng.permutation(free)[:_DRAWS].tolist():
        top, left = divmod(place, columns)
        window = np.s_[top : top + height, left : left + width]
        around = shape.around & view.known[window]
        if around.sum() >= _LEAST_AROUND_FRAC * shape.around.sum():
            yield np.ascontiguousarray(view.image[window]), FilledShape(shape.area, shape.rim, around)
            found += 1
            if found == count:
                return


def _roughness(view: View) -> float:
    """How much a texture changes from place to place, in levels."""
    bands = detail(grey(view.image))[1:]
    return float(sum(np.sqrt(np.median(band[view.known])) for band in bands)) + 0.5 if view.known.any() else 1.0


def _measured_places(
    plate: View, others: Sequence[tuple[View, float]], shape: FilledShape, rng: np.random.Generator, count: int
) -> list[Mapping[str, float]]:
    """What untouched places reach: of the image itself, and where it has too few of others."""
    found = [measured(image, moved) for image, moved in _places(plate, shape, rng, count)]
    for view, scale in others:
        if len(found) >= count // 2:
            break
        # Another image may be rougher: its steps and lights are brought to this one's.
        found += [
            {name: v if name.split(" ")[0] in _TWO_SIDED else v * scale for name, v in measured(image, moved).items()}
            for image, moved in _places(view, shape, rng, count // 2)
        ]
    return found


def scores_among(
    values: Mapping[str, float], places: Sequence[Mapping[str, float]], least: int, more: float = 1.0
) -> dict[str, float]:
    """Measure -> its value over what the places reach and a little room; without measures that few places have.

    `more` widens the room.
    """
    scores: dict[str, float] = {}
    for name, value in values.items():
        kind = name.split(" ")[0]
        reached = np.array([place[name] for place in places if name in place])
        if len(reached) < least:
            continue
        middle = float(np.median(reached)) if kind in _TWO_SIDED else 0.0
        most = float(np.abs(reached - middle).max())
        scores[name] = round(abs(value - middle) / (more * _ROOM[kind] * most + _FLOORS[kind]), 3)
    return scores


def _take(worst: dict[str, float], values: Mapping[str, float], scores: Mapping[str, float]) -> bool:
    """Take the scores of a tile into the worst so far; True where a measure had too few places."""
    for name, score in scores.items():
        worst[name] = max(worst.get(name, 0.0), score)
    return len(scores) < len(values)


def _verdict(worst: Mapping[str, float], *, few: bool) -> PlateVerdict:
    names = dict.fromkeys(name.split(" ")[0] for name, score in worst.items() if score > 1)
    return PlateVerdict((*names, *(("few-places",) if few else ())), dict(worst))
