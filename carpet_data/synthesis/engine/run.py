"""The run of a synthesis: finds what exists, has the rest rendered by workers, and alone writes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
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
from carpet_data.synthesis.engine import contact_sheet
from carpet_data.synthesis.engine import render as rendering
from carpet_data.synthesis.engine.batch import Batch
from carpet_data.synthesis.engine.plan import ImagePlan, Planner
from carpet_data.synthesis.engine.render import RenderResult, WorkerContext
from carpet_data.synthesis.engine.results import ClassReport
from carpet_data.synthesis.plates import sheet as plates_sheet
from carpet_data.synthesis.plates.survey import refusals
from carpet_data.synthesis.recipe.model import Recipe

_CHUNK = 2
"""Plans a message: each brings megabytes home."""
_HOPELESS = 24
"""A class is given up after this many images in a row without one that passes."""


@dataclass(frozen=True, slots=True)
class Existing:
    """The numbers k of a batch's images that a data set holds, and of those that were dropped."""

    kept: frozenset[int]
    dropped: frozenset[int]


@dataclass(frozen=True, slots=True)
class ClassRequest:
    """How many images (`n`) and null samples of one class there shall be, and all that making them depends on."""

    batch: Batch
    planner: Planner
    context: WorkerContext
    n: int
    nulls: int
    existing: Existing
    existing_nulls: Existing

    @property
    def class_name(self) -> str:
        """The class."""
        return self.batch.class_name


class HopelessError(DataError):
    """The gates refuse whatever the recipe draws."""


class _NothingMadeError(Exception):
    """All series were given up, and there is nothing to keep."""


@dataclass(slots=True)
class _Tally:
    """What happened to one request."""

    made: int = 0
    nulls: int = 0
    draws: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    given_up: int = 0


class _Series:
    """The images k = 0, 1 … of one request, either those with a defect or its null samples."""

    def __init__(self, request: ClassRequest, tally: _Tally, *, null: bool) -> None:
        self.request = request
        self.null = null
        self.wanted = request.nulls if null else request.n
        existing = request.existing_nulls if null else request.existing
        self.have = self.existed = len(existing.kept)
        self._tally = tally
        # Below the last that was kept, every other one was tried and did not pass.
        self._next_k = max((*existing.kept, *existing.dropped), default=-1) + 1
        self._failed_in_a_row = 0
        self.error: HopelessError | None = None
        """Why this series was given up."""

    @property
    def done(self) -> int:
        """Images made so far."""
        return min(self.have, self.wanted) - self.existed

    @property
    def complete(self) -> bool:
        """Whether nothing more is to be made: all is there, or the series was given up."""
        return self.have >= self.wanted or self.error is not None

    def next_plans(self, written: Appender | None) -> Iterator[ImagePlan]:
        """As many plans as images are missing."""
        asked = self.have if self.error is None else self.wanted
        while asked < self.wanted:
            k = self._next_k
            self._next_k += 1
            asked += 1
            if written is not None and self.request.batch.id_of(k, null=self.null) in written:
                self._count()  # an interrupted run of this command has made it
            else:
                yield self.request.planner.plan(k, null=self.null)

    def take(self, made: RenderResult, appender: Appender) -> None:
        """Add a rendered image to the data set, or count that there is none; after too many of these, give up."""
        if self.error is not None:
            return  # rendered before the series was given up
        tally, batch = self._tally, self.request.batch
        tally.refused.update(made.refused)
        tally.draws += sum(made.refused.values()) + (made.image is not None)
        if made.image is None:
            tally.given_up += 1
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= _HOPELESS:
                self.error = _hopeless(batch, tally.refused, made.reason)
            return
        self._failed_in_a_row = 0
        self._count()
        appender.add(
            Addition(
                id=batch.id_of(made.plan.k, null=self.null),
                class_name=GOOD if self.null else batch.class_name,
                image=made.image,
                mask=made.mask,
                suffix=made.suffix,
                provenance=batch.provenance(made),
            )
        )

    def _count(self) -> None:
        self.have += 1
        if self.null:
            self._tally.nulls += 1
        else:
            self._tally.made += 1


def run(
    root: Path,
    requests: Sequence[ClassRequest],
    recipe: Recipe,
    *,
    command: str,
    split: str,
    workers: int | None,
    progress: Progress | None,
) -> tuple[dict[str, ClassReport], tuple[Path, ...], dict[str, HopelessError]]:
    """Make what each request lacks.

    What comes back is class -> how it went, the contact sheets, and class -> why it was given up. A class of which the
    gates refuse everything does not cost the others: what passed is kept. The same requests make the same bytes for any
    number of workers and after any interruption: image k depends on k, and of those that pass the first n are kept.

    Raises:
        OutputError, LockedError, DataError: As `store.appending`.
    """
    tallies = {request.class_name: _Tally() for request in requests}
    series = [
        _Series(request, tallies[request.class_name], null=null) for request in requests for null in (False, True)
    ]
    sheets: tuple[Path, ...] = ()
    if all(each.complete for each in series) and unfinished(root) is None:
        sheets = _sheets(root, requests, recipe, ())
    else:
        try:
            with store.appending(root, command=command, identity=_identity(requests), split=split) as appender:
                _fill(series, appender, workers, progress)
                if not len(appender) and any(each.error is not None for each in series):
                    raise _NothingMadeError
                kept_recipes.save(root, recipe.identity, recipe.kept())
                # Before the end, so that a kill cannot leave the data set complete without them.
                sheets = _sheets(root, requests, recipe, appender.added())
        except _NothingMadeError:
            store.abandon(root, command=command)
        finally:
            rendering.forget()
    reports = {request.class_name: _report(request, tallies[request.class_name]) for request in requests}
    return reports, sheets, {each.request.class_name: each.error for each in series if each.error is not None}


def planned(requests: Sequence[ClassRequest]) -> tuple[dict[str, ClassReport], dict[str, tuple[ImagePlan, ...]]]:
    """The reports and plans that a run would begin with; images that fail all attempts would be followed by more."""
    plans = {
        request.class_name: tuple(
            plan for null in (False, True) for plan in _Series(request, _Tally(), null=null).next_plans(None)
        )
        for request in requests
    }
    return {request.class_name: _report(request, _Tally()) for request in requests}, plans


def pending(root: Path) -> frozenset[str]:
    """The ids that an unfinished command has written so far; the manifest may hold them already, or not."""
    return frozenset() if unfinished(root) is None else Journal(root / names.JOURNAL).ids


def scan(root: Path, batches: Sequence[Batch]) -> dict[tuple[str, bool], Existing]:
    """(class, whether null samples) -> what a data set knows of each batch."""
    kept: dict[tuple[str, bool], set[int]] = {
        (batch.class_name, null): set() for batch in batches for null in (False, True)
    }
    dropped: dict[tuple[str, bool], set[int]] = {key: set() for key in kept}
    begun = pending(root)
    for entry in manifest.stream(root / names.MANIFEST):
        if entry.id in begun:
            continue  # the appender knows it, wherever the kill fell
        sample = entry.sample if isinstance(entry, Tombstone) else entry
        if sample.origin != "synthetic":
            continue
        for batch in batches:
            if batch.holds(sample.provenance):
                assert sample.provenance is not None
                table = dropped if isinstance(entry, Tombstone) else kept
                table[batch.class_name, bool(sample.provenance.get("null"))].add(int(sample.provenance["k"]))
    return {key: Existing(frozenset(kept[key]), frozenset(dropped[key])) for key in kept}


def _report(request: ClassRequest, tally: _Tally) -> ClassReport:
    sources = request.planner.sources
    return ClassReport(
        asked=request.n,
        existed=len(request.existing.kept),
        made=tally.made,
        nulls=tally.nulls,
        draws=tally.draws,
        refused=dict(tally.refused.most_common()),
        given_up=tally.given_up,
        donors=len(sources.donors),
        hosts=len(sources.hosts),
        plates=sum(host.plate for host in sources.hosts),
        plates_tried=len(sources.plates),
        plates_refused=refusals(sources.plates),
    )


def _identity(requests: Sequence[ClassRequest]) -> str:
    rows = [
        (r.batch.recipe, r.batch.pool, r.batch.split, r.batch.seed, r.batch.class_name, r.n, r.nulls) for r in requests
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _sheets(root: Path, requests: Sequence[ClassRequest], recipe: Recipe, added: Sequence[Sample]) -> tuple[Path, ...]:
    made = {sample.class_name for sample in added}
    plates = dict.fromkeys(request.planner.sources.plates for request in requests if request.planner.sources.plates)
    return (
        *(
            contact_sheet.of_batch(root, request.batch, recipe.name, added)
            for request in requests
            if request.existing.kept or request.class_name in made
        ),
        *(plates_sheet.write(root, records) for records in plates),
    )


def _fill(series: Sequence[_Series], appender: Appender, workers: int | None, progress: Progress | None) -> None:
    total = sum(max(0, each.wanted - each.existed) for each in series)
    while not all(each.complete for each in series):
        # Most images pass, so a round asks for just what is missing; the next one makes up for those that did not.
        plans = [(each, plan) for each in series for plan in each.next_plans(appender)]
        done = sum(each.done for each in series)
        if progress is not None:
            progress(Step(done, total, "synthesizing"))
        sent: deque[_Series] = deque()
        results = executor.run(rendering.render, _work(plans, sent), workers=workers, chunk=_CHUNK)
        for made in results:
            each = sent.popleft()
            each.take(made, appender)
            done += made.image is not None
            if progress is not None:
                progress(Step(done, total, "synthesizing"))


def _work(
    plans: Sequence[tuple[_Series, ImagePlan]], sent: deque[_Series]
) -> Iterator[tuple[WorkerContext, ImagePlan]]:
    """What workers get, and whose it is; the plans of a series that was given up meanwhile are left out."""
    for each, plan in plans:
        if each.error is None:
            sent.append(each)
            yield each.request.context, plan


def _hopeless(batch: Batch, refused: Mapping[str, int], reason: str) -> HopelessError:
    counts = ", ".join(f"{name} {times}" for name, times in Counter(refused).most_common())
    learned = "" if batch.model is None else "; a model that was trained too briefly does so, so fit it with more steps"
    if rendering.UNSUITED in refused and len(refused) == 1:
        return HopelessError(
            f"{batch.class_name}: {batch.method} cannot make such defects: {reason}",
            hint="use another recipe (carpet-data recipes list)",
        )
    last = f"; the last one because {reason}" if reason else ""
    return HopelessError(
        f"{batch.class_name}: {_HOPELESS} images in a row failed the quality checks ({counts}){last}",
        hint="relax that check in the recipe (carpet-data recipes show NAME), or use another recipe; "
        f"`redraw` means that the method found no valid placement or produced no visible change{learned}",
    )
