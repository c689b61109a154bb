"""Strict YAML, with the line of every value.

YAML 1.1 turns `no` and `on` into booleans, `1:30` into ninety, `1e-3` into text and `2024-01-01` into a date, and
lets a later key silently replace an earlier one. Here numbers are numbers in every spelling, only true and false are
booleans, all else stays text, and keys are unique. Anchors, tags and merge keys are refused: a recipe needs none, and
they are how a small file becomes a huge one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from carpet_data.core.files import regular
from carpet_data.errors import DataError

Place: TypeAlias = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top."""

_MAX_BYTES = 1 << 20
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping, and the (file, line) where each of its values stands, keys included."""

    values: dict[str, Any]
    lines: Mapping[Place, tuple[str, int]]

    def where(self, place: Place, path: Path) -> str:
        """File and line of a place, or of the nearest one above it that is written down; else the path."""
        for end in range(len(place), 0, -1):
            found = self.lines.get(place[:end])
            if found is not None:
                return f"{found[0]}, line {found[1]}"
        return str(path)


def read(path: Path) -> Document:
    """Read a file that holds one mapping.

    Raises:
        DataError: The file is missing, or not YAML of the strict kind; the line is named.
    """
    try:
        data = regular(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError("file not found", where=path, hint="check the path") from error
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=path, hint="give a YAML file") from error
    if len(data) > _MAX_BYTES:
        raise DataError("the file is larger than 1 MiB, too large for a recipe", where=path, hint="give a recipe file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=path, hint="save it as UTF-8") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Read text that holds one mapping; `name` stands in errors and places.

    Raises:
        DataError: As `read`.
    """
    lines: dict[Place, tuple[str, int]] = {}
    try:
        _refuse_sharing(text, name)
        # Composing makes nodes only: no tag is resolved to an object.
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        if node is None:
            raise DataError("the file is empty", where=name, hint="write `field: value` lines")
        if not isinstance(node, yaml.MappingNode):
            raise DataError("the file is not a mapping", where=_where(name, node), hint="write `field: value` lines")
        values = _mapping(node, (), name, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = name if mark is None else f"{name}, line {mark.line + 1}"
        raise DataError(f"invalid YAML: {error.problem or error.context}", where=where, hint="fix this line") from error
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"invalid YAML: {error}", where=name, hint="fix the file") from error
    except RecursionError as error:
        raise DataError("the file is nested too deeply", where=name, hint="fix the file") from error
    return Document(values, lines)


def _refuse_sharing(text: str, name: str) -> None:
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise DataError("anchors and aliases are not supported", where=_at(name, event), hint="write the value out")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise DataError(f"the tag {tag} is not supported", where=_at(name, event), hint="write a plain value")


def _mapping(node: yaml.MappingNode, place: Place, name: str, lines: dict[Place, tuple[str, int]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise DataError("a key is not text", where=_where(name, key_node), hint="write `field: value` lines")
        key = key_node.value
        if key in values:
            raise DataError(f"duplicate key {key!r}", where=_where(name, key_node), hint="remove one of the two")
        below = (*place, key)
        lines[below] = (name, key_node.start_mark.line + 1)
        values[key] = _value(value_node, below, name, lines)
    return values


def _value(node: yaml.Node, place: Place, name: str, lines: dict[Place, tuple[str, int]]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, name, lines)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for number, item in enumerate(node.value):
            below = (*place, number)
            lines[below] = (name, item.start_mark.line + 1)
            items.append(_value(item, below, name, lines))
        return items
    assert isinstance(node, yaml.ScalarNode)
    return scalar(node.value) if node.style is None else node.value


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar: a number, true, false, null, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < 40:
        return int(text)
    if _NUMBER.fullmatch(text):
        number = float(text)
        # 1e999 overflows to infinity: it stays text, which the fields refuse.
        return number if abs(number) != float("inf") else text
    return text


def _where(name: str, node: yaml.Node) -> str:
    return f"{name}, line {node.start_mark.line + 1}"


def _at(name: str, event: yaml.Event) -> str:
    return name if event.start_mark is None else f"{name}, line {event.start_mark.line + 1}"
