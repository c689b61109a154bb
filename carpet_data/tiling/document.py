"""tiles.jsonl of a tiled folder: how it was cut, and what each whole image was, so that `untile` can restore it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from carpet_data.errors import DataError, UsageError
from carpet_data.store import description, manifest
from carpet_data.store.description import Description
from carpet_data.store.json_files import read_lines, write_lines
from carpet_data.store.manifest import Entry
from carpet_data.tiling.options import TileOptions

__all__ = ["NAME", "TileRecord", "open_document", "write"]

NAME = "tiles.jsonl"
_VERSION = 1
_HINT = "restore the file, or cut the data set again: carpet-data tile"


@dataclass(frozen=True, slots=True)
class TileRecord:
    """What a tile's provenance says under "tile".

    Attributes:
        of: Id of the image that it was cut from.
        y: Its first row there.
        x: Its first column there.
        instances: The number of each of its instances in the whole image, from 1, in the order in which their first
            pixels are met row by row. An instance that was cut has one number in all of its tiles.
        sliver: Whether it is called good though its mask marks a few pixels.
    """

    of: str
    y: int
    x: int
    instances: tuple[int, ...] = ()
    sliver: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        values: dict[str, Any] = {"of": self.of, "y": self.y, "x": self.x, "instances": list(self.instances)}
        return values | ({"sliver": True} if self.sliver else {})

    @classmethod
    def of_sample(cls, provenance: Mapping[str, Any] | None) -> TileRecord | None:
        """The record of a sample; None for one that is not a tile.

        Raises:
            ValueError: The record is damaged.
        """
        values = (provenance or {}).get("tile")
        if values is None:
            return None
        try:
            return cls(
                str(values["of"]),
                int(values["y"]),
                int(values["x"]),
                tuple(map(int, values["instances"])),
                bool(values.get("sliver", False)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the record of a tile is damaged ({error!r})") from error


def write(root: Path, options: TileOptions, about: Description, images: Iterable[Entry]) -> None:
    """Write how a data set was cut; `images` are the whole images, sorted by id, with the paths that `untile` uses."""
    header = {"version": _VERSION, "options": options.to_json(), "description": asdict(about)}
    write_lines(root / NAME, chain([{"tiles": header}], map(manifest.to_json, images)))


def open_document(root: Path) -> tuple[TileOptions, Description, Iterator[Entry]]:
    """How a folder was cut, the description of the whole data set, and its images, one in memory at a time.

    Raises:
        UsageError: The folder holds no tiles.
        DataError: The document is damaged; the images raise it too.
    """
    description.read(root)
    path = root / NAME
    if not path.exists():
        raise UsageError(f"not a folder of tiles: it has no {NAME}", where=root, hint="name a folder that `tile` wrote")
    rows = read_lines(path, _HINT, "the record of the tiles")
    where, header = next(rows, (str(path), {}))
    try:
        values = header["tiles"]
        if values["version"] != _VERSION:
            raise ValueError(f"unknown version {values['version']!r}")
        options = TileOptions.from_json(values["options"])
        about = dict(values["description"])
        made = Description(**{**about, **{key: tuple(about[key]) for key in ("classes", "categories")}})
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise DataError(
            f"the first line does not say how the tiles were cut ({error})", where=where, hint=_HINT
        ) from error
    return options, made, _entries(rows)


def _entries(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Entry]:
    for where, row in rows:
        try:
            yield manifest.from_json(row)
        except ValueError as error:  # noqa: PERF203  (the line is named)
            raise DataError(f"the line is not an image: {error}", where=where, hint=_HINT) from error
