"""What the runs of a data set found, for its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carpet_data.errors import CarpetDataError
from carpet_data.metrics.classification import accuracy, balanced_accuracy, confusion, macro_f1
from carpet_data.report import pages
from carpet_data.report.dataset_page import RunRow, Training
from carpet_data.report.pages import ValidationPage
from carpet_data.samples import Dataset
from carpet_data.training import runs
from carpet_data.training.runs import RunInfo

__all__ = ["all_runs", "last_training", "last_validation", "rows", "stale"]


def all_runs(root: Path) -> tuple[tuple[RunInfo, ...], list[CarpetDataError]]:
    """The runs of a data set; none, and the fault, where one of them is damaged."""
    try:
        return runs.listing(root), []
    except CarpetDataError as error:
        return (), [error]


def stale(run: RunInfo, dataset: Dataset) -> bool:
    """Whether the data set, or the run's split of it, has changed since."""
    split = run.dataset.get("split")
    if split is not None and split not in dataset.splits:
        return True
    return run.dataset.get("fingerprint") != dataset.fingerprint(split)


def rows(found: Sequence[RunInfo], dataset: Dataset) -> tuple[RunRow, ...]:
    """A table of all runs, the last first."""
    return tuple(
        RunRow(run.folder.name, run.command, run.started, run.finished, run.seconds, stale(run, dataset))
        for run in reversed(found)
    )


def last_validation(found: Sequence[RunInfo]) -> tuple[RunInfo, ValidationPage] | None:
    """The last finished validation that has a page.

    Raises:
        DataError: Its page is damaged.
    """
    for run in reversed(found):
        if run.command == "validate" and run.finished:
            page = pages.load(run.folder)
            if page is not None:
                return run, page
    return None


def last_training(found: Sequence[RunInfo], dataset: Dataset) -> Training | None:
    """The last finished training: its curves, and what it took for what on test, else on val.

    Raises:
        DataError: A file of it is damaged.
    """
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
    return Training(run.folder.name, side, classes, matrix, figures, run.settings, history, stale(run, dataset))
