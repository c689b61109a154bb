"""A trained detector as a predictor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data import networks
from carpet_data.errors import UsageError, WeightsError
from carpet_data.networks import devices, model_folder
from carpet_data.tiling.grid import Window
from carpet_data.tiling.stitch import merge_detections
from carpet_data.training.contract import Detection, ImagePrediction, Task
from carpet_data.training.detect.networks import DetectNet, build
from carpet_data.training.tuning import saved
from carpet_data.training.tuning.tiles import tile_batches

__all__ = ["KIND", "DetectModel", "found_in", "load", "prediction_of"]

KIND = "detect"
U8 = NDArray[np.uint8]
_SURE = 0.5
"""Score from which on a detection decides the class of its image and of its pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectModel:
    """A trained detector.

    Attributes:
        net: In eval mode, on its device.
        classes: `good` first.
        size: Longer side that images are resized to; None for as they are.
        crop: Side of the tiles.
        masks: Whether it finds masks.
        device: Where it computes.
        description: The contents of model.json.
        batch_size: Tiles at a time.
    """

    net: DetectNet
    classes: tuple[str, ...]
    size: int | None
    crop: int
    masks: bool
    device: torch.device
    description: dict[str, Any]
    batch_size: int = 4

    @property
    def task(self) -> Task:
        """It was trained for detection."""
        return "detect"

    def predict(self, images: Sequence[U8]) -> list[ImagePrediction]:
        """Predictions of images, each uint8 HxWx3 RGB or HxW gray; see `contract.Predictor`.

        Raises:
            DeviceMemoryError: They do not fit into memory.
        """
        found = found_in(
            self.net,
            images,
            self.classes,
            size=self.size,
            side=self.crop,
            batch_size=self.batch_size,
            device=self.device,
        )
        return [
            prediction_of(each, self.classes, (image.shape[0], image.shape[1]), self.masks)
            for each, image in zip(found, images, strict=True)
        ]


def load(folder: Path, device: str = "auto") -> DetectModel:
    """Load what a run has left in its model folder.

    Raises:
        WeightsError: It is damaged.
        UsageError: The device is unknown.
        MissingExtraError: A package that it is built of is not installed.
    """
    known = saved.describe(folder)
    where = devices.resolve(device)
    classes = tuple(known["classes"])
    try:
        weights = networks.find_weights(known["architecture"], "none")
        score = float(known["min_score"])
        net = build(known["model"], weights, classes=len(classes), crop=known["crop"], min_score=score, seed=0)
        _normalize(net, known["mean"], known["std"])
    except (UsageError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"it names a network that cannot be built ({error})",
            where=folder / model_folder.MODEL_JSON,
            hint="train the model again",
        ) from error
    saved.restore(net, folder)
    net.to(where).eval()
    masks = known["model"] == "maskrcnn"
    return DetectModel(net, classes, known.get("size"), known["crop"], masks, where, known)


def _normalize(net: DetectNet, mean: Sequence[float], std: Sequence[float]) -> None:
    transform: Any = net.core.transform
    transform.image_mean, transform.image_std = list(mean), list(std)


def found_in(
    net: DetectNet,
    images: Sequence[U8],
    classes: Sequence[str],
    *,
    size: int | None,
    side: int,
    batch_size: int,
    device: torch.device,
    amp: bool = False,
) -> list[tuple[Detection, ...]]:
    """The defects of images, in pixels of each as it was given, the surest first.

    Args:
        net: In eval mode, on the device.
        images: uint8 HxWx3 or HxW.
        classes: `good` first.
        size: See `tile_batches`.
        side: Likewise.
        batch_size: Likewise.
        device: Where the network is.
        amp: Mixed precision on a GPU.

    Raises:
        DeviceMemoryError: A batch does not fit into memory.
    """
    done: list[tuple[Detection, ...]] = []
    of_image: list[tuple[Window, Detection]] = []
    with torch.inference_mode(), devices.memory_guard(batch_size, device, size=side), devices.amp(device, amp):
        for batch in tile_batches(images, size=size, side=side, batch_size=batch_size):
            found = net.detect(batch.pixels.to(device))
            for tile, values in zip(batch.tiles, found, strict=True):
                of_image += [(tile.window, each) for each in _detections(values, tile.window, classes)]
                if tile.last:
                    merged = merge_detections(of_image)
                    done.append(_rescaled(merged, images[tile.image], size))
                    of_image = []
    return done


def _detections(values: dict[str, torch.Tensor], window: Window, classes: Sequence[str]) -> list[Detection]:
    """What the network found in one tile, inside its window, in whole pixels of the tile."""
    boxes, labels, scores = (values[name].float().cpu().numpy() for name in ("boxes", "labels", "scores"))
    masks = values["masks"].float().cpu().numpy()[:, 0] if "masks" in values else None
    found = []
    for row in range(len(boxes)):
        left, top = (max(0, math.floor(each)) for each in boxes[row, :2].tolist())
        right, bottom = (math.ceil(each) for each in boxes[row, 2:].tolist())
        right, bottom = min(right, window.width), min(bottom, window.height)
        if right <= left or bottom <= top:
            continue  # it lies in what fills up a small image
        mask = None if masks is None else masks[row, top:bottom, left:right] >= 0.5
        if mask is not None and not mask.any():
            continue
        box = (left, top, right - left, bottom - top)
        found.append(Detection(classes[int(labels[row])], float(np.clip(scores[row], 0, 1)), box, mask))
    return found


def _rescaled(found: Sequence[Detection], image: U8, size: int | None) -> tuple[Detection, ...]:
    """Detections in the resized image as those in the image itself."""
    height, width = image.shape[:2]
    if size is None or size == max(height, width):
        return tuple(found)
    factor = max(height, width) / size
    moved = []
    for each in found:
        x, y, w, h = each.bbox
        left, top = min(math.floor(x * factor), width - 1), min(math.floor(y * factor), height - 1)
        right, bottom = min(math.ceil((x + w) * factor), width), min(math.ceil((y + h) * factor), height)
        box = (left, top, max(right - left, 1), max(bottom - top, 1))
        mask = None
        if each.mask is not None:
            mask = cv2.resize(each.mask.astype(np.uint8), (box[2], box[3]), interpolation=cv2.INTER_NEAREST) > 0
        moved.append(replace(each, bbox=box, mask=mask))
    return tuple(moved)


def prediction_of(
    found: Sequence[Detection], classes: Sequence[str], shape: tuple[int, int], masks: bool
) -> ImagePrediction:
    """What detections say of an image: the surest decides its class and how sure the model is that it shows a defect.

    Args:
        found: The surest first.
        classes: `good` first.
        shape: (h, w) of the image.
        masks: Whether they have masks, from which heat and labels are made; boxes say nothing of pixels.
    """
    anomaly = found[0].score if found else 0.0
    kind = found[0].class_name if anomaly >= _SURE else classes[0]
    best = {name: max((each.score for each in found if each.class_name == name), default=0.0) for name in classes[1:]}
    total = sum(best.values())
    probabilities = {classes[0]: 1 - anomaly}
    probabilities |= {name: anomaly * score / total if total else 0.0 for name, score in best.items()}
    if not masks:
        return ImagePrediction(kind, probabilities, anomaly, detections=tuple(found))
    heat = np.zeros(shape, np.float32)
    labels = np.zeros(shape, np.uint8)
    for each in reversed(found):  # the surest last, on top
        assert each.mask is not None, "of a detector with masks"
        x, y, w, h = each.bbox
        place = np.s_[y : y + h, x : x + w]
        heat[place][each.mask] = np.maximum(heat[place][each.mask], each.score)
        if each.score >= _SURE:
            labels[place][each.mask] = classes.index(each.class_name)
    return ImagePrediction(kind, probabilities, anomaly, heat, labels, tuple(found))
