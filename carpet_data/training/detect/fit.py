"""Train a detector."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from carpet_data.core.progress import Progress
from carpet_data.metrics.detection import DetectionRanking
from carpet_data.networks import Weights, devices
from carpet_data.training.detect.model import KIND, DetectModel, found_in
from carpet_data.training.detect.networks import USUAL, DetectNet, build
from carpet_data.training.detect.options import DetectOptions
from carpet_data.training.tuning.backbone import backbone_of
from carpet_data.training.tuning.crops import Crop
from carpet_data.training.tuning.fitting import Judged, TuneFit, run, stacked
from carpet_data.training.tuning.scenes import Scenes

__all__ = ["KIND", "fit_detect", "targets_of", "weights_of"]


def weights_of(options: DetectOptions, *, download: bool = True, progress: Progress | None = None) -> Weights:
    """The backbone that these options train, and its weights.

    Raises:
        UsageError: The network or the name of the weights is unknown.
        WeightsError: The weights cannot be had.
    """
    usual = USUAL[options.model]
    return backbone_of(usual, options.architecture, options.weights, download=download, progress=progress)


def fit_detect(
    options: DetectOptions,
    train: Scenes,
    val: Scenes | None,
    *,
    weights: Weights,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TuneFit:
    """Train a detector on crops; the COCO AP of validation images chooses the epoch, None takes the last.

    Targets come from the masks directly, not from a COCO file: a crop cuts defects, so that boxes and masks are made
    anew for each crop in any case, and a file would only add rounding.

    The folder keeps the checkpoint, None none. With `resume` the training resumes from the checkpoint there, if there
    is one.

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
    """
    started = time.perf_counter()
    device = devices.resolve(options.device)
    net = build(
        options.model,
        weights,
        classes=len(train.classes),
        crop=options.crop,
        min_score=options.min_score,
        seed=options.seed,
    )
    masks = options.model == "maskrcnn"
    training = run(
        net,
        train,
        val,
        options,
        weights=weights,
        loss_of=_loss_of,
        judge=partial(_judge, options),
        instances=True,
        device=device,
        folder=folder,
        resume=resume,
        progress=progress,
    )
    transform: Any = net.core.transform
    known = {
        "model": options.model,
        "architecture": weights.architecture,
        "weights": weights.to_json(),
        "classes": list(train.classes),
        "size": options.size,
        "crop": options.crop,
        "min_score": options.min_score,
        "mean": list(transform.image_mean),
        "std": list(transform.image_std),
    }
    model = DetectModel(net, train.classes, options.size, options.crop, masks, device, known, options.batch_size)
    seconds = time.perf_counter() - started
    return TuneFit(model, net, known, training.history, training.best_epoch, training.steps, device, seconds)


def targets_of(crop: Crop, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Boxes, classes and masks of a crop's defects, as torchvision's detectors take them.

    A defect that the crop cuts is there with its visible part. Boxes are half-open: x1 is the first column outside.

    Returns:
        boxes float32 (m, 4) as x0, y0, x1, y1; labels int64 (m,); masks uint8 (m, s, s). m may be 0.
    """
    shown = [int(number) for number in np.unique(crop.numbers) if number]
    masks = (
        np.stack([crop.numbers == number for number in shown]) if shown else np.zeros((0, *crop.numbers.shape), bool)
    )
    boxes = np.zeros((len(shown), 4), np.float32)
    for row, mask in enumerate(masks):
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        boxes[row] = x, y, x + width, y + height
    return {
        "boxes": torch.from_numpy(boxes).to(device),
        "labels": torch.from_numpy(crop.classes[shown]).to(device),
        "masks": torch.from_numpy(masks.astype(np.uint8)).to(device),
    }


def _loss_of(net: nn.Module, crops: Sequence[Crop], device: torch.device) -> torch.Tensor:
    assert isinstance(net, DetectNet)
    return net.losses(stacked(crops, device), [targets_of(crop, device) for crop in crops])


def _judge(options: DetectOptions, net: nn.Module, scenes: Scenes, device: torch.device) -> Judged:
    """COCO AP of boxes in the validation images, at the size that the network sees."""
    assert isinstance(net, DetectNet)
    ranking = DetectionRanking(scenes.classes[1:])
    for row in range(len(scenes)):
        scene = scenes[row]
        (found,) = found_in(
            net,
            [scene.image],
            scenes.classes,
            size=None,
            side=options.crop,
            batch_size=options.batch_size,
            device=device,
            amp=options.amp,
        )
        ranking.add(found, scene.instances(scenes.classes), *scene.numbers.shape)
    scores = ranking.scores()
    score = scores.ap if options.monitor == "ap" else scores.ap50
    # An AP of 0 says nothing of which epoch is better.
    return Judged(None, score, score or None)
