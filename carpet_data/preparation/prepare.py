"""Prepare: read, group, split, and write the folder that everything else starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from carpet_data import formats
from carpet_data.core.progress import Progress
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.formats.export import MAIN_SPLIT, default_out
from carpet_data.formats.output import check_apart
from carpet_data.preparation import partitions, plan
from carpet_data.preparation.partitions import PoolName, Protocol, SplitRequest
from carpet_data.preparation.plan import Drafted, GroupRequest
from carpet_data.store.creating import check_free, create

_SHOWN = 5
_BY = {"name": "captured text", "run": "runs of numbers"}


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What `prepare` made, or with dry_run would make.

    Attributes:
        out: The prepared folder.
        name: Of the data set.
        samples: Images in it.
        classes: class -> images.
        splits: split -> class -> side -> images.
        named: "name" or "run" -> groups that the names make, those of one image included.
        groups: Groups of two images or more, for whatever reason.
        grouped: Images in these groups.
        links: reason -> links: how many pairs were tied, and why.
        masks: "kept", "binary", "index" or "none" -> images: how their masks were brought over.
        empty_masks: Mask files (or images) that mark no pixel, paths in the source.
        notes: What the user should know.
        skipped: Faults of images that were left out (skip_faulty).
        resumed: Images that an earlier, killed run had written.
        dry_run: Nothing was written.
    """

    out: Path
    name: str
    samples: int
    classes: Mapping[str, int]
    splits: Mapping[str, Mapping[str, Mapping[str, int]]]
    named: Mapping[str, int]
    groups: int
    grouped: int
    links: Mapping[str, int]
    masks: Mapping[str, int]
    empty_masks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: tuple[CarpetDataError, ...] = field(default=())
    resumed: int = 0
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "out": str(self.out),
            "name": self.name,
            "samples": self.samples,
            "classes": dict(self.classes),
            "splits": {name: {key: dict(row) for key, row in table.items()} for name, table in self.splits.items()},
            "named": dict(self.named),
            "groups": self.groups,
            "grouped": self.grouped,
            "links": dict(self.links),
            "masks": dict(self.masks),
            "empty_masks": list(self.empty_masks),
            "notes": list(self.notes),
            "skipped": [problem.to_json() for problem in self.skipped],
            "resumed": self.resumed,
            "dry_run": self.dry_run,
        }

    def text(self) -> str:
        """The result in words."""
        lines = []
        first = MAIN_SPLIT if MAIN_SPLIT in self.splits else next(iter(self.splits))
        lines += partitions.table_text(self.splits[first])
        others = [name for name in self.splits if name != first]
        if others:
            lines.append(f"further splits: {', '.join(others)}")
        lines += [f"{counted(count, 'group')} by {_BY[reason]}" for reason, count in self.named.items()]
        if self.groups:
            reasons = ", ".join(f"{count} by {reason}" for reason, count in self.links.items())
            held = "holds" if self.groups == 1 else "hold"
            lines.append(
                f"{counted(self.groups, 'group')} of 2 or more {held} {self.grouped} images; each is on one side"
            )
            lines.append(f"links between them: {reasons}")
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"left out: {problem}" for problem in self.skipped[:_SHOWN]]
        if len(self.skipped) > _SHOWN:
            lines.append(f"left out: {len(self.skipped) - _SHOWN} more; --json names them")
        done = "would be prepared as" if self.dry_run else "are in"
        lines.append(f"{self.samples} images {done} {self.out}")
        return "\n".join(lines)


def prepare(
    root: Path,
    out: Path | None = None,
    *,
    read_options: ReadOptions | None = None,
    fractions: Sequence[float] | None = None,
    per_class: int | None = None,
    k_fold: int | None = None,
    k_shot: int | None = None,
    protocol: Protocol | None = None,
    pool: PoolName = "all",
    group_by: str | None = None,
    group_runs: str | None = None,
    gap: int | None = None,
    near_duplicates: bool = True,
    seed: int = 0,
    skip_faulty: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> PrepareResult:
    """Make a prepared folder of a raw one: every image checked, grouped, split, and written with its exact mask.

    The same call on the same source writes the same bytes, with any number of workers, and completes what a killed
    run of it had begun. The source is only read.

    Args:
        root: The raw data set.
        out: The folder to write; None for `NAME-prepared` beside the source.
        read_options: How to read the source.
        fractions: Two (train, test) or three (train, val, test); 0.8 and 0.2 where no other way to split is given.
        per_class: Split this many images of each class, drawn by chance; the others are in the folder, but in no split.
        k_fold: Splits fold0, fold1 …; "main" is fold0.
        k_shot: So many groups of each defect class teach.
        protocol: "first-third", "source", "rotations" or "leave-one-out", see `SplitRequest`.
        pool: "all", or the images that the source has on one side only.
        group_by: Regular expression; images whose paths have the same captured text are one group.
        group_runs: Regular expression that captures a frame number; runs of them are groups.
        gap: The largest step of frame numbers inside a run (default 1).
        near_duplicates: Find images that show the same thing; exact copies are always found.
        seed: What chance starts from.
        skip_faulty: Leave out images that cannot be read and those with wrong masks, instead of refusing all.
        overwrite: Replace a prepared data set at `out`.
        dry_run: Only say what would be done.
        workers: Processes; None for one per core.
        progress: Called with (steps done, all steps).

    Raises:
        UsageError: The request contradicts itself.
        DataError: The source holds no images, or cannot be recognised.
        ProblemsError: Images or masks at fault, all of them up to a bound.
        OutputError: The output is in the way; LockedError: another process is writing it.
    """
    request = SplitRequest(
        None if fractions is None else tuple(fractions), k_fold, k_shot, protocol, per_class, None, pool, seed
    )
    request.check()
    grouping = GroupRequest(group_by, group_runs, gap, near_duplicates)
    grouping.check()
    read_options = read_options or ReadOptions()
    out = default_out(root, "prepared") if out is None else out
    check_apart(out, root)
    check_free(out, overwrite=overwrite)
    unread: list[CarpetDataError] = []
    dataset = formats.read(root, replace(read_options, on_problem=unread.append) if skip_faulty else read_options)
    if dataset.format == "prepared":
        raise UsageError("it is prepared already", where=root, hint="add a split to it: carpet-data split")
    drafted = plan.draft(dataset, read_options, request, grouping, skip_faulty, unread, workers, progress)
    resumed = 0
    if not dry_run:
        resumed = create(
            out,
            drafted.draft,
            command=f"prepare {root} -o {out}",
            overwrite=overwrite,
            workers=workers,
            progress=plan.part(progress, 2),
        )
    return _result(out, drafted, resumed=resumed, dry_run=dry_run)


def _result(out: Path, drafted: Drafted, *, resumed: int, dry_run: bool) -> PrepareResult:
    draft = drafted.draft
    class_of = {p.id: p.source.class_name for p in draft.samples}
    empty = tuple(
        p.source.mask_path or p.source.image_path
        for p in draft.samples
        if p.mask_form.empty and p.source.class_name != GOOD
    )
    grey = sum(p.mask_form.grey for p in draft.samples)
    lost = sum(p.mask_form.lost for p in draft.samples)
    told = list(drafted.notes)
    if empty:
        more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
        told.append(f"empty masks: {', '.join(empty[:_SHOWN])}{more}; their images keep their class")
    if grey:
        told.append(f"{grey} masks had grey values and were thresholded at {draft.description.prepared['threshold']}")
    if lost:
        told.append(f"{lost} instances without a pixel were left out")
    unmasked = sum(p.mask_form.form == "none" and p.source.class_name != GOOD for p in draft.samples)
    if unmasked:
        told.append(f"{unmasked} defect images have no mask")
    shared = drafted.groups.shared()
    return PrepareResult(
        out=out,
        name=draft.description.name,
        samples=len(draft.samples),
        classes={name: list(class_of.values()).count(name) for name in draft.description.classes},
        splits={split.name: partitions.counts_by_class(split, class_of) for split in draft.splits},
        named=drafted.named,
        groups=len(shared),
        grouped=sum(len(members) for members in shared.values()),
        links=drafted.groups.counts(),
        masks=dict(sorted(Counter(p.mask_form.form for p in draft.samples).items())),
        empty_masks=empty,
        notes=tuple(told),
        skipped=drafted.problems,
        resumed=resumed,
        dry_run=dry_run,
    )
