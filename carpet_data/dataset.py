"""A table of samples and its splits. No pixels are held; methods load them when they are called."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from carpet_data.errors import DataError, UsageError, nearest
from carpet_data.samples import (
    GOOD,
    MASK_THRESHOLD,
    SIDES,
    Annotation,
    ClassFile,
    Connectivity,
    IndexFile,
    Instance,
    MaskFile,
    MaskStack,
    Origin,
    Overlap,
    Sample,
    Shape,
    Shapes,
    Side,
)

if TYPE_CHECKING:
    from carpet_data.formats import Format
    from carpet_data.formats.account.roles import Account
    from carpet_data.formats.export import ExportResult
    from carpet_data.statistics.stats import Stats
    from carpet_data.synthesis.engine.preview import PreviewResult

__all__ = [
    "GOOD",
    "MAIN_SPLIT",
    "MASK_THRESHOLD",
    "SIDES",
    "SOURCE_SPLIT",
    "Annotation",
    "ClassFile",
    "Connectivity",
    "DataFolder",
    "Dataset",
    "IndexFile",
    "Instance",
    "MaskFile",
    "MaskStack",
    "Origin",
    "Overlap",
    "Sample",
    "Shape",
    "Shapes",
    "Side",
    "Split",
    "categories_of",
    "folder_of",
]

MAIN_SPLIT = "main"
"""The split that `prepare` makes, and that is meant where none is named."""

SOURCE_SPLIT = "source"
"""The split that the folders of a raw data set make; meant where there is no "main"."""


@dataclass(frozen=True, slots=True)
class Split:
    """A named partition of a data set.

    Attributes:
        name: Such as "main" or "fold2".
        sides: sample id -> train | val | test; ids not in it take no part in this split.
        made: How it was made: seed, fractions, protocol, pool.
    """

    name: str
    sides: Mapping[str, Side]
    made: Mapping[str, Any] = field(default_factory=dict)

    def ids(self, side: Side) -> tuple[str, ...]:
        """The sorted ids on one side."""
        return tuple(sorted(sample_id for sample_id, its_side in self.sides.items() if its_side == side))

    def counts(self) -> dict[Side, int]:
        """How many samples each side holds, sides in the order train, val, test; empty sides left out."""
        values = list(self.sides.values())
        return {side: values.count(side) for side in SIDES if side in values}


@dataclass(frozen=True, slots=True, repr=False)
class Dataset:
    """A table of samples; no pixels are held.

    Filters (`of_class`, `on_side`, `of_origin`, `where`, `take`, slices) return a smaller data set with the same root
    and categories, so they chain, and what is left can be exported like any other.

    Attributes:
        root: The folder that all paths are relative to.
        name: Shown to people and written into exports.
        samples: Sorted by id, ids unique.
        categories: The defect types in the order of their COCO ids (1 …): sorted names.
        splits: Named partitions; a raw folder has "source" where its folders say train and test.
        license: The license of the data, as text; empty where unknown.
        connectivity: 4 or 8: which pixels belong to one component of a binary mask.
        format: What it was read from: "mvtec", "prepared", "coco" …
        filtered: Whether its folder holds more samples, which a filter left out.
        skipped: With `ReadOptions.skip_faulty`: one error for each image left out; its `where` is the image file.
        documents: Other files that reading used, such as COCO's JSON and YOLO's labels; relative to the root, POSIX.
        aside: (path of a file or folder, why) of what the reader left out on purpose, such as images without labels.
        orphans: Masks of which no image was found; a reason to refuse, but with `skip_faulty`.
        notes: What the reader decided that one should know, one sentence each.
        account: What each folder was taken for, and what was left unread; None in a prepared folder.

    Examples:
        >>> good, hole = (Sample(n, f"{n}.png", c, 8, 8) for n, c in (("a", "good"), ("b", "hole")))
        >>> ds = Dataset(Path("carpet"), "carpet", (good, hole), ("hole",), format="mvtec")
        >>> ds
        Dataset('carpet', 2 images, 2 classes, mvtec)
        >>> ds["b"].class_name, ds[0].id, len(ds.of_class("hole"))
        ('hole', 'a', 1)
    """

    root: Path
    name: str
    samples: tuple[Sample, ...]
    categories: tuple[str, ...]
    splits: Mapping[str, Split] = field(default_factory=dict)
    license: str = ""
    connectivity: Connectivity = 8
    format: str = ""
    filtered: bool = field(default=False, compare=False)
    skipped: tuple[DataError, ...] = field(default=(), compare=False)
    documents: tuple[str, ...] = field(default=(), compare=False)
    aside: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    orphans: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    account: Account | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", tuple(map(self._bound, self.samples)))

    def _bound(self, sample: Sample) -> Sample:
        """The sample, which knows where its files are: a copy where another data set has it already."""
        if sample.root is None:  # fresh from a reader; a copy of each would make large data sets slow to read
            object.__setattr__(sample, "root", self.root)
            object.__setattr__(sample, "connectivity", self.connectivity)
            return sample
        if sample.root == self.root and sample.connectivity == self.connectivity:
            return sample
        return replace(sample, root=self.root, connectivity=self.connectivity)

    def __repr__(self) -> str:
        counts = (
            f"{count} {noun if count == 1 else plural}"
            for count, noun, plural in ((len(self), "image", "images"), (len(self.classes), "class", "classes"))
        )
        return f"Dataset({', '.join((repr(self.name), *counts, self.format or 'no format'))})"

    def _repr_html_(self) -> str:
        import carpet_data

        return carpet_data.dataset_html(self)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __contains__(self, item: object) -> bool:
        return any(item in (sample.id, sample) for sample in self.samples)

    @overload
    def __getitem__(self, key: int | str) -> Sample: ...

    @overload
    def __getitem__(self, key: slice) -> Dataset: ...

    def __getitem__(self, key: int | str | slice) -> Sample | Dataset:
        """The sample at a position or of an id; for a slice, a data set of those samples."""
        if isinstance(key, slice):
            chosen = range(len(self.samples))[key]
            return self._with(self.samples[position] for position in sorted(chosen))
        if not isinstance(key, str):
            return self.samples[key]
        for sample in self.samples:
            if sample.id == key:
                return sample
        raise KeyError(f"no sample {key!r} in {self!r}: {nearest(key, (s.id for s in self.samples))}".rstrip(": "))

    @property
    def classes(self) -> tuple[str, ...]:
        """The image classes present, `good` first, then sorted."""
        names = {sample.class_name for sample in self.samples}
        return tuple(sorted(names, key=lambda name: (name != GOOD, name)))

    def path(self, relative: str) -> Path:
        """The absolute path of a file of this data set."""
        return self.root / relative

    def by_id(self) -> dict[str, Sample]:
        """sample id -> sample."""
        return {sample.id: sample for sample in self.samples}

    def _with(self, samples: Iterable[Sample]) -> Dataset:
        """The same data set with only these of its samples, and splits of what is left."""
        kept = tuple(samples)
        ids = {sample.id for sample in kept}
        splits = {
            name: replace(split, sides={each: side for each, side in split.sides.items() if each in ids})
            for name, split in self.splits.items()
        }
        return replace(self, samples=kept, splits=splits, filtered=self.filtered or len(kept) < len(self.samples))

    def where(self, predicate: Callable[[Sample], bool]) -> Dataset:
        """The samples for which `predicate(sample)` holds."""
        return self._with(sample for sample in self.samples if predicate(sample))

    def of_class(self, *names: str) -> Dataset:
        """The samples of these image classes.

        Raises:
            UsageError: A name is neither an image class of the data set nor a defect type.
        """
        known = {*self.classes, *self.categories, GOOD}
        for name in names:
            if name not in known:
                hint = f"{nearest(name, known)}use one of: {', '.join(sorted(known))}"
                raise UsageError(f"unknown class {name!r}", where=self.root, hint=hint)
        return self.where(lambda sample: sample.class_name in names)

    def of_origin(self, origin: Origin) -> Dataset:
        """The real or the synthetic samples.

        Raises:
            UsageError: `origin` is neither "real" nor "synthetic".
        """
        if origin not in ("real", "synthetic"):
            raise UsageError(f"unknown origin {origin!r}", hint="use real or synthetic")
        return self.where(lambda sample: sample.origin == origin)

    def on_side(self, side: Side, split: str | None = None) -> Dataset:
        """The samples on one side of a split.

        Args:
            side: "train", "val" or "test".
            split: Its name; None for "main", else "source".

        Raises:
            UsageError: No such side, or no such split.
        """
        if side not in SIDES:
            raise UsageError(f"unknown side {side!r}", hint=f"use one of: {', '.join(SIDES)}")
        name = self.split_name(split)
        if name is None:
            raise UsageError(
                "the data set has no split",
                where=self.root,
                hint="prepare it: carpet-data prepare, then read the result",
            )
        sides = self.splits[name].sides
        return self.where(lambda sample: sides.get(sample.id) == side)

    def take(self, ids: Iterable[str]) -> Dataset:
        """The samples of these ids.

        Raises:
            UsageError: The data set has no sample of an id.
        """
        wanted = set(ids)
        taken = self.where(lambda sample: sample.id in wanted)
        if len(taken) < len(wanted):
            known = [sample.id for sample in self.samples]
            lacking = min(wanted.difference(known))
            raise UsageError(
                f"unknown sample {lacking!r}", where=self.root, hint=nearest(lacking, known).strip() or None
            )
        return taken

    def split_name(self, split: str | None = None) -> str | None:
        """The split that is meant: the named one, else "main", else "source", else None for no split at all.

        Raises:
            UsageError: The data set has no split of that name.
        """
        if split is None:
            return next((name for name in (MAIN_SPLIT, SOURCE_SPLIT) if name in self.splits), None)
        if split not in self.splits:
            known = ", ".join(sorted(self.splits)) or "none"
            raise UsageError(f"unknown split {split!r} (there are: {known})", where=self.root)
        return split

    def to(self, format: str | Format, out: str | os.PathLike[str] | None = None, **options: Any) -> ExportResult:
        """Write any format, also one that an installed package adds; `options` as in `carpet_data.export`."""
        import carpet_data

        return carpet_data.export(self, format, out, **options)

    def to_coco(self, out: str | os.PathLike[str] | None = None, **options: Any) -> ExportResult:
        """Write COCO instances; `options` as in `carpet_data.to_coco`."""
        import carpet_data

        return carpet_data.to_coco(self, out, **options)

    def to_yolo(self, out: str | os.PathLike[str] | None = None, **options: Any) -> ExportResult:
        """Write YOLO segments or boxes; `options` as in `carpet_data.to_yolo`."""
        import carpet_data

        return carpet_data.to_yolo(self, out, **options)

    def to_voc(self, out: str | os.PathLike[str] | None = None, **options: Any) -> ExportResult:
        """Write Pascal VOC; `options` as in `carpet_data.to_voc`."""
        import carpet_data

        return carpet_data.to_voc(self, out, **options)

    def to_folder(self, out: str | os.PathLike[str] | None = None, **options: Any) -> ExportResult:
        """Write one folder of images per class; `options` as in `carpet_data.to_folder`."""
        import carpet_data

        return carpet_data.to_folder(self, out, **options)

    def to_mvtec(self, out: str | os.PathLike[str] | None = None, **options: Any) -> ExportResult:
        """Write the MVTec AD layout; `options` as in `carpet_data.to_mvtec`."""
        import carpet_data

        return carpet_data.to_mvtec(self, out, **options)

    def to_masks(self, out: str | os.PathLike[str] | None = None, **options: Any) -> ExportResult:
        """Write images with class-index masks; `options` as in `carpet_data.to_masks`."""
        import carpet_data

        return carpet_data.to_masks(self, out, **options)

    def stats(self, **options: Any) -> Stats:
        """Count classes, sides, instances and sizes; `options` as in `carpet_data.stats`."""
        import carpet_data

        return carpet_data.stats(self, **options)

    def preview(self, out: str | os.PathLike[str] | None = None, **options: Any) -> PreviewResult:
        """Draw a contact sheet; `options` as in `carpet_data.preview`."""
        import carpet_data

        return carpet_data.preview(self, out, **options)

    def fingerprint(self, split: str | None = None) -> str:
        """A hex digest of what the data set is: ids, pixel hashes, and one split.

        A raw folder has no pixel hashes, so its fingerprint covers ids, classes and sizes only.
        """
        sides = self.splits[split].sides if split is not None else {}
        digest = hashlib.sha256()
        for s in self.samples:
            row = (s.id, s.class_name, s.width, s.height, s.image_sha256, s.mask_sha256, sides.get(s.id))
            digest.update(json.dumps(row, ensure_ascii=False).encode())
            digest.update(b"\n")
        return digest.hexdigest()


DataFolder: TypeAlias = str | os.PathLike[str] | Dataset
"""What a function that works on a folder takes: its path, the result of `prepare`, or the data set read from it."""


def folder_of(data: DataFolder) -> Path:
    """The folder that is meant.

    Raises:
        UsageError: It is a filtered data set: the function would work on samples that were left out.
    """
    if not isinstance(data, Dataset):
        return Path(data)
    if data.filtered:
        raise UsageError(
            "a filtered data set cannot stand for its whole folder",
            where=data.root,
            hint="give the unfiltered data set, or export the samples (`to_mvtec`) and prepare that folder",
        )
    return data.root


def categories_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The defect types that samples show, sorted: the categories of a data set in the order of their ids.

    A defect class whose images have no masks is a category too, so that ids do not move when masks are added.
    """
    names: set[str] = set()
    for sample in samples:
        if sample.annotation is not None:
            names.update(sample.defect_classes)
        elif sample.class_name != GOOD:
            names.add(sample.class_name)
    return tuple(sorted(names))
