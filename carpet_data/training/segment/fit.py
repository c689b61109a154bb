"""Train a segmentation network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from carpet_data.core.progress import Progress
from carpet_data.metrics.segmentation import SegmentationScores, class_pixels
from carpet_data.networks import Weights, devices
from carpet_data.training.segment.losses import loss
from carpet_data.training.segment.model import KIND, SegmentModel, probability_maps
from carpet_data.training.segment.networks import USUAL, SegmentNet, build
from carpet_data.training.segment.options import SegmentOptions
from carpet_data.training.tuning.backbone import backbone_of
from carpet_data.training.tuning.crops import Crop
from carpet_data.training.tuning.fitting import Judged, TuneFit, run, stacked
from carpet_data.training.tuning.scenes import Scenes

__all__ = ["KIND", "fit_segment", "weights_of"]


def weights_of(options: SegmentOptions, *, download: bool = True, progress: Progress | None = None) -> Weights | None:
    """The backbone that these options train, and its weights; None for draem-unet, which has none.

    Raises:
        UsageError: The network or the name of the weights is unknown.
        WeightsError: The weights cannot be had.
    """
    if options.model == "draem-unet":
        return None
    usual = USUAL.get(options.model)
    return backbone_of(usual, options.architecture, options.weights, download=download, progress=progress)


def fit_segment(
    options: SegmentOptions,
    train: Scenes,
    val: Scenes | None,
    *,
    weights: Weights | None,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TuneFit:
    """Train a segmentation network on crops; validation images choose the epoch, None takes the last.

    The folder keeps the checkpoint, None none. With `resume` the training resumes from the checkpoint there, if there
    is one: the result is that of a training never interrupted, to the bit on the CPU.

    Args:
        options: How to train.
        train: Of the training side.
        val: Of the validation side.
        weights: As `weights_of`.
        folder: See above.
        resume: See above.
        progress: Called after each epoch.

    Raises:
        DataError: The training diverges, or the checkpoint is of another one.
        UsageError: The backbone cannot serve the model.
        DeviceMemoryError: A batch does not fit into memory.
        MissingExtraError: A package of the extra `finetune` is not installed.
    """
    started = time.perf_counter()
    device = devices.resolve(options.device)
    net = build(options.model, weights, classes=len(train.classes), seed=options.seed)
    training = run(
        net,
        train,
        val,
        options,
        weights=weights,
        loss_of=partial(_loss_of, options),
        judge=partial(_judge, options),
        instances=False,
        device=device,
        folder=folder,
        resume=resume,
        progress=progress,
    )
    known = {
        "model": options.model,
        "architecture": "none" if weights is None else weights.architecture,
        "weights": None if weights is None else weights.to_json(),
        "classes": list(train.classes),
        "size": options.size,
        "crop": options.crop,
        "mean": list(net.mean),
        "std": list(net.std),
    }
    model = SegmentModel(net, train.classes, options.size, options.crop, device, known, options.batch_size)
    seconds = time.perf_counter() - started
    return TuneFit(model, net, known, training.history, training.best_epoch, training.steps, device, seconds)


def _loss_of(options: SegmentOptions, net: nn.Module, crops: Sequence[Crop], device: torch.device) -> torch.Tensor:
    labels = torch.from_numpy(np.stack([crop.labels for crop in crops])).long().to(device)
    return loss(options.loss_name, net(stacked(crops, device)), labels)


def _judge(options: SegmentOptions, net: nn.Module, scenes: Scenes, device: torch.device) -> Judged:
    """Mean IoU of the defect classes and cross-entropy of the validation images, at the size that the network sees."""
    assert isinstance(net, SegmentNet)
    pixels = np.zeros((3, len(scenes.classes)), np.int64)
    losses = []
    for row in range(len(scenes)):
        scene = scenes[row]
        (maps,) = probability_maps(
            net,
            [scene.image],
            size=None,
            side=options.crop,
            batch_size=options.batch_size,
            device=device,
            amp=options.amp,
        )
        labels = scene.labels
        pixels += class_pixels(maps.argmax(axis=0), labels, len(scenes.classes))
        right = np.take_along_axis(maps, labels[None].astype(np.int64), axis=0)
        losses.append(float(-np.log(np.maximum(right, 1e-12)).mean()))
    mean_loss = float(np.mean(losses))
    iou = SegmentationScores.of(pixels, scenes.classes).mean_iou
    # An IoU of 0 says nothing of which epoch is better.
    return Judged(mean_loss, iou, -mean_loss if options.monitor == "loss" else iou or None)
