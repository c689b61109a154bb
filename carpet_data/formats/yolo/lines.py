"""One line of a label file: a class number and a polygon in fractions of the image, or what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carpet_data.core.images import ImageInfo
from carpet_data.dataset import GOOD, Shape
from carpet_data.formats.annotated import polygon_problem
from carpet_data.formats.yolo.text import are_numbers, is_dota_line

_SLACK = 0.05
"""How far outside of 0..1 a coordinate may be; drawing tools step over the edge a little."""

_BOX = 5
_REPAIR = "correct or remove the line, or export the labels again"
_NO_CONFIDENCE = "write labels without the confidence (Ultralytics: save_conf=False), or remove the last number"
_COMMENT = "#"


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a line.

    Attributes:
        kind: Lines of one kind have one cause, such as "box".
    """

    kind: str
    what: str
    hint: str = _REPAIR


def is_comment(words: Sequence[str]) -> bool:
    """Whether a line is a remark, rather than a label that somebody commented out."""
    if not words[0].startswith(_COMMENT):
        return False
    rest = [word for word in (words[0].removeprefix(_COMMENT), *words[1:]) if word]
    return len(rest) < _BOX or not are_numbers(rest[1:])


def numbers_of(words: Sequence[str]) -> list[float] | None:
    """The numbers of a line; None where it holds anything else."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


def shape_of(
    words: Sequence[str], values: Sequence[float] | None, names: Mapping[int, str] | None, info: ImageInfo, label: str
) -> Shape | Wrong:
    """The instance of a line, or what is wrong with it.

    Args:
        words: The line.
        values: Its numbers; None where it holds anything else.
        names: Class number -> name; None if no file says.
        info: The image.
        label: How to name the line in a message.
    """
    if values is None:
        return _not_numbers(words, names)
    if not all(math.isfinite(value) for value in values):
        return Wrong("finite", "the line holds something other than finite numbers")
    name = _class_of(values[0], words[0], names)
    if isinstance(name, Wrong):
        return name
    counted = _count_problem(values)
    if counted is not None:
        return counted
    fractions = values[1:]
    outside = [value for value in fractions if not -_SLACK <= value <= 1 + _SLACK]
    if outside:
        return Wrong(
            "fraction",
            f"the coordinate {outside[0]:g} is not a fraction of the image (0 to 1)",
            "divide x by the image's width and y by its height, or export the labels again",
        )
    pixels = tuple(
        value * size for value, size in zip(fractions, [info.width, info.height] * len(fractions), strict=False)
    )
    problem = polygon_problem(pixels, info.width, info.height)
    return Shape(name, polygons=(pixels,), label=label) if problem is None else Wrong("polygon", problem)


def _not_numbers(words: Sequence[str], names: Mapping[int, str] | None) -> Wrong:
    what = "the line holds something other than numbers"
    if words[0].startswith(_COMMENT):
        return Wrong("comment", "the line is a label that was commented out", "restore the label, or remove the line")
    if is_dota_line(words):
        return Wrong(
            "dota",
            "this is a line of DOTA: an oriented box in pixels, with the class at its end",
            "export segments (polygons or masks) instead of oriented boxes",
        )
    if len(words) > 1 and are_numbers(words[1:]):
        number = next((number for number, name in (names or {}).items() if name == words[0]), None)
        return Wrong(
            "name",
            f"{what}: its class is {words[0]!r}, not a class number",
            f"write {number} for {words[0]}" if number is not None else "write the number of the class",
        )
    if any("," in word or ";" in word for word in words):
        return Wrong("separator", what, "separate numbers by spaces, with a point in decimals")
    return Wrong("words", what)


def _class_of(value: float, word: str, names: Mapping[int, str] | None) -> str | Wrong:
    if not value.is_integer() or value < 0:
        return Wrong("class", f"invalid class number {word}")
    number = int(value)
    if names is None:
        return f"class_{number}"
    if number not in names:
        known = f"{min(names)} to {max(names)}" if names else "none"
        return Wrong(
            "class", f"class {number} has no name (known: {known})", "add its name to the others, or correct the line"
        )
    if names[number] == GOOD:
        return Wrong(
            "good",
            f"a defect cannot be of the class {GOOD!r}, the class without defects; rename the class",
            "rename the class, or remove the line",
        )
    return names[number]


def _count_problem(values: Sequence[float]) -> Wrong | None:
    """What the number of numbers shows: boxes, and a confidence at the end as predictions have it."""
    if len(values) == _BOX:
        return Wrong(
            "box",
            "this is a box, and a box does not tell which pixels are defect",
            "export segments (polygons or masks) instead of boxes",
        )
    odd = len(values) % 2 == 0
    likely = odd and len(values) > _BOX and 0 <= values[-1] <= 1
    if len(values) == _BOX + 1:
        return Wrong(
            "box with confidence",
            "a polygon has 5 numbers; this is a box, with a confidence at the end?",
            "export segments (polygons or masks) instead of boxes, without the confidence",
        )
    if likely:
        return Wrong(
            "confidence",
            f"a polygon has {len(values) - 1} numbers; it needs x, y pairs: a confidence at the end?",
            _NO_CONFIDENCE,
        )
    return None
