"""Bring a FiftyOne dataset to what a data set holds now: add, update in bulk, remove; never touch what users added."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.fiftyone.content import Drawn, MaskJob, Part, draw
from carpet_data.fiftyone.entries import Entry, changed, values_of
from carpet_data.fiftyone.fields import ID, STATE
from carpet_data.fiftyone.inserting import insert

__all__ = ["Synced", "sync"]

_BATCH = 200
"""Samples written at a time: large enough for the database, small enough that memory stays flat."""
_CHUNK = 16

_T = TypeVar("_T")
_Found: TypeAlias = Drawn | tuple[str, CarpetDataError] | None


@dataclass(frozen=True, slots=True)
class Synced:
    """What was done.

    Attributes:
        added: Samples that were new.
        updated: Samples of which some part was written again.
        removed: Samples that are in the data set no more.
        unchanged: Samples that were left as they are.
        problems: Images that are missing and masks that cannot be read.
    """

    added: int
    updated: int
    removed: int
    unchanged: int
    problems: tuple[CarpetDataError, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """A sample that has to be written.

    Attributes:
        entry: The sample.
        state: What is to be noted as written.
        parts: The parts to write.
        new: Whether FiftyOne does not have it yet.
    """

    entry: Entry
    state: str
    parts: tuple[Part, ...]
    new: bool


def sync(
    fiftyone: Any,
    dataset: Any,
    entries: Iterable[Entry],
    *,
    total: int,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Synced:
    """Make `dataset` hold what `entries` say.

    Masks are read by workers, and only those that changed; at most some hundred samples are in memory at a time.

    Args:
        fiftyone: The module.
        dataset: A FiftyOne dataset with our fields declared.
        entries: The samples, ids unique.
        total: How many they are.
        workers: Processes; None for one a core.
        progress: Called with (samples done, total).
    """
    ids, states = dataset.values([ID, STATE]) if len(dataset) else ([], [])
    before: dict[str, str | None] = dict(zip(ids, states, strict=True))
    run = _Run(fiftyone, dataset, total, progress)
    waiting: deque[_Task] = deque()
    # One pool for all: tasks wait in the order in which their annotations come back.
    found = executor.run(_draw, _jobs(run.plan(entries, before), waiting), workers=workers, chunk=_CHUNK)
    for batch in _batched(((waiting.popleft(), drawn) for drawn in found), _BATCH):
        run.write(batch)
    gone = before.keys() - run.seen
    if gone:
        dataset.delete_samples(dataset.select_by(ID, sorted(gone)))
    return Synced(run.added, run.updated, len(gone), total - run.added - run.updated, tuple(run.problems))


def _jobs(tasks: Iterable[_Task], waiting: deque[_Task]) -> Iterator[MaskJob | None]:
    """The annotation that each task needs, None where it needs none; the tasks are noted in `waiting`."""
    for task in tasks:
        waiting.append(task)
        yield task.entry.job if "mask" in task.parts else None


def _draw(job: MaskJob | None) -> _Found:
    return None if job is None else draw(job)


class _Run:
    def __init__(self, fiftyone: Any, dataset: Any, total: int, progress: Progress | None) -> None:
        self.fiftyone = fiftyone
        self.dataset = dataset
        self.total = total
        self.progress = progress
        self.known = set(dataset.get_field_schema())
        self.seen: set[str] = set()
        self.added = 0
        self.updated = 0
        self.problems: list[CarpetDataError] = []

    def plan(self, entries: Iterable[Entry], before: dict[str, str | None]) -> Iterator[_Task]:
        """The samples that have to be written, and which parts of them."""
        for entry in entries:
            sample_id = entry.sample.id
            self.seen.add(sample_id)
            if not entry.image.is_file():
                self.problems.append(
                    DataError("the image is missing", where=entry.image, hint="restore it, or drop the sample")
                )
            keys = entry.keys()
            new = sample_id not in before
            parts = changed(None if new else before[sample_id], keys)
            if parts:
                yield _Task(entry, entry.state(keys), parts, new)
            elif self.progress is not None:
                self.progress(Step(len(self.seen), self.total, "updating FiftyOne"))

    def write(self, batch: list[tuple[_Task, _Found]]) -> None:
        """Write a batch: new samples at once, updates field by field."""
        new: list[Any] = []
        updates: dict[str, dict[str, Any]] = {}
        for task, found in batch:
            sample_id = task.entry.sample.id
            drawn = found if isinstance(found, Drawn) else None
            values: dict[str, Any] = {}
            for part in task.parts:
                values |= values_of(self.fiftyone, task.entry, part, drawn)
            # A group of fields is declared only where some sample fills it.
            values = {name: value for name, value in values.items() if name in self.known}
            values[STATE] = task.state
            if isinstance(found, tuple):
                self.problems.append(found[1])
                # Without its mask a sample is not done, so the next run looks at it again.
                values[STATE] = None
            if task.new:
                new.append(self._sample(sample_id, values))
            else:
                for name, value in values.items():
                    updates.setdefault(name, {})[sample_id] = value
        if new:
            insert(self.dataset, new)
        for name, by_id in updates.items():
            self.dataset.set_values(name, by_id, key_field=ID, expand_schema=False, validate=False, progress=False)
        self.added += len(new)
        self.updated += len(batch) - len(new)
        if self.progress is not None:
            self.progress(Step(len(self.seen), self.total, "updating FiftyOne"))

    def _sample(self, sample_id: str, values: dict[str, Any]) -> Any:
        there = {name: value for name, value in values.items() if value is not None}
        return self.fiftyone.Sample(**there, **{ID: sample_id})


def _batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
