"""Options: frozen dataclasses that functions take and that the command line is generated from.

Each field states its help, its bounds and its flag once. The types are those of the annotations: bool, int, float, str,
a Literal, a path, a tuple of one of these, or one of them or None.
"""

from __future__ import annotations

import math
import operator
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from carpet_data.core.results import plain
from carpet_data.errors import UsageError, nearest

__all__ = ["About", "Options", "about", "divided", "option"]

Self = TypeVar("Self", bound="Options")


@dataclass(frozen=True, slots=True)
class About:
    """One option, as the command line and the checks need it; what is not listed here is as in `option`.

    Attributes:
        kind: bool, int, float, str or Path; object for what is not checked.
        choices: The values of a Literal; empty where any value of the kind will do.
        optional: Whether None is a value.
        many: Whether the value is a tuple of `kind`.
    """

    name: str
    flag: str | None
    kind: type
    choices: tuple[Any, ...]
    optional: bool
    many: bool
    help: str
    default: Any
    unset: str | None
    metavar: str | None
    minimum: float | None
    maximum: float | None
    above: float | None
    below: float | None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.flag or self.name

    def check(self, value: Any) -> None:
        """Refuse a value of another type or outside the bounds.

        Raises:
            UsageError: The option and the value are named.
        """
        if value is None and self.optional:
            return
        if not self.many:
            self._check_one(value)
            return
        if not isinstance(value, tuple):
            raise self._invalid(value, "give a tuple")
        for each in value:
            self._check_one(each)

    def _check_one(self, value: Any) -> None:
        if self.choices:
            if value not in self.choices:
                raise self._invalid(value, f"use one of: {', '.join(map(str, self.choices))}")
            return
        if not self._is_kind(value):
            raise self._invalid(value, _WANTED[self.kind])
        if self.kind in (int, float):
            self._check_bounds(value)

    def _is_kind(self, value: Any) -> bool:
        if self.kind is object:
            return True
        if self.kind is float:
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if self.kind is int:
            return isinstance(value, int) and not isinstance(value, bool)
        if self.kind is Path:
            return isinstance(value, str | Path)
        return isinstance(value, self.kind) and value != ""

    def _check_bounds(self, value: float) -> None:
        for bound, broken, words in (
            (self.minimum, operator.lt, "at least"),
            (self.above, operator.le, "above"),
            (self.maximum, operator.gt, "at most"),
            (self.below, operator.ge, "below"),
        ):
            if bound is not None and broken(value, bound):
                raise UsageError(f"{self.label} must be {words} {bound:g} (got {value!r})")

    def _invalid(self, value: Any, hint: str) -> UsageError:
        return UsageError(f"invalid {self.label} value {value!r}", hint=hint)


_WANTED: dict[type, str] = {
    bool: "use true or false",
    int: "give a whole number",
    float: "give a number",
    str: "give a text that is not empty",
    Path: "give a path",
}


def option(
    default: Any,
    help: str,
    *,
    flag: str | None = "",
    metavar: str | None = None,
    unset: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """A field of an `Options` dataclass.

    Args:
        default: The value where none is given.
        help: A noun phrase, or a sentence on when to use it.
        flag: On the command line; by default the name with dashes, None for what only Python can give.
        metavar: Such as "NAME".
        unset: For a default of None: what it means, in words.
        minimum: Smallest value.
        maximum: Largest value.
        above: The value must be larger than this.
        below: The value must be smaller than this.
    """
    stated = {"help": help, "flag": flag, "metavar": metavar, "unset": unset}
    bounds = {"minimum": minimum, "maximum": maximum, "above": above, "below": below}
    return field(default=default, metadata={"option": stated | bounds})


class Options:
    """Base of the frozen dataclasses that functions take as their options; all fields have defaults.

    A class that checks more than single values has a `__post_init__` of its own, which calls
    `Options.__post_init__(self)` first.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Blur(Options):
        ...     radius_px: float = option(1.5, "Radius of the blur.", minimum=0)
        >>> Blur().but(radius_px=2).to_json()
        {'radius_px': 2}
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UsageError: The first of them is named.
        """
        for each in about(type(self)):
            each.check(getattr(self, each.name))

    @classmethod
    def of(cls: type[Self], options: Self | None, changes: Mapping[str, Any]) -> Self:
        """Options with keyword shortcuts laid over them: what functions do that take both.

        Raises:
            UsageError: A name is unknown (the nearest is offered), or a value makes no sense.
        """
        cls._refuse_unknown(changes)
        return cls(**changes) if options is None else options.but(**changes)

    def but(self: Self, **changes: Any) -> Self:
        """The same options with some changed."""
        return replace(self, **changes)  # type: ignore[type-var]

    def to_json(self) -> dict[str, Any]:
        """The options as plain values, in the order of the fields."""
        return {each.name: plain(getattr(self, each.name)) for each in about(type(self)) if each.kind is not object}

    @classmethod
    def from_json(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """Options from plain values; what is left out has its default.

        Raises:
            UsageError: A name is unknown (the nearest is offered), or a value makes no sense.
        """
        cls._refuse_unknown(values)
        known = {each.name: each for each in about(cls)}
        return cls(**{name: tuple(value) if known[name].many else value for name, value in values.items()})

    @classmethod
    def _refuse_unknown(cls, values: Mapping[str, Any]) -> None:
        divided(values, cls)


def divided(values: Mapping[str, Any], *classes: type[Options]) -> tuple[dict[str, Any], ...]:
    """Keyword shortcuts of a function with several options classes: the values of each class, by name.

    Raises:
        UsageError: A name is in none of the classes (the nearest is offered).
    """
    names = [{each.name for each in about(cls)} for cls in classes]
    known = sorted(set().union(*names))
    for name in sorted(set(values) - set(known)):
        hint = nearest(name, known).strip() or f"use: {', '.join(known)}"
        raise UsageError(f"unknown option {name!r}", hint=hint)
    return tuple({name: value for name, value in values.items() if name in own} for own in names)


_ABOUT: dict[Any, tuple[About, ...]] = {}


def about(cls: type[Options]) -> tuple[About, ...]:
    """The options of a dataclass, in the order of its fields."""
    if cls not in _ABOUT:
        _ABOUT[cls] = _read_fields(cls)
    return _ABOUT[cls]


def _read_fields(cls: Any) -> tuple[About, ...]:
    hints = get_type_hints(cls)
    found = []
    for each in fields(cls):
        stated = each.metadata.get("option")
        if stated is None:
            stated = dict.fromkeys(("metavar", "unset", "minimum", "maximum", "above", "below")) | {"help": ""}
            stated["flag"] = None
        flag = f"--{each.name.replace('_', '-')}" if stated["flag"] == "" else stated["flag"]
        kind, choices, optional, many = _taken_apart(hints[each.name])
        default = None if each.default is MISSING else each.default
        found.append(About(each.name, flag, kind, choices, optional, many, default=default, **_without_flag(stated)))
    return tuple(found)


def _without_flag(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if name != "flag"}


def _taken_apart(hint: Any) -> tuple[type, tuple[Any, ...], bool, bool]:
    """The kind, the choices, whether None is allowed, and whether it is a tuple."""
    optional = many = False
    parts = [hint]
    if get_origin(hint) in (Union, types.UnionType):
        optional = type(None) in get_args(hint)
        parts = [part for part in get_args(hint) if part is not type(None)]
    if len(parts) == 1 and get_origin(parts[0]) is tuple:
        many = True
        parts = [get_args(parts[0])[0]]
        if get_origin(parts[0]) in (Union, types.UnionType):
            parts = list(get_args(parts[0]))
    if len(parts) == 1 and get_origin(parts[0]) is Literal:
        choices = get_args(parts[0])
        return type(choices[0]), choices, optional, many
    if Path in parts:
        return Path, (), optional, many
    if set(parts) == {int, float}:
        return float, (), optional, many
    return (parts[0] if len(parts) == 1 and parts[0] in _WANTED else object), (), optional, many
