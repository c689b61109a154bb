"""What is kept of a model's predictions on its test images, for scores that are made again under resampling. No torch.

A model's images are given one by one, and the evidence of all is taken at the end: where the bins of pixel counts lie
follows from all heat maps of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from carpet_data.metrics import DetectionRanking, PixelRanking, class_pixels
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.training.contract import ImagePrediction
from carpet_data.training.truth import Truth, types_of

__all__ = ["KeptEvidence"]


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """One image: its places among those with a heat map and among those with a mask, and its counts of a label map."""

    anomaly: float
    heat: int | None
    areas: NDArray[np.int64] | None
    masked: int | None


class KeptEvidence:
    """Collects the predictions of one model.

    Args:
        classes: Those of the model, in its order.
        detects: Whether it finds defects by themselves; otherwise it does as soon as it finds one.
        memory_bytes: Of defect-free pixels, 4 bytes each; beyond it they are kept in a temporary file.

    Examples:
        >>> kept = KeptEvidence(("good", "hole"))
        >>> heat = np.array([[0.9, 0.1]], np.float32)
        >>> truth = Truth.of("a", "hole", labels=np.array([[1, 0]], np.uint8), instances=())
        >>> kept.add(truth, ImagePrediction("hole", None, anomaly=0.9, heat=heat))
        >>> kept.images()[0].components
        1
    """

    def __init__(self, classes: Sequence[str], *, detects: bool = True, memory_bytes: int = 1 << 30) -> None:
        self.types = types_of(classes)
        self.detects = detects
        self.pixels = PixelRanking(self.types, memory_bytes=memory_bytes)
        self.boxes = DetectionRanking(self.types, overlap="bbox")
        self._images: list[_Image] = []

    def add(self, truth: Truth, prediction: ImagePrediction) -> None:
        """Add what a model says of an image.

        Raises:
            UsageError: A map is not of the size of the image, or a detection is of an unknown class.
            DataError: A heat map, or the score of a detection, is NaN.
        """
        self.detects = self.detects or bool(prediction.detections)
        labels = truth.labels
        anomaly = float(prediction.anomaly)
        if labels is None or truth.instances is None:
            self._images.append(_Image(anomaly, None, None, None))
            return
        heat = None if prediction.heat is None else len(self.pixels)
        masked = len(self.boxes)
        areas = None
        if prediction.labels is not None:
            areas = class_pixels(prediction.labels, labels, len(self.types) + 1)
        if prediction.heat is not None:
            self.pixels.add(prediction.heat, labels, connectivity=truth.connectivity)
        self.boxes.add(prediction.detections, truth.instances, *labels.shape)
        self._images.append(_Image(anomaly, heat, areas, masked))

    def areas(self) -> NDArray[np.int64] | None:
        """`class_pixels` of all images; None without label maps. A model gives them of all images or of none."""
        known = [each.areas for each in self._images if each.areas is not None]
        return np.sum(known, axis=0) if known else None

    def images(self) -> tuple[ImageEvidence, ...]:
        """The evidence of each image, in the order given."""
        counts = self.pixels.summaries()
        matched = self.boxes.evidence()
        kept = []
        for each in self._images:
            image = ImageEvidence(each.anomaly)
            if each.heat is not None:
                mine = counts[each.heat]
                image = replace(image, pixels=mine.pack(), components=mine.components)
            if each.areas is not None:
                image = replace(image, areas=tuple((int(a), int(b), int(c)) for a, b, c in each.areas[:, 1:].T))
            if each.masked is not None and self.detects:
                found, objects = matched[each.masked]
                image = replace(image, found=found, objects=objects)
            kept.append(image)
        return tuple(kept)
