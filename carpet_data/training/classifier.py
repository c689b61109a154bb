"""The classifier of whole images as a `Predictor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.dataset import GOOD
from carpet_data.errors import WeightsError
from carpet_data.networks import Network, devices, load_model, model_folder
from carpet_data.training import gradcam
from carpet_data.training.contract import ImagePrediction, Task
from carpet_data.training.evaluate import of_logits
from carpet_data.training.tables import resized

__all__ = ["Classifier", "load_classifier"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
_DEFAULT_SIZE = 224


class Classifier:
    """A network that tells the class of a whole image, which it sees as a square of `size` pixels.

    Attributes:
        network: In eval mode.
        classes: In the order of its outputs.
        size: Side of the square in pixels.
        grad_cam: Whether predictions get a heat map: Grad-CAM of the most probable defect class, scaled so that its
            peak is the anomaly score. It shows where the network looked, which is not always where a defect is.
    """

    task: Task = "classify"

    def __init__(
        self, network: Network, classes: Sequence[str], size: int, *, device: str = "auto", grad_cam: bool = False
    ) -> None:
        self.network = network.eval()
        self.classes = tuple(classes)
        self.size = size
        self.grad_cam = grad_cam
        self._device = devices.resolve(device)
        self.network.to(self._device)

    def predict(self, images: Sequence[U8]) -> list[ImagePrediction]:
        """See `Predictor.predict`; the images pass the network together.

        `anomaly` is 1 − the probability of `good`, so it is 1 for a model that knows no good images.

        Raises:
            UsageError: The images are too small for the network.
            DeviceMemoryError: They do not fit into memory.
        """
        if not images:
            return []
        pixels = np.stack([resized(image, self.size) for image in images])
        with torch.inference_mode(), devices.memory_guard(len(images), self._device, size=self.size):
            logits = self.network(self.network.prepare(pixels)).double().cpu().numpy()
        found = of_logits(logits, np.zeros(len(images), np.int64), ())
        good = found.probabilities[:, self.classes.index(GOOD)] if GOOD in self.classes else np.zeros(len(images))
        anomalies = 1 - good
        heats = self._heats(images, pixels, found.probabilities, anomalies) if self.grad_cam else [None] * len(images)
        return [
            ImagePrediction(
                class_name=self.classes[int(best)],
                probabilities={name: float(p) for name, p in zip(self.classes, row, strict=True)},
                anomaly=float(anomaly),
                heat=heat,
            )
            for best, row, anomaly, heat in zip(found.predicted, found.probabilities, anomalies, heats, strict=True)
        ]

    def _heats(
        self, images: Sequence[U8], pixels: U8, probabilities: NDArray[np.float64], anomalies: NDArray[np.float64]
    ) -> list[F32 | None]:
        defects = [number for number, name in enumerate(self.classes) if name != GOOD]
        targets = np.asarray(defects, np.int64)[probabilities[:, defects].argmax(axis=1)]
        warmth = gradcam.heat(self.network, pixels, targets, device=self._device)
        scaled = warmth * anomalies[:, None, None].astype(np.float32)
        return [
            cv2.resize(heat, image.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
            for heat, image in zip(scaled, images, strict=True)
        ]


def load_classifier(folder: Path, device: str) -> Classifier:
    """The classifier in a model folder: what `MODELS` calls.

    Raises:
        WeightsError: The model is damaged.
        UsageError: The device is unknown.
    """
    weights = folder / model_folder.MODEL_WEIGHTS
    if not weights.is_file():
        raise WeightsError("the weights of the model are missing", where=weights, hint="train the model again")
    network, known = load_model(folder)
    size = known.get("resize", _DEFAULT_SIZE)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        where = folder / model_folder.MODEL_JSON
        raise WeightsError(f"invalid size of images {size!r}", where=where, hint="train the model again")
    return Classifier(network, [str(name) for name in known["classes"]], size, device=device)
