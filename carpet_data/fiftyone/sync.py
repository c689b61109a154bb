"""Bring a FiftyOne dataset to what a data set holds now: add, update in bulk, remove; never touch what users added."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeAlias

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.fiftyone.content import Annotation, MaskJob, Part, ShownSample, changed, draw, state_of
from carpet_data.fiftyone.fields import ID, STATE

__all__ = ["Synced", "sync"]

_BATCH = 200
"""Samples written at a time: large enough for the database, small enough that memory stays flat."""
_CHUNK = 16

_Found: TypeAlias = Annotation | CarpetDataError | None


@dataclass(frozen=True, slots=True)
class Synced:
    """The number of samples that were new, written again in part, gone from the data set, and left as they are.

    Attributes:
        problems: Images that are missing and masks that cannot be read.
    """

    added: int
    updated: int
    removed: int
    unchanged: int
    problems: tuple[CarpetDataError, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """A sample that has to be written: the state to note, the parts to write, and whether FiftyOne lacks it yet."""

    entry: ShownSample
    state: str
    parts: tuple[Part, ...]
    new: bool


def sync(
    fiftyone: Any,
    dataset: Any,
    entries: Sequence[ShownSample],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Synced:
    """Make `dataset` hold what `entries` hold.

    Masks are read by workers, and only those that changed; at most some hundred are in memory at a time.

    Args:
        fiftyone: The module.
        dataset: A FiftyOne dataset with our fields declared.
        entries: The samples, ids unique.
        workers: Number of worker processes; None for the number of cores.
        progress: Called with each step.
    """
    ids, states = dataset.values([ID, STATE]) if len(dataset) else ([], [])
    before: dict[str, str | None] = dict(zip(ids, states, strict=True))
    run = _Run(fiftyone, dataset, len(entries), progress)
    waiting: deque[_Task] = deque()
    # One pool for all: tasks wait in the order in which their annotations come back.
    found = executor.run(_draw, _jobs(run.plan(entries, before), waiting), workers=workers, chunk=_CHUNK)
    pairs = ((waiting.popleft(), drawn) for drawn in found)
    while batch := list(itertools.islice(pairs, _BATCH)):
        run.write(batch)
    gone = before.keys() - run.seen
    if gone:
        dataset.delete_samples(dataset.select_by(ID, sorted(gone)))
    unchanged = len(entries) - run.added - run.updated
    return Synced(run.added, run.updated, len(gone), unchanged, tuple(run.problems))


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

    def plan(self, entries: Iterable[ShownSample], before: dict[str, str | None]) -> Iterator[_Task]:
        """The samples that have to be written, and which parts of them."""
        for entry in entries:
            sample_id, image = entry.job.sample.id, entry.job.image
            self.seen.add(sample_id)
            if not image.is_file():
                hint = "restore it, or drop the sample"
                self.problems.append(DataError("the image is missing", where=image, hint=hint))
            keys = entry.keys()
            parts = changed(before.get(sample_id), keys)
            if parts:
                yield _Task(entry, state_of(keys), parts, new=sample_id not in before)
            else:
                self._report()

    def write(self, batch: list[tuple[_Task, _Found]]) -> None:
        """Write a batch: new samples at once, updates field by field."""
        new: list[Any] = []
        updates: dict[str, dict[str, Any]] = {}
        for task, found in batch:
            sample_id = task.entry.job.sample.id
            annotation = found if isinstance(found, Annotation) else None
            values = task.entry.values(self.fiftyone, task.parts, annotation)
            # A group of fields is declared only where some sample fills it.
            values = {name: value for name, value in values.items() if name in self.known}
            values[STATE] = task.state
            if isinstance(found, CarpetDataError):
                self.problems.append(found)
                # Without its mask a sample is not done, so the next run looks at it again.
                values[STATE] = None
            if task.new:
                there = {name: value for name, value in values.items() if value is not None}
                new.append(self.fiftyone.Sample(**there, **{ID: sample_id}))
            else:
                for name, value in values.items():
                    updates.setdefault(name, {})[sample_id] = value
        if new:
            _insert(self.dataset, new)
        for name, by_id in updates.items():
            self.dataset.set_values(name, by_id, key_field=ID, expand_schema=False, validate=False, progress=False)
        self.added += len(new)
        self.updated += len(batch) - len(new)
        self._report()

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(Step(len(self.seen), self.total, "updating FiftyOne"))


def _insert(dataset: Any, samples: Sequence[Any]) -> None:
    """Add samples, of which the dataset declares every field, as its own `add_samples` does without its second half.

    That half turns what was written back into objects, so that the samples can be used afterwards: half of the time,
    and ours are not used.
    """
    make, collection = getattr(dataset, "_make_dict", None), getattr(dataset, "_sample_collection", None)
    if make is None or collection is None:
        # These two are no part of FiftyOne's promise; in a version without them its slow way does the same.
        dataset.add_samples(samples, expand_schema=False, validate=False, batcher=False, progress=False)
        return
    if dataset.media_type != "image":
        dataset.media_type = "image"
    # FiftyOne keeps times in UTC, unmarked.
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    collection.insert_many([make(sample, created_at=now, last_modified_at=now) for sample in samples])
