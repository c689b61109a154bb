"""How like two crops are, pixel by pixel: normalised cross-correlation over shifts, zooms and flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.learned.windows import Window, cut
from carpet_data.synthesis.contract import Image

__all__ = ["SIDE_PX", "Subject", "View", "nearest", "subject", "views"]

F32 = NDArray[np.float32]
Tables: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Sums of values and of their squares from the corner to each pixel."""

SIDE_PX = 64
"""Crops are compared at this size."""
_SHIFT_PX = 16
_MARGIN_PX = 4
_ZOOMS = (0.87, 1.0, 1.15)
_COARSE = 4
_LOOKED = 4
"""Views that are compared at full size: the likest of all at a quarter of it."""
_FLOOR = 0.05
"""Squared levels added to each variance: what varies less than a level is flat and like nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is looked for: the box of a defect and a little ground.

    Attributes:
        patch: float32 h x w x3, levels, at full size.
        corner: Its top and left within the crop.
        coarse: At a quarter of the size.
        coarse_corner: Likewise.
    """

    patch: F32
    corner: tuple[int, int]
    coarse: F32
    coarse_corner: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Where it is looked for: an example at one zoom and turned one way, wider than a crop by the largest shift.

    Attributes:
        wide: float32, at full size.
        coarse: At a quarter of it.
        tables: Of `coarse`, which is looked at much more often.
    """

    wide: F32
    coarse: F32
    tables: Tables


def subject(image: NDArray[np.uint8], mask: F32) -> Subject:
    """A crop as something to look for.

    Args:
        image: uint8 c x c x3.
        mask: float32 c x c, 0..1; the box of its values of at least half the largest counts, all if it is empty.
    """
    pixels = _at(image, SIDE_PX)
    cover = cv2.resize(mask, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    rows, columns = np.nonzero(cover >= max(float(cover.max()) / 2, 1e-6))
    if len(rows) == 0:
        rows = columns = np.array([0, SIDE_PX - 1])
    top, bottom = max(0, rows.min() - _MARGIN_PX), min(SIDE_PX, rows.max() + 1 + _MARGIN_PX)
    left, right = max(0, columns.min() - _MARGIN_PX), min(SIDE_PX, columns.max() + 1 + _MARGIN_PX)
    small = _at(pixels, SIDE_PX // _COARSE)
    high, low = top // _COARSE, -(-bottom // _COARSE)
    near, far = left // _COARSE, -(-right // _COARSE)
    return Subject(
        pixels[top:bottom, left:right], (int(top), int(left)), small[high:low, near:far], (int(high), int(near))
    )


def views(image: Image, window: Window, *, flips: bool) -> list[View]:
    """An example in every way that counts as the same picture.

    Args:
        image: uint8 HxWx3 or HxW, the whole image.
        window: Of its crop.
        flips: Whether mirror images are the same picture.
    """
    found = []
    wide_px = SIDE_PX + 2 * _SHIFT_PX
    for zoom in _ZOOMS:
        side = round(window.side * zoom * wide_px / SIDE_PX)
        aside = (side - window.side) // 2
        wide = _at(cut(image, Window(window.x - aside, window.y - aside, side), wide_px), wide_px)
        coarse = _at(wide, wide_px // _COARSE)
        for down in (1, -1) if flips else (1,):
            for across in (1, -1) if flips else (1,):
                large = np.ascontiguousarray(wide[::down, ::across])
                small = np.ascontiguousarray(coarse[::down, ::across])
                found.append(View(large, small, _tables(small)))
    return found


def nearest(sought: Subject, examples: Sequence[Sequence[View]]) -> float:
    """The largest correlation of a subject with any view of any example, -1..1; 0 where it is flat.

    All views are compared at a quarter of the size, and the likest of them at full size.
    """
    every = [view for example in examples for view in example]
    small = _even(sought.coarse)
    rough = [
        _correlation(small, sought.coarse_corner, view.coarse, view.tables, _SHIFT_PX // _COARSE) for view in every
    ]
    likest = [every[int(number)].wide for number in np.argsort(-np.asarray(rough), kind="stable")[:_LOOKED]]
    large = _even(sought.patch)
    return max(_correlation(large, sought.corner, wide, _tables(wide), _SHIFT_PX) for wide in likest)


def _at(image: NDArray[np.uint8] | F32, side: int) -> F32:
    how = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_LINEAR
    resized = image if image.shape[0] == side else cv2.resize(image, (side, side), interpolation=how)
    return np.asarray(resized, np.float32)


def _even(patch: F32) -> F32:
    """A patch without the mean of each channel."""
    return np.asarray(patch - patch.mean(axis=(0, 1), dtype=np.float64), np.float32)


def _tables(values: F32) -> Tables:
    sums, squares = cv2.integral2(values, sdepth=cv2.CV_64F)
    return np.asarray(sums, np.float64), np.asarray(squares, np.float64)


def _correlation(even: F32, corner: tuple[int, int], wide: F32, tables: Tables, shift: int) -> float:
    """The largest normalised cross-correlation of a patch within a shift of its place, channels together."""
    height, width = even.shape[:2]
    top, left = corner
    rows, columns = slice(top, top + height + 2 * shift), slice(left, left + width + 2 * shift)
    across = cv2.matchTemplate(wide[rows, columns], even, cv2.TM_CCORR).astype(np.float64)
    rows, columns = slice(top, rows.stop + 1), slice(left, columns.stop + 1)
    sums, squares = (_boxes(table[rows, columns], height, width) for table in tables)
    count = height * width
    spread = (squares - sums**2 / count).sum(axis=2)
    slack = 3 * count * _FLOOR
    energy = float(np.square(even, dtype=np.float64).sum())
    return float((across / np.sqrt((np.maximum(spread, 0) + slack) * (energy + slack))).max())


def _boxes(table: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Sums over every box of a size, from a table of sums from the corner."""
    return np.asarray(
        table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    )
