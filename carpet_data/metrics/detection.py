"""COCO's average precision of detections, by boxes or by masks.

A detection is matched to a defect image by image, as they come; only its score and the overlaps at which it has a match
are kept. Overlaps are computed by pycocotools. The figures are those of its COCOeval (Lin et al., "Microsoft COCO:
common objects in context", ECCV 2014) for all areas and 100 detections an image and class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from carpet_data.core.masks import rle
from carpet_data.core.masks.runs import Runs, from_binary
from carpet_data.core.results import Result
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics.image_evidence import Found
from carpet_data.samples import Instance

__all__ = ["IOUS", "ClassDetection", "DetectionRanking", "DetectionScores", "Overlap", "match", "overlaps"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

Overlap: TypeAlias = Literal["bbox", "mask"]

IOUS = np.linspace(0.5, 0.95, 10)
"""Least overlaps (intersection over union) of a match."""
_RECALLS = np.linspace(0, 1, 101)
"""Recalls at which precision is read."""
_MOST = 100
"""Detections of a class that count in an image, the surest."""


class Detected(Protocol):
    """A detection, such as `carpet_data.training.contract.Detection`."""

    @property
    def class_name(self) -> str:
        """Its type."""
        ...

    @property
    def score(self) -> float:
        """Higher is surer."""
        ...

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """x, y, width, height in pixels of the image; half-open."""
        ...

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """bool (height, width) of the box."""
        ...


@dataclass(frozen=True, slots=True)
class ClassDetection(Result):
    """How well the defects of one type are found.

    Attributes:
        ap: Average precision, the mean over overlaps of 0.50, 0.55 … 0.95; None without a true defect.
        ap50: At an overlap of 0.50.
        ap75: At an overlap of 0.75.
        ar: Average recall of up to 100 detections an image, the mean over the same overlaps.
        defects: Number of true defects.
        detections: Number of detections.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None
    defects: int
    detections: int


@dataclass(frozen=True, slots=True)
class DetectionScores(Result):
    """How well defects are found, by COCO's measures: means over the types that have a true defect.

    Attributes:
        overlap: What overlaps are made of: "bbox" or "mask".
        ap: Mean of the types' `ap`; None without a true defect.
        ap50: The same of `ap50`.
        ap75: The same of `ap75`.
        ar: The same of `ar`.
        by_class: Type -> its figures.
    """

    overlap: Overlap
    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None
    by_class: Mapping[str, ClassDetection]

    def text(self) -> str:
        """One line, such as `AP 0.412, AP50 0.702, AP75 0.431, AR 0.520 (boxes)`."""
        shown = (("AP", self.ap), ("AP50", self.ap50), ("AP75", self.ap75), ("AR", self.ar))
        figures = ", ".join(f"{name} {'–' if value is None else format(value, '.3f')}" for name, value in shown)
        return f"{figures} ({'boxes' if self.overlap == 'bbox' else 'masks'})"


class DetectionRanking:
    """Collects detections and true defects image by image, and scores them together.

    Args:
        classes: The defect types.
        overlap: What overlaps are made of: "bbox" or "mask".

    Raises:
        UsageError: No class, or an unknown kind of overlap.
    """

    def __init__(self, classes: Sequence[str], *, overlap: Overlap = "bbox") -> None:
        if not classes or overlap not in ("bbox", "mask"):
            raise UsageError(f"{len(classes)} classes, overlap {overlap!r}", hint='give classes, and "bbox" or "mask"')
        self.classes = tuple(classes)
        self.overlap: Overlap = overlap
        self._scores: dict[str, list[F64]] = {name: [] for name in classes}
        self._matched: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in classes}
        self._defects: dict[str, list[int]] = {name: [] for name in classes}

    def add(self, found: Sequence[Detected], true: Sequence[Instance], height: int, width: int) -> None:
        """Add an image of this height and width in pixels.

        Raises:
            UsageError: A class that was not named, or a detection without a mask where masks are compared.
            DataError: A score is NaN.
        """
        for name in (*(each.class_name for each in found), *(each.class_name for each in true)):
            if name not in self._scores:
                raise UsageError(f"unknown class {name!r}", hint=f"use: {', '.join(self.classes)}")
        for name in self.classes:
            mine = [each for each in found if each.class_name == name]
            others = [each for each in true if each.class_name == name]
            scores = np.array([each.score for each in mine], np.float64)
            if np.isnan(scores).any():
                raise DataError(
                    "the score of a detection is NaN", hint="check the model: its training may have diverged"
                )
            order = np.argsort(-scores, kind="stable")[:_MOST]
            shared = overlaps([mine[place] for place in order], others, height, width, kind=self.overlap)
            self._scores[name].append(scores[order])
            self._matched[name].append(match(shared))
            self._defects[name].append(len(others))

    def scores(self) -> DetectionScores:
        """The figures of all images."""
        by_class = {name: self._of_class(name) for name in self.classes}
        return DetectionScores(
            overlap=self.overlap,
            ap=_mean([each.ap for each in by_class.values()]),
            ap50=_mean([each.ap50 for each in by_class.values()]),
            ap75=_mean([each.ap75 for each in by_class.values()]),
            ar=_mean([each.ar for each in by_class.values()]),
            by_class=by_class,
        )

    def evidence(self) -> tuple[tuple[tuple[Found, ...], tuple[int, ...]], ...]:
        """Of each image, in the order given, its detections and the number of defects of each class."""
        powers = 1 << np.arange(len(IOUS))
        images = []
        for place in range(len(self)):
            found: list[Found] = []
            for label, name in enumerate(self.classes):
                bits = self._matched[name][place] @ powers
                found += [(label, *row) for row in zip(self._scores[name][place].tolist(), bits.tolist(), strict=True)]
            images.append((tuple(found), tuple(self._defects[name][place] for name in self.classes)))
        return tuple(images)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._defects[self.classes[0]])

    def _of_class(self, name: str) -> ClassDetection:
        scores = np.concatenate(self._scores[name] or [np.zeros(0)])
        matched = np.concatenate(self._matched[name] or [np.zeros((0, len(IOUS)), np.bool_)])
        defects = sum(self._defects[name])
        if not defects:
            return ClassDetection(None, None, None, None, 0, len(scores))
        hits = matched[np.argsort(-scores, kind="stable")].cumsum(axis=0).T
        rank = np.arange(1, len(scores) + 1)
        ap = np.array([_average_precision(row, rank, defects) for row in hits])
        recall = hits[:, -1] / defects if len(scores) else np.zeros(len(IOUS))
        return ClassDetection(
            ap=float(ap.mean()),
            ap50=float(ap[0]),
            ap75=float(ap[5]),
            ar=float(recall.mean()),
            defects=defects,
            detections=len(scores),
        )


def _average_precision(hits: I64, rank: I64, defects: int) -> float:
    """The mean over 101 recalls of the best precision at that recall or a higher one; 0 where it is not reached."""
    precision = np.maximum.accumulate((hits / rank)[::-1])[::-1]
    place = np.searchsorted(hits / defects, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[place].mean())


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def overlaps(found: Sequence[Detected], true: Sequence[Instance], height: int, width: int, *, kind: Overlap) -> F64:
    """Intersection over union of each detection with each true defect, float64 (found, true), of one image.

    Raises:
        UsageError: A detection has no mask where masks are compared.
    """
    if not found or not true:
        return np.zeros((len(found), len(true)))
    one: Any
    other: Any
    if kind == "bbox":
        one, other = (np.array([each.bbox for each in some], np.float64) for some in (found, true))
    else:
        one = [_rle(each, height, width) for each in found]
        other = [{"size": [height, width], "counts": each.rle.encode()} for each in true]
    shared: F64 = np.asarray(coco_mask.iou(one, other, [0] * len(true)), np.float64)
    return shared


def _rle(found: Detected, height: int, width: int) -> dict[str, Any]:
    """The mask of a detection over the whole image, as pycocotools takes it."""
    x, y, across, down = found.bbox
    if found.mask is None:
        raise UsageError("a detection has no mask", hint='compare boxes: overlap="bbox"')
    if found.mask.shape != (down, across) or x < 0 or y < 0 or x + across > width or y + down > height:
        raise UsageError(
            f"a detection of box {found.bbox} has a mask of shape {found.mask.shape} in an image of {width}x{height}",
            hint="give a box inside the image, and a mask of its size",
        )
    runs = from_binary(found.mask)
    placed = Runs(height, width, runs.column + x, runs.start + y, runs.stop + y, runs.value)
    return {"size": [height, width], "counts": rle.encode(placed).encode()}


def match(shared: F64) -> NDArray[np.bool_]:
    """Which detections match a true defect at each of `IOUS`, bool (found, 10).

    The surest comes first and takes the free defect that it overlaps most; of equal ones the last, as COCOeval does.

    Args:
        shared: float64 (found, true): overlaps of the detections of one class and image, the surest first.
    """
    hit = np.zeros((len(shared), len(IOUS)), np.bool_)
    if not shared.size:
        return hit
    taken = np.zeros((len(IOUS), shared.shape[1]), np.bool_)
    last = shared.shape[1] - 1
    for row in np.flatnonzero(shared.max(axis=1) >= IOUS[0]):
        free = np.where(taken, -1.0, shared[row])
        best = last - free[:, ::-1].argmax(axis=1)
        hit[row] = free[np.arange(len(IOUS)), best] >= IOUS
        taken[hit[row], best[hit[row]]] = True
    return hit
