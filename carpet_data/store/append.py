"""Add samples to a prepared folder, and drop them; one writer at a time; a killed one can be completed."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from carpet_data.core.images import probe
from carpet_data.dataset import GOOD, IndexFile, MaskFile, Origin, Sample, Side, Split
from carpet_data.errors import DataError, LeakError, UsageError
from carpet_data.store import description, manifest, names, splits
from carpet_data.store.files import remove_partials, write_bytes
from carpet_data.store.journal import Journal, refuse_unfinished, unfinished
from carpet_data.store.leaks import ancestors
from carpet_data.store.lock import locked
from carpet_data.store.manifest import Entry, Tombstone

_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Addition:
    """One sample to be added, as the bytes of its files.

    Attributes:
        mask: The encoded mask, PNG.
        table: (index, class) of each instance where the mask is an instance-index PNG; None where it is binary.
        suffix: Of the image file, with the dot.
        provenance: How it was made; its "host" and "donors", ids of samples, must be on the train side.
    """

    id: str
    class_name: str
    image: bytes
    mask: bytes | None = None
    table: tuple[tuple[int, str], ...] | None = None
    suffix: str = ".png"
    origin: Origin = "synthetic"
    group: str | None = None
    provenance: Mapping[str, Any] | None = None


class Appender:
    """Adds samples to a prepared folder while its lock is held; made by `appending`."""

    def __init__(self, root: Path, journal: Journal, split: Split | None, taken: frozenset[str]) -> None:
        about = description.read(root)
        self._root = root
        self._journal = journal
        self._taken = taken
        self._classes = frozenset(about.classes) | {GOOD}
        self._categories = frozenset(about.categories)
        self._train = None if split is None else frozenset(split.ids("train")) | journal.ids
        self._chunk: list[Sample] = []
        self._begun: set[str] = set()
        self.resumed = len(journal)

    def __contains__(self, sample_id: str) -> bool:
        """Whether an earlier, killed run of the same command has added this sample."""
        return sample_id in self._journal

    def __len__(self) -> int:
        return len(self._journal) + len(self._chunk)

    def add(self, addition: Addition) -> None:
        """Write the files of one sample; it is part of the data set when the appending ends well.

        A sample that an earlier run of the same command has added is left as it is.

        Raises:
            DataError: The id exists already, or the class is not one of the data set's.
            LeakError: It was made from samples that are not on the train side of its split.
        """
        if addition.id in self._journal:
            return
        self._check(addition)
        image = names.image_path(addition.id, addition.class_name, addition.suffix)
        write_bytes(self._root / image, addition.image)
        info = probe(self._root / image)
        annotation: MaskFile | IndexFile | None = None
        if addition.mask is not None:
            mask = names.mask_path(addition.id, addition.class_name)
            write_bytes(self._root / mask, addition.mask)
            annotation = MaskFile(mask) if addition.table is None else IndexFile(mask, addition.table)
        self._begun.add(addition.id)
        self._chunk.append(
            Sample(
                id=addition.id,
                image_path=image,
                class_name=addition.class_name,
                width=info.width,
                height=info.height,
                annotation=annotation,
                origin=addition.origin,
                image_sha256=hashlib.sha256(addition.image).hexdigest(),
                mask_sha256=None if addition.mask is None else hashlib.sha256(addition.mask).hexdigest(),
                group=addition.group,
                provenance=addition.provenance,
            )
        )
        if len(self._chunk) >= _CHUNK:
            self.commit()

    def commit(self) -> None:
        """Record what was added so far, so that a kill cannot lose it."""
        self._journal.commit(self._chunk)
        self._chunk.clear()

    def added(self) -> list[Sample]:
        """Commit, and give all samples added, those of an earlier, killed run included, sorted by id."""
        self.commit()
        return list(self._journal.entries())

    def _check(self, addition: Addition) -> None:
        if addition.id in self._taken or addition.id in self._begun:
            raise DataError(f"the id {addition.id!r} exists already", where=self._root, hint="choose another id")
        if names.component(addition.id) != addition.id:
            raise DataError(
                f"the id {addition.id!r} cannot be a file name everywhere",
                where=self._root,
                hint="choose a plain id: letters, digits, '-', '_' and '.'",
            )
        wrong = {addition.class_name} - self._classes or {name for _, name in addition.table or ()} - self._categories
        if wrong:
            raise DataError(
                f"unknown class {min(wrong)!r}",
                where=self._root,
                hint=f"use one of: {', '.join(sorted(self._classes))}",
            )
        if self._train is None:
            return
        provenance = addition.provenance or {}
        for role, sample_id in ancestors(provenance):
            if sample_id not in self._train:
                raise LeakError(
                    f"{addition.id}: its {role} {sample_id!r} is not on the train side of its split",
                    where=self._root,
                    hint="make synthetic samples from train images only",
                )


@contextmanager
def appending(root: Path, *, command: str, identity: str, split: str | None) -> Iterator[Appender]:
    """Add samples to a prepared folder, on the train side of a split; None for no split.

    Where the block ends well, the samples are in the manifest and on the train side of the split. Where it ends in an
    error or the process is killed, the data set is as it was, and the same command (equal work has an equal `identity`,
    such as a hash of recipe, split and seed) resumes with what had been written; `id in appender` tells what that is,
    so that it need not be made again.

    Raises:
        DataError: The folder is not a prepared data set, or has no such split.
        OutputError: Another command was interrupted here; LockedError: one is running.
    """
    description.read(root)
    with locked(root, command):
        partition = None if split is None else splits.read(root, split)
        begun = unfinished(root)
        journal = Journal.open(root, command, identity)
        try:
            # Ids of the journal may be in the manifest already: a kill can fall between its two last steps.
            taken = frozenset(e.id for e in manifest.stream(root / names.MANIFEST) if e.id not in journal)
            appender = Appender(root, journal, partition, taken)
            yield appender
            appender.commit()
            _merge(root, journal)
            if partition is not None:
                sides: dict[str, Side] = {**partition.sides, **dict.fromkeys(journal.ids, "train")}
                splits.write(root, Split(partition.name, sides, partition.made), overwrite=True)
            if begun is not None:
                remove_partials(root / names.IMAGES)
                remove_partials(root / names.MASKS)
        except BaseException:
            if len(journal) == 0:
                journal.remove()  # nothing to resume, so no reason to refuse other commands
            raise
        finally:
            journal.close()
        journal.remove()


def abandon(root: Path, *, command: str = "abandon") -> int:
    """Discard what an interrupted appending has written, files and journal, and return the number of samples.

    Raises:
        DataError: The folder is not a prepared data set, or a journal is damaged.
        LockedError: The appending is still running.
    """
    description.read(root)
    with locked(root, command):
        begun = unfinished(root)
        if begun is None:
            return 0
        journal = Journal.open(root, *begun)
        kept = frozenset(e.id for e in manifest.stream(root / names.MANIFEST) if e.id in journal)
        discarded = 0
        for sample in journal.entries():
            if sample.id not in kept:
                discarded += 1
                for path in (sample.image_path, sample.mask_path):
                    if path is not None:
                        (root / path).unlink(missing_ok=True)
        remove_partials(root / names.IMAGES)
        remove_partials(root / names.MASKS)
        journal.remove()
    return discarded


def drop(root: Path, ids: Iterable[str], reason: str, *, command: str = "drop") -> int:
    """Drop samples: they stay in the manifest as tombstones and their files stay, but readers skip them.

    Args:
        root: The prepared folder.
        ids: Of samples; those that are dropped already are left as they are.
        reason: Kept with them.
        command: For people: what is run.

    Returns:
        Number of samples dropped.

    Raises:
        UsageError: An id is not in the data set.
        OutputError: Another command was interrupted here; LockedError: one is running.
    """
    wanted = set(ids)
    description.read(root)
    with locked(root, command):
        refuse_unfinished(root)
        path = root / names.MANIFEST
        known = {entry.id: isinstance(entry, Tombstone) for entry in manifest.stream(path) if entry.id in wanted}
        unknown = sorted(wanted - known.keys())
        if unknown:
            raise UsageError(
                f"{len(unknown)} ids are not in the data set, such as {unknown[0]!r}",
                where=path,
                hint="use ids of its manifest",
            )
        fresh = {sample_id for sample_id, dropped in known.items() if not dropped}
        if fresh:
            manifest.write(path, (_dropped(entry, fresh, reason) for entry in manifest.stream(path)))
    return len(fresh)


def _dropped(entry: Entry, ids: set[str], reason: str) -> Entry:
    return Tombstone(entry, reason) if isinstance(entry, Sample) and entry.id in ids else entry


def _merge(root: Path, journal: Journal) -> None:
    """Bring the journal's samples into the manifest: two sorted streams become one."""
    path = root / names.MANIFEST
    # A kill can fall between this and the removal of the journal, so the manifest may have some of its samples already.
    there = (entry for entry in manifest.stream(path) if entry.id not in journal)
    manifest.write(path, heapq.merge(there, journal.entries(), key=attrgetter("id")))
