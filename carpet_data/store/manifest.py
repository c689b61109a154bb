"""The manifest: one sample per line, sorted by id, read and written as a stream."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from carpet_data.dataset import MASK_THRESHOLD, SIDES, IndexFile, MaskFile, Sample, Side
from carpet_data.errors import DataError
from carpet_data.store.files import replacing
from carpet_data.store.json_files import parse_line, read_lines, to_line
from carpet_data.store.names import MANIFEST, inside

_HINT = "prepare the data set again from its source"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A dropped sample, with the reason given; its files and its line stay, and its id is never used again."""

    sample: Sample
    reason: str

    @property
    def id(self) -> str:
        """The id of the dropped sample."""
        return self.sample.id


Entry: TypeAlias = Sample | Tombstone


def to_json(entry: Entry) -> dict[str, Any]:
    """An entry as plain values; what is None is left out.

    Raises:
        ValueError: The annotation is of a kind that a prepared folder does not hold.
    """
    sample = entry.sample if isinstance(entry, Tombstone) else entry
    row: dict[str, Any] = {"id": sample.id}
    if isinstance(entry, Tombstone):
        row |= {"dropped": True, "reason": entry.reason}
    row |= {"image": sample.image_path, "class": sample.class_name, "width": sample.width, "height": sample.height}
    match sample.annotation:
        case None:
            pass
        case MaskFile(path=path, threshold=threshold) if threshold == MASK_THRESHOLD:
            row["mask"] = path
        case IndexFile(path=path, table=table):
            row |= {"mask": path, "instances": [list(pair) for pair in table]}
        case _:
            raise ValueError(f"a prepared folder cannot hold {sample.annotation!r}")
    row["origin"] = sample.origin
    optional = {
        "side": sample.side,
        "source": sample.source,
        "image_sha256": sample.image_sha256,
        "mask_sha256": sample.mask_sha256,
        "group": sample.group,
        "provenance": None if sample.provenance is None else dict(sample.provenance),
    }
    return row | {key: value for key, value in optional.items() if value is not None}


_TYPES: dict[str, type] = {
    "id": str,
    "dropped": bool,
    "reason": str,
    "image": str,
    "class": str,
    "width": int,
    "height": int,
    "mask": str,
    "instances": list,
    "origin": str,
    "side": str,
    "source": str,
    "image_sha256": str,
    "mask_sha256": str,
    "group": str,
    "provenance": dict,
}
_NEEDED = ("id", "image", "class", "width", "height", "origin")


def from_json(row: object) -> Entry:
    """An entry from plain values.

    Raises:
        ValueError: They do not describe an entry.
    """
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    _check(row)
    side: Side | None = row.get("side")
    sample = Sample(
        id=row["id"],
        image_path=row["image"],
        # Class names repeat on every line; one object for each saves much in a large data set.
        class_name=sys.intern(row["class"]),
        width=row["width"],
        height=row["height"],
        annotation=_annotation(row),
        origin="real" if row["origin"] == "real" else "synthetic",
        side=side,
        source=row.get("source"),
        image_sha256=row.get("image_sha256"),
        mask_sha256=row.get("mask_sha256"),
        group=row.get("group"),
        provenance=_shared(row["provenance"]) if "provenance" in row else None,
    )
    return Tombstone(sample, row.get("reason", "")) if row.get("dropped") else sample


def _check(row: Mapping[str, Any]) -> None:
    """Refuse what is not a row of a manifest."""
    for key, value in row.items():
        kind = _TYPES.get(key)
        if kind is None:
            raise ValueError(f"unknown field {key!r}")
        if type(value) is not kind:
            raise ValueError(f"{key} is {value!r}, expected {kind.__name__}")
    for key in _NEEDED:
        if key not in row:
            raise ValueError(f"{key} is missing")
    if not row["id"] or not row["class"]:
        raise ValueError("id or class is empty")
    if row["width"] < 1 or row["height"] < 1:
        raise ValueError(f"the size is {row['width']}x{row['height']}")
    if row["origin"] not in ("real", "synthetic"):
        raise ValueError(f"origin is {row['origin']!r}, expected real or synthetic")
    if row.get("side", "train") not in SIDES:
        raise ValueError(f"side is {row['side']!r}, expected train, val or test")
    for key in ("image", "mask"):
        if key in row and not inside(row[key]):
            raise ValueError(f"{key} is {row[key]!r}, which leaves the data set")
    for key in ("image_sha256", "mask_sha256"):
        if key in row and (len(row[key]) != 64 or not set(row[key]) <= set("0123456789abcdef")):
            raise ValueError(f"{key} is not the hex digest of a SHA-256")


def _shared(value: Any) -> Any:
    """The same values, with one object for each text: keys, recipes and hosts repeat from line to line."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {sys.intern(key): _shared(inner) for key, inner in value.items()}
    return [_shared(inner) for inner in value] if isinstance(value, list) else value


def _annotation(row: Mapping[str, Any]) -> MaskFile | IndexFile | None:
    if "mask" not in row:
        if "instances" in row:
            raise ValueError("it has instances, but no mask")
        return None
    if "instances" not in row:
        return MaskFile(row["mask"])
    table: list[tuple[int, str]] = []
    for pair in row["instances"]:
        if not (isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is int and isinstance(pair[1], str)):
            raise ValueError(f"instances holds {pair!r}, expected [index, class]")
        table.append((pair[0], sys.intern(pair[1])))
    indices = [index for index, _ in table]
    if indices != sorted(set(indices)) or any(not 1 <= index <= 65535 for index in indices):
        raise ValueError("the indices of instances must rise within 1..65535")
    return IndexFile(row["mask"], tuple(table))


def parse(line: bytes, where: str) -> Entry:
    """An entry from its line.

    Raises:
        DataError: The line is damaged, named by `where`.
    """
    return _entry(where, parse_line(line, where, _HINT))


def _entry(where: str, row: dict[str, Any]) -> Entry:
    try:
        return from_json(row)
    except ValueError as error:
        raise DataError(f"the line is not a sample: {error}", where=where, hint=_HINT) from error


def stream(path: Path) -> Iterator[Entry]:
    """The entries of a manifest in the order of their ids, one in memory at a time.

    Raises:
        DataError: The file is missing, or a line is damaged, repeated or out of order; it is named.
    """
    last: str | None = None
    for where, row in read_lines(path, _HINT, "the manifest"):
        entry = _entry(where, row)
        if last is not None and entry.id <= last:
            what = "repeated" if entry.id == last else "unsorted"
            raise DataError(f"{what} id {entry.id!r}", where=where, hint=_HINT)
        last = entry.id
        yield entry


def read(root: Path) -> tuple[dict[str, Sample], dict[str, Sample]]:
    """The samples of a prepared folder and its dropped samples, each by id.

    Raises:
        DataError: As `stream`.
    """
    samples: dict[str, Sample] = {}
    dropped: dict[str, Sample] = {}
    for entry in stream(root / MANIFEST):
        if isinstance(entry, Tombstone):
            dropped[entry.id] = entry.sample
        else:
            samples[entry.id] = entry
    return samples, dropped


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a manifest in place of the old one; the old one may be what is being read.

    Raises:
        ValueError: The entries are not sorted by id, or an id is repeated.
    """
    last = None
    with replacing(path) as file:
        for entry in entries:
            if last is not None and entry.id <= last:
                raise ValueError(f"the entries are not sorted: {entry.id!r} after {last!r}")
            last = entry.id
            file.write(to_line(to_json(entry)))
