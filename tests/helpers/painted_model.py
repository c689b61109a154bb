"""A model that needs no training: bright pixels are holes, dark ones threads, the rest is good."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from carpet_data.training.contract import MODELS, Detection, ImagePrediction, Task

U8 = NDArray[np.uint8]
CLASSES = ("good", "hole", "thread")
_BRIGHT, _DARK = 220, 30


class Painted:
    task: Task = "dense"
    classes = CLASSES

    def predict(self, images: Sequence[U8]) -> list[ImagePrediction]:
        return [predicted(image) for image in images]


def predicted(image: U8) -> ImagePrediction:
    gray = image if image.ndim == 2 else image[:, :, 1]
    labels = np.where(gray > _BRIGHT, 1, np.where(gray < _DARK, 2, 0)).astype(np.uint8)
    detections: list[Detection] = []
    for number in (1, 2):
        count, numbered, stats, _ = cv2.connectedComponentsWithStats((labels == number).astype(np.uint8))
        for each in range(1, count):
            x, y, w, h, area = (int(value) for value in stats[each])
            mask = numbered[y : y + h, x : x + w] == each
            detections.append(Detection(CLASSES[number], min(1.0, area / 1000), (x, y, w, h), mask))
    detections.sort(key=lambda each: -each.score)
    shares = np.array([(labels == number).mean() for number in range(3)])
    anomaly = float(1 - shares[0])
    name = CLASSES[1 + int(shares[1:].argmax())] if detections else "good"
    heat = (np.abs(gray.astype(np.float32) - 127.5) / 127.5).astype(np.float32)
    chances = {each: float(share) for each, share in zip(CLASSES, shares, strict=True)}
    return ImagePrediction(name, chances, anomaly, heat, labels, tuple(detections))


def load(folder: Path, device: str) -> Painted:
    return Painted()


def write(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A model folder that loads as this model while the patch holds."""
    patch.setitem(MODELS.builtin, "painted", (f"{__name__}:load", "for tests"))
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps({"kind": "painted", "classes": list(CLASSES)}), encoding="utf-8")
    return folder


def picture(*spots: tuple[int, int, int, int, int], size: tuple[int, int] = (80, 120)) -> U8:
    """A gray image, uint8 (rows, columns, 3), with filled boxes (x, y, width, height, value)."""
    image = np.full((*size, 3), 128, np.uint8)
    for x, y, w, h, value in spots:
        image[y : y + h, x : x + w] = value
    return image
