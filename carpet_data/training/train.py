"""Train a classifier on a prepared data set, and say how it does on its test side."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.errors import CarpetDataError
from carpet_data.preparation.train_data import opened, samples_of
from carpet_data.store import lock, runs
from carpet_data.store.runs import RunInfo
from carpet_data.training.options import TrainOptions
from carpet_data.training.side_tables import load_sides

__all__ = ["TrainResult", "train"]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A training and its figures.

    Attributes:
        folder: The run folder.
        name: The data set's name.
        architecture: The network that was trained.
        weights: What it began with: "none" or a name.
        device: Where.
        classes: In the order of the network's outputs.
        images: side -> how many images.
        synthetic: How many of the train images.
        metrics: What metrics.json holds: the figures of train, val and test.
        epochs: Trained, until the end or until patience ran out.
        best_epoch: Whose weights were kept, from 1.
        steps: Optimiser steps.
        seconds: The whole run took; of a continued one its last part.
        resumed: Whether an interrupted run was continued.
        notes: What the user should know.
    """

    folder: Path
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

    @property
    def model(self) -> Path:
        """The folder of the trained network."""
        return self.folder / "model"

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "run": str(self.folder),
            "model": str(self.model),
            "name": self.name,
            "architecture": self.architecture,
            "weights": self.weights,
            "device": self.device,
            "classes": list(self.classes),
            "images": dict(self.images),
            "synthetic": self.synthetic,
            "metrics": dict(self.metrics),
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "steps": self.steps,
            "seconds": self.seconds,
            "resumed": self.resumed,
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The result for people."""
        start = "random weights" if self.weights == "none" else f"weights {self.weights}"
        counts = ", ".join(f"{count} {side}" for side, count in self.images.items())
        synthetic = f" ({self.synthetic} synthetic)" if self.synthetic else ""
        kept = "" if self.best_epoch == self.epochs else f", epoch {self.best_epoch} kept by val"
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
            f"run   {self.folder}",
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
    root: str | os.PathLike[str],
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
) -> TrainResult:
    """Train a classifier on the train side of a split; val chooses the epoch, test is looked at once, at the end.

    A run that was interrupted is continued by the same call, to the same result.

    Args:
        root: A prepared folder.
        out: The run folder; None for the next number in the data set's folder `runs`.
        options: How to train; None for the defaults.
        split: The split; None for "main".
        real_only: Leave synthetic training images out.
        overwrite: Replace the run at `out`, or begin anew where an interrupted one would be continued.
        skip_faulty: Leave out images that cannot be read, instead of ending there.
        worst: How many of the worst test images are drawn with Grad-CAM.
        heatmaps: How many test images get a heat map for `browse`, mistakes first; 0 for none.
        workers: Processes that decode images; None for one a core.
        progress: Called with each step: reading images, computing features, training, drawing heat maps.

    Raises:
        DataError: The folder is no prepared data set, a side is empty, an image cannot be read, or the train side shows
            one class only.
        LeakError: A held-out image would reach training.
        UsageError: There is no such split, network, device or stage, or settings exclude each other.
        OutputError: `out` holds something else.
        WeightsError: The weights cannot be had.
        DeviceMemoryError: A batch does not fit into memory.
        MissingExtraError: The extra `train` is not installed.
    """
    from carpet_data.networks import devices  # names the extra where torch is missing
    from carpet_data.networks.checkpoints import FILE
    from carpet_data.networks.feature_cache import FeatureCache
    from carpet_data.store import leaks
    from carpet_data.training import fit, views
    from carpet_data.training.network_choice import pinned, refuse_other_network
    from carpet_data.training.outputs import write_outputs

    asked = options or TrainOptions()
    dataset, name = opened(Path(root), split)
    leaks.refuse_leaks(dataset, name)
    samples = samples_of(dataset, name, real_only=real_only)
    # What can be refused is refused before anything is decoded or written.
    devices.resolve(asked.device)
    views.check(asked.augment)
    options, weights = pinned(asked, progress=progress)
    described = {
        "root": str(dataset.root.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(name),
        "split": name,
    }
    settings = {**options.to_json(), "real_only": real_only, "skip_faulty": skip_faulty}
    if out is None and not overwrite:
        refuse_other_network(dataset.root, "train", asked, settings, described)
    sides = load_sides(
        dataset,
        samples,
        options,
        skip_faulty=skip_faulty,
        workers=workers,
        progress=progress,
    )
    run, resumed = runs.create(
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
    started = time.perf_counter()
    with lock.locked(run.folder, "train"):
        try:
            fitted = fit.fit(
                options,
                sides.train,
                sides.val,
                folder=run.folder,
                resume=resumed,
                cache=FeatureCache(dataset.root / runs.RUNS / runs.CACHE) if out is None else None,
                progress=progress,
            )
        except CarpetDataError:
            _give_up(run, resumed)
            raise
        figures = write_outputs(
            run,
            fitted,
            sides,
            options,
            split=name,
            worst=worst,
            heatmaps=heatmaps,
            progress=progress,
        )
        seconds = time.perf_counter() - started
        runs.finish(run, seconds, {"device": str(fitted.device)})
        (run.folder / FILE).unlink(missing_ok=True)
    return TrainResult(
        folder=run.folder,
        name=dataset.name,
        architecture=weights.architecture,
        weights=weights.name,
        device=str(fitted.device),
        classes=sides.classes,
        images=sides.counts(),
        synthetic=sides.train.origins.count("synthetic"),
        metrics=figures,
        epochs=len(fitted.history),
        best_epoch=fitted.best_epoch,
        steps=fitted.steps,
        seconds=seconds,
        resumed=resumed,
        notes=(
            *([weights.note] if weights.note else []),
            *sides.notes,
            *fit.notes(sides.train, options),
            *_doubts(figures["test"]),
        ),
    )


def _doubts(test: Mapping[str, Any]) -> tuple[str, ...]:
    if test["balanced_accuracy_interval"] is not None:
        return ()
    return ("a class has one group of test images only, so its balanced accuracy has no interval",)


def _give_up(run: RunInfo, resumed: bool) -> None:
    """Leave no folder of a run that failed before anything in it was worth keeping."""
    from carpet_data.networks.checkpoints import FILE

    if not resumed and not (run.folder / FILE).exists():
        shutil.rmtree(run.folder, ignore_errors=True)
