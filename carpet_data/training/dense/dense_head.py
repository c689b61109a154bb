"""The trained head: from the maps of an image to its prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carpet_data.samples import Sample
from carpet_data.training.contract import ImagePrediction
from carpet_data.training.dense.bank import MapBank, Resolution
from carpet_data.training.dense.calibration import Calibration, log_odds
from carpet_data.training.dense.grids import aligned, bands
from carpet_data.training.dense.head import CellHeads
from carpet_data.training.dense.image_term import ImageTerm, evidence_of, pooled
from carpet_data.training.dense.instances import detections

__all__ = ["DenseHead"]

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
_SMALLEST = 0.25
"""Share of a cell's area below which a component is noise."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseHead:
    """What `fit_dense` learned; with the maps of an image it predicts.

    Attributes:
        classes: `good` first.
        resolution: Of the maps that it takes.
        views: Number of positions of a new image whose maps are averaged.
        cells: The heads of a cell; None where no training image had a mask, so that nothing is said of pixels.
        calibration: Of the logits of cells.
        image: The term of the whole image.
        notes: What the user should know of this fit: fallbacks, classes without images.
    """

    classes: tuple[str, ...]
    resolution: Resolution
    views: int
    cells: CellHeads | None
    calibration: Calibration
    image: ImageTerm
    notes: tuple[str, ...] = ()

    def predict(self, maps: Sequence[F16], height: int, width: int) -> ImagePrediction:
        """Predict one image of these rows and columns from its maps.

        Args:
            maps: float16 (channels, rows, columns) of view 0, 1, …
            height: Rows of the image, before it was resized.
            width: Columns of it.
        """
        found = self.logits(maps, height, width)
        # They take longer than all the rest of an image's class, and are often left out.
        features = np.zeros(0) if self.image.weights is None else np.mean([pooled(each) for each in maps], axis=0)
        logits = self.image.logits(evidence_of(found, features, threshold=self.calibration.threshold))
        class_name, chances, anomaly = self._whole(logits)
        if self.cells is None:
            return ImagePrediction(class_name, chances, anomaly)
        heat, shares = self._fields(found, height, width)
        area = max(1, round(_SMALLEST * (self.resolution.stride / self.resolution.scale) ** 2))
        instances, labels = detections(heat, shares, self.classes, minimum_area=area)
        return ImagePrediction(class_name, chances, anomaly, heat, labels, instances)

    def of_sample(self, bank: MapBank, sample: Sample) -> ImagePrediction:
        """Predict a sample by the maps of a bank.

        Raises:
            ImageError, DeviceMemoryError: As `MapBank.map`.
        """
        maps = [bank.map(sample, self.resolution, view) for view in range(self.views)]
        return self.predict(maps, sample.height, sample.width)

    def logits(self, maps: Sequence[F16], height: int, width: int) -> F32:
        """Calibrated logits of the cells: float32 (k, rows, columns), the mean over the views.

        Without a head of cells, all of them are 0.
        """
        if self.cells is None:
            return np.zeros((len(self.classes), *maps[0].shape[1:]), np.float32)
        scale, stride = self.resolution.scale, self.resolution.stride
        raw = [aligned(self.cells.logits(each), view, height, width, scale, stride) for view, each in enumerate(maps)]
        return self.calibration.logits(np.mean(raw, axis=0))

    def _whole(self, logits: NDArray[np.float64]) -> tuple[str, dict[str, float], float]:
        """The class of the image, the probability of each, and how surely it is not good."""
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        margin = float(logits[1:].max() - logits[0])
        named = dict(zip(self.classes, chances.tolist(), strict=True))
        return self.classes[int(chances.argmax())], named, float(1 / (1 + np.exp(-np.clip(margin, -500, 500))))

    def _fields(self, logits: F32, height: int, width: int) -> tuple[F32, F32]:
        """Heat and the share of each type of every pixel."""
        heat = np.empty((height, width), np.float32)
        shares = np.empty((len(self.classes) - 1, height, width), np.float32)
        scale, stride = self.resolution.scale, self.resolution.stride
        for rows, values in bands(logits, height, width, scale, stride):
            odds = log_odds(values)
            heat[rows] = 1 / (1 + np.exp(-(odds - self.calibration.threshold)))
            types = np.exp(values[1:] - values[1:].max(axis=0))
            shares[:, rows] = types / types.sum(axis=0)
        return heat, shares
