"""Train a classifier as the settings say: a head on features, or a network on images, and a second stage if asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
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
from carpet_data.training.features import extract
from carpet_data.training.finetune import fit_network
from carpet_data.training.head import HeadFit, fit_head, second_stage
from carpet_data.training.history import History
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import Shares
from carpet_data.training.tables import ImageTable

__all__ = ["Fit", "fit", "notes", "prepare_network"]

_HEAD_WRITES_S = 3.0


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained classifier.

    Attributes:
        network: In eval mode, on the device that it was trained on.
        history: Every epoch of the first stage, or of the only one.
        best_epoch: Of that history, from 1; the last one without val images.
        second: The epochs in which the head was trained anew, where a trained backbone got a second stage.
        steps: Optimiser steps of all stages.
        device: Where it was trained.
        seconds: Features and training.
    """

    network: Network
    history: History
    best_epoch: int
    second: History
    steps: int
    device: torch.device
    seconds: float


def prepare_network(settings: TrainOptions, classes: tuple[str, ...]) -> Network:
    """The network that a training begins with, its weights found.

    Raises:
        UsageError: There is no such network, or no such stage to freeze.
        WeightsError: The weights cannot be had.
    """
    network = networks.build(
        networks.choose(settings.architecture, settings.weights),
        classes=len(classes),
        seed=settings.seed,
        pooling=settings.pooling,
        class_names=classes,
    )
    network.freeze(settings.freeze)
    network.check_size(settings.resize, settings.resize)
    return network


def notes(table: ImageTable, settings: TrainOptions) -> tuple[str, ...]:
    """What a user should know of the train images: classes without any or with a single one, and nothing for LMR."""
    counts = table.counts().tolist()
    few = settings.few_shot
    idle = settings.lmr and all(count <= few for count in counts)
    none = [name for name, count in zip(table.classes, counts, strict=True) if count == 0]
    single = [name for name, count in zip(table.classes, counts, strict=True) if count == 1]
    return (
        *(f"{name} has no train image: nothing can be taken for it" for name in none),
        *(f"{name} has one train image only: expect little of it" for name in single),
        *([f"every class has at most {few} train images, so LMR rebuilds none (--few-shot)"] if idle else []),
    )


def fit(
    settings: TrainOptions,
    train: ImageTable,
    val: ImageTable | None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Train a classifier.

    Args:
        settings: How.
        train: The images, with masks for mask-cutmix.
        val: Images that choose the best epoch and end the training early; None for neither.
        folder: Where the checkpoint is kept; None to keep none.
        resume: Go on from the checkpoint there, if there is one: the result is that of a training never interrupted,
            to the bit on the CPU.
        cache: Where features are kept for the next run; None to keep none.
        progress: Called while features are computed and after each epoch.

    Raises:
        DataError: Fewer than two classes have train images, the training diverges, or the checkpoint is of another
            training.
        UsageError: The settings do not go with the network or the images.
        WeightsError: The weights cannot be had.
        DeviceMemoryError: A batch does not fit into memory.
    """
    started = time.perf_counter()
    if np.count_nonzero(train.counts()) < 2:
        there = ", ".join(name for name, count in zip(train.classes, train.counts(), strict=True) if count)
        raise DataError(
            f"the train side shows one class only ({there or 'none'}); there is nothing to tell apart",
            hint="add images of another class, or split so that two classes have train images",
        )
    if train.size != settings.resize:
        raise UsageError(
            f"the images are of {train.size} pixels, the settings say {settings.resize}",
            hint="load the table with size=settings.resize",
        )
    views.check(settings.augment)
    if settings.mix == "mask-cutmix" and train.masks is None:
        raise UsageError("mask-cutmix needs the masks", hint="load the table with masks=True")
    device = devices.resolve(settings.device)
    network = prepare_network(settings, train.classes)
    identity = _identity(settings, network, train, val)
    keeper = Keeper(None if folder is None else folder / FILE, identity)
    second: History = ()
    if settings.frozen:
        keeper.every_s = _HEAD_WRITES_S
        again = settings.retrain_head or settings.lmr
        head = _fresh(network, settings) if again else network.head
        done = _fit_features(network, head, train, val, settings, device, keeper, resume, cache, progress)
        history, best, steps = done.history, done.best_epoch, done.steps
    else:
        trained = fit_network(
            network, train, val, settings, device=device, keeper=keeper, resume=resume, progress=progress
        )
        history, best, steps = trained.history, trained.best_epoch, trained.steps
        if settings.retrain_head or settings.lmr:
            # Seconds of work that always give the same, so the checkpoint of the first stage serves it as well. The
            # features are of weights that no other run has: keeping them would only fill the disk.
            anew = second_stage(settings).but(lmr=settings.lmr)
            done = _fit_features(
                network, _fresh(network, settings), train, val, anew, device, None, False, None, progress
            )
            second, steps = done.history, steps + done.steps
    seconds = time.perf_counter() - started
    return Fit(network.eval(), history, best, second, steps, device, seconds)


def _fresh(network: Network, settings: TrainOptions) -> torch.nn.Linear:
    return fresh_head(network.feature_size, network.head.out_features, seed=settings.seed)


def _fit_features(
    network: Network,
    head: torch.nn.Linear,
    train: ImageTable,
    val: ImageTable | None,
    settings: TrainOptions,
    device: torch.device,
    keeper: Keeper | None,
    resume: bool,
    cache: FeatureCache | None,
    progress: Progress | None,
) -> HeadFit:
    shared: dict[str, Any] = {
        "device": device,
        "batch_size": max(settings.batch_size, 2),
        "cache": cache,
        "progress": progress,
    }
    found = extract(
        network,
        train,
        views=settings.number_of_views,
        strength=settings.augment if settings.number_of_views > 1 else "none",
        seed=settings.seed,
        **shared,
    )
    held_out = None if val is None else extract(network, val, **shared)
    done = fit_head(
        found.values,
        found.labels,
        settings,
        classes=len(train.classes),
        shares=Shares.of(settings, found.classes, found.origins),
        val_features=None if held_out is None else held_out.values[0],
        val_labels=None if held_out is None else held_out.labels,
        head=head,
        device=device,
        keeper=keeper,
        resume=resume,
        progress=progress,
    )
    network.head = done.head.to(device)
    return done


def _identity(settings: TrainOptions, network: Network, train: ImageTable, val: ImageTable | None) -> dict[str, Any]:
    """What a checkpoint must share with a training to go on with it."""
    described = {name: value for name, value in settings.to_json().items() if name not in ("device", "weights")}
    return {
        "settings": {**described, "architecture": network.architecture},
        "weights": network.weights.sha256 or network.weights.name,
        "augmentation": views.identity(settings.augment),
        "classes": list(train.classes),
        "train_images": train.digest,
        "val_images": None if val is None else val.digest,
    }
