"""Predictions of overlapping tiles as those of the whole image: heat maps, class maps and detections.

Near its rim a tile sees a defect without its surroundings, so a tile counts less there than the neighbor that sees the
same pixels from within. Detections of neighbors that cover the same pixels of the strip they share are one defect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from carpet_data.grouping.groups import UnionFind
from carpet_data.tiling.grid import Window

__all__ = ["DetectionLike", "Stitched", "Stitcher", "merge_detections", "rim_weights"]

_SAME = 0.5
"""Share of the shared strip, intersection over the smaller (masks) or over the union (boxes), that makes two one."""


class DetectionLike(Protocol):
    """What a detection needs to have; `carpet_data.training.contract.Detection` does. It must be a dataclass."""

    @property
    def class_name(self) -> str:
        """Its defect type."""
        ...

    @property
    def score(self) -> float:
        """How sure it is, in [0, 1]."""
        ...

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """x, y, width, height in pixels; half-open."""
        ...

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """bool (height, width) of the box; None for a box alone."""
        ...


D = TypeVar("D", bound=DetectionLike)


@dataclass(frozen=True, slots=True, eq=False)
class Stitched(Generic[D]):
    """The prediction of a whole image of h rows and w columns.

    Attributes:
        heat: float32 (h, w); None where no tile had one.
        labels: uint8 (h, w); None where no tile had one.
        detections: The surest first.
    """

    heat: NDArray[np.float32] | None
    labels: NDArray[np.uint8] | None
    detections: tuple[D, ...]


class Stitcher(Generic[D]):
    """Takes the predictions of the tiles of one image, one at a time, and gives those of the image.

    Memory holds two float32 maps and one uint8 map of the image at most, whatever the number of tiles.

    Args:
        height: Rows of the image.
        width: Columns of the image.

    Examples:
        >>> from carpet_data.tiling.grid import windows
        >>> stitcher = Stitcher(6, 9)
        >>> for window in windows(6, 9, size=6, overlap=2):
        ...     stitcher.add(window, heat=np.full((6, 6), 0.5, np.float32))
        >>> heat = stitcher.result().heat
        >>> heat.shape, float(heat.min()), float(heat.max())
        ((6, 9), 0.5, 0.5)
    """

    def __init__(self, height: int, width: int) -> None:
        self._shape = (height, width)
        self._heat: NDArray[np.float32] | None = None
        self._weight: NDArray[np.float32] | None = None
        self._low, self._high = np.inf, -np.inf
        self._labels: NDArray[np.uint8] | None = None
        self._most: NDArray[np.float32] | None = None
        self._found: list[tuple[Window, D]] = []

    def add(
        self,
        window: Window,
        *,
        heat: NDArray[np.floating[Any]] | None = None,
        labels: NDArray[np.uint8] | None = None,
        detections: Iterable[D] = (),
    ) -> None:
        """Add what a model says of one tile.

        Args:
            window: Where the tile lies in the image.
            heat: float (height, width) of the tile.
            labels: uint8 (height, width) of the tile, the class of each pixel.
            detections: In pixels of the tile.

        Raises:
            ValueError: A map is not of the size of the tile, or the tile does not lie inside the image.
        """
        if window.top < 0 or window.left < 0 or window.bottom > self._shape[0] or window.right > self._shape[1]:
            raise ValueError(f"{window} does not lie inside an image of {self._shape}")
        for each in (heat, labels):
            if each is not None and each.shape != (window.height, window.width):
                raise ValueError(f"a map of {each.shape} does not fit {window}")
        if heat is not None or labels is not None:
            weights = rim_weights(window, *self._shape)
            if heat is not None:
                self._add_heat(window, heat, weights)
            if labels is not None:
                self._add_labels(window, labels, weights)
        self._found += [(window, each) for each in detections]

    def _add_heat(self, window: Window, heat: NDArray[np.floating[Any]], weights: NDArray[np.float32]) -> None:
        if self._heat is None or self._weight is None:
            self._heat, self._weight = np.zeros(self._shape, np.float32), np.zeros(self._shape, np.float32)
        self._heat[window.slices] += heat * weights
        self._weight[window.slices] += weights
        self._low, self._high = min(self._low, float(heat.min())), max(self._high, float(heat.max()))

    def _add_labels(self, window: Window, labels: NDArray[np.uint8], weights: NDArray[np.float32]) -> None:
        if self._labels is None or self._most is None:
            self._labels, self._most = np.zeros(self._shape, np.uint8), np.zeros(self._shape, np.float32)
        most = self._most[window.slices]
        better = weights > most
        most[better] = weights[better]
        self._labels[window.slices][better] = labels[better]

    def result(self) -> Stitched[D]:
        """The prediction of the whole image; maps are 0 where no tile lies.

        Heat is the mean of the tiles, weighted by `rim_weights`; a label is that of the tile which counts most there.
        """
        heat: NDArray[np.float32] | None = None
        if self._heat is not None and self._weight is not None:
            covered = self._weight > 0
            heat = np.zeros(self._shape, np.float32)
            np.divide(self._heat, self._weight, out=heat, where=covered)
            # Rounding must not lift a mean above its largest part: heat of 1 stays 1.
            np.clip(heat, self._low, self._high, out=heat, where=covered)
        labels = None if self._labels is None else self._labels.copy()
        return Stitched(heat, labels, merge_detections(self._found))


def rim_weights(window: Window, height: int, width: int) -> NDArray[np.float32]:
    """How much each pixel of a tile counts: 1 in its middle, nearly 0 at its rims, where these are not the image's own.

    The product of two squared sines, of the row and of the column, so that a map shows no seam where a tile ends.

    Args:
        window: The tile.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        float32 (window.height, window.width), in (0, 1].
    """
    rows = _ramp(window.height, open_start=window.top > 0, open_end=window.bottom < height)
    columns = _ramp(window.width, open_start=window.left > 0, open_end=window.right < width)
    return (rows[:, None] * columns).astype(np.float32)


def _ramp(length: int, *, open_start: bool, open_end: bool) -> NDArray[np.float64]:
    at = np.arange(length) + 0.5
    distance = np.full(length, length / 2)
    if open_start:
        distance = np.minimum(distance, at)
    if open_end:
        distance = np.minimum(distance, length - at)
    return np.asarray(np.sin(np.pi * distance / length) ** 2)


def merge_detections(found: Sequence[tuple[Window, D]], *, same: float = _SAME) -> tuple[D, ...]:
    """Detections of tiles as detections of the image, each defect once.

    Two of one class from different tiles are one defect where they agree in the strip that both tiles see: their masks
    share at least `same` of the smaller one's pixels there, or, without masks, their boxes at least `same` of the
    union; boxes that the tiles cut off where they meet are one defect if they touch at all. The merged detection has
    the united box and mask and the higher score.

    Args:
        found: The tile and the detection in pixels of the tile, in any order.
        same: In (0, 1].

    Returns:
        Detections in pixels of the image, the surest first; of equal scores by class and place.
    """
    placed = [(window, _moved(each, window)) for window, each in found]
    sets = UnionFind(range(len(placed)))
    of_tile: dict[Window, list[int]] = {}
    for number, (window, _) in enumerate(placed):
        of_tile.setdefault(window, []).append(number)
    for a_window, b_window in combinations(sorted(of_tile), 2):
        strip = a_window.shared(b_window)
        if strip is None:
            continue
        inside = [number for number in of_tile[b_window] if strip.shared(_box(placed[number][1])) is not None]
        for first, second in product(of_tile[a_window], inside):
            if _one_defect(strip, placed[first], placed[second], same):
                sets.join(first, second)
    members: dict[int, list[D]] = {}
    for number, (_, each) in enumerate(placed):
        members.setdefault(sets.root(number), []).append(each)
    merged = [_united(parts) for parts in members.values()]
    return tuple(sorted(merged, key=lambda each: (-each.score, each.class_name, each.bbox)))


def _moved(each: D, window: Window) -> D:
    x, y, width, height = each.bbox
    return _changed(each, bbox=(x + window.left, y + window.top, width, height))


def _changed(each: D, **changes: Any) -> D:
    return cast("D", replace(cast("Any", each), **changes))


def _one_defect(strip: Window, first: tuple[Window, D], second: tuple[Window, D], same: float) -> bool:
    (a_window, a), (b_window, b) = first, second
    box_a, box_b = strip.shared(_box(a)), strip.shared(_box(b))
    both = None if box_a is None or box_b is None else box_a.shared(box_b)
    if box_a is None or box_b is None or both is None or a.class_name != b.class_name:
        return False
    if a.mask is not None and b.mask is not None:
        smaller = min(np.count_nonzero(_part(a, box_a)), np.count_nonzero(_part(b, box_b)))
        shared = np.count_nonzero(_part(a, both) & _part(b, both))
        return bool(shared > 0 and shared >= same * smaller)
    if _is_cut(a_window, a, b_window) and _is_cut(b_window, b, a_window):
        return True
    common = both.height * both.width
    return common >= same * (box_a.height * box_a.width + box_b.height * box_b.width - common)


def _box(each: DetectionLike) -> Window:
    x, y, width, height = each.bbox
    return Window(y, x, height, width)


def _part(each: DetectionLike, box: Window) -> NDArray[np.bool_]:
    assert each.mask is not None
    x, y, _, _ = each.bbox
    part: NDArray[np.bool_] = each.mask[box.top - y : box.bottom - y, box.left - x : box.right - x]
    return part


def _is_cut(window: Window, each: DetectionLike, other: Window) -> bool:
    """Whether a box ends where its tile does, on a side beyond which the other tile reaches."""
    box = _box(each)
    return (
        (box.left <= window.left and other.left < window.left)
        or (box.top <= window.top and other.top < window.top)
        or (box.right >= window.right and other.right > window.right)
        or (box.bottom >= window.bottom and other.bottom > window.bottom)
    )


def _united(parts: Sequence[D]) -> D:
    """One detection of all: that of the highest score, with the united box and, where all have masks, mask."""
    best = max(parts, key=lambda each: each.score)
    if len(parts) == 1:
        return best
    boxes = [_box(each) for each in parts]
    top, left = min(box.top for box in boxes), min(box.left for box in boxes)
    height, width = max(box.bottom for box in boxes) - top, max(box.right for box in boxes) - left
    mask: NDArray[np.bool_] | None = None
    if all(each.mask is not None for each in parts):
        mask = np.zeros((height, width), np.bool_)
        for each, box in zip(parts, boxes, strict=True):
            mask[box.top - top : box.bottom - top, box.left - left : box.right - left] |= _part(each, box)
    return _changed(best, bbox=(left, top, width, height), mask=mask)
