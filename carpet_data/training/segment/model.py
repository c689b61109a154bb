"""A trained segmentation network as a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data import networks
from carpet_data.errors import UsageError, WeightsError
from carpet_data.networks import devices
from carpet_data.tiling.stitch import rim_weights
from carpet_data.training.contract import ImagePrediction, Task
from carpet_data.training.dense.instances import detections
from carpet_data.training.segment.networks import SegmentNet, build
from carpet_data.training.tuning import saved
from carpet_data.training.tuning.tiles import tile_batches

__all__ = ["KIND", "SegmentModel", "load", "prediction_of", "probability_maps"]

KIND = "segment"
F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_BLUR = 2.0
"""Standard deviation in pixels, as the network sees the image, of the blur before a map's maximum is taken: one pixel
alone does not raise an alarm."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentModel:
    """A trained network.

    Attributes:
        net: In eval mode, on its device.
        classes: `good` first.
        size: Longer side that images are resized to; None for as they are.
        crop: Side of the tiles.
        device: Where it computes.
        description: The contents of model.json.
        batch_size: Tiles at a time.
    """

    net: SegmentNet
    classes: tuple[str, ...]
    size: int | None
    crop: int
    device: torch.device
    description: dict[str, Any]
    batch_size: int = 8

    @property
    def task(self) -> Task:
        """It was trained for segmentation."""
        return "segment"

    def predict(self, images: Sequence[U8]) -> list[ImagePrediction]:
        """Predictions of images, each uint8 HxWx3 RGB or HxW gray; see `contract.Predictor`.

        Raises:
            DeviceMemoryError: They do not fit into memory.
        """
        maps = probability_maps(
            self.net, images, size=self.size, side=self.crop, batch_size=self.batch_size, device=self.device
        )
        return [
            prediction_of(each, self.classes, (image.shape[0], image.shape[1]))
            for each, image in zip(maps, images, strict=True)
        ]


def load(folder: Path, device: str = "auto") -> SegmentModel:
    """Load what a run has left in its model folder.

    Raises:
        WeightsError: It is damaged.
        UsageError: The device is unknown.
        MissingExtraError: A package that it is built of is not installed.
    """
    known = saved.describe(folder)
    where = devices.resolve(device)
    plain = known["architecture"] == "none"
    try:
        weights = None if plain else networks.find_weights(known["architecture"], "none")
        net = build(known["model"], weights, classes=len(known["classes"]), seed=0)
    except (UsageError, KeyError) as error:
        raise WeightsError(
            f"it names a network that cannot be built ({error})",
            where=folder / networks.model_folder.MODEL_JSON,
            hint="train the model again",
        ) from error
    net.mean, net.std = tuple(known["mean"]), tuple(known["std"])
    saved.restore(net, folder)
    net.to(where).eval()
    return SegmentModel(net, tuple(known["classes"]), known.get("size"), known["crop"], where, known)


def probability_maps(
    net: SegmentNet,
    images: Sequence[U8],
    *,
    size: int | None,
    side: int,
    batch_size: int,
    device: torch.device,
    amp: bool = False,
) -> list[F32]:
    """The probability of each class at each pixel of the resized images.

    Tiles overlap, and count less toward their rims, so that no seam shows.

    Args:
        net: In eval mode, on the device.
        images: uint8 HxWx3 or HxW.
        size: See `tile_batches`.
        side: Likewise.
        batch_size: Likewise.
        device: Where the network is.
        amp: Mixed precision on a GPU.

    Returns:
        float32 (k, h, w) of each image, summing to 1 over the classes.

    Raises:
        DeviceMemoryError: A batch does not fit into memory.
    """
    done: list[F32] = []
    total: F32 | None = None
    with torch.inference_mode(), devices.memory_guard(batch_size, device, size=side), devices.amp(device, amp):
        for batch in tile_batches(images, size=size, side=side, batch_size=batch_size):
            found = torch.softmax(net(batch.pixels.to(device)), dim=1).cpu().numpy()
            for tile, values in zip(batch.tiles, found, strict=True):
                place = tile.window
                if total is None:
                    total = np.zeros((values.shape[0], *_shape(images[tile.image], size)), np.float32)
                weights = rim_weights(place, total.shape[1], total.shape[2])
                total[:, place.slices[0], place.slices[1]] += values[:, : place.height, : place.width] * weights
                if tile.last:
                    # The weights sum to one number in each pixel, whatever the tiles: that of the probabilities.
                    done.append(total / total.sum(axis=0))
                    total = None
    return done


def _shape(image: U8, size: int | None) -> tuple[int, int]:
    if size is None:
        return image.shape[0], image.shape[1]
    factor = size / max(image.shape[:2])
    return max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))


def prediction_of(maps: F32, classes: Sequence[str], shape: tuple[int, int]) -> ImagePrediction:
    """What probability maps say of an image.

    The anomaly score is the maximum of the blurred heat; the type of the image is that of the largest blurred
    probability.

    Args:
        maps: float32 (k, h', w'), `good` first.
        classes: k names.
        shape: (h, w) of the image, to which the maps are enlarged.
    """
    blurred = np.stack([cv2.GaussianBlur(each, (0, 0), _BLUR) for each in maps[1:]])
    anomaly = float(np.clip(cv2.GaussianBlur(1 - maps[0], (0, 0), _BLUR).max(), 0, 1))
    strongest = blurred.max(axis=(1, 2))
    shares = strongest / max(float(strongest.sum()), 1e-12)
    kind = classes[1 + int(strongest.argmax())] if anomaly >= 0.5 else classes[0]
    full = np.stack([_enlarged(each, shape) for each in maps])
    heat = np.clip(1 - full[0], 0, 1).astype(np.float32)
    found, labels = detections(heat, full[1:], classes)
    probabilities = {classes[0]: 1 - anomaly}
    probabilities |= {name: anomaly * float(share) for name, share in zip(classes[1:], shares.tolist(), strict=True)}
    return ImagePrediction(kind, probabilities, anomaly, heat, labels, found)


def _enlarged(values: F32, shape: tuple[int, int]) -> F32:
    if values.shape == shape:
        return values
    how = cv2.INTER_LINEAR if shape[0] >= values.shape[0] else cv2.INTER_AREA
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=how), np.float32)
