"""Train a classifier: a head on features, or a network on images, and a second stage if asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carpet_data import networks
from carpet_data.core.progress import Progress
from carpet_data.errors import DataError, UsageError
from carpet_data.networks import Network, devices
from carpet_data.networks.checkpoints import FILE, Keeper
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.networks.network import fresh_head
from carpet_data.training import views
from carpet_data.training.course import History
from carpet_data.training.features import extract
from carpet_data.training.finetune import fit_network
from carpet_data.training.head import HeadFit, fit_head, second_stage
from carpet_data.training.options import TrainOptions
from carpet_data.training.tables import ImageTable

__all__ = ["Fit", "fit", "notes", "prepare_network"]

_HEAD_WRITES_S = 3.0


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained classifier.

    Attributes:
        network: In eval mode, on the device that it was trained on.
        history: Every epoch of the first stage, or of the only one.
        best_epoch: Of that history, from 1; the last one without validation images.
        second: The epochs in which the head was retrained, where a trained backbone got a second stage.
        steps: Number of optimizer steps of all stages.
        seconds: For features and training.
    """

    network: Network
    history: History
    best_epoch: int
    second: History
    steps: int
    device: torch.device
    seconds: float


def prepare_network(options: TrainOptions, classes: tuple[str, ...]) -> Network:
    """The network that a training starts with, its weights found.

    Raises:
        UsageError: The network, or the stage to freeze, is unknown.
        WeightsError: The weights cannot be had.
    """
    weights = networks.choose(options.architecture, options.weights)
    network = networks.build(
        weights, classes=len(classes), seed=options.seed, pooling=options.pooling, class_names=classes
    )
    network.freeze(options.freeze)
    network.check_size(options.resize, options.resize)
    return network


def notes(table: ImageTable, options: TrainOptions) -> tuple[str, ...]:
    """What a user should know of the training images: classes with none or one, and nothing for LMR to do."""
    counts = dict(zip(table.classes, table.counts().tolist(), strict=True))
    few = options.few_shot
    idle = options.lmr and all(count <= few for count in counts.values())
    return (
        *(f"{name} has no training image: it will never be predicted" for name, n in counts.items() if n == 0),
        *(f"{name} has one training image: results for it will be unreliable" for name, n in counts.items() if n == 1),
        *([f"every class has at most {few} training images, so LMR rebuilds none (--few-shot)"] if idle else []),
    )


def fit(
    options: TrainOptions,
    train: ImageTable,
    val: ImageTable | None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Train a classifier.

    The images need masks for mask-cutmix. Validation images choose the epoch and end the training early; None does
    neither. The folder keeps the checkpoint, None none. With `resume` the training resumes from the checkpoint there,
    if there is one: the result is that of a training never interrupted, to the bit on the CPU. The cache keeps features
    for the next run, None none. `progress` is called while features are computed and after each epoch.

    Raises:
        DataError: Fewer than two classes have training images, the training diverges, or the checkpoint is of another
            training.
        UsageError: The options do not go with the network or the images.
        WeightsError: The weights cannot be had.
        DeviceMemoryError: A batch does not fit into memory.
    """
    started = time.perf_counter()
    _check(options, train)
    device = devices.resolve(options.device)
    network = prepare_network(options, train.classes)
    keeper = Keeper(None if folder is None else folder / FILE, _identity(options, network, train, val))
    fit_features = partial(_fit_features, network, train, val, device=device, progress=progress)
    again = options.retrain_head or options.lmr
    second: History = ()
    if options.frozen:
        keeper.every_s = _HEAD_WRITES_S
        first = fit_features(options, fresh=again, keeper=keeper, resume=resume, cache=cache)
        history, best, steps = first.history, first.best_epoch, first.steps
    else:
        course = fit_network(
            network, train, val, options, device=device, keeper=keeper, resume=resume, progress=progress
        )
        history, best, steps = course.history, course.best_epoch, course.steps
        if again:
            # Seconds of work that always give the same, so the checkpoint of the first stage serves it as well. The
            # features are of weights that no other run has: keeping them would only fill the disk.
            done = fit_features(second_stage(options).but(lmr=options.lmr), fresh=True)
            second, steps = done.history, steps + done.steps
    return Fit(network.eval(), history, best, second, steps, device, time.perf_counter() - started)


def _check(options: TrainOptions, train: ImageTable) -> None:
    if np.count_nonzero(train.counts()) < 2:
        there = ", ".join(name for name, count in zip(train.classes, train.counts(), strict=True) if count)
        raise DataError(
            f"the training images show one class only ({there or 'none'}); there is nothing to distinguish",
            hint="add images of another class, or split so that two classes have training images",
        )
    if train.size != options.resize:
        raise UsageError(
            f"the images are of {train.size} pixels, but --resize is {options.resize}",
            hint="load the table with size=options.resize",
        )
    views.check(options.augment)
    if options.mix == "mask-cutmix" and train.masks is None:
        raise UsageError("mask-cutmix needs the masks", hint="load the table with masks=True")


def _fit_features(
    network: Network,
    train: ImageTable,
    val: ImageTable | None,
    options: TrainOptions,
    *,
    device: torch.device,
    fresh: bool,
    keeper: Keeper | None = None,
    resume: bool = False,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> HeadFit:
    """Train a head on the network's features, from its own head or a fresh one, and put it in place."""
    compute = partial(
        extract, network, device=device, batch_size=max(options.batch_size, 2), cache=cache, progress=progress
    )
    count = options.number_of_views
    found = compute(train, views=count, strength=options.augment if count > 1 else "none", seed=options.seed)
    done = fit_head(
        found,
        None if val is None else compute(val),
        options,
        head=fresh_head(network.feature_size, len(train.classes), seed=options.seed) if fresh else network.head,
        device=device,
        keeper=keeper,
        resume=resume,
        progress=progress,
    )
    network.head = done.head.to(device)
    return done


def _identity(options: TrainOptions, network: Network, train: ImageTable, val: ImageTable | None) -> dict[str, Any]:
    """What a checkpoint must share with a training that resumes from it."""
    described = {name: value for name, value in options.to_json().items() if name not in ("device", "weights")}
    return {
        "settings": {**described, "architecture": network.architecture},
        "weights": network.weights.sha256 or network.weights.name,
        "augmentation": views.identity(options.augment),
        "classes": list(train.classes),
        "train_images": train.digest,
        "val_images": None if val is None else val.digest,
    }
