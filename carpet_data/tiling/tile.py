"""Tile: cut the images, masks and instances of a data set into tiles, exactly."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.core import executor
from carpet_data.core.images import probe
from carpet_data.core.options import divided
from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, IndexFile, Sample
from carpet_data.errors import DataError
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.roles import Account
from carpet_data.formats.account.unread import source_lines
from carpet_data.formats.export import default_out
from carpet_data.formats.skipped import skipped_lines
from carpet_data.preparation import partitions
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.plan import part
from carpet_data.store import reading
from carpet_data.store.creating import check_out, create
from carpet_data.store.output import check_apart
from carpet_data.tiling.document import TileRecord
from carpet_data.tiling.draft import TileDraft
from carpet_data.tiling.options import TileOptions
from carpet_data.tiling.source import Source, SourceReader

__all__ = ["TileResult", "tile"]


@dataclass(frozen=True, slots=True)
class TileResult(Result):
    """What `tile` wrote, or with dry_run would write.

    Attributes:
        out: The prepared folder of tiles.
        name: Name of the data set.
        images: Number of images that were cut.
        whole: How many of them are one tile.
        tiles: Number of tiles.
        classes: class -> tiles.
        splits: split -> class -> side -> tiles.
        instances: Number of defects in the images.
        cut: How many of them lie in several tiles.
        parts: Number of instances in the tiles.
        slivers: Number of tiles of class good whose masks mark fewer than `least_pixels`.
        notes: What the user should know.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
        source: What each folder was taken for; None for a prepared folder.
        resumed: Number of tiles that an earlier, interrupted run had written.
        dry_run: Nothing was written.
    """

    out: Path
    name: str
    images: int
    whole: int
    tiles: int
    classes: Mapping[str, int]
    splits: Mapping[str, Mapping[str, Mapping[str, int]]]
    instances: int
    cut: int
    parts: int
    slivers: int
    notes: tuple[str, ...] = ()
    skipped: tuple[DataError, ...] = ()
    source: Account | None = None
    resumed: int = 0
    dry_run: bool = False

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
            lines += [f"{name}: {counted(count, 'tile')}" for name, count in self.classes.items()]
        if self.instances:
            have = "lies" if self.cut == 1 else "lie"
            lines.append(
                f"{counted(self.instances, 'instance')}, of which {self.cut} {have} in several tiles: "
                f"{counted(self.parts, 'part')} in all"
            )
        if self.slivers:
            lines.append(f"{counted(self.slivers, 'tile')} of class good with a few defect pixels in the mask")
        lines += [f"note: {note}" for note in self.notes]
        lines += [*skipped_lines(self.skipped), *source_lines(self.source)]
        done = "would be cut into" if self.dry_run else "were cut into"
        lines.append(f"{counted(self.images, 'image')} {done} {counted(self.tiles, 'tile')}: {self.out}")
        return "\n".join(lines)


@dataclass
class _Tally:
    """Counts tiles, one at a time."""

    classes: Counter[str] = field(default_factory=Counter)
    class_of: dict[str, str] = field(default_factory=dict)
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)
    slivers: int = 0
    several_classes: int = 0

    def add(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            self.classes[sample.class_name] += 1
            self.class_of[sample.id] = sample.class_name
            record = TileRecord.of_sample(sample.provenance)
            assert record is not None
            self.seen.update((record.of, number) for number in record.instances)
            self.slivers += record.sliver
            if isinstance(sample.annotation, IndexFile):
                self.several_classes += len({name for _, name in sample.annotation.table}) > 1


def tile(
    data: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    options: TileOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    split_options: SplitOptions | None = None,
    group_options: GroupOptions | None = None,
    keep_unmasked: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> TileResult:
    """Cut images, masks and instances into overlapping tiles, and write them as a prepared data set.

    Pixels are exact: tiles are PNGs of the decoded pixels, 8 or 16 bits, gray or RGB (transparency is dropped, as in
    all reading). A tile without defect pixels is good. All tiles of an image, and of its whole group, are on one side
    of every split. The tiles of a cut instance share its number: `provenance["tile"]["instances"]` of each tile.

    Args:
        data: A prepared folder, whose groups and splits carry over; or a raw data set, which is checked, grouped and
            split as `prepare` does.
        out: The folder to write; None for `NAME-tiles` beside the source.
        options: Size and overlap of the tiles.
        read_options: How to read a raw data set; its `skip_faulty` leaves out images with problems. Its `overlap`, of
            annotations, can be given here only.
        split_options: How to split a raw data set.
        group_options: How to group a raw data set.
        keep_unmasked: Give all tiles of an image whose defect no mask locates the image's class, instead of failing.
        overwrite: Replace a prepared data set at `out`.
        dry_run: Read all masks, show what would be done and write nothing.
        workers: Processes; None for one per core.
        progress: Called with each `Step`.
        **changes: Options of tiles, reading, splitting and grouping by their names, such as size=256.

    Raises:
        UsageError: Options that contradict each other or the data.
        DataError: The data have a problem; ProblemsError names several at once.
        OutputError: The output exists; LockedError: another process is writing it.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from carpet_data import sample
        >>> with TemporaryDirectory() as place:
        ...     _ = sample(f"{place}/carpet", size=96, counts={"good": 2, "test-good": 1, "hole": 2}, workers=1)
        ...     done = tile(f"{place}/carpet", f"{place}/tiles", size=64, overlap=16, k_shot=1, workers=1)
        >>> done.images, done.tiles, done.whole
        (25, 100, 0)
    """
    of_tiles, of_reading, of_split, of_groups = divided(changes, TileOptions, ReadOptions, SplitOptions, GroupOptions)
    of_reading.pop("overlap", None)  # that of the tiles; read_options says which annotation decides
    options = TileOptions.of(options, of_tiles)
    root = data.root if isinstance(data, Dataset) else Path(data)
    out = default_out(root, "tiles") if out is None else Path(out)
    check_apart(out, root.parent if root.is_file() else root)
    check_out(out, overwrite=overwrite)
    reader = SourceReader(
        options,
        ReadOptions.of(read_options, of_reading),
        SplitOptions.of(split_options, of_split),
        GroupOptions.of(group_options, of_groups),
        keep_unmasked,
        workers,
        progress,
    )
    source = reader.source(data)
    draft = TileDraft(source, options)
    tally, resumed = _Tally(), 0
    if dry_run:
        for samples in executor.run(draft.write, draft.jobs(None, ()), workers=workers):
            tally.add(each for each in samples if isinstance(draft.entry(each), Sample))
    else:
        command = f"tile {root} -o {out}"
        resumed = create(out, draft, command=command, overwrite=overwrite, workers=workers, progress=part(progress, 2))
        tally.add(reading.stream(out))
    return _result(out, draft, tally, resumed=resumed, dry_run=dry_run)


def _result(out: Path, draft: TileDraft, tally: _Tally, *, resumed: int, dry_run: bool) -> TileResult:
    source = draft.source
    images = [each.sample for each in source.images if each.dropped is None]
    splits = [
        type(split)(split.name, {k: v for k, v in split.sides.items() if k in tally.class_of}, split.made)
        for split in draft.splits
    ]
    return TileResult(
        out=out,
        name=source.description.name,
        images=len(images),
        whole=sum(len(draft.tiles_of(sample.id)) == 1 for sample in images),
        tiles=sum(tally.classes.values()),
        classes=dict(sorted(tally.classes.items(), key=lambda item: (item[0] != GOOD, item[0]))),
        splits=partitions.counts_by_class(splits, tally.class_of),
        instances=len(tally.seen),
        cut=sum(count > 1 for count in tally.seen.values()),
        parts=sum(tally.seen.values()),
        slivers=tally.slivers,
        notes=(*source.notes, *_notes(source, draft, tally)),
        skipped=source.skipped,
        source=source.account,
        resumed=resumed,
        dry_run=dry_run,
    )


def _notes(source: Source, draft: TileDraft, tally: _Tally) -> list[str]:
    notes: list[str] = []
    cut_up = [each for each in source.images if each.dropped is None and len(draft.tiles_of(each.sample.id)) > 1]
    unlocated = sum(not each.located for each in cut_up)
    if unlocated:
        notes.append(f"all tiles of {counted(unlocated, 'image')} without a marked defect have the class of the image")
    alpha = sum("alpha" in probe(source.root / each.sample.image_path).mode for each in cut_up)
    if alpha:
        notes.append(f"{counted(alpha, 'image')} with an alpha channel: tiles hold the colors, without transparency")
    if tally.several_classes:
        notes.append(
            f"{counted(tally.several_classes, 'tile')} with defects of several classes: each has its image's class "
            "where the tile shows it, else the class with the most pixels"
        )
    return notes
