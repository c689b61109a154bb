"""How well the class of each pixel is told: intersection over union, and F1, pooled over the pixels of all images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.results import Result
from carpet_data.errors import UsageError
from carpet_data.metrics.classification import Counts, Statistic

__all__ = ["MEAN_IOU", "SegmentationScores", "class_pixels", "segmentation_scores"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def _iou(counts: Counts) -> F64:
    union = counts.truths + counts.predictions - counts.hits
    parts = np.full(counts.truths.shape, np.nan)
    np.divide(counts.hits, union, out=parts, where=counts.truths > 0)
    parts[..., 0] = np.nan
    return parts


def _f1(counts: Counts) -> F64:
    parts = np.full(counts.truths.shape, np.nan)
    np.divide(2 * counts.hits, counts.truths + counts.predictions, out=parts, where=counts.truths > 0)
    parts[..., 0] = np.nan
    return parts


MEAN_IOU = Statistic("mIoU", _iou)
"""The mean intersection over union (Jaccard 1912) of the defect classes that have pixels; class 0 is no defect."""
_MEAN_F1 = Statistic("mean F1 of pixels", _f1)


def class_pixels(labels: NDArray[Any], truth: NDArray[Any], count: int) -> I64:
    """Of one image and each class, the pixels told right, the true ones and the predicted ones, int64 (3, count).

    Both are whole numbers (h, w) from 0 (no defect) to count - 1. Summed over images, the rows are those of `Counts`.

    Raises:
        UsageError: The shapes differ, or a number is out of range.

    Examples:
        >>> class_pixels(np.array([[0, 1, 1]]), np.array([[0, 1, 2]]), 3).tolist()
        [[1, 1, 0], [1, 1, 1], [1, 2, 0]]
    """
    found, true = np.asarray(labels), np.asarray(truth)
    if found.shape != true.shape or found.ndim != 2:
        raise UsageError(
            f"the label map has shape {found.shape}, the mask {true.shape}",
            hint="give both at the size of the image, rows by columns",
        )
    for what, values in (("label map", found), ("mask", true)):
        if values.dtype != np.bool_ and values.dtype.kind not in "iu":
            raise UsageError(f"invalid {what}: {values.dtype}", hint="give whole numbers, the index of each class")
        if values.size and not (values.min() >= 0 and values.max() < count):
            raise UsageError(
                f"the {what} holds {values.min()} to {values.max()}, but there are {count} classes",
                hint=f"use 0 to {count - 1}",
            )
    parts = (true[found == true], true, found)
    return np.stack([np.bincount(each.reshape(-1), minlength=count) for each in parts]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class SegmentationScores(Result):
    """How well the classes of pixels are told, the pixels of all images pooled.

    Attributes:
        mean_iou: Mean of `iou` over the classes that have pixels; None where no class has.
        mean_f1: The same of `f1`.
        iou: Defect class -> pixels told right / pixels that are of it or called so; None for a class without pixels.
        f1: Defect class -> F1 of its pixels, which is the Dice coefficient (1945); None as above.
        pixels: Defect class -> number of its pixels.
    """

    mean_iou: float | None
    mean_f1: float | None
    iou: Mapping[str, float | None]
    f1: Mapping[str, float | None]
    pixels: Mapping[str, int]

    @classmethod
    def of(cls, counts: NDArray[Any], classes: Sequence[str]) -> SegmentationScores:
        """From summed `class_pixels`, (3, k), of these k classes; classes[0] means no defect.

        Raises:
            UsageError: The counts are not (3, k).
        """
        table = np.asarray(counts, np.float64)
        if table.shape != (3, len(classes)):
            raise UsageError(f"invalid counts: shape {table.shape} for {len(classes)} classes", hint="sum class_pixels")
        rows = Counts(table[0], table[1], table[2])
        names = tuple(classes)[1:]
        return cls(
            mean_iou=_known(MEAN_IOU.of(rows)),
            mean_f1=_known(_MEAN_F1.of(rows)),
            iou=dict(zip(names, map(_known, _iou(rows)[1:]), strict=True)),
            f1=dict(zip(names, map(_known, _f1(rows)[1:]), strict=True)),
            pixels=dict(zip(names, table[1, 1:].astype(int).tolist(), strict=True)),
        )

    def text(self) -> str:
        """One line, such as `mIoU 0.640 (hole 0.700, thread 0.580), F1 0.771`."""
        if self.mean_iou is None or self.mean_f1 is None:
            return "mIoU –"
        each = ", ".join(f"{name} {value:.3f}" for name, value in self.iou.items() if value is not None)
        return f"mIoU {self.mean_iou:.3f} ({each}), F1 {self.mean_f1:.3f}"


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def segmentation_scores(
    labels: Iterable[NDArray[Any]], truths: Iterable[NDArray[Any]], classes: Sequence[str]
) -> SegmentationScores:
    """Score label maps against masks, both whole numbers (h, w), indices into `classes`; classes[0] means no defect.

    Raises:
        UsageError: As `class_pixels`; or there are not as many label maps as masks.

    Examples:
        >>> truth = np.array([[0, 1, 1], [0, 2, 0]])
        >>> segmentation_scores([np.array([[0, 1, 0], [0, 2, 2]])], [truth], ("good", "hole", "thread")).iou
        {'hole': 0.5, 'thread': 0.5}
    """
    found, true = list(labels), list(truths)
    if len(found) != len(true):
        raise UsageError(f"{len(found)} label maps, but {len(true)} masks", hint="give one of each per image")
    total = np.zeros((3, len(classes)), np.int64)
    for one, other in zip(found, true, strict=True):
        total += class_pixels(one, other, len(classes))
    return SegmentationScores.of(total, classes)
