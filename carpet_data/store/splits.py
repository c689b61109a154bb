"""Named splits, and the links by which samples were grouped: files of a header line and then one entry a line.

A split holds one sample a line, sorted by id; the links hold one link between two samples a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from carpet_data.dataset import SIDES, Side, Split
from carpet_data.errors import DataError, OutputError
from carpet_data.store.json_files import read_lines, write_lines
from carpet_data.store.names import LINKS, SPLITS, split_path

_HINT = "remove the file and make the split again (carpet-data split)"


def names(root: Path) -> tuple[str, ...]:
    """The names of the splits of a prepared folder, sorted."""
    return tuple(sorted(path.stem for path in (root / SPLITS).glob("*.jsonl") if not path.name.startswith(".")))


def write(root: Path, split: Split, *, overwrite: bool = False) -> None:
    """Write a split.

    Raises:
        OutputError: One of that name exists and `overwrite` is False.
        UsageError: The name cannot be a file name.
    """
    path = root / split_path(split.name)
    if path.exists() and not overwrite:
        raise OutputError(
            f"the split {split.name!r} exists", where=path, hint="choose another --name, or use --overwrite"
        )
    rows = ({"id": sample_id, "side": split.sides[sample_id]} for sample_id in sorted(split.sides))
    write_lines(path, chain([{"split": split.name, "made": dict(split.made)}], rows))


def read(root: Path, name: str, *, ids: Mapping[str, str] | None = None) -> Split:
    """Read a split; with `ids` (id -> the same id) it shares these strings instead of holding its own.

    Raises:
        DataError: The file is missing or damaged; the line is named.
    """
    path = root / split_path(name)
    made: dict[str, Any] | None = None
    sides: dict[str, Side] = {}
    last = ""
    for where, row in read_lines(path, _HINT, "the split"):
        if made is None:
            if row.get("split") != path.stem or not isinstance(row.get("made"), dict):
                raise DataError("the first line is not the header of this split", where=where, hint=_HINT)
            made = row["made"]
            continue
        if set(row) != {"id", "side"} or not isinstance(row["id"], str) or row["side"] not in SIDES:
            raise DataError("the line is not an id and a side (train, val or test)", where=where, hint=_HINT)
        if row["id"] <= last:
            raise DataError(f"repeated or unsorted id {row['id']!r}", where=where, hint=_HINT)
        last = row["id"]
        sides[last if ids is None else ids.get(last, last)] = SIDES[SIDES.index(row["side"])]
    if made is None:
        raise DataError("the split is empty", where=path, hint=_HINT)
    return Split(name, sides, made)


def write_links(root: Path, made: Mapping[str, Any], links: Iterable[Mapping[str, Any]]) -> None:
    """Write why samples were grouped: how the links were found, then the plain values of each."""
    write_lines(root / LINKS, chain([{"made": dict(made)}], links))


def read_links(root: Path) -> Iterator[dict[str, Any]]:
    """The header of the links and then each of them; nothing where the folder has none.

    Raises:
        DataError: A line is damaged; it is named.
    """
    path = root / LINKS
    if path.exists():
        yield from (row for _, row in read_lines(path, "prepare the data set again from its source"))
