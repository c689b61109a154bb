"""What is to be cut: a prepared folder as it is, or a raw data set as `prepare` would write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, Dataset, Sample, Split, folder_of
from carpet_data.errors import CarpetDataError, DataError, OverlapError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.account.roles import Account
from carpet_data.formats.reading import PREPARED
from carpet_data.formats.skipped import about_image
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.plan import PreparePlanner
from carpet_data.store import conversion, description, manifest, names, splits
from carpet_data.store.description import Description
from carpet_data.store.manifest import Tombstone
from carpet_data.store.verify import refuse_errors
from carpet_data.tiling.document import NAME
from carpet_data.tiling.options import TileOptions

__all__ = ["Source", "SourceReader", "WholeImage"]

_MOST_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class WholeImage:
    """An image that is to be cut.

    Attributes:
        sample: Its id, group and hash are those of a prepared folder; its files lie in the source.
        mask_digest: Of all that its mask is read from; empty without a mask.
        located: Whether the mask says where the defect is; True for a good image.
        dropped: Why it was dropped from its data set; None if it was not.
    """

    sample: Sample
    mask_digest: str = ""
    located: bool = True
    dropped: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that is to be cut; images are sorted by id."""

    root: Path
    description: Description
    images: tuple[WholeImage, ...]
    splits: tuple[Split, ...]
    links: tuple[Mapping[str, Any], ...] = ()
    links_made: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    skipped: tuple[DataError, ...] = ()
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class SourceReader:
    """How to read what is to be cut.

    Attributes:
        keep_unmasked: Whether images stay whose defect no mask locates, though nobody knows which tiles show it.
    """

    tiles: TileOptions
    read: ReadOptions
    split: SplitOptions
    group: GroupOptions
    keep_unmasked: bool
    workers: int | None
    progress: Progress | None

    def source(self, data: Any) -> Source:
        """Look at every mask, and for a raw data set group and split as `prepare` does.

        Raises:
            DataError: The data set cannot be read, or is damaged.
            ProblemsError: Images or masks with problems, or defects that no mask locates.
            UsageError: Options of reading, grouping or splitting for a prepared folder; or it holds tiles already.
        """
        dataset = read(data, self.read)
        found = self._prepared(dataset) if dataset.format == PREPARED else self._raw(dataset)
        return self._without_unlocated(found)

    def _prepared(self, dataset: Dataset) -> Source:
        root = folder_of(dataset)
        if (root / NAME).exists():
            raise UsageError(
                "these are tiles already", where=root, hint="cut the images: carpet-data untile, then tile"
            )
        if (self.read.but(skip_faulty=False), self.split, self.group) != (
            ReadOptions(),
            SplitOptions(),
            GroupOptions(),
        ):
            raise UsageError(
                "options of reading, grouping and splitting are for raw data; this data set is prepared",
                where=root,
                hint="leave them out: its groups and splits carry over",
            )
        refuse_errors(root)
        made, *links = [*splits.read_links(root)] or [{}]
        return Source(
            root,
            description.read(root),
            tuple(self._looked_at(root, manifest.stream(root / names.MANIFEST))),
            tuple(dataset.splits.values()),
            tuple(links),
            made.get("made"),
        )

    def _looked_at(self, root: Path, entries: Iterable[manifest.Entry]) -> Iterator[WholeImage]:
        """The images of a manifest, and whether their defects are located: the masks of defect images are read."""
        wholes = [
            WholeImage(entry.sample, entry.sample.mask_sha256 or "", dropped=entry.reason)
            if isinstance(entry, Tombstone)
            else WholeImage(entry, entry.mask_sha256 or "")
            for entry in entries
        ]
        defects = [each.sample for each in wholes if each.dropped is None and each.sample.class_name != GOOD]
        jobs = ((str(root), sample) for sample in defects)
        located: dict[str, bool] = {}
        problems: list[CarpetDataError] = []
        results = executor.run(conversion.inspect, jobs, workers=self.workers, chunk=32)
        for done, (sample, result) in enumerate(zip(defects, results, strict=True), start=1):
            if isinstance(result, CarpetDataError):
                problems.append(result)
            else:
                located[sample.id] = result.form != "none" and not result.empty
            if self.progress is not None:
                self.progress(Step(done, len(defects), "reading masks"))
        if problems:
            raise ProblemsError(problems[:_MOST_PROBLEMS])
        return (replace(each, located=located.get(each.sample.id, True)) for each in wholes)

    def _raw(self, dataset: Dataset) -> Source:
        planner = PreparePlanner(self.read, self.split, self.group, self.keep_unmasked, self.workers, self.progress)
        try:
            plan = planner.plan(dataset)
        except ProblemsError as error:
            raise ProblemsError([_of_tile(each) for each in error.problems]) from error
        wholes = tuple(
            WholeImage(
                replace(
                    planned.source,
                    id=planned.id,
                    source=planned.source.image_path,
                    image_sha256=planned.source_sha256,
                    group=planned.group,
                ),
                planned.mask_form.digest,
                planned.source.class_name == GOOD or not (planned.mask_form.form == "none" or planned.mask_form.empty),
            )
            for planned in plan.draft.samples
        )
        draft = plan.draft
        return Source(
            draft.root,
            draft.description,
            wholes,
            draft.splits,
            draft.links,
            draft.links_made,
            plan.notes,
            plan.skipped,
            plan.source,
        )

    def _without_unlocated(self, source: Source) -> Source:
        """The source without images whose defects no mask locates, where these are left out.

        Raises:
            ProblemsError: There are some, and they are neither kept nor left out.
        """
        if self.keep_unmasked:
            return source
        found = {each.sample.id: _unlocated(source.root, each.sample) for each in source.images if self._cannot(each)}
        if not found:
            return source
        if not self.read.skip_faulty:
            raise ProblemsError(list(found.values())[:_MOST_PROBLEMS])
        kept = tuple(each for each in source.images if each.sample.id not in found)
        if not kept:
            raise ProblemsError(list(found.values())[:_MOST_PROBLEMS])
        skipped = [about_image(error, error.where or "") for error in found.values()]
        return replace(
            source,
            images=kept,
            splits=tuple(_without(split, found) for split in source.splits),
            links=tuple(link for link in source.links if link["a"] not in found and link["b"] not in found),
            skipped=(*source.skipped, *skipped),
        )

    def _cannot(self, image: WholeImage) -> bool:
        """Whether the image would be cut, and nobody knows which of its tiles show the defect."""
        sample = image.sample
        large = sample.height > self.tiles.size or sample.width > self.tiles.size
        return large and not image.located and image.dropped is None


def _of_tile(error: CarpetDataError) -> CarpetDataError:
    """The same error; --overlap means something else here."""
    if not isinstance(error, OverlapError):
        return error
    hint = "prepare the data set first, with --overlap first, last or smaller-on-top, and tile the result"
    return OverlapError(error.what, where=error.where, hint=hint)


def _unlocated(root: Path, sample: Sample) -> DataError:
    lacks = "has no mask" if sample.annotation is None else "has an empty mask"
    return DataError(
        f"the image is of class {sample.class_name} and {lacks}, so nothing says which of its tiles show the defect",
        where=root / sample.image_path,
        hint="draw its mask; or leave such images out with --skip-faulty, or give each of their tiles this class with "
        "--keep-unmasked",
    )


def _without(split: Split, left_out: Mapping[str, object]) -> Split:
    return replace(split, sides={each: side for each, side in split.sides.items() if each not in left_out})
