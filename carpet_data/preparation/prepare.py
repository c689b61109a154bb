"""Prepare: read, group, split, and write the folder that everything else starts from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data import formats
from carpet_data.core.options import divided
from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, MaskFile
from carpet_data.errors import DataError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.roles import Account
from carpet_data.formats.account.unread import source_lines
from carpet_data.formats.export import default_out
from carpet_data.formats.skipped import skipped_lines
from carpet_data.metrics.outlook import Outlook, outlook
from carpet_data.preparation import partitions
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.plan import PreparePlan, PreparePlanner, part
from carpet_data.store.creating import check_out, create
from carpet_data.store.output import check_apart

_SHOWN = 5
_BY = {"name": "captured text", "run": "runs of numbers"}


@dataclass(frozen=True, slots=True)
class PrepareResult(Result):
    """What `prepare` wrote, or with dry_run would write.

    Attributes:
        out: The prepared folder.
        name: Name of the data set.
        samples: Number of images in it.
        classes: class -> images.
        splits: split -> class -> side -> images.
        named: "name" or "run" -> number of groups found by name, those of one image included.
        groups: Number of groups of two images or more, for whatever reason.
        grouped: Number of images in these groups.
        links: reason -> number of linked pairs.
        masks: "kept", "binary", "index" or "none" -> images: how their masks are stored.
        empty_masks: Mask files (or images) that mark no pixel, paths in the source.
        notes: What the user should know.
        outlook: Which verdict `validate` could give on the main split.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
        source: What each folder was taken for; None for a prepared folder.
        resumed: Number of images that an earlier, interrupted run had written.
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
    outlook: Outlook | None = None
    skipped: tuple[DataError, ...] = ()
    source: Account | None = None
    resumed: int = 0
    dry_run: bool = False

    def __fspath__(self) -> str:
        """The prepared folder, so that the result can be given to every function that takes one."""
        return str(self.out)

    def text(self) -> str:
        """The result in words."""
        first, *others = self.splits
        lines = partitions.table_text(self.splits[first])
        if others:
            lines.append(f"further splits: {', '.join(others)}")
        lines += [f"{counted(count, 'group')} by {_BY[reason]}" for reason, count in self.named.items()]
        if self.groups:
            reasons = ", ".join(f"{count} by {reason}" for reason, count in self.links.items())
            verb = "contains" if self.groups == 1 else "contain"
            lines.append(
                f"{counted(self.groups, 'group')} of 2 or more {verb} {self.grouped} images; each is on one side"
            )
            lines.append(f"links between them: {reasons}")
        lines += [f"note: {note}" for note in self.notes]
        lines += [*skipped_lines(self.skipped), *source_lines(self.source)]
        lines += self.outlook.text() if self.outlook is not None else []
        done = "would be prepared as" if self.dry_run else "are in"
        lines.append(f"{self.samples} images {done} {self.out}")
        return "\n".join(lines)


def prepare(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    split_options: SplitOptions | None = None,
    group_options: GroupOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    keep_unmasked: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> PrepareResult:
    """Check, group and split the images of a raw data set, and write a prepared folder with exact masks.

    The same call on the same source writes the same bytes, with any number of workers, and resumes an interrupted run.
    The source is only read.

    Args:
        root: The raw data set.
        out: The folder to write; None for `NAME-prepared` beside the source.
        split_options: How to split; by default into 0.8 train and 0.2 test. Several splits are called fold0, fold1 …
            (or repeat0, rotation0, out0), and "main" is the first of them.
        group_options: Which images belong together; by default near duplicates and exact copies.
        read_options: How to read the source; its `skip_faulty` leaves out images with problems instead of failing.
        keep_unmasked: Keep defect images without a mask where others have one, for classification, instead of failing.
        overwrite: Replace a prepared data set at `out`.
        dry_run: Show what would be done and write nothing.
        workers: Processes; None for one per core.
        progress: Called with each `Step`.
        **changes: Options of splitting, grouping and reading by their names, such as fractions=(0.6, 0.4).

    Raises:
        UsageError: The options do not fit the data.
        DataError: The source contains no images, or its format cannot be recognized.
        ProblemsError: Images or masks with problems, all of them up to 1000.
        OutputError: The output exists; LockedError: another process is writing it.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from carpet_data import sample
        >>> with TemporaryDirectory() as place:
        ...     _ = sample(f"{place}/carpet", size=64, counts={"good": 4, "test-good": 1, "hole": 5}, workers=1)
        ...     done = prepare(f"{place}/carpet", f"{place}/ready", k_shot=2, workers=1)
        >>> done.splits["main"]["hole"]
        {'train': 2, 'test': 3}
    """
    of_split, of_groups, of_reading = divided(changes, SplitOptions, GroupOptions, ReadOptions)
    split_options, group_options = SplitOptions.of(split_options, of_split), GroupOptions.of(group_options, of_groups)
    root = Path(root)
    out = default_out(root, "prepared") if out is None else Path(out)
    read_options = ReadOptions.of(read_options, of_reading)
    check_apart(out, root)
    check_out(out, overwrite=overwrite)
    dataset = formats.read(root, read_options)
    if dataset.format == "prepared":
        raise UsageError("it is prepared already", where=root, hint="add a split to it: carpet-data split")
    planner = PreparePlanner(read_options, split_options, group_options, keep_unmasked, workers, progress)
    plan = planner.plan(dataset)
    resumed = 0
    if not dry_run:
        command = f"prepare {root} -o {out}"
        resumed = create(
            out, plan.draft, command=command, overwrite=overwrite, workers=workers, progress=part(progress, 2)
        )
    return _result(out, plan, resumed=resumed, dry_run=dry_run)


def _result(out: Path, plan: PreparePlan, *, resumed: int, dry_run: bool) -> PrepareResult:
    draft = plan.draft
    class_of = {each.id: each.source.class_name for each in draft.samples}
    empty = tuple(
        each.source.mask_path or each.source.image_path
        for each in draft.samples
        if each.mask_form.empty and each.source.class_name != GOOD
    )
    shared = plan.groups.shared()
    return PrepareResult(
        out=out,
        name=draft.description.name,
        samples=len(draft.samples),
        classes={name: list(class_of.values()).count(name) for name in draft.description.classes},
        splits=partitions.counts_by_class(draft.splits, class_of),
        named=plan.named,
        groups=len(shared),
        grouped=sum(len(members) for members in shared.values()),
        links=plan.groups.counts(),
        masks=dict(sorted(Counter(each.mask_form.form for each in draft.samples).items())),
        empty_masks=empty,
        notes=(*plan.notes, *_mask_notes(plan, empty)),
        outlook=_outlook(plan),
        skipped=plan.skipped,
        source=plan.source,
        resumed=resumed,
        dry_run=dry_run,
    )


def _outlook(plan: PreparePlan) -> Outlook:
    """Of the first split, which is the main one."""
    split = plan.draft.splits[0]
    real = [each for each in plan.draft.samples if each.source.origin == "real" and each.id in split.sides]
    groups = {each.id: each.group for each in real if each.group is not None}
    masked = [each.id for each in real if not each.mask_form.empty and each.mask_form.form != "none"]
    return outlook({each.id: each.source.class_name for each in real}, groups, split.ids("test"), masked=masked)


def _mask_notes(plan: PreparePlan, empty: tuple[str, ...]) -> list[str]:
    samples = plan.draft.samples
    notes = []
    if empty:
        more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
        notes.append(f"empty masks: {', '.join(empty[:_SHOWN])}{more}; their images keep their class")
    # A layout may have a threshold of its own: VisA's masks number the defect types from 1.
    grey = Counter(
        each.source.annotation.threshold
        for each in samples
        if each.mask_form.grey and isinstance(each.source.annotation, MaskFile)
    )
    for threshold, count in sorted(grey.items()):
        notes.append(f"{count} masks had gray values and were thresholded at {threshold}")
    overlaps = sum(each.mask_form.overlaps for each in samples)
    if overlaps:
        have = "1 image has" if overlaps == 1 else f"{overlaps} images have"
        notes.append(f"{have} annotations that overlap; each pixel went to one of them (--overlap)")
    lost = sum(each.mask_form.lost for each in samples)
    if lost:
        notes.append(f"skipped {counted(lost, 'instance')} without a pixel")
    unmasked = sum(each.mask_form.form == "none" and each.source.class_name != GOOD for each in samples)
    if unmasked:
        notes.append(f"{unmasked} defect images have no mask")
    return notes
