"""What functions return: dataclasses that turn into plain values for `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from os import PathLike, fspath
from typing import Any

__all__ = ["Result", "plain"]


class Result:
    """Base of the dataclasses that functions return."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, in their order: what `--json` prints."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """A value as JSON can hold it.

    Paths become text, mappings keep their order, sets are sorted, and whatever has a `to_json` of its own uses it.

    Examples:
        >>> from pathlib import Path
        >>> plain({"out": Path("a/b"), "sizes": (1, 2)})
        {'out': 'a/b', 'sizes': [1, 2]}
    """
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, AbstractSet):
        return [plain(inner) for inner in sorted(value)]
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, PathLike):
        return fspath(value)
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return value.tolist()
    return value
