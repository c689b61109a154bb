"""The loop of a fine-tuning: crops, steps, the validation of each epoch, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from carpet_data.core.progress import Progress
from carpet_data.errors import DataError
from carpet_data.networks import Weights, devices
from carpet_data.networks.checkpoints import FILE, Keeper
from carpet_data.training import views
from carpet_data.training.contract import Predictor
from carpet_data.training.stepping import Pace, Training
from carpet_data.training.tuning.crops import Crop, CropSource
from carpet_data.training.tuning.options import TuneOptions
from carpet_data.training.tuning.scenes import Scenes

__all__ = ["Judged", "TuneEpoch", "TuneFit", "check_scenes", "run", "stacked"]


@dataclass(frozen=True, slots=True)
class TuneEpoch:
    """One epoch.

    Attributes:
        epoch: From 1.
        train_loss: Mean over the crops as they were trained on.
        val_loss: Of the validation images; None without any, or for a model that has no loss of whole images.
        val_score: Their mean IoU or COCO AP; None without images, or without a defect in them.
        learning_rate: At the epoch's last step.
        seconds: The epoch took.
    """

    epoch: int
    train_loss: float
    val_loss: float | None
    val_score: float | None
    learning_rate: float
    seconds: float

    def metrics(self) -> dict[str, float]:
        """What a progress bar shows."""
        shown = {"loss": self.train_loss, "val loss": self.val_loss, "val score": self.val_score}
        return {name: value for name, value in shown.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Judged:
    """What validation says of an epoch.

    Attributes:
        loss: Of whole images; None for a model without.
        score: Mean IoU or COCO AP; None where no validation image has a defect.
        chosen: What the epoch is chosen by, higher is better; None to choose the last.
    """

    loss: float | None
    score: float | None
    chosen: float | None


@dataclass(frozen=True, slots=True, eq=False)
class TuneFit:
    """A trained model.

    Attributes:
        model: Ready to predict.
        module: The network in it.
        description: What model.json says of it.
        history: Every epoch.
        best_epoch: From 1; the last one without validation images.
        steps: Number of optimizer steps.
        device: On which it was trained.
        seconds: Of training.
    """

    model: Predictor
    module: nn.Module
    description: dict[str, Any]
    history: tuple[TuneEpoch, ...]
    best_epoch: int
    steps: int
    device: torch.device
    seconds: float


def check_scenes(scenes: Scenes) -> tuple[str, ...]:
    """Refuse training images without a defect, and say which classes the model will not learn.

    Raises:
        DataError: No training image has a defect pixel.
    """
    shown = {kind for present in scenes.present for kind in present}
    if not shown:
        raise DataError(
            "no training image has a defect in its mask, so there is nothing to find",
            where=scenes.dataset.root,
            hint="draw masks of defects, or train on good images alone: --task anomaly",
        )
    missing = [name for number, name in enumerate(scenes.classes) if number and number not in shown]
    good = [] if any(not present for present in scenes.present) else ["no training image is without a defect"]
    return (*(f"{name} has no training pixel: it will never be predicted" for name in missing), *good)


def run(
    module: nn.Module,
    train: Scenes,
    val: Scenes | None,
    options: TuneOptions,
    *,
    weights: Weights | None,
    loss_of: Callable[[nn.Module, Sequence[Crop], torch.device], torch.Tensor],
    judge: Callable[[nn.Module, Scenes, torch.device], Judged],
    instances: bool,
    device: torch.device,
    folder: Path | None,
    resume: bool,
    progress: Progress | None,
) -> Training[TuneEpoch]:
    """Train a module in place; afterwards it is in eval mode with the weights of the best epoch.

    Args:
        module: On the CPU or the device.
        train: Scenes to draw crops from.
        val: Scenes that choose the epoch; None or none takes the last.
        options: How to train.
        weights: Of the backbone, for the checkpoint; None without.
        loss_of: The mean loss of a batch of crops.
        judge: What validation says, with the module in eval mode.
        instances: Whether crops tell defects of a class apart.
        device: Where to compute.
        folder: Of the checkpoint; None keeps none.
        resume: Whether to resume from it.
        progress: Called after each epoch.

    Raises:
        DataError: The training diverges, or the checkpoint is of another one.
        DeviceMemoryError: A batch does not fit into memory.
    """
    module.to(device)
    source = CropSource(train, options, instances=instances)
    training = Training(
        dict(module.state_dict()),
        [each for each in module.parameters() if each.requires_grad],
        _pace(options),
        TuneEpoch,
        keeper=Keeper(None if folder is None else folder / FILE, _identity(options, weights, train, val)),
        resume=resume,
        progress=progress,
        scaler=devices.scaler(device, options.amp),
    )
    with devices.memory_guard(options.batch_size, device, size=options.crop), training:
        for epoch in training.epochs():
            module.train()
            with devices.seeded(options.seed, epoch, device=device):
                for crops in source.batches(epoch, options.epoch_steps):
                    with devices.amp(device, options.amp):
                        loss = loss_of(module, crops, device)
                    training.take(loss, len(crops))
            module.eval()
            judged = Judged(None, None, None) if val is None or not len(val) else judge(module, val, device)
            done = TuneEpoch(
                training.number, training.mean_loss(), judged.loss, judged.score, training.rate, training.seconds()
            )
            training.end(done, judged.chosen)
    training.take_best()
    module.eval()
    return training


def _pace(options: TuneOptions) -> Pace:
    return Pace(
        learning_rate=options.learning_rate,
        optimizer="adamw",
        schedule="cosine",
        weight_decay=options.weight_decay,
        momentum=0.0,
        steps=options.epochs * options.epoch_steps,
        epochs=options.epochs,
        steps_of_epoch=options.epoch_steps,
        patience=options.patience,
    )


def _identity(options: TuneOptions, weights: Weights | None, train: Scenes, val: Scenes | None) -> dict[str, Any]:
    """What a checkpoint must share with a training that resumes from it."""
    described = {name: value for name, value in options.to_json().items() if name not in ("device", "weights")}
    sides = {"train": train, "val": val}
    return {
        "settings": described,
        "weights": None if weights is None else weights.sha256 or weights.name,
        "augmentation": views.identity(options.augment),
        "classes": list(train.classes),
        **{
            f"{side}_images": None
            if scenes is None
            else [[each.id, each.image_sha256, each.mask_sha256] for each in scenes.samples]
            for side, scenes in sides.items()
        },
    }


def stacked(crops: Sequence[Crop], device: torch.device) -> torch.Tensor:
    """The images of crops as a batch: uint8 (n, s, s, 3) on the device."""
    return torch.from_numpy(np.stack([crop.image for crop in crops])).to(device, non_blocking=True)
