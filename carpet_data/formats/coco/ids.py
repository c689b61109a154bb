"""Ids as annotation tools write them: whole numbers, whole numbers with a point (1.0), or text."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from carpet_data.formats.annotated import is_text

__all__ = ["NOT_AN_ID", "Id", "id_of", "other_kind", "same_id", "whole", "wrong_id"]

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
    """What is wrong with a value that is not an id, to follow the name of its key."""
    if value is None:
        return "is missing"
    if isinstance(value, float):
        return f"is {value}, which is not a whole number"
    return f"is {value!r}, {NOT_AN_ID}"


def other_kind(key: Id) -> Id | None:
    """The same number as text, or the same text as a number; None where there is none."""
    if isinstance(key, int):
        return str(key)
    return int(key) if key.isascii() and key.isdigit() and len(key) < 20 else None


def same_id(value: Any, listed: Container[Id]) -> Id | None:
    """The listed id that a reference means: the id itself, else one that differs by its kind only, as VIA writes them.

    Examples:
        >>> same_id("1", {1, 2}), same_id("1", {1, "1"}), same_id(3, {1, 2})
        (1, '1', None)
    """
    key = id_of(value)
    if key is None:
        return None
    other = other_kind(key)
    return key if key in listed else other if other is not None and other in listed else None
