"""Train an anomaly model on the good images of a prepared data set, and score it on its test side."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.progress import Progress
from carpet_data.dataset import DataFolder
from carpet_data.store.runs import RunInfo
from carpet_data.training.anomaly.good_images import chosen_good
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.task_train import Fitted, TaskTrainResult, TrainSides, train_task

if TYPE_CHECKING:
    from carpet_data.networks import Network, Weights

__all__ = ["train_anomaly"]

_NETWORK = "efficientnet_lite0"
"""What "auto" means: its weights come in a package, so that they are the same everywhere."""


def train_anomaly(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    options: AnomalyOptions | None = None,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
    **more: Any,
) -> TaskTrainResult:
    """Train a model of the good training images of a split; images with defects are used for the test scores only.

    An interrupted run starts over; feature maps are kept in the data set's folder `runs/.cache`.

    The parameters and errors are those of `carpet_data.train`.
    """
    options = options or AnomalyOptions()
    return train_task(
        "anomaly",
        partial(_fit, options, workers, progress),
        root,
        out,
        options,
        check=partial(_check, options),
        workers=workers,
        progress=progress,
        **more,
    )


def _check(options: AnomalyOptions, sides: TrainSides) -> None:
    chosen_good(sides.samples["train"], options.good, seed=options.seed)


def _fit(
    options: AnomalyOptions,
    workers: int | None,
    progress: Progress | None,
    sides: TrainSides,
    run: RunInfo,
    cache: Path | None,
) -> Fitted:
    # Here, not above: torch takes seconds to load, and the command must refuse what is wrong before.
    from carpet_data.networks import devices
    from carpet_data.training.anomaly.fit import fit_anomaly
    from carpet_data.training.anomaly.folder import save

    device = devices.resolve(options.device)
    good = chosen_good(sides.samples["train"], options.good, seed=options.seed)
    network, weights = _network(options, progress)
    fitted = fit_anomaly(network, good, options, device, cache=cache, workers=workers, progress=progress)
    notes = (
        []
        if options.good is None or len(good) == options.good
        else [f"--good {options.good}: there are {len(good)} good training images only"]
    )
    extra = {"dataset": dict(run.dataset), "settings": options.to_json()}
    return Fitted(
        fitted.model,
        partial(save, fitted.model, network, extra=extra),
        "autoencoder" if weights is None else weights.architecture,
        "none" if weights is None else weights.name,
        str(device),
        {"model": options.model, "good_images": len(good), **fitted.chosen},
        (*([weights.note] if weights is not None and weights.note else ()), *notes, *fitted.model.notes),
    )


def _network(options: AnomalyOptions, progress: Progress | None) -> tuple[Network | None, Weights | None]:
    from carpet_data import networks

    if options.model == "autoencoder":
        return None, None
    architecture = _NETWORK if options.architecture == "auto" else options.architecture
    weights = networks.choose(architecture, options.weights, progress=progress)
    return networks.build(weights, classes=2, seed=options.seed), weights
