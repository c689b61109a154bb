"""The driver of a synthesis: counts what is there, has the rest made, and alone writes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carpet_data import store
from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import DataError
from carpet_data.store import manifest, names
from carpet_data.store import recipes as kept_recipes
from carpet_data.store.append import Addition, Appender
from carpet_data.store.journal import Journal, unfinished
from carpet_data.store.manifest import Tombstone
from carpet_data.synthesis.engine import pixels, sheet
from carpet_data.synthesis.engine import render as rendering
from carpet_data.synthesis.engine.batch import Lot
from carpet_data.synthesis.engine.plan import Job, Planner
from carpet_data.synthesis.engine.render import Brief, Rendered
from carpet_data.synthesis.recipe.model import Recipe

_CHUNK = 2
"""Jobs a message: each brings megabytes home."""
_HOPELESS = 24
"""So many images in a row without one that passes, and the class is given up."""


@dataclass(slots=True)
class Order:
    """What one class still needs, and how it went.

    Attributes:
        lot: Names its images.
        planner: Plans them.
        brief: For the workers.
        n: Images wanted in all.
        nulls: Null samples wanted in all.
        existed: Images of the lot that were there before.
        made: Images added.
        nulls_made: Null samples added.
        draws: Candidates drawn.
        refused: Gate -> draws that it refused.
        given_up: Images of which every draw was refused; others took their places.
    """

    lot: Lot
    planner: Planner
    brief: Brief
    n: int
    nulls: int
    existed: int = 0
    made: int = 0
    nulls_made: int = 0
    draws: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    given_up: int = 0


@dataclass(slots=True)
class _Stream:
    """The images k = 0, 1 … of one order, defect or null, of which so many are wanted."""

    order: Order
    null: bool
    wanted: int
    there: frozenset[int]
    dropped: frozenset[int]
    have: int = 0
    next_k: int = 0
    failed_in_a_row: int = 0


class HopelessError(DataError):
    """The gates refuse whatever the recipe draws."""


def run(
    root: Path,
    orders: Sequence[Order],
    recipe: Recipe,
    *,
    command: str,
    split: str,
    workers: int | None,
    progress: Progress | None,
) -> tuple[Path, ...]:
    """Bring every order to its numbers; the counts of what happened are written into the orders.

    The same orders make the same bytes for any number of workers and after any interruption: image k depends on k,
    and of those that pass the first n are kept.

    Returns:
        The contact sheet of each order.

    Raises:
        HopelessError: The gates refuse everything; nothing was added.
        OutputError, LockedError, DataError: As `store.appending`.
    """
    streams = _streams(root, orders)
    if all(stream.have >= stream.wanted for stream in streams) and unfinished(root) is None:
        return _sheets(root, orders, recipe, ())
    try:
        with store.appending(root, command=command, identity=_identity(orders), split=split) as appender:
            _make_plates(root, orders, workers)
            _fill(streams, appender, workers, progress)
            kept_recipes.save(root, recipe.identity, recipe.kept())
            # Before the end, so that a kill cannot leave the data set complete without them.
            return _sheets(root, orders, recipe, appender.added())
    except HopelessError:
        # Running the command again would end here again, so what it had written is not worth keeping.
        store.abandon(root, command=command)
        raise
    finally:
        rendering.forget()


def _sheets(root: Path, orders: Sequence[Order], recipe: Recipe, added: Sequence[Sample]) -> tuple[Path, ...]:
    return tuple(sheet.of_lot(root, order.lot, recipe.name, added) for order in orders)


def pending(root: Path) -> frozenset[str]:
    """The ids that an unfinished command has written so far; the manifest may hold them already, or not."""
    return frozenset() if unfinished(root) is None else Journal(root / names.JOURNAL).ids


def count(root: Path, orders: Sequence[Order]) -> None:
    """Only count what is there, into the orders."""
    _streams(root, orders)


def planned(root: Path, orders: Sequence[Order]) -> dict[str, tuple[Job, ...]]:
    """The jobs that a run would begin with, by class; those whose draws are all refused would be followed by more."""
    plans: dict[str, tuple[Job, ...]] = {}
    for stream in _streams(root, orders):
        name = stream.order.lot.class_name
        jobs = (stream.order.planner.job(k, null=stream.null) for _, k in _round([stream], None))
        plans[name] = (*plans.get(name, ()), *jobs)
    return plans


def _identity(orders: Sequence[Order]) -> str:
    rows = [(o.lot.recipe, o.lot.pool, o.lot.split, o.lot.seed, o.lot.class_name, o.n, o.nulls) for o in orders]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _streams(root: Path, orders: Sequence[Order]) -> list[_Stream]:
    there: dict[tuple[int, bool], set[int]] = {}
    dropped: dict[tuple[int, bool], set[int]] = {}
    begun = pending(root)
    for entry in manifest.stream(root / names.MANIFEST):
        if entry.id in begun:
            continue  # the appender knows it, wherever the kill fell
        sample = entry.sample if isinstance(entry, Tombstone) else entry
        if sample.origin != "synthetic":
            continue
        for number, order in enumerate(orders):
            if order.lot.holds(sample.provenance):
                k, null = _place(sample)
                table = dropped if isinstance(entry, Tombstone) else there
                table.setdefault((number, null), set()).add(k)
    streams = []
    for number, order in enumerate(orders):
        for null, wanted in ((False, order.n), (True, order.nulls)):
            key = (number, null)
            streams.append(_Stream(order, null, wanted, frozenset(there.get(key, ())), frozenset(dropped.get(key, ()))))
            streams[-1].have = len(streams[-1].there)
            if not null:
                order.existed = streams[-1].have
    return streams


def _place(sample: Sample) -> tuple[int, bool]:
    assert sample.provenance is not None
    return int(sample.provenance["k"]), bool(sample.provenance.get("null"))


def _make_plates(root: Path, orders: Sequence[Order], workers: int | None) -> None:
    """Make the clean plates before the images: all of them at once, each only once."""
    missing = {
        host.sample.id: host.sample
        for order in orders
        for host in order.planner.pools.hosts
        if host.plate and not pixels.plate_path(root, host.sample).is_file()
    }
    jobs = ((root, sample) for _, sample in sorted(missing.items()))
    for _ in executor.run(rendering.make_plate, jobs, workers=workers, chunk=1):
        pass


def _fill(streams: Sequence[_Stream], appender: Appender, workers: int | None, progress: Progress | None) -> None:
    total = sum(max(0, stream.wanted - len(stream.there)) for stream in streams)
    done = 0
    while any(stream.have < stream.wanted for stream in streams):
        # Most images pass, so a round asks for just what is missing; the next one makes up for those that did not.
        jobs = list(_round(streams, appender))
        done = _done(streams)
        if progress is not None:
            progress(Step(done, total, "synthesizing"))
        work = ((stream.order.brief, stream.order.planner.job(k, null=stream.null)) for stream, k in jobs)
        for (stream, _), made in zip(
            jobs, executor.run(rendering.render, work, workers=workers, chunk=_CHUNK), strict=True
        ):
            _take(stream, made, appender)
            done += made.image is not None
            if progress is not None:
                progress(Step(done, total, "synthesizing"))


def _done(streams: Sequence[_Stream]) -> int:
    return sum(min(stream.have, stream.wanted) - len(stream.there) for stream in streams)


def _round(streams: Sequence[_Stream], written: Appender | None) -> Iterator[tuple[_Stream, int]]:
    """The next k of each stream, so many as it is short of."""
    for stream in streams:
        # Below the last that was kept, every other one was tried and did not pass.
        last = max((*stream.there, *stream.dropped), default=-1)
        asked = stream.have
        while asked < stream.wanted:
            k = stream.next_k
            stream.next_k += 1
            if k <= last:
                continue
            asked += 1
            if written is not None and stream.order.lot.id_of(k, null=stream.null) in written:
                _count(stream)  # an earlier run of this command, which was stopped, has made it
            else:
                yield stream, k


def _take(stream: _Stream, made: Rendered, appender: Appender) -> None:
    order = stream.order
    order.refused.update(made.refused)
    order.draws += sum(made.refused.values()) + (made.image is not None)
    if made.image is None:
        order.given_up += 1
        stream.failed_in_a_row += 1
        if stream.failed_in_a_row >= _HOPELESS:
            raise _hopeless(order)
        return
    stream.failed_in_a_row = 0
    _count(stream)
    appender.add(
        Addition(
            id=order.lot.id_of(made.job.k, null=stream.null),
            class_name=GOOD if stream.null else order.lot.class_name,
            image=made.image,
            mask=made.mask,
            suffix=made.suffix,
            provenance=order.lot.provenance(made),
        )
    )


def _count(stream: _Stream) -> None:
    stream.have += 1
    if stream.null:
        stream.order.nulls_made += 1
    else:
        stream.order.made += 1


def _hopeless(order: Order) -> HopelessError:
    counts = ", ".join(f"{name} {times}" for name, times in order.refused.most_common())
    learned = "" if order.lot.model is None else "; a model of too few steps makes nothing that passes, so fit longer"
    return HopelessError(
        f"{order.lot.class_name}: the gates refused all draws of {_HOPELESS} images in a row ({counts})",
        hint="loosen that gate in the recipe (carpet-data recipes show NAME), or use another recipe; "
        f"redraw is the method's own: it found no place, or made nothing visible{learned}",
    )
