"""Named partitions: one file per split, a header line and then one sample per line, sorted by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carpet_data.dataset import SIDES, Side, Split
from carpet_data.errors import DataError, OutputError
from carpet_data.store import manifest
from carpet_data.store.files import replacing
from carpet_data.store.names import SPLITS, split_path

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
            f"a split called {split.name!r} exists", where=path, hint="choose another --name, or give --overwrite"
        )
    with replacing(path) as file:
        file.write(manifest.to_line({"split": split.name, "made": dict(split.made)}))
        for sample_id in sorted(split.sides):
            file.write(manifest.to_line({"id": sample_id, "side": split.sides[sample_id]}))


def read(root: Path, name: str, *, ids: Mapping[str, str] | None = None) -> Split:
    """Read a split.

    Args:
        root: The prepared folder.
        name: Of the split.
        ids: id -> the same id; given, the split shares these strings instead of holding its own.

    Raises:
        DataError: The file is missing or damaged; the line is named.
    """
    path = root / split_path(name)
    lines = stream(path)
    made = next(lines)[1]
    sides: dict[str, Side] = {}
    for _, row in lines:
        sample_id = row["id"]
        sides[sample_id if ids is None else ids.get(sample_id, sample_id)] = row["side"]
    return Split(name, sides, made["made"])


def stream(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, values) of each line of a split file: the header first, then id and side.

    Raises:
        DataError: The file is missing or damaged; the line is named.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise DataError("the split is missing", where=path, hint=_HINT) from error
    last = ""
    number = 0
    with file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            row = manifest.parse_object(line, where)
            if number == 1:
                if row.get("split") != path.stem or not isinstance(row.get("made"), dict):
                    raise DataError("the first line is not the header of this split", where=where, hint=_HINT)
            else:
                _check(row, last, where)
                last = row["id"]
                row["side"] = SIDES[SIDES.index(row["side"])]
            yield number, row
    if number == 0:
        raise DataError("the split is empty", where=path, hint=_HINT)


def _check(row: dict[str, Any], last: str, where: str) -> None:
    if set(row) != {"id", "side"} or not isinstance(row["id"], str) or row["side"] not in SIDES:
        raise DataError("the line is not an id and a side (train, val or test)", where=where, hint=_HINT)
    if row["id"] <= last:
        raise DataError(f"the id {row['id']!r} is there twice or unsorted", where=where, hint=_HINT)
