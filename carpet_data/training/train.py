"""Train a classifier on a prepared data set, and score it on its test side."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.dataset import DataFolder, Dataset, folder_of
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats.skipped import skipped_lines
from carpet_data.preparation.train_data import opened_without_leaks, samples_of
from carpet_data.store import lock, runs
from carpet_data.store.runs import RunInfo
from carpet_data.training.options import TrainOptions
from carpet_data.training.tables import Sides, load_sides

if TYPE_CHECKING:
    from carpet_data.networks import Weights
    from carpet_data.training.fit import Fit

__all__ = ["TrainResult", "train"]


@dataclass(frozen=True, slots=True)
class TrainResult(Result):
    """A training and its metrics.

    Attributes:
        run: The run folder.
        model: The folder of the trained network in it.
        name: The data set's name.
        weights: The name of its weights at the start; "none" for random ones.
        classes: In the order of the network's outputs.
        images: side -> number of images.
        synthetic: Number of synthetic ones among the training images.
        metrics: The contents of metrics.json: those of train, val and test.
        epochs: Number of epochs trained, until the end or until patience ran out.
        best_epoch: The epoch whose weights were kept, from 1.
        seconds: Duration of the run; of a resumed one, of its last part.
        notes: What the user should know.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
    """

    run: Path
    model: Path
    name: str
    architecture: str
    weights: str
    device: str
    classes: tuple[str, ...]
    images: Mapping[str, int]
    synthetic: int
    metrics: Mapping[str, Any]
    epochs: int
    best_epoch: int
    steps: int
    seconds: float
    resumed: bool
    notes: tuple[str, ...] = ()
    skipped: tuple[DataError, ...] = ()

    def text(self) -> str:
        """The result for people."""
        start = "random weights" if self.weights == "none" else f"weights {self.weights}"
        counts = ", ".join(f"{count} {side}" for side, count in self.images.items())
        synthetic = f" ({self.synthetic} synthetic)" if self.synthetic else ""
        kept = "" if self.best_epoch == self.epochs else f", epoch {self.best_epoch} kept (best in validation)"
        test = self.metrics["test"]
        balanced = f"{test['balanced_accuracy']:.3f}{_range(test['balanced_accuracy_interval'])}"
        accuracy = f"{test['accuracy']:.3f}{_range(test['accuracy_interval'])}"
        lines = [
            f"{self.name}: {self.architecture}, {start}, {self.device}; {counts} images{synthetic}",
            f"{self.epochs} epochs, {self.steps} steps, {self.seconds:.1f} s{kept}",
            "",
            f"test balanced accuracy {balanced}",
            f"test accuracy          {accuracy}, macro F1 {test['macro_f1']:.3f}",
            "",
            *_recalls(test),
            "",
            *(f"note: {note}" for note in self.notes),
            *skipped_lines(self.skipped),
            f"run   {self.run}",
            f"model {self.model}",
        ]
        return "\n".join(lines)


def _range(interval: Mapping[str, float] | None) -> str:
    return " (no interval)" if interval is None else f" ({interval['low']:.3f} to {interval['high']:.3f})"


def _recalls(test: Mapping[str, Any]) -> list[str]:
    width = max(5, *(len(name) for name in test["classes"]))
    lines = [f"{'class':{width}}  test images  recall (95 % interval)"]
    for name, row in zip(test["classes"], test["confusion"], strict=True):
        recall = test["recalls"][name]
        shown = "-" if recall is None else f"{recall:.3f}{_range(test['recall_intervals'][name])}"
        lines.append(f"{name:{width}}  {sum(row):11}  {shown}")
    return lines


def train(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    options: TrainOptions | None = None,
    *,
    split: str | None = None,
    real_only: bool = False,
    overwrite: bool = False,
    skip_faulty: bool = False,
    worst: int = 12,
    heatmaps: int = 200,
    workers: int | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> TrainResult:
    """Train a classifier on the training images of a split; validation chooses the epoch, test is used once.

    The same call resumes an interrupted run, to the same result.

    Args:
        root: A prepared folder, or its Dataset.
        out: The run folder; None for the next number in the data set's folder `runs`.
        options: How to train; None for the defaults.
        split: The split; None for "main".
        real_only: Skip synthetic training images.
        overwrite: Replace the run at `out`, or start over where an interrupted one would be resumed.
        skip_faulty: Leave out the images that cannot be read instead of failing.
        worst: Number of the worst test images that are drawn with Grad-CAM.
        heatmaps: Maximum number of test images that get a heat map for `browse`, mistakes first; 0 for none.
        workers: Processes that decode images; None for one per core.
        progress: Called with each step: downloading weights, reading images, computing features, training, drawing.
        **changes: Options by their names, such as epochs=5 or architecture="resnet18".

    Raises:
        DataError: The folder is not a prepared data set, a side is empty, an image cannot be read, or the training
            images show one class only.
        LeakError: A held-out image would reach training.
        UsageError: An option, the split, network, device or stage is unknown, options exclude each other, or an
            interrupted run of the same command trains another network.
        OutputError: `out` holds something else.
        WeightsError: The weights cannot be had.
        DeviceMemoryError: A batch does not fit into memory.
        MissingExtraError: The extra `train` is not installed.
    """
    from carpet_data.training import views

    asked = TrainOptions.of(options, changes)
    dataset, name = opened_without_leaks(folder_of(root), split)
    views.check(asked.augment)
    samples = samples_of(dataset, name, real_only=real_only)
    # After all that can be refused without torch, which takes seconds to load.
    from carpet_data.networks.checkpoints import FILE  # names the extra where torch is missing
    from carpet_data.training.outputs import write_outputs

    # What can be refused is refused before anything is decoded or written.
    options, weights = _pinned(asked, progress)
    sides = load_sides(dataset, samples, options, skip_faulty=skip_faulty, workers=workers, progress=progress)
    more = {"real_only": real_only, "skip_faulty": skip_faulty}
    run, resumed = _run(dataset, name, asked, options, weights, sides, more, out, overwrite)
    started = time.perf_counter()
    with lock.locked(run.folder, "train"):
        fitted = _fit(options, sides, run, resumed, runs.cache_of(dataset.root, out), progress)
        drawn = {"worst": worst, "heatmaps": heatmaps}
        metrics = write_outputs(run, fitted, sides, options, split=name, progress=progress, **drawn)
        seconds = time.perf_counter() - started
        runs.finish(run, seconds, {"device": str(fitted.device)})
        (run.folder / FILE).unlink(missing_ok=True)
    return _result(run, resumed, options, weights, sides, fitted, metrics, seconds)


def _pinned(asked: TrainOptions, progress: Progress | None) -> tuple[TrainOptions, Weights]:
    from carpet_data.networks import devices
    from carpet_data.training.network_choice import pinned

    devices.resolve(asked.device)
    return pinned(asked, progress=progress)


def _result(
    run: RunInfo,
    resumed: bool,
    options: TrainOptions,
    weights: Weights,
    sides: Sides,
    fitted: Fit,
    metrics: Mapping[str, Any],
    seconds: float,
) -> TrainResult:
    from carpet_data.training import fit

    notes = [*([weights.note] if weights.note else []), *sides.notes, *fit.notes(sides.train, options)]
    return TrainResult(
        run=run.folder,
        model=run.folder / "model",
        name=str(run.dataset["name"]),
        architecture=weights.architecture,
        weights=weights.name,
        device=str(fitted.device),
        classes=sides.classes,
        images=sides.counts(),
        synthetic=sides.train.origins.count("synthetic"),
        metrics=metrics,
        epochs=len(fitted.history),
        best_epoch=fitted.best_epoch,
        steps=fitted.steps,
        seconds=seconds,
        resumed=resumed,
        notes=(*notes, *_doubts(metrics["test"])),
        skipped=sides.skipped,
    )


def _run(
    dataset: Dataset,
    split: str,
    asked: TrainOptions,
    options: TrainOptions,
    weights: Weights,
    sides: Sides,
    more: Mapping[str, Any],
    out: str | os.PathLike[str] | None,
    overwrite: bool,
) -> tuple[RunInfo, bool]:
    """The run folder, and whether it is an interrupted run that is resumed."""
    from carpet_data.training import views
    from carpet_data.training.network_choice import refuse_other_network

    described = {
        "root": str(dataset.root.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(split),
        "split": split,
    }
    settings = {**options.to_json(), **more}
    if out is None and not overwrite:
        refuse_other_network(dataset.root, "train", asked, settings, described)
    return runs.create(
        dataset.root,
        "train",
        dataset=described,
        settings=settings,
        facts={
            "classes": list(sides.classes),
            "network": {"architecture": weights.architecture, "weights": weights.to_json()},
            "augmentation": views.identity(options.augment),
        },
        out=None if out is None else Path(out),
        overwrite=overwrite,
    )


def _fit(
    options: TrainOptions, sides: Sides, run: RunInfo, resumed: bool, cache: Path | None, progress: Progress | None
) -> Fit:
    from carpet_data.networks.checkpoints import FILE
    from carpet_data.networks.feature_cache import FeatureCache
    from carpet_data.training.fit import fit

    kept = None if cache is None else FeatureCache(cache)
    try:
        return fit(options, sides.train, sides.val, folder=run.folder, resume=resumed, cache=kept, progress=progress)
    except CarpetDataError:
        # A run that failed before anything in it was worth keeping leaves no folder.
        if not resumed and not (run.folder / FILE).exists():
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


def _doubts(test: Mapping[str, Any]) -> tuple[str, ...]:
    if test["balanced_accuracy_interval"] is not None:
        return ()
    return ("a class has one group of test images only, so its balanced accuracy has no interval",)
