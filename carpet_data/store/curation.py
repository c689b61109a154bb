"""Curation: drop samples with their files, change classes, and undo it; killed at any point, it can be repaired.

Every curation keeps a folder of its own, `undo/{number}/`: the changes, entry by entry, and the files that left the
data set. A file gets its new name as a second link first, then the manifest changes in one step, then the old name
is removed. So readers always find what the manifest lists, and the manifest alone decides which of two names is right:
that is all a killed curation (or a killed undo) needs to be completed or rolled back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from carpet_data.dataset import GOOD, Annotation, IndexFile, MaskFile, Sample
from carpet_data.errors import DataError
from carpet_data.store import manifest, names
from carpet_data.store.files import link_or_copy, sync_folder
from carpet_data.store.journal import Journal, refuse_unfinished, unfinished
from carpet_data.store.json_files import read_lines, write_lines
from carpet_data.store.manifest import Entry, Tombstone
from carpet_data.store.names import image_path, mask_path

UNDO = "undo"
LOG = "curations.jsonl"
_CHANGES = "changes.jsonl"
_IDENTITY = "curation "


@dataclass(frozen=True, slots=True)
class SampleChange:
    """What a curation makes of one sample; `after` is a tombstone where it is dropped."""

    before: Sample
    after: Entry


@dataclass(frozen=True, slots=True)
class Curation:
    """One curation of a prepared folder.

    Attributes:
        applied: Whether the manifest holds what came after it; False once it is undone or rolled back.
        absent: Files that were missing already when their samples were dropped.
    """

    number: int
    changes: tuple[SampleChange, ...]
    applied: bool
    absent: frozenset[str] = frozenset()


def apply(root: Path, changes: Sequence[SampleChange], *, command: str) -> Curation:
    """Make at least one change (see `relabelled` and `Tombstone`) to a prepared folder whose lock is held.

    Raises:
        DataError: A file is missing, or one is in the way.
        OutputError: Another command was interrupted here.
    """
    refuse_unfinished(root)
    number = _last(root) + 1
    ordered = tuple(sorted(changes, key=lambda change: change.before.id))
    moves = _moves(number, ordered)
    absent = frozenset(old for old, _ in moves if not (root / old).is_file())
    curation = Curation(number, ordered, True, absent)
    _check(root, curation)
    with _journaled(root, curation, command):
        _save(root, curation)
        _link(root, [(old, new) for old, new in moves if old not in absent])
        _commit(root, {change.before.id: change.after for change in ordered})
    return curation


def undo(root: Path, *, command: str) -> Curation:
    """Undo the last curation of a prepared folder, whose lock is held; nothing must be unfinished.

    Raises:
        DataError: There is none, its undo folder is gone or damaged, or one of its samples has changed since.
    """
    refuse_unfinished(root)
    number = _last(root)
    if number == 0:
        raise DataError("there is no curation to undo", where=root, hint="nothing needs to be done")
    curation = _load(root, number)
    moves = [move for move in _moves(number, curation.changes) if move[0] not in curation.absent]
    applied = _is_applied(root, curation)
    if applied:
        _check_back(root, moves)
    with _journaled(root, curation, command):
        if applied:
            _link(root, [(new, old) for old, new in moves])
            _commit(root, {change.before.id: change.before for change in curation.changes})
    return replace(curation, applied=False)


@contextmanager
def _journaled(root: Path, curation: Curation, command: str) -> Iterator[None]:
    """Leave the folder consistent, whether the block ends well or not."""
    journal = Journal.open(root, command, f"{_IDENTITY}{curation.number}")
    try:
        yield
    finally:
        _settle(root, curation)
        journal.remove()


def recover(root: Path) -> Curation | None:
    """Complete a curation or an undo that was killed, or roll it back; the folder's lock must be held.

    Returns:
        The curation, and whether it is applied now; None where nothing was unfinished.

    Raises:
        OutputError: Another command was interrupted here.
        DataError: The undo folder is damaged.
    """
    begun = unfinished(root)
    if begun is None:
        # Its journal may have been removed by hand, to discard it; what it had written shows how far it came.
        number = _last(root) + 1
        if not (folder_of(root, number) / _CHANGES).is_file():
            return None
    else:
        digits = begun[1].removeprefix(_IDENTITY)
        if digits == begun[1] or not digits.isdigit():
            refuse_unfinished(root)
        number = int(digits)
    if (folder_of(root, number) / _CHANGES).is_file():
        curation = _load(root, number)
        found = replace(curation, applied=_settle(root, curation))
    else:
        # Killed before the changes were written down, or after an undo had removed them: the folder is incomplete.
        _forget(root, number)
        found = Curation(number, (), applied=False)
    if begun is not None:
        Journal.open(root, *begun).remove()
    return found


def relabelled(sample: Sample, class_name: str) -> Sample:
    """A sample of a prepared folder as one of another class.

    Its id, source, group and pixels stay; its files are named by the new class. The instances of the old class take the
    new one, those of other classes stay what they are. A good image has no mask. What made a synthetic sample stays
    in its provenance, with the change beside it.
    """
    annotation: Annotation | None = None
    if class_name != GOOD:
        mask = mask_path(sample.id, class_name)
        match sample.annotation:
            case MaskFile(threshold=threshold):
                annotation = MaskFile(mask, threshold)
            case IndexFile(table=table):
                annotation = IndexFile(
                    mask, tuple((index, class_name if name == sample.class_name else name) for index, name in table)
                )
            case other:
                annotation = other
    provenance = sample.provenance
    if provenance is not None:
        earlier = provenance.get("relabelled", [])
        provenance = {**provenance, "relabelled": [*earlier, [sample.class_name, class_name]]}
    return replace(
        sample,
        class_name=class_name,
        image_path=image_path(sample.id, class_name, PurePosixPath(sample.image_path).suffix),
        annotation=annotation,
        mask_sha256=None if annotation is None else sample.mask_sha256,
        provenance=provenance,
    )


def folder_of(root: Path, number: int) -> Path:
    """Where the removed files of a curation are kept."""
    return root / UNDO / f"{number:03d}"


def _moves(number: int, changes: Sequence[SampleChange]) -> list[tuple[str, str]]:
    """(path before, path after) of every file that a curation moves, relative to the root."""
    moves = []
    for change in changes:
        before, after = change.before, change.after
        image, mask = (after.image_path, after.mask_path) if isinstance(after, Sample) else (None, None)
        for old, new in ((before.image_path, image), (before.mask_path, mask)):
            if old is not None and old != new:
                moves.append((old, f"{UNDO}/{number:03d}/{old}" if new is None else new))
    return moves


def _check(root: Path, curation: Curation) -> None:
    for _, new in _moves(curation.number, curation.changes):
        if (root / new).exists():
            raise DataError("a file without a sample is in the way", where=root / new, hint="move it away")
    # A dropped sample may have lost its files already: it is dropped all the same.
    for change in curation.changes:
        lost = {change.before.image_path, change.before.mask_path} & curation.absent
        if lost and isinstance(change.after, Sample):
            where = root / min(path for path in lost if path is not None)
            raise DataError("the file is missing", where=where, hint="restore it, or reject the sample instead")


def _check_back(root: Path, moves: Sequence[tuple[str, str]]) -> None:
    for old, new in moves:
        if (root / old).exists():
            raise DataError("a file without a sample is in the way", where=root / old, hint="move it away")
        if not (root / new).is_file():
            raise DataError(
                "the file is missing, so the curation cannot be undone", where=root / new, hint="restore it"
            )


def _link(root: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Give each file its other name as well; the disk has the names when this returns."""
    for present, wanted in pairs:
        target = root / wanted
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            link_or_copy(root / present, target)
    for folder in {(root / wanted).parent for _, wanted in pairs}:
        sync_folder(folder)


def _commit(root: Path, entries: Mapping[str, Entry]) -> None:
    path = root / names.MANIFEST
    manifest.write(path, (entries.get(entry.id, entry) for entry in manifest.stream(path)))


def _settle(root: Path, curation: Curation) -> bool:
    """Bring files, undo folder and log in line with the manifest; whether the curation is applied."""
    applied = _is_applied(root, curation)
    left = set()
    for old, new in _moves(curation.number, curation.changes):
        right, wrong = (new, old) if applied else (old, new)
        _keep_one(root / right, root / wrong)
        left.add((root / wrong).parent)
    for folder in sorted(left):
        _remove_empty(root, folder)
    if applied:
        _log(root, curation)
    else:
        _forget(root, curation.number)
    return applied


def _keep_one(right: Path, wrong: Path) -> None:
    """Remove the wrong name of a file, but never its last one."""
    if not wrong.exists():
        return
    if right.exists():
        wrong.unlink()
    else:
        right.parent.mkdir(parents=True, exist_ok=True)
        wrong.replace(right)


def _remove_empty(root: Path, folder: Path) -> None:
    """Remove a class folder that has lost its last file, so that a curation and its undo leave no trace."""
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass  # an earlier run has removed it, and may have been killed before its parent
        except OSError:
            return  # it holds something still
        folder = folder.parent


def _is_applied(root: Path, curation: Curation) -> bool:
    """Whether the manifest holds what came after a curation, and not what was before.

    Raises:
        DataError: A sample is neither.
    """
    changes = {change.before.id: change for change in curation.changes}
    found = {entry.id: entry for entry in manifest.stream(root / names.MANIFEST) if entry.id in changes}
    if all(found.get(sample_id) == change.after for sample_id, change in changes.items()):
        return True
    if all(found.get(sample_id) == change.before for sample_id, change in changes.items()):
        return False
    changed = min(sample_id for sample_id, change in changes.items() if found.get(sample_id) != change.after)
    raise DataError(
        f"{changed} has changed since curation {curation.number}, which cannot be undone as it is",
        where=root / names.MANIFEST,
        hint="undo that change first, "
        f"or make this final by removing {folder_of(root, curation.number)}, which holds the files",
    )


def _save(root: Path, curation: Curation) -> None:
    folder = folder_of(root, curation.number)
    folder.mkdir(parents=True, exist_ok=True)
    rows = (
        {"before": manifest.to_json(change.before), "after": manifest.to_json(change.after)}
        for change in curation.changes
    )
    write_lines(folder / _CHANGES, chain([{"curation": curation.number, "absent": sorted(curation.absent)}], rows))
    sync_folder(folder)


def _load(root: Path, number: int) -> Curation:
    path = folder_of(root, number) / _CHANGES
    if not path.exists():
        what = f"curation {number} can no longer be undone: its undo folder is missing"
        raise DataError(what, where=path.parent, hint="restore the folder")
    rows = read_lines(path, "restore the file")
    changes: list[SampleChange] = []
    try:
        _, header = next(rows)
        absent = frozenset(header["absent"])
        for _, row in rows:
            before = manifest.from_json(row["before"])
            if isinstance(before, Tombstone):
                raise ValueError("a dropped sample cannot have changed")
            changes.append(SampleChange(before, manifest.from_json(row["after"])))
    except (StopIteration, KeyError, TypeError, ValueError) as error:
        raise DataError(f"the record of the curation is damaged ({error})", where=path, hint="restore it") from error
    return Curation(number, tuple(changes), True, absent)


def _forget(root: Path, number: int) -> None:
    """Remove the undo folder and the line of the log."""
    folder = folder_of(root, number)
    # The record first: what remains if this is killed is then known to be incomplete.
    (folder / _CHANGES).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    _remove_empty(root, folder.parent)
    rows = _rows(root)
    kept = [row for row in rows if row["curation"] != number]
    if not kept:
        (root / LOG).unlink(missing_ok=True)
    elif kept != rows:
        write_lines(root / LOG, kept)


def _log(root: Path, curation: Curation) -> None:
    """Add a curation to the log, which outlives its undo folder."""
    rows = _rows(root)
    if any(row["curation"] == curation.number for row in rows):
        return
    dropped = {c.before.id: c.after.reason for c in curation.changes if isinstance(c.after, Tombstone)}
    relabelled = {
        c.before.id: [c.before.class_name, c.after.class_name] for c in curation.changes if isinstance(c.after, Sample)
    }
    write_lines(root / LOG, [*rows, {"curation": curation.number, "dropped": dropped, "relabelled": relabelled}])


def _rows(root: Path) -> list[dict[str, Any]]:
    path = root / LOG
    rows = []
    for where, row in read_lines(path, "restore the file") if path.exists() else ():
        if type(row.get("curation")) is not int:
            raise DataError("the line is not a curation", where=where, hint="restore the file")
        rows.append(row)
    return rows


def _last(root: Path) -> int:
    """The number of the last curation; 0 where there is none."""
    return max((row["curation"] for row in _rows(root)), default=0)
