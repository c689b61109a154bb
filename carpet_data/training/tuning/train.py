"""Fine-tune a model of pixels or boxes on a prepared data set, and score it on its test side."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from carpet_data.core.progress import Progress
from carpet_data.dataset import GOOD, DataFolder, Sample
from carpet_data.errors import CarpetDataError, DataError, MissingExtraError
from carpet_data.store.runs import RunInfo
from carpet_data.training import views
from carpet_data.training.contract import Task
from carpet_data.training.task_train import Fitted, TaskTrainResult, TrainSides, train_task
from carpet_data.training.truth import ANY_DEFECT
from carpet_data.training.tuning.options import TuneOptions

if TYPE_CHECKING:
    from carpet_data.networks import Weights
    from carpet_data.training.tuning.fitting import TuneFit

__all__ = ["Kind", "masked", "tune"]

O = TypeVar("O", bound=TuneOptions)  # noqa: E741 - the one letter that says it


@dataclass(frozen=True)
class Kind(Generic[O]):
    """One kind of fine-tuning.

    Attributes:
        task: "segment" or "detect".
        weights_of: Options -> weights of the backbone, None without one.
        fit: Trains, as `fit_segment` does.
    """

    task: Task
    weights_of: Callable[..., Weights | None]
    fit: Callable[..., TuneFit]


def tune(
    task: Task,
    load_kind: Callable[[], Kind[O]],
    options: O,
    root: DataFolder,
    out: str | os.PathLike[str] | None,
    *,
    progress: Progress | None,
    **more: Any,
) -> TaskTrainResult:
    """Train, and write the run folder.

    Args:
        task: "segment" or "detect".
        load_kind: Imports what trains, torch with it; called after all that can be refused without.
        options: How to train.
        root: As for `carpet_data.train`, like the rest.
        out: Likewise.
        progress: Likewise.
        **more: Likewise.
    """
    views.check(options.augment)
    return train_task(
        task,
        partial(_fit, load_kind, options, progress),
        root,
        out,
        options,
        resumes=True,
        check=_check,
        progress=progress,
        **more,
    )


def _check(sides: TrainSides) -> None:
    defects = [sample for sample in sides.samples["train"] if sample.class_name != GOOD]
    if all(sample.unmasked for sample in defects):
        what = "no training image shows a defect"
        if defects:
            what = f"none of {len(defects)} training images with a defect has a mask"
        raise DataError(
            f"{what}, and this task learns from masks",
            where=sides.dataset.root,
            hint="draw masks, or train on image classes (--task classify) or on good images (--task anomaly)",
        )
    MissingExtraError.require(("torch", "torchvision", "safetensors"), "train", "a network")


def masked(sides: TrainSides) -> tuple[dict[str, tuple[Sample, ...]], tuple[str, ...]]:
    """The samples of train and val without the defect images that have no mask; and what the user should know."""
    found: dict[str, tuple[Sample, ...]] = {}
    notes = []
    for side in ("train", "val"):
        samples = sides.samples[side]
        found[side] = tuple(sample for sample in samples if not sample.unmasked)
        lost = len(samples) - len(found[side])
        if lost:
            images = "1 image" if lost == 1 else f"{lost} images"
            notes.append(f"{images} of {side} without a mask left out")
    if not found["val"]:
        notes.append("the split has no validation image with a mask, so the last epoch was kept")
    return found, tuple(notes)


def _fit(
    load_kind: Callable[[], Kind[O]],
    options: O,
    progress: Progress | None,
    sides: TrainSides,
    run: RunInfo,
    cache: Path | None,  # noqa: ARG001 - crops are never the same twice
) -> Fitted:
    # Here, not above: torch takes seconds to load, and the command must refuse what is wrong before.
    from carpet_data.networks import devices
    from carpet_data.networks.checkpoints import FILE
    from carpet_data.training.tuning.fitting import check_scenes
    from carpet_data.training.tuning.scenes import Scenes

    kind = load_kind()
    try:
        devices.resolve(options.device)
        weights = kind.weights_of(options, progress=progress)
        classes = (GOOD, ANY_DEFECT) if options.united else sides.classes
        samples, notes = masked(sides)
        train = Scenes(sides.dataset, samples["train"], classes, options.size, progress=progress)
        val = Scenes(sides.dataset, samples["val"], classes, options.size, progress=progress)
        notes += check_scenes(train)
        fitted = kind.fit(options, train, val, weights=weights, folder=run.folder, resume=True, progress=progress)
    except CarpetDataError:
        # A run that failed before anything in it was worth keeping leaves no folder.
        if not (run.folder / FILE).exists():
            shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return _handed_over(kind.task, fitted, options, run, weights, chosen=bool(val.samples), notes=notes)


def _handed_over(
    task: Task,
    fitted: TuneFit,
    options: TuneOptions,
    run: RunInfo,
    weights: Weights | None,
    *,
    chosen: bool,
    notes: tuple[str, ...],
) -> Fitted:
    """Draw the curves, and tell how the model is saved; the checkpoint is of no more use then."""
    from carpet_data.networks.checkpoints import FILE
    from carpet_data.reporting import figures
    from carpet_data.training.tuning import saved

    history = [asdict(epoch) for epoch in fitted.history]
    figures.save(figures.curves(history, "score"), run.folder / "plots" / "curves.png")
    described = {
        **fitted.description,
        "dataset": dict(run.dataset),
        "settings": options.to_json(),
        "best_epoch": fitted.best_epoch,
    }

    def save(folder: Path) -> None:
        saved.save(fitted.module, folder, task, described)
        (run.folder / FILE).unlink(missing_ok=True)

    return Fitted(
        fitted.model,
        save,
        options.name if weights is None else f"{options.name} on {weights.architecture}",
        "none" if weights is None else weights.name,
        str(fitted.device),
        {"epoch": fitted.best_epoch} if chosen else {},
        (*([weights.note] if weights is not None and weights.note else ()), *notes),
        history,
    )
