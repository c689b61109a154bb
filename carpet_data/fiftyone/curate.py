"""Curate: bring choices back into a prepared data set. Samples are dropped with their files, classes are corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carpet_data import store
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import UsageError
from carpet_data.fiftyone.curation_plan import changes_of
from carpet_data.store import curation, description
from carpet_data.store.choices import Choices, load, save
from carpet_data.store.curation import Change
from carpet_data.store.journal import refuse_unfinished
from carpet_data.store.leaks import ancestors
from carpet_data.store.lock import locked
from carpet_data.store.manifest import Tombstone
from carpet_data.store.output import check_file

__all__ = ["REJECT", "CurateResult", "curate", "export_choices", "undo_curation"]

REJECT = "reject"
"""The tag that drops a sample where no other is named."""

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CurateResult:
    """What `curate` or its undo did.

    Attributes:
        root: The prepared folder.
        dropped: id -> (class, origin, reason) of each sample dropped (after an undo: brought back).
        relabelled: id -> (old class, new class).
        unmasked: Samples that are of a defect class now and have no mask.
        children: Synthetic samples that stay, though one that they were made from was dropped.
        number: Of the curation; None where nothing was written.
        undo: Where what was taken away is kept; None where nothing is.
        dry_run: Nothing was written.
        undone: The curation was taken back.
        completed: An earlier run of this command had been stopped, and was completed or rolled back.
    """

    root: Path
    dropped: Mapping[str, tuple[str, str, str]]
    relabelled: Mapping[str, tuple[str, str]]
    unmasked: tuple[str, ...] = ()
    children: int = 0
    number: int | None = None
    undo: Path | None = None
    dry_run: bool = False
    undone: bool = False
    completed: bool = False

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "root": str(self.root),
            "curation": self.number,
            "dropped": [
                {"id": sample_id, "class": name, "origin": origin, "reason": reason}
                for sample_id, (name, origin, reason) in self.dropped.items()
            ],
            "relabelled": [
                {"id": sample_id, "from": old, "to": new} for sample_id, (old, new) in self.relabelled.items()
            ],
            "unmasked": list(self.unmasked),
            "children": self.children,
            "undo": None if self.undo is None else str(self.undo),
            "dry_run": self.dry_run,
            "undone": self.undone,
            "completed": self.completed,
        }

    def text(self) -> str:
        """The result in words."""
        if not self.dropped and not self.relabelled:
            done = (
                "the stopped curation had changed nothing; it was rolled back" if self.undone else "nothing to change"
            )
            return f"{done} in {self.root}"
        verb = "would be " if self.dry_run else ""
        counts = Counter(f"{origin} {name}" for name, origin, _ in self.dropped.values())
        detail = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        back = " back" if self.undone else ""
        lines = [] if not self.completed else ["an earlier run had been stopped; what it left is in order now"]
        lines += [
            f"{counted(len(self.dropped), 'image')} {verb}{'brought back' if self.undone else 'dropped'}"
            f"{f' ({detail})' if detail else ''}, {len(self.relabelled)} {verb}relabelled{back} in {self.root}"
        ]
        if self.dry_run:
            rows = [f"  drop     {sample_id}: {reason}" for sample_id, (_, _, reason) in self.dropped.items()]
            rows += [f"  relabel  {sample_id}: {old} -> {new}" for sample_id, (old, new) in self.relabelled.items()]
            lines += rows[:_SHOWN]
            if len(rows) > _SHOWN:
                lines.append(f"  … and {len(rows) - _SHOWN} more; --json lists all")
        if self.unmasked:
            lines.append(
                f"{counted(len(self.unmasked), 'image')} of a defect class without a mask, such as {self.unmasked[0]}: "
                "exports refuse them, or leave them out with --skip-unmasked"
            )
        if self.children:
            lines.append(f"{counted(self.children, 'synthetic image')} made from dropped ones stay in the data set")
        if self.undo is not None:
            lines.append(f"take it back with: carpet-data curate {self.root} --undo (kept in {self.undo})")
        return "\n".join(lines)


def curate(
    root: Path | str,
    choices: Choices | Path | str | None = None,
    *,
    tag: str | None = None,
    view: str | None = None,
    keep: str | None = None,
    real: bool = False,
    database_uri: str | None = None,
    dry_run: bool = False,
) -> CurateResult:
    """Bring choices back into a prepared data set.

    Dropped samples stay in the manifest, marked, and their files go to `undo/`; a relabelled one takes the folder of
    its new class. Ids, groups and splits stay; the source is never touched. Each curation can be taken back.

    Args:
        root: The prepared folder.
        choices: The choices, or a JSON file of them; None to take them from FiftyOne by what follows.
        tag: Samples with this tag are dropped, real ones too; None for "reject", or for no tag where `view` is given.
        view: Samples of this saved view are dropped.
        keep: Synthetic train samples without this tag are dropped.
        real: `view` and `keep` drop real samples as well; of `keep`, those of the train side.
        database_uri: FiftyOne's MongoDB; None for its own.
        dry_run: Only say what would change.

    Raises:
        UsageError: The options make no sense together, or nothing has the tag to keep.
        DataError: The data set has changed since the choices were made, or a choice cannot be followed.
        ProblemsError: Several choices cannot be followed.
        MissingExtraError: FiftyOne is asked for, but is not installed.
        OutputError: Another command was stopped here before it had finished; LockedError: one is running.
    """
    root = Path(root)
    command = f"curate {root}"
    description.read(root)
    if choices is not None and not (tag is view is keep is database_uri is None):
        raise UsageError(
            "choices are given, so none can come from FiftyOne", hint="leave tags, views and the database out"
        )

    def wanted(dataset: Dataset) -> tuple[Change, ...]:
        if choices is None:
            made = _from_fiftyone(dataset, tag, view, keep, real, database_uri)
        else:
            made = choices if isinstance(choices, Choices) else load(Path(choices))
        return changes_of(dataset, made, real=real)

    if dry_run:
        refuse_unfinished(root)
        dataset = store.read(root)
        return _result(root, dataset, wanted(dataset), dry_run=True)
    with locked(root, command):
        stopped = curation.recover(root)
        dataset = store.read(root)
        if stopped is not None and stopped.applied:
            # These choices were made before it, so they are the ones it has followed, or too old.
            return _result(root, dataset, stopped.changes, number=stopped.number, completed=True)
        changes = wanted(dataset)
        if not changes:
            return _result(root, dataset, changes)
        made = curation.apply(root, changes, command=command)
        return _result(root, dataset, made.changes, number=made.number)


def undo_curation(root: Path | str) -> CurateResult:
    """Take the last curation back: manifest and files are as they were before it, byte by byte.

    Raises:
        DataError: There is none, its undo folder is gone, or one of its samples has changed since.
        OutputError: Another command was stopped here before it had finished; LockedError: one is running.
    """
    root = Path(root)
    command = f"curate {root} --undo"
    description.read(root)
    with locked(root, command):
        stopped = curation.recover(root)
        completed = stopped is not None and not stopped.applied
        undone = stopped if stopped is not None and completed else curation.undo(root, command=command)
    result = _result(root, None, undone.changes, number=undone.number, completed=completed)
    return replace(result, undo=None, unmasked=(), undone=True)


def export_choices(
    root: Path | str,
    out: Path | str,
    *,
    tag: str | None = None,
    view: str | None = None,
    keep: str | None = None,
    real: bool = False,
    database_uri: str | None = None,
    overwrite: bool = False,
) -> Choices:
    """Write the choices made in FiftyOne into a JSON file; the data set stays as it is. Options as for `curate`.

    Raises:
        OutputError: The file exists and `overwrite` is False.
        UsageError, DataError, MissingExtraError: As `curate`.
    """
    root, out = Path(root), Path(out)
    description.read(root)
    check_file(out, overwrite=overwrite)
    choices = _from_fiftyone(store.read(root), tag, view, keep, real, database_uri)
    save(out, choices)
    return choices


def _from_fiftyone(
    dataset: Dataset, tag: str | None, view: str | None, keep: str | None, real: bool, database_uri: str | None
) -> Choices:
    from carpet_data.fiftyone.choices import collect

    if tag is None and view is None:
        tag = REJECT
    return collect(dataset, tag=tag, view=view, keep=keep, real=real, database_uri=database_uri)


def _result(
    root: Path,
    dataset: Dataset | None,
    changes: Sequence[Change],
    *,
    number: int | None = None,
    dry_run: bool = False,
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
    return CurateResult(
        root,
        dropped,
        changed,
        unmasked=tuple(unmasked),
        children=children,
        number=number,
        undo=None if number is None else curation.folder_of(root, number),
        dry_run=dry_run,
        completed=completed,
    )
