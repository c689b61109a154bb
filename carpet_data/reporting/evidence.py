"""What the runs of a data set found, for its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from carpet_data.dataset import Dataset
from carpet_data.errors import CarpetDataError
from carpet_data.metrics.classification import accuracy, balanced_accuracy, confusion, macro_f1
from carpet_data.reporting import pages
from carpet_data.reporting.dataset_page import RunRow, Training
from carpet_data.reporting.pages import ValidationPage
from carpet_data.store import runs
from carpet_data.store.runs import RunInfo

T = TypeVar("T")

__all__ = ["Evidence", "gather"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the runs found.

    Attributes:
        validation: The page of the last finished validation that has one; None without.
        validation_run: Name of its folder.
        validation_stale: Whether the data set has changed since.
        training: The last finished training; None without.
        runs: All runs, the last first.
        problems: Of runs that are damaged; they are left out.
    """

    validation: ValidationPage | None
    validation_run: str
    validation_stale: bool
    training: Training | None
    runs: tuple[RunRow, ...]
    problems: tuple[CarpetDataError, ...]


def gather(dataset: Dataset) -> Evidence:
    """Read the runs of a data set back; damage ends nothing here, it is among the problems."""
    problems: list[CarpetDataError] = []

    def tried(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except CarpetDataError as error:
            problems.append(error)
            return otherwise

    nothing: tuple[RunInfo, ...] = ()
    found = tried(lambda: runs.listing(dataset.root), nothing)
    no_page: tuple[RunInfo, ValidationPage] | None = None
    validation = tried(lambda: _last_validation(found), no_page)
    no_training: Training | None = None
    training = tried(lambda: _last_training(found, dataset), no_training)
    return Evidence(
        validation=None if validation is None else validation[1],
        validation_run="" if validation is None else validation[0].folder.name,
        validation_stale=validation is not None and _stale(validation[0], dataset),
        training=training,
        runs=tuple(
            RunRow(run.folder.name, run.command, run.started, run.finished, run.seconds, _stale(run, dataset))
            for run in reversed(found)
        ),
        problems=tuple(problems),
    )


def _stale(run: RunInfo, dataset: Dataset) -> bool:
    """Whether the data set, or the run's split of it, has changed since."""
    split = run.dataset.get("split")
    if split is not None and split not in dataset.splits:
        return True
    return run.dataset.get("fingerprint") != dataset.fingerprint(split)


def _last_validation(found: Sequence[RunInfo]) -> tuple[RunInfo, ValidationPage] | None:
    for run in reversed(found):
        if run.command == "validate" and run.finished:
            page = pages.load(run.folder)
            if page is not None:
                return run, page
    return None


def _last_training(found: Sequence[RunInfo], dataset: Dataset) -> Training | None:
    """Its curves, and what it took for what on test, else on val."""
    run = next((run for run in reversed(found) if run.command == "train" and run.finished), None)
    if run is None:
        return None
    predictions = runs.predictions(run.folder)
    side = "test" if any(each.side == "test" for each in predictions) else "val"
    shown = [each for each in predictions if each.side == side]
    recorded = run.facts.get("classes")
    names = {each.truth for each in shown} | {each.predicted for each in shown}
    classes = tuple(str(name) for name in recorded) if isinstance(recorded, list) else tuple(sorted(names))
    # A class that run.json does not name must not end the page.
    classes += tuple(sorted(names - set(classes)))
    place = {name: number for number, name in enumerate(classes)}
    matrix = None
    figures: dict[str, float] = {}
    if shown:
        truth = [place[each.truth] for each in shown]
        table = confusion(truth, [place[each.predicted] for each in shown], len(classes))
        matrix = tuple(tuple(int(count) for count in row) for row in table)
        figures = {
            "accuracy": accuracy(table),
            "balanced accuracy": balanced_accuracy(table),
            "macro F1": macro_f1(table),
        }
    history = runs.history(run.folder)
    return Training(run.folder.name, side, classes, matrix, figures, run.settings, history, _stale(run, dataset))
