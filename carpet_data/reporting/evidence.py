"""What the runs and the score file of a data set found, for its page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from carpet_data.dataset import Dataset
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.metrics import Scores
from carpet_data.reporting import pages
from carpet_data.reporting.dataset_page import Evidence, LastTraining, RunRow, ScoreRow, ScoreTable
from carpet_data.reporting.pages import ValidationPage
from carpet_data.store import runs
from carpet_data.store.runs import RunInfo

T = TypeVar("T")

__all__ = ["gather", "read_score"]

# column -> (key, key of the same among the real defects)
_SCORES = {
    "Diversity": ("diversity", "real_diversity"),
    "Nearest real": ("nearest_real", "real_nearest_real"),
    "Texture": ("frechet_texture", "real_frechet_texture"),
    "Area, decades": ("area_emd", ""),
}


def gather(dataset: Dataset) -> tuple[Evidence, list[CarpetDataError]]:
    """Read the runs of a data set, and the problems of damaged ones, which are left out."""
    problems: list[CarpetDataError] = []

    def tried(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except CarpetDataError as error:
            problems.append(error)
            return otherwise

    nothing: tuple[RunInfo, ...] = ()
    found = tried(lambda: runs.listing(dataset.root), nothing)
    run = _last(found, "validate")
    no_page: ValidationPage | None = None
    page = no_page if run is None else tried(lambda: pages.load(run.folder), no_page)
    no_training: LastTraining | None = None
    evidence = Evidence(
        validation=page,
        validation_run="" if run is None else run.folder.name,
        validation_stale=run is not None and _stale(run, dataset),
        training=tried(lambda: _last_training(found, dataset), no_training),
        runs=tuple(
            RunRow(
                run.folder.name,
                run.command,
                run.started,
                run.finished,
                run.seconds,
                _stale(run, dataset),
                _network(run)[0],
            )
            for run in reversed(found)
        ),
    )
    return evidence, problems


def _last(found: Sequence[RunInfo], command: str) -> RunInfo | None:
    return next((run for run in reversed(found) if run.command == command and run.finished), None)


def _stale(run: RunInfo, dataset: Dataset) -> bool:
    """Whether the data set, or the run's split of it, has changed since."""
    split = run.dataset.get("split")
    if split is not None and split not in dataset.splits:
        return True
    return run.dataset.get("fingerprint") != dataset.fingerprint(split)


def _last_training(found: Sequence[RunInfo], dataset: Dataset) -> LastTraining | None:
    """Its curves, and its predictions on test, else on val."""
    run = _last(found, "train")
    if run is None:
        return None
    predictions = runs.predictions(run.folder)
    side = "test" if any(each.side == "test" for each in predictions) else "val"
    shown = [each for each in predictions if each.side == side]
    recorded = run.facts.get("classes")
    names = {each.truth for each in shown} | {each.predicted for each in shown}
    classes = tuple(str(name) for name in recorded) if isinstance(recorded, list) else ()
    # A class that run.json does not name must not end the page.
    classes += tuple(sorted(names - set(classes)))
    matrix, metrics = None, {}
    if shown:
        index = {name: number for number, name in enumerate(classes)}
        truth, predicted = [index[each.truth] for each in shown], [index[each.predicted] for each in shown]
        scores = Scores.of(truth, predicted, classes)
        matrix = scores.table
        metrics = {
            "accuracy": scores.accuracy,
            "balanced accuracy": scores.balanced_accuracy,
            "macro F1": scores.macro_f1,
        }
    # A second stage trains the head again, from its own first epoch.
    history = tuple(row for row in runs.history(run.folder) if row.get("stage", 1) == 1)
    stale, note = _stale(run, dataset), _network(run)[1]
    return LastTraining(run.folder.name, side, classes, matrix, metrics, run.settings, history, stale, note)


def _network(run: RunInfo) -> tuple[str, str]:
    """The network of a run with its weights, and why it is not the default; both empty where run.json has none."""
    recorded = run.facts.get("network")
    weights = recorded.get("weights") if isinstance(recorded, dict) else None
    if not isinstance(weights, dict):
        return "", ""
    return f"{weights.get('architecture', '')} ({weights.get('name', '')})", str(weights.get("note") or "")


def read_score(path: Path) -> ScoreTable:
    """Read a score file, as `carpet-data score --json` prints it.

    Raises:
        DataError: It is missing, or something else.
    """
    hint = f"make it again: carpet-data score DATASET --json > {path.name}"
    try:
        values = json.loads(path.read_bytes())
        network = values["backbone"]
        rows = tuple(_row(group, bool(network)) for group in values["groups"])
        columns = (*_SCORES, *(("Network",) if network else ()))
        return ScoreTable(columns, rows, str(values["against"]), None if network is None else str(network))
    except FileNotFoundError as error:
        raise DataError("the score file does not exist", where=path, hint=hint) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"invalid score file ({error})", where=path, hint=hint) from error


def _row(group: Mapping[str, Any], network: bool) -> ScoreRow:
    metrics = [(_text(group[key]), _text(group[real]) if real else "") for key, real in _SCORES.values()]
    if network:
        metrics.append((_text(group["feature_distance"], 4), ""))
    accepted = f"{float(group['acceptance']['share']):.0%}"
    return ScoreRow(str(group["class"]), str(group["recipe"]), int(group["images"]), accepted, tuple(metrics))


def _text(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
