"""Pictures of predicted maps: the image, the true outline, the heat, and the class of each pixel, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from carpet_data.core import colors, sheets
from carpet_data.core.images import encode_png
from carpet_data.dataset import GOOD, Sample
from carpet_data.store.files import write_bytes
from carpet_data.store.names import component
from carpet_data.training.contract import ImagePrediction

__all__ = ["Pictures", "heatmap_png", "map_panel"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Lines: TypeAlias = Sequence[str | tuple[str, tuple[int, int, int]]]

_TILE, _ACROSS = 224, 2
_HEATMAP_SIDE = 512
_HOTTEST, _STRONGEST, _PAINTED = 0.97 * 255, 0.75, 0.6
_SURE = 0.5
_RIGHT, _WRONG = (130, 210, 130), (255, 140, 120)


def heatmap_png(heat: F32) -> bytes:
    """A heat map, float32 (h, w) in [0, 1], as 8-bit gray PNG, its longer side at most 512 pixels."""
    scale = min(1.0, _HEATMAP_SIDE / max(heat.shape))
    if scale < 1:
        size = max(1, round(heat.shape[1] * scale)), max(1, round(heat.shape[0] * scale))
        heat = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_AREA), np.float32)
    return encode_png(np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8))


def map_panel(
    image: U8, truth: NDArray[np.bool_] | None, found: ImagePrediction, classes: Sequence[str], lines: Lines
) -> U8:
    """One image, with the outline of the true defect, beside its heat and the class of each pixel.

    Args:
        image: uint8 HxWx3 RGB or HxW gray.
        truth: bool HxW; None where it is not known.
        found: What the model says of it.
        classes: Of the model.
        lines: Text above, see `sheets.panel`.
    """
    shown = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    small = _fitted(shown)
    outlined = small if truth is None else sheets.outlined(small, _fitted(truth.astype(np.uint8) * 255) > 127)
    tiles, captions = [small, outlined], ["image", "mask not known" if truth is None else "true outline"]
    if found.heat is not None:
        tiles.append(_heated(small, _fitted(np.asarray(found.heat, np.float32))))
        captions.append("heat: red is surely a defect")
    if found.labels is not None:
        tiles.append(_painted(small, _fitted(found.labels, exact=True), classes))
        captions.append(f"predicted: {_present(found.labels, classes)}")
    elif found.heat is None:
        tiles.append(_boxed(small, found, classes, _TILE / max(image.shape[:2])))
        captions.append(f"predicted boxes of {_SURE} and more")
    return sheets.panel(lines, tiles, captions=captions)


def _present(labels: U8, classes: Sequence[str]) -> str:
    """The defect classes of a map, the largest first."""
    counts = np.bincount(labels.ravel(), minlength=len(classes))[1:]
    return ", ".join(classes[1 + number] for number in np.argsort(-counts, kind="stable") if counts[number]) or "none"


def _fitted(array: NDArray[Any], *, exact: bool = False) -> NDArray[Any]:
    scale = _TILE / max(array.shape[:2])
    size = max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale))
    how = cv2.INTER_NEAREST if exact else cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(array, size, interpolation=how), array.dtype)


def _heated(image: U8, heat: F32) -> U8:
    heat = np.clip(heat, 0, 1)
    warm = cv2.applyColorMap(np.rint(heat * _HOTTEST).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    share = (_STRONGEST * np.sqrt(heat))[:, :, None]
    return np.asarray(np.rint(image * (1 - share) + warm * share), np.uint8)


def _painted(image: U8, labels: U8, classes: Sequence[str]) -> U8:
    """The pixels of each defect class in its color."""
    named = colors.of_classes(tuple(classes))
    painted = image.astype(np.float32)
    for number, name in enumerate(classes):
        if number:
            inside = labels == number
            painted[inside] = (1 - _PAINTED) * painted[inside] + _PAINTED * np.array(
                ImageColor.getrgb(named[name])[:3], np.float32
            )
    return np.rint(painted).astype(np.uint8)


def _boxed(image: U8, found: ImagePrediction, classes: Sequence[str], scale: float) -> U8:
    """The boxes of what a detector is more sure of than not, in the colors of their classes."""
    named = colors.of_classes(tuple(classes))
    drawn: U8 = np.array(image)
    for each in reversed(found.detections):
        if each.score >= _SURE:
            x, y, width, height = each.bbox
            first = round(x * scale), round(y * scale)
            last = round((x + width) * scale) - 1, round((y + height) * scale) - 1
            cv2.rectangle(drawn, first, last, ImageColor.getrgb(named[each.class_name])[:3], 2)
    return drawn


@dataclass(slots=True)
class Pictures:
    """Keeps the panels of the worst and of the best test images as they pass.

    An image is bad by how little the pixels that are called defect and those that are overlap; where that cannot be
    told, by the loss of its class. The best are of images with a defect.

    Attributes:
        classes: Of the model.
        count: Number of worst, and of best, images.
    """

    classes: tuple[str, ...]
    count: int
    _worst: list[tuple[float, str, U8]] = field(default_factory=list)
    _best: list[tuple[float, str, U8]] = field(default_factory=list)

    def offer(self, sample: Sample, image: U8, found: ImagePrediction, loss: float) -> None:
        """Look at the prediction of a test image; its loss is that of its class."""
        if self.count == 0:
            return
        truth = None if sample.unmasked else sample.mask()
        badness = _badness(truth, found, loss)
        places = [(self._worst, badness)]
        if sample.class_name != GOOD:
            places.append((self._best, -badness))
        drawn: U8 | None = None
        for kept, key in places:
            if len(kept) == self.count and kept[-1][0] >= key:
                continue
            if drawn is None:
                drawn = map_panel(image, truth, found, self.classes, _lines(sample, found))
            kept.append((key, sample.id, drawn))
            kept.sort(key=lambda each: -each[0])
            del kept[self.count :]

    def write(self, folder: Path) -> None:
        """Write worst/ID.png of each, plots/worst.png and plots/best.png."""
        for _, sample_id, drawn in self._worst:
            write_bytes(folder / "worst" / f"{component(sample_id)}.png", encode_png(drawn))
        for name, kept in (("worst", self._worst), ("best", self._best)):
            if kept:
                sheet = sheets.sheet([drawn for _, _, drawn in kept], across=_ACROSS)
                write_bytes(folder / "plots" / f"{name}.png", encode_png(sheet))


def _badness(truth: NDArray[np.bool_] | None, found: ImagePrediction, loss: float) -> float:
    """In [0, 1] by overlap, where both maps are known; what is told by the loss alone lies between."""
    if truth is None or found.heat is None:
        return 1 - float(np.exp(-loss))
    called = found.heat >= 0.5
    union = int((called | truth).sum())
    return 0.0 if not union else 1 - int((called & truth).sum()) / union


def _lines(sample: Sample, found: ImagePrediction) -> Lines:
    sure = found.anomaly if found.probabilities is None else found.probabilities[found.class_name]
    right = found.class_name in (sample.class_name, "defect") and (found.class_name == GOOD) == (
        sample.class_name == GOOD
    )
    verdict = f"is {sample.class_name}, predicted {found.class_name} ({sure:.0%})"
    return (sample.id, (verdict, _RIGHT if right else _WRONG))
