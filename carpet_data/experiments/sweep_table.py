"""Tables of a sweep: a strict YAML file with the settings of each row. No torch here."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from carpet_data.errors import UsageError, nearest
from carpet_data.synthesis.recipe import files, strict_yaml
from carpet_data.synthesis.recipe import shipped as shipped_files
from carpet_data.synthesis.recipe.strict_yaml import Document, Place
from carpet_data.training.options import TrainOptions

__all__ = ["SweepRow", "SweepTable", "find", "load", "shipped"]

SCHEMA = 1

_KEYS = ("schema", "summary", "fallback", "settings", "rows", "grid")
_ELSEWHERE = {"seed": "--seed and --seeds", "device": "--device"}
_SETTINGS = tuple(each.name for each in fields(TrainOptions) if each.name not in _ELSEWHERE)
_OTHER_NAMES = {"lr": "learning_rate", "arch": "architecture", "model": "architecture", "size": "resize"}
_MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One row of a table, numbered from 1; `where` is its file and line. Seed and device are still the defaults."""

    number: int
    settings: TrainOptions
    where: str


@dataclass(frozen=True, slots=True)
class SweepTable:
    """A table: its rows, those of `grid` after those of `rows`, and the network that stands in for missing weights."""

    name: str
    path: Path
    rows: tuple[SweepRow, ...]
    fallback: str | None


def shipped() -> tuple[str, ...]:
    """The names of the shipped tables, sorted."""
    return shipped_files.names(_folder())


def find(name: str) -> Path:
    """The file of a table.

    Args:
        name: A shipped table, or the path of a file.

    Raises:
        UsageError: It is neither; the nearest shipped name is offered.
    """
    return shipped_files.find(name, _folder(), "table")


def load(name: str | os.PathLike[str], *, freeze: str | None = None) -> SweepTable:
    """Read a table.

    Args:
        name: A shipped table, or the path of a file.
        freeze: In place of what the rows say of it.

    Raises:
        UsageError: The table, or a key or value in it, is unknown or invalid; its line is named.
        DataError: The file is not strict YAML.
    """
    path = find(os.fspath(name))
    document = strict_yaml.read(path)
    values = document.values
    _known(values, _KEYS, (), document, path)
    if values.get("schema") != SCHEMA:
        raise UsageError(
            f"unsupported schema {values.get('schema')!r}",
            where=document.where(("schema",), path),
            hint=f"write `schema: {SCHEMA}`",
        )
    fallback = values.get("fallback")
    if fallback is not None and not isinstance(fallback, str):
        raise UsageError(
            "invalid fallback", where=document.where(("fallback",), path), hint="name a network, or remove it"
        )
    shared = _mapping(values.get("settings"), ("settings",), document, path)
    changes = {} if freeze is None else {"freeze": freeze}
    rows: list[SweepRow] = []
    for place, own in _rows(document, path):
        where = document.where(place, path)
        if len(rows) == _MAX_ROWS:
            raise UsageError(f"the table has more than {_MAX_ROWS} rows", where=where, hint="split it into several")
        try:
            settings = TrainOptions.from_json({**shared, **own, **changes})
        except UsageError as error:
            raise UsageError(f"row {len(rows) + 1}: {error.what}", where=where, hint=error.hint) from error
        rows.append(SweepRow(len(rows) + 1, settings, where))
    if not rows:
        raise UsageError("the table has no rows", where=path, hint="write `rows:` or `grid:`")
    return SweepTable(path.stem, path, tuple(rows), fallback)


def _folder() -> Path:
    return files.folder() / "sweeps"


def _rows(document: Document, path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    listed = document.values.get("rows")
    if listed is not None and not isinstance(listed, list):
        raise UsageError(
            "rows is not a list", where=document.where(("rows",), path), hint="write one `- {…}` for each row"
        )
    for number, row in enumerate(listed or ()):
        yield ("rows", number), _mapping(row, ("rows", number), document, path)
    grid = _mapping(document.values.get("grid"), ("grid",), document, path)
    for name, choices in grid.items():
        if not isinstance(choices, list) or not choices:
            raise UsageError(
                f"grid: {name} is not a list of values",
                where=document.where(("grid", name), path),
                hint=f"write `{name}: [first, second]`",
            )
    if grid:
        for chosen in itertools.product(*grid.values()):
            yield ("grid",), dict(zip(grid, chosen, strict=True))


def _mapping(values: Any, place: Place, document: Document, path: Path) -> dict[str, Any]:
    """The settings that stand at a place, their names checked."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(
            "invalid settings", where=document.where(place, path), hint="write `{resize: 64, epochs: 100}`"
        )
    _known(values, _SETTINGS, place, document, path)
    return values


def _known(values: Mapping[str, Any], known: tuple[str, ...], place: Place, document: Document, path: Path) -> None:
    for name in values:
        if name in known:
            continue
        where = document.where((*place, name), path)
        if place and name in _ELSEWHERE:
            raise UsageError(f"{name} cannot be set per row", where=where, hint=f"use {_ELSEWHERE[name]}")
        other = _OTHER_NAMES.get(name) if place else None
        hint = nearest(other or name, known).strip() or f"use: {', '.join(known)}"
        raise UsageError(f"unknown {'setting' if place else 'key'} {name!r}", where=where, hint=hint)
