"""Ids as annotation tools write them: whole numbers, whole numbers with a point (1.0), or text."""

from __future__ import annotations

from typing import Any

from carpet_data.formats.annotated import is_text

__all__ = ["NOT_AN_ID", "id_of", "whole", "wrong_id"]

Id = int | str

NOT_AN_ID = "neither a whole number nor text"


def whole(value: Any) -> int | None:
    """The whole number that a JSON value is, 2.0 as well as 2; None for anything else.

    Examples:
        >>> whole(2.0), whole(2), whole(1.5), whole(True), whole("2")
        (2, 2, None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def id_of(value: Any) -> Id | None:
    """An id of an image, annotation or category; None for what cannot be one."""
    number = whole(value)
    return number if number is not None else value if is_text(value) else None


def wrong_id(value: Any) -> str:
    """What is wrong with a value that is no id, to follow the name of its key."""
    if value is None:
        return "is missing"
    if isinstance(value, float):
        return f"is {value}, which is not a whole number"
    return f"is {value!r}, {NOT_AN_ID}"
