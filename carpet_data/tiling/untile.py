"""Untile: put the tiles of a data set together again, exactly."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import DataFolder, Dataset, Sample, Side, Split, folder_of
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.export import default_out
from carpet_data.preparation import partitions
from carpet_data.store import manifest, names, reading, splits
from carpet_data.store.creating import check_out, create
from carpet_data.store.description import Description
from carpet_data.store.manifest import Entry, Tombstone
from carpet_data.store.output import check_apart
from carpet_data.tiling import document
from carpet_data.tiling.draft import copy_models, copy_recipes
from carpet_data.tiling.grid import Window
from carpet_data.tiling.join import JoinJob, join
from carpet_data.tiling.options import TileOptions

__all__ = ["UntileResult", "untile"]

_MOST_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class UntileResult(Result):
    """What `untile` wrote.

    Attributes:
        out: The prepared folder of whole images.
        name: Name of the data set.
        tiles: Number of tiles that were put together.
        images: Number of images.
        classes: class -> images.
        splits: split -> class -> side -> images.
        notes: What the user should know.
        resumed: Number of images that an earlier, interrupted run had written.
    """

    out: Path
    name: str
    tiles: int
    images: int
    classes: Mapping[str, int]
    splits: Mapping[str, Mapping[str, Mapping[str, int]]]
    notes: tuple[str, ...] = ()
    resumed: int = 0

    def __fspath__(self) -> str:
        """The prepared folder, so that the result can be given to every function that takes one."""
        return str(self.out)

    def text(self) -> str:
        """The result in words."""
        lines: list[str] = []
        if self.splits:
            first, *others = self.splits
            lines += partitions.table_text(self.splits[first])
            lines += [f"further splits: {', '.join(others)}"] if others else []
        else:
            lines += [f"{name}: {counted(count, 'image')}" for name, count in self.classes.items()]
        lines += [f"note: {note}" for note in self.notes]
        lines.append(f"{counted(self.tiles, 'tile')} were put together to {counted(self.images, 'image')}: {self.out}")
        return "\n".join(lines)


def untile(
    tiles: DataFolder,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> UntileResult:
    """Put the tiles that `tile` cut together again, and write the images as a prepared data set.

    Pixels, masks, instances, classes, groups and splits are those of the images that were cut; image files are PNGs.
    Tiles may have been changed, as long as neighbors say the same of the pixels that they share.

    Args:
        tiles: A folder that `tile` wrote.
        out: The folder to write; None for `NAME-untiled` beside it.
        overwrite: Replace a prepared data set at `out`.
        workers: Processes; None for one per core.
        progress: Called with each `Step`.

    Raises:
        UsageError: The folder holds no tiles.
        ProblemsError: Tiles that are missing, or images with tiles on two sides of a split; all are named.
        DataError: Tiles that contradict each other where they overlap.
        OutputError: The output exists; LockedError: another process is writing it.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from carpet_data import sample, tile
        >>> with TemporaryDirectory() as place:
        ...     _ = sample(f"{place}/carpet", size=96, counts={"good": 2, "test-good": 1, "hole": 2}, workers=1)
        ...     done = tile(f"{place}/carpet", f"{place}/tiles", size=64, overlap=16, k_shot=1, workers=1)
        ...     untile(done, f"{place}/whole", workers=1).images
        25
    """
    root = folder_of(tiles)
    out = default_out(root, "untiled") if out is None else Path(out)
    check_apart(out, root)
    check_out(out, overwrite=overwrite)
    draft = UntileDraft.read(root)
    command = f"untile {root} -o {out}"
    resumed = create(out, draft, command=command, overwrite=overwrite, workers=workers, progress=progress)
    return _result(out, draft, reading.read(out), resumed)


def _result(out: Path, draft: UntileDraft, dataset: Dataset, resumed: int) -> UntileResult:
    class_of = {sample.id: sample.class_name for sample in dataset}
    notes = []
    if draft.added:
        notes.append(f"{counted(draft.added, 'sample')} added to the tiles later, such as synthetic ones: left out")
    return UntileResult(
        out=out,
        name=dataset.name,
        tiles=sum(len(draft.tiles[sample.id]) for sample in dataset),
        images=len(dataset),
        classes={name: list(class_of.values()).count(name) for name in dataset.classes},
        splits=partitions.counts_by_class(dataset.splits.values(), class_of),
        notes=tuple(notes),
        resumed=resumed,
    )


@dataclass(frozen=True)
class UntileDraft:
    """What `untile` writes; see `carpet_data.store.creating.Contents`.

    Attributes:
        images: Image id -> its line in tiles.jsonl.
        tiles: Image id -> its tiles and their places.
        added: Number of samples that are no tile of these images.
    """

    root: Path
    options: TileOptions
    description: Description
    images: Mapping[str, Entry]
    tiles: Mapping[str, tuple[tuple[Sample, Window], ...]]
    splits: tuple[Split, ...]
    added: int

    @classmethod
    def read(cls, root: Path) -> UntileDraft:
        """Find the tiles of every image.

        Raises:
            UsageError: The folder holds no tiles.
            ProblemsError: See `untile`.
        """
        options, about, entries = document.open_document(root)
        images = {entry.id: entry for entry in entries}
        samples, dropped = manifest.read(root)
        problems: list[CarpetDataError] = []
        tiles: dict[str, tuple[tuple[Sample, Window], ...]] = {}
        for image_id, entry in images.items():
            gone = isinstance(entry, Tombstone)
            whole = entry.sample if isinstance(entry, Tombstone) else entry
            known = dropped if gone else samples
            found: list[tuple[Sample, Window]] = []
            for tile_id, window in options.tiles(image_id, whole.height, whole.width):
                tile = known.get(tile_id)
                if tile is not None and (gone or (root / tile.image_path).is_file()):
                    found.append((tile, window))
                else:
                    problems.append(_missing(root, tile_id, image_id, tile, dropped=tile_id in dropped and not gone))
            tiles[image_id] = tuple(found)
        image_of = {tile.id: image_id for image_id, found in tiles.items() for tile, _ in found}
        restored = [_whole_split(root, splits.read(root, name), image_of, problems) for name in splits.names(root)]
        if problems:
            raise ProblemsError(problems[:_MOST_PROBLEMS])
        added = sum(sample_id not in image_of for sample_id in samples)
        return cls(root, options, about, images, tiles, tuple(restored), added)

    @cached_property
    def _image_of(self) -> dict[str, str]:
        return {tile.id: image_id for image_id, found in self.tiles.items() for tile, _ in found}

    @cached_property
    def _links(self) -> tuple[Mapping[str, Any] | None, tuple[Mapping[str, Any], ...]]:
        rows = splits.read_links(self.root)
        made = next(rows, {}).get("made")
        found: dict[str, Mapping[str, Any]] = {}
        for row in rows:
            a, b = (self._image_of.get(str(row.get(end))) for end in ("a", "b"))
            if a is not None and b is not None and a != b:
                link = {**row, "a": min(a, b), "b": max(a, b)}
                found[json.dumps(link, sort_keys=True)] = link
        return made, tuple(found.values())

    @property
    def links(self) -> tuple[Mapping[str, Any], ...]:
        """The links between images."""
        return self._links[1]

    @property
    def links_made(self) -> Mapping[str, Any] | None:
        """How the images were grouped."""
        return self._links[0]

    @property
    def write(self) -> Callable[[Any], Sequence[Sample]]:
        """Puts one image together."""
        return join

    def identity(self) -> str:
        """A hex digest of everything that decides what is written."""
        parts: list[Any] = [["untile", self.options.to_json(), repr(self.description), self.links]]
        parts += [[split.name, split.made, sorted(split.sides.items())] for split in self.splits]
        parts += [
            [manifest.to_json(entry), [[tile.id, tile.image_sha256, tile.mask_sha256] for tile, _ in self.tiles[image]]]
            for image, entry in self.images.items()
        ]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(json.dumps(part, sort_keys=True).encode() + b"\n")
        return digest.hexdigest()

    def ids(self) -> Collection[str]:
        """The ids of the images."""
        return self.images.keys()

    def jobs(self, target: Path, done: Container[str]) -> Iterator[JoinJob]:
        """The images to be put together."""
        for image_id, entry in self.images.items():
            if image_id not in done:
                gone = isinstance(entry, Tombstone)
                whole = entry.sample if isinstance(entry, Tombstone) else entry
                yield JoinJob(self.root, target, whole, self.tiles[image_id], self.description.connectivity, gone)

    def entry(self, sample: Sample) -> Entry:
        """An image as it stands in the manifest: dropped where it was."""
        was = self.images[sample.id]
        return Tombstone(sample, was.reason) if isinstance(was, Tombstone) else sample

    def finish(self, target: Path) -> Description:
        """Bring back the recipes and model cards of synthetic images."""
        copy_recipes(self.root, target)
        copy_models(self.root, target, lambda tile_id: (self._image_of.get(tile_id, tile_id),))
        return self.description


def _missing(root: Path, tile_id: str, image_id: str, tile: Sample | None, *, dropped: bool) -> DataError:
    if dropped:
        what = f"the tile {tile_id!r} of {image_id!r} was dropped"
        hint = "cut the data set again (carpet-data tile), and drop the whole image after untile"
        return DataError(what, where=root / names.MANIFEST, hint=hint)
    where = root / (names.MANIFEST if tile is None else tile.image_path)
    hint = "restore it, or cut the data set again: carpet-data tile"
    return DataError(f"the tile {tile_id!r} of {image_id!r} is missing", where=where, hint=hint)


def _whole_split(root: Path, split: Split, image_of: Mapping[str, str], problems: list[CarpetDataError]) -> Split:
    """The sides of the images; an image whose tiles are on two sides is a problem."""
    sides: dict[str, Side] = {}
    for tile_id, side in split.sides.items():
        image_id = image_of.get(tile_id)
        if image_id is None:
            continue
        if sides.setdefault(image_id, side) != side:
            what = f"tiles of {image_id!r} are on two sides of the split {split.name!r}, {sides[image_id]} and {side}"
            where = root / names.split_path(split.name)
            problems.append(DataError(what, where=where, hint="make the split again (carpet-data split)"))
    return Split(split.name, sides, split.made)
