"""Train the dense head on a prepared data set, and score it on its test side."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.dataset import GOOD, DataFolder
from carpet_data.errors import DataError
from carpet_data.store.runs import RunInfo
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.task_train import Fitted, TaskTrainResult, TrainSides, train_task

__all__ = ["train_dense"]

_NETWORK = "efficientnet_lite0"
"""What "auto" means: its weights come in a package, so that they are the same everywhere."""


def train_dense(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    options: DenseOptions | None = None,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
    **more: Any,
) -> TaskTrainResult:
    """Train a dense head on the training images of a split.

    Maps are kept in the data set's folder `runs/.cache`, so an interrupted run simply starts over, in seconds. There is
    no epoch to choose, so validation images are scored and not used. Where `scale` is not given, it is
    chosen by cross-fitting on the training images, see `choose`.

    The parameters and errors are those of `carpet_data.train`.
    """
    options = options or DenseOptions()
    return train_task(
        "dense",
        partial(_fit, options, workers, progress),
        root,
        out,
        options,
        check=_check,
        workers=workers,
        progress=progress,
        **more,
    )


def _check(sides: TrainSides) -> None:
    if all(sample.class_name == GOOD for sample in sides.samples["train"]):
        raise DataError(
            "no training image shows a defect",
            where=sides.dataset.root,
            hint="add defect images, or train on good images alone: --task anomaly",
        )


def _fit(
    options: DenseOptions,
    workers: int | None,
    progress: Progress | None,
    sides: TrainSides,
    run: RunInfo,
    cache: Path | None,
) -> Fitted:
    # Here, not above: torch takes seconds to load, and the command must refuse what is wrong before.
    from carpet_data import networks
    from carpet_data.networks import devices
    from carpet_data.training.dense.bank import MapBank
    from carpet_data.training.dense.choose import choose
    from carpet_data.training.dense.fit import fit_dense
    from carpet_data.training.dense.model import DenseModel, save_dense

    device = devices.resolve(options.device)
    architecture = _NETWORK if options.architecture == "auto" else options.architecture
    weights = networks.choose(architecture, options.weights, progress=progress)
    network = networks.build(weights, classes=len(sides.classes), seed=options.seed)
    bank = MapBank(network, device, cache=cache, workers=workers, progress=progress)
    samples = sides.samples["train"]
    chosen = choose(bank, samples, sides.classes, options, progress=progress)
    head = fit_dense(bank, samples, sides.classes, chosen.options, held=chosen.held, progress=progress)
    extra = {"dataset": dict(run.dataset), "settings": chosen.options.to_json()}
    settings = {name: getattr(chosen.options, name) for name in options.open if name != "smoothing"}
    if options.smoothing is None:
        settings["smoothing"] = head.calibration.smoothing
    return Fitted(
        DenseModel(network, head, device=device),
        partial(save_dense, network, head, extra=extra),
        weights.architecture,
        weights.name,
        str(device),
        settings,
        (*([weights.note] if weights.note else ()), *chosen.notes, *head.notes),
    )
