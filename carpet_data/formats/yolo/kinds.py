"""What the labels of a data set are as a whole: outlines, oriented boxes, or key points, which are not outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BOX = 5
_QUAD = 9
_LEAST_LINES = 3
_SURE_LINES = 8
_SLACK = 0.02
_FLAGS = (0.0, 1.0, 2.0)


class Kinds:
    """Looks at every line, and says in the end what all have in common.

    Examples:
        >>> kinds = Kinds(None)
        >>> kinds.see([0, 0.1, 0.1, 0.2, 0.1, 0.2, 0.2, 0.1, 0.2])
        >>> kinds.four_corners, kinds.key_points
        (True, None)
    """

    def __init__(self, stated: tuple[int, int] | None) -> None:
        self._stated = stated
        self._lines = 0
        self._as_stated = 0
        self._lengths: set[int] = set()
        self._flagged = self._plain = True
        self._seen_within = 0
        self._far = 0

    def see(self, values: Sequence[float]) -> None:
        """One line: its class number and all other numbers, finite."""
        self._lines += 1
        self._lengths.add(len(values))
        if self._stated is not None:
            self._as_stated += len(values) == _BOX + self._stated[0] * self._stated[1]
        self._flagged = self._flagged and _is_flagged_pose(values)
        self._seen_within += self._flagged and _seen_within(values)
        self._plain = self._plain and _is_plain_pose(values)
        self._far += self._plain and _second_is_far(values)

    @property
    def four_corners(self) -> bool:
        """Whether every line is a polygon of exactly four corners."""
        return self._lengths == {_QUAD}

    @property
    def key_points(self) -> tuple[int, int] | None:
        """(key points, numbers each) where the lines are boxes with key points; None for anything else.

        Where data.yaml states a shape, one line of it is enough. Without, all lines must have one length, and must be
        boxes with points inside of them and, in the form of three numbers a point, with visibilities of 0, 1 or 2.
        """
        if self._stated is not None and self._as_stated:
            return self._stated
        if not self._lines or len(self._lengths) != 1:
            return None
        rest = next(iter(self._lengths)) - _BOX
        if self._flagged and 2 * self._seen_within > self._lines:
            return rest // 3, 3
        if rest >= 4 and self._plain and self._lines >= _SURE_LINES and 2 * self._far >= self._lines:
            return rest // 2, 2
        return None

    @property
    def perhaps_key_points(self) -> bool:
        """Whether the lines could be boxes with points of two numbers each, though outlines may look like this too.

        The second corner of an outline lies near the others, while the width and height of a box lie anywhere.
        """
        few = self._plain and self._lines >= _LEAST_LINES and 4 * self._far >= self._lines
        return few and len(self._lengths) == 1 and self.key_points is None


def _is_flagged_pose(values: Sequence[float]) -> bool:
    points = len(values) - _BOX
    return points >= 3 and points % 3 == 0 and _is_box(values) and all(flag in _FLAGS for flag in values[7::3])


def _seen_within(values: Sequence[float]) -> bool:
    """Whether it has visible points, and all of these lie in the box."""
    points = zip(values[5::3], values[6::3], values[7::3], strict=True)
    seen = [_inside(values, x, y) for x, y, flag in points if flag > 0]
    return bool(seen) and all(seen)


def _is_plain_pose(values: Sequence[float]) -> bool:
    points = len(values) - _BOX
    if points < 2 or points % 2 or not _is_box(values):
        return False
    return all(_inside(values, x, y) for x, y in zip(values[5::2], values[6::2], strict=True))


def _is_box(values: Sequence[float]) -> bool:
    x, y, width, height = values[1:5]
    edges = (x - width / 2, x + width / 2, y - height / 2, y + height / 2)
    return width > 0 and height > 0 and min(edges) >= -_SLACK and max(edges) <= 1 + _SLACK


def _inside(values: Sequence[float], x: float, y: float) -> bool:
    center_x, center_y, width, height = values[1:5]
    return abs(x - center_x) <= width / 2 + _SLACK and abs(y - center_y) <= height / 2 + _SLACK


def _second_is_far(values: Sequence[float]) -> bool:
    """Whether the second pair lies further from the other points than these are large."""
    xs, ys = [values[1], *values[5::2]], [values[2], *values[6::2]]
    size = math.hypot(max(xs) - min(xs), max(ys) - min(ys))
    x, y = values[3], values[4]
    aside = max(min(xs) - x, x - max(xs), 0.0), max(min(ys) - y, y - max(ys), 0.0)
    return math.hypot(*aside) > size
