"""Curate: apply choices to a prepared data set. Samples are dropped with their files, classes are corrected."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from carpet_data import store
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, DataFolder, Dataset, folder_of
from carpet_data.errors import UsageError
from carpet_data.fiftyone.options import CurateOptions
from carpet_data.store import curation, description
from carpet_data.store.choices import Choices, changes_of, load, save
from carpet_data.store.curation import SampleChange
from carpet_data.store.journal import refuse_unfinished
from carpet_data.store.leaks import ancestors
from carpet_data.store.lock import locked
from carpet_data.store.manifest import Tombstone
from carpet_data.store.output import check_file

__all__ = ["CurateResult", "curate", "export_choices", "undo_curation"]

PathLike: TypeAlias = str | os.PathLike[str]

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CurateResult(Result):
    """What `curate` or its undo did.

    Attributes:
        root: The prepared folder.
        curation: Its number; None where nothing was written.
        dropped: id -> (class, origin, reason) of each sample dropped (after an undo: restored).
        relabelled: id -> (old class, new class).
        unmasked: Samples that are of a defect class now and have no mask.
        children: Synthetic samples that stay, though one that they were made from was dropped.
        undo: Where the removed files are kept; None where none are.
        dry_run: Nothing was written.
        undone: The curation was undone.
        completed: An earlier run of this command had been interrupted, and was completed or rolled back.
    """

    root: Path
    curation: int | None
    dropped: Mapping[str, tuple[str, str, str]]
    relabelled: Mapping[str, tuple[str, str]]
    unmasked: tuple[str, ...] = ()
    children: int = 0
    undo: Path | None = None
    dry_run: bool = False
    undone: bool = False
    completed: bool = False

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return Result.to_json(self) | {
            "dropped": [
                {"id": sample_id, "class": name, "origin": origin, "reason": reason}
                for sample_id, (name, origin, reason) in self.dropped.items()
            ],
            "relabelled": [
                {"id": sample_id, "from": old, "to": new} for sample_id, (old, new) in self.relabelled.items()
            ],
        }

    def text(self) -> str:
        """The result in words."""
        if not self.dropped and not self.relabelled:
            rolled_back = "the interrupted curation had changed nothing; it was rolled back"
            return f"{rolled_back if self.undone else 'nothing to change'} in {self.root}"
        lines = ["completed an earlier run that was interrupted"] if self.completed else []
        lines.append(self._counts())
        if self.dry_run:
            rows = [f"  drop     {sample_id}: {reason}" for sample_id, (_, _, reason) in self.dropped.items()]
            rows += [f"  relabel  {sample_id}: {old} -> {new}" for sample_id, (old, new) in self.relabelled.items()]
            lines += rows[:_SHOWN]
            if len(rows) > _SHOWN:
                lines.append(f"  … and {len(rows) - _SHOWN} more; --json lists all")
        if self.unmasked:
            lines.append(
                f"{counted(len(self.unmasked), 'image')} of a defect class without a mask, such as {self.unmasked[0]}: "
                "exports refuse them, or skip them with --skip-unmasked"
            )
        if self.children:
            lines.append(f"{counted(self.children, 'synthetic image')} made from dropped ones stay in the data set")
        if self.undo is not None:
            lines.append(f"undo with: carpet-data curate {self.root} --undo (files kept in {self.undo})")
        return "\n".join(lines)

    def _counts(self) -> str:
        verb = "would be " if self.dry_run else ""
        dropped, relabelled = ("restored", "relabelled back") if self.undone else ("dropped", "relabelled")
        counts = Counter(f"{origin} {name}" for name, origin, _ in self.dropped.values())
        detail = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        images = f"{counted(len(self.dropped), 'image')} {verb}{dropped}{f' ({detail})' if detail else ''}"
        return f"{images}, {len(self.relabelled)} {verb}{relabelled} in {self.root}"


def curate(
    root: DataFolder,
    choices: Choices | PathLike | None = None,
    options: CurateOptions | None = None,
    **changes: Any,
) -> CurateResult:
    """Apply choices to a prepared data set.

    Dropped samples stay in the manifest, marked, and their files move to `undo/`; a relabelled one moves to the folder
    of its new class. Ids, groups and splits stay; the source is never touched. Each curation can be undone.

    Args:
        root: The prepared folder.
        choices: The choices, or a JSON file of them; None to take them from FiftyOne.
        options: Which tags and view to take from FiftyOne; with `choices`, only real and dry_run.
        **changes: Fields of `CurateOptions`, such as `tag="blurred"` or `dry_run=True`.

    Raises:
        UsageError: The options make no sense together, or nothing has the tag to keep.
        DataError: The data set has changed since the choices were made, or a choice cannot be applied.
        ProblemsError: Several choices cannot be applied.
        MissingExtraError: FiftyOne is asked for, but is not installed.
        OutputError: Another command was interrupted here; LockedError: one is running.

    Example:
        >>> from carpet_data.store.choices import Choices
        >>> curate("carpet-prepared", Choices(reject=("test_hole_002",))).dropped  # doctest: +SKIP
        {'test_hole_002': ('hole', 'real', 'rejected')}
    """
    root = folder_of(root)
    options = CurateOptions.of(options, changes)
    description.read(root)
    command = f"curate {root}"
    wanted = _wanted(choices, options)
    if options.dry_run:
        refuse_unfinished(root)
        dataset = store.read(root)
        return replace(_result(root, dataset, wanted(dataset)), dry_run=True)
    with locked(root, command):
        interrupted = curation.recover(root)
        dataset = store.read(root)
        if interrupted is not None and interrupted.applied:
            # These choices were made before it, so they are the ones it has applied, or too old.
            return _result(root, dataset, interrupted.changes, interrupted.number, completed=True)
        found = wanted(dataset)
        number = curation.apply(root, found, command=command).number if found else None
        return _result(root, dataset, found, number)


def undo_curation(root: DataFolder) -> CurateResult:
    """Undo the last curation: manifest and files are as they were before it, byte by byte.

    Raises:
        DataError: There is none, its undo folder is gone, or one of its samples has changed since.
        OutputError: Another command was interrupted here; LockedError: one is running.
    """
    root = folder_of(root)
    command = f"curate {root} --undo"
    description.read(root)
    with locked(root, command):
        interrupted = curation.recover(root)
        completed = interrupted is not None and not interrupted.applied
        undone = interrupted if interrupted is not None and completed else curation.undo(root, command=command)
    result = _result(root, None, undone.changes, undone.number, completed=completed)
    return replace(result, undo=None, unmasked=(), undone=True)


def export_choices(
    root: DataFolder,
    out: PathLike,
    options: CurateOptions | None = None,
    *,
    overwrite: bool = False,
    **changes: Any,
) -> Choices:
    """Write the choices made in FiftyOne into a JSON file; the data set stays as it is. Options as for `curate`.

    Raises:
        OutputError: The file exists and `overwrite` is False.
        UsageError, DataError, MissingExtraError: As `curate`.
    """
    root, out = folder_of(root), Path(out)
    options = CurateOptions.of(options, changes)
    if options.dry_run:
        raise UsageError("--export-choices changes no data set", hint="leave --dry-run out")
    description.read(root)
    check_file(out, overwrite=overwrite)
    choices = _from_fiftyone(store.read(root), options)
    save(out, choices)
    return choices


def _wanted(
    choices: Choices | PathLike | None, options: CurateOptions
) -> Callable[[Dataset], tuple[SampleChange, ...]]:
    """What gives the changes once the data set is read."""
    if choices is not None and CurateOptions(real=options.real, dry_run=options.dry_run) != options:
        hint = "leave tags, views and the database out"
        raise UsageError("choices are given, so none can come from FiftyOne", hint=hint)

    def wanted(dataset: Dataset) -> tuple[SampleChange, ...]:
        if choices is None:
            return changes_of(dataset, _from_fiftyone(dataset, options), real=options.real)
        made = choices if isinstance(choices, Choices) else load(Path(choices))
        return changes_of(dataset, made, real=options.real)

    return wanted


def _from_fiftyone(dataset: Dataset, options: CurateOptions) -> Choices:
    from carpet_data.fiftyone.choices import collect

    return collect(dataset, options)


def _result(
    root: Path,
    dataset: Dataset | None,
    changes: Sequence[SampleChange],
    number: int | None = None,
    *,
    completed: bool = False,
) -> CurateResult:
    dropped: dict[str, tuple[str, str, str]] = {}
    changed: dict[str, tuple[str, str]] = {}
    unmasked: list[str] = []
    for change in changes:
        before, after = change.before, change.after
        if isinstance(after, Tombstone):
            dropped[before.id] = (before.class_name, before.origin, after.reason)
        else:
            changed[before.id] = (before.class_name, after.class_name)
            if after.annotation is None and after.class_name != GOOD:
                unmasked.append(before.id)
    children = 0
    for sample in dataset or ():
        if sample.id not in dropped and sample.provenance is not None:
            children += any(parent in dropped for _, parent in ancestors(sample.provenance))
    undo = None if number is None else curation.folder_of(root, number)
    return CurateResult(
        root, number, dropped, changed, tuple(unmasked), children=children, undo=undo, completed=completed
    )
