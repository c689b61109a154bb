"""The run of a training whose model is a `Predictor`: its folder, its scores, its predictions and pictures.

What a task adds is one function that trains; the rest is the same for all of them. No torch here.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.core.options import Options
from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.dataset import GOOD, DataFolder, Dataset, Sample, Side, folder_of
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats.skipped import about_image, skipped_lines
from carpet_data.preparation.train_data import opened_without_leaks
from carpet_data.store import lock, runs
from carpet_data.store.runs import RunInfo
from carpet_data.training.contract import Predictor, Task
from carpet_data.training.readable import readable
from carpet_data.training.task_result import TaskResult

__all__ = ["Fitted", "TaskTrainResult", "TrainSides", "train_task"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainSides:
    """The samples to train on, to choose by, and to score; classes are those of all, good first.

    Attributes:
        samples: side -> its samples; val may be empty.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
    """

    dataset: Dataset
    classes: tuple[str, ...]
    samples: Mapping[Side, tuple[Sample, ...]]
    skipped: tuple[DataError, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a task's function gives back.

    Attributes:
        model: The trained model.
        save: Writes it into a folder.
        architecture: The name of its network.
        weights: The name of the network's weights at the start.
        device: Where it was trained.
        settings: What was chosen for the options that were not given; for run.json and the text.
        notes: What the user should know.
        history: Rows for history.jsonl; empty without epochs.
    """

    model: Predictor
    save: Callable[[Path], None]
    architecture: str
    weights: str
    device: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    history: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class TaskTrainResult(Result):
    """A training and its scores.

    Attributes:
        run: The run folder.
        model: The folder of the trained model in it.
        name: The data set's name.
        task: What the model was trained for.
        weights: The name of the network's weights at the start; "none" for random ones.
        classes: Of the model, good first.
        images: side -> number of images.
        synthetic: Number of synthetic ones among the training images.
        settings: What was chosen for options that were not given.
        scores: side -> the scores, val (where there is one) and test.
        seconds: Duration of the run.
        notes: What the user should know.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
    """

    run: Path
    model: Path
    name: str
    task: Task
    architecture: str
    weights: str
    device: str
    classes: tuple[str, ...]
    images: Mapping[str, int]
    synthetic: int
    settings: Mapping[str, Any]
    scores: Mapping[str, TaskResult]
    seconds: float
    notes: tuple[str, ...] = ()
    skipped: tuple[DataError, ...] = ()

    def text(self) -> str:
        """The result for people."""
        start = "random weights" if self.weights == "none" else f"weights {self.weights}"
        counts = ", ".join(f"{count} {side}" for side, count in self.images.items() if count)
        synthetic = f" ({self.synthetic} synthetic)" if self.synthetic else ""
        chosen = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in self.settings.items())
        lines = [
            f"{self.name}: {self.task}, {self.architecture}, {start}, {self.device}; {counts} images{synthetic}",
            f"{self.seconds:.1f} s{f'; chosen: {chosen}' if chosen else ''}",
            "",
            *self.scores["test"].text(),
            "",
            *(f"note: {note}" for note in self.notes),
            *skipped_lines(self.skipped),
            f"run   {self.run}",
            f"model {self.model}",
        ]
        return "\n".join(lines)


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def train_task(
    task: Task,
    fit: Callable[[TrainSides, RunInfo, Path | None], Fitted],
    root: DataFolder,
    out: str | os.PathLike[str] | None,
    options: Options,
    *,
    split: str | None = None,
    real_only: bool = False,
    overwrite: bool = False,
    skip_faulty: bool = False,
    worst: int = 12,
    heatmaps: int = 200,
    workers: int | None = None,
    resumes: bool = False,
    check: Callable[[TrainSides], None] | None = None,
    progress: Progress | None = None,
) -> TaskTrainResult:
    """Train a model of a task and write its run folder.

    The folder gets run.json, model/, metrics.json, predictions.jsonl (with what was found in each image), heat maps for
    browse, plots, and pictures of the worst and the best test images.

    `fit` trains: it takes the sides, the run and the folder where features may be kept (None to keep none). `resumes`
    says whether it resumes by what it left in the run folder; else an interrupted run starts over. `check` refuses what
    cannot be trained, before the run folder is made. The other parameters are those of `carpet_data.train`.

    Raises:
        DataError: The folder is not a prepared data set, a side is empty, or an image cannot be read.
        LeakError: A held-out image would reach training.
        UsageError: The split is unknown.
        OutputError: `out` holds something else.
        CarpetDataError: What `fit` raises; a new run folder is removed then.
    """
    # Plots need matplotlib, which takes a moment to load: not for the help of a command.
    from carpet_data.training.task_outputs import write_task_outputs

    dataset, name = opened_without_leaks(folder_of(root), split)
    sides = _sides(dataset, name, real_only=real_only, skip_faulty=skip_faulty, workers=workers, progress=progress)
    if check is not None:
        check(sides)
    run, resumed = _create(task, dataset, name, options, real_only, skip_faulty, sides, out, overwrite)
    started = time.perf_counter()
    with lock.locked(run.folder, "train"):
        fitted = _fitted(fit, sides, run, runs.cache_of(dataset.root, out), keep=resumed or resumes)
        fitted.save(run.folder / "model")
        drawn = {"worst": worst, "heatmaps": heatmaps}
        seed = int(getattr(options, "seed", 0))
        scores = write_task_outputs(run, fitted.model, sides.samples, split=name, seed=seed, progress=progress, **drawn)
        runs.write_history(run.folder, fitted.history)
        seconds = time.perf_counter() - started
        facts = {"device": fitted.device, "classes": list(fitted.model.classes), "chosen": dict(fitted.settings)}
        runs.finish(run, seconds, facts)
    return _result(task, run, sides, fitted, scores, seconds)


def _fitted(
    fit: Callable[[TrainSides, RunInfo, Path | None], Fitted],
    sides: TrainSides,
    run: RunInfo,
    cache: Path | None,
    *,
    keep: bool,
) -> Fitted:
    """Train; a run that failed before anything in it was worth keeping leaves no folder."""
    try:
        return fit(sides, run, cache)
    except CarpetDataError:
        if not keep:
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


def _result(
    task: Task, run: RunInfo, sides: TrainSides, fitted: Fitted, scores: Mapping[str, TaskResult], seconds: float
) -> TaskTrainResult:
    return TaskTrainResult(
        run=run.folder,
        model=run.folder / "model",
        name=sides.dataset.name,
        task=task,
        architecture=fitted.architecture,
        weights=fitted.weights,
        device=fitted.device,
        classes=tuple(fitted.model.classes),
        images={side: len(of_side) for side, of_side in sides.samples.items() if of_side},
        synthetic=sum(sample.origin == "synthetic" for sample in sides.samples["train"]),
        settings=fitted.settings,
        scores=scores,
        seconds=seconds,
        notes=fitted.notes,
        skipped=sides.skipped,
    )


def _sides(
    dataset: Dataset,
    split: str,
    *,
    real_only: bool,
    skip_faulty: bool,
    workers: int | None,
    progress: Progress | None,
) -> TrainSides:
    """The samples of each side that can be read."""
    samples = {side: dataset.on_side(side, split).samples for side in ("train", "val", "test")}
    if real_only:
        samples["train"] = tuple(sample for sample in samples["train"] if sample.origin == "real")
    skipped: list[DataError] = []
    if skip_faulty:
        everything = [sample for of_side in samples.values() for sample in of_side]
        errors = readable(dataset.root, everything, workers=workers, progress=progress)
        skipped = [about_image(error, dataset.root / sample.image_path) for sample, error in errors]
        gone = {sample.id for sample, _ in errors}
        samples = {side: tuple(s for s in of_side if s.id not in gone) for side, of_side in samples.items()}
    for side in ("train", "test"):
        if not samples[side]:
            raise DataError(
                f"no image is on the {side} side of the split {split!r}",
                where=dataset.root,
                hint="make a split with one: carpet-data split",
            )
    names = {sample.class_name for of_side in samples.values() for sample in of_side}
    names |= {name for of_side in samples.values() for sample in of_side for name in sample.defect_classes}
    classes = (GOOD, *sorted(names - {GOOD}))
    return TrainSides(dataset, classes, samples, tuple(skipped))  # type: ignore[arg-type]


def _create(
    task: Task,
    dataset: Dataset,
    split: str,
    options: Options,
    real_only: bool,
    skip_faulty: bool,
    sides: TrainSides,
    out: str | os.PathLike[str] | None,
    overwrite: bool,
) -> tuple[RunInfo, bool]:
    """The run folder, and whether it is that of an interrupted run."""
    described = {
        "root": str(dataset.root.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(split),
        "split": split,
    }
    settings = {"task": task, **options.to_json(), "real_only": real_only, "skip_faulty": skip_faulty}
    return runs.create(
        dataset.root,
        "train",
        dataset=described,
        settings=settings,
        facts={"classes": list(sides.classes)},
        out=None if out is None else Path(out),
        overwrite=overwrite,
    )
