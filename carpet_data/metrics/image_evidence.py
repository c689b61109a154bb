"""What one model showed on one test image, small enough to be kept of every training run of an experiment.

The pixels of a heat map become counts in fixed bins, the detections become matches with the true defects. Scores made
of these (`carpet_data.metrics.resampled`) can be made again under any weights of the images, in no time.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import DataError, UsageError

__all__ = ["BINS", "IOUS", "Box", "Found", "ImageEvidence", "areas_of", "bins_of", "matches", "pixel_counts"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

BINS = 4096
"""Of a heat map: equal steps of the log-odds, so that scores near 0 and near 1 are told apart."""
_REACH = 17.0
"""Log-odds at the two ends: float32 cannot come closer to 1."""
IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Intersections over union at which a detection may match (COCO)."""
_MOST = 100
"""Detections of an image that count, the surest (COCO)."""

Box: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height in pixels; half-open."""
Found: TypeAlias = tuple[int, float, int]
"""A detection: its class, its score, and bit i for a match at `IOUS[i]`."""


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """One test image as one model sees it.

    Attributes:
        anomaly: How sure the model is that the image shows a defect.
        pixels: Packed counts of its heat map (`pixel_counts`); None without a heat map or without a mask.
        components: Connected pieces of its mask.
        areas: Of each class but `good`: pixels of it predicted right, predicted, and true. None without label maps.
        found: Its detections; None for a model that finds none.
        objects: Of each class but `good`, the number of true defects; None without masks.
    """

    anomaly: float
    pixels: str | None = None
    components: int = 0
    areas: tuple[tuple[int, int, int], ...] | None = None
    found: tuple[Found, ...] | None = None
    objects: tuple[int, ...] | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ImageEvidence:
        """Read back what `dataclasses.asdict` and JSON made of it."""
        tuples = {name: values[name] for name in ("areas", "found", "objects")}
        areas, found, objects = tuples["areas"], tuples["found"], tuples["objects"]
        return cls(
            anomaly=values["anomaly"],
            pixels=values["pixels"],
            components=values["components"],
            areas=None if areas is None else tuple((int(a), int(b), int(c)) for a, b, c in areas),
            found=None if found is None else tuple((int(c), float(score), int(bits)) for c, score, bits in found),
            objects=None if objects is None else tuple(int(count) for count in objects),
        )

    def table(self) -> F64:
        """The counts of the heat map, float64 (3, BINS): pixels without a defect, with one, and shares of its pieces.

        The third row weights each defect pixel by 1 / (pixels of its connected piece), for the per-region overlap.
        """
        if self.pixels is None:
            raise UsageError("no heat map was kept of this image", hint="score a model that predicts heat maps")
        data = zlib.decompress(base64.b85decode(self.pixels))
        count = len(data) // 14
        place = np.frombuffer(data, "<u2", count)
        table = np.zeros((3, BINS))
        for row, kind in enumerate(("<u4", "<u4", "<f4")):
            table[row, place] = np.frombuffer(data, kind, count, 2 * count + 4 * count * row)
        return table


def bins_of(heat: F32) -> NDArray[np.int64]:
    """The bin of each pixel of a heat map (h, w) of values in [0, 1]; a surer pixel has a higher one.

    Raises:
        DataError: A value is not a number.
    """
    if np.isnan(heat).any():
        raise DataError("a heat map holds NaN", hint="train the model again; its weights may be damaged")
    likely = np.clip(heat, 0, 1).astype(np.float32)
    with np.errstate(divide="ignore"):
        odds = np.clip(np.log(likely) - np.log1p(-likely), -_REACH, _REACH)
    bins: NDArray[np.int64] = np.minimum((odds + _REACH) * (BINS / (2 * _REACH)), BINS - 1).astype(np.int64)
    return bins


def pixel_counts(heat: F32, mask: NDArray[np.bool_]) -> tuple[str, int]:
    """The packed counts of a heat map (h, w) in [0, 1] against its mask (h, w), and the connected pieces of the mask.

    Pieces are 8-connected.

    Raises:
        UsageError: The two differ in size.
        DataError: As `bins_of`.
    """
    if heat.shape != mask.shape:
        raise UsageError(f"a heat map of {heat.shape} for a mask of {mask.shape}", hint="predict the image whole")
    bins = bins_of(heat).ravel()
    defect = mask.ravel()
    pieces, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels.ravel(), minlength=pieces)
    inside = bins[defect]
    share = 1 / sizes[labels.ravel()[defect]] if len(inside) else None
    positives = np.bincount(inside, minlength=BINS)
    negatives = np.bincount(bins, minlength=BINS) - positives
    shares = np.bincount(inside, share, minlength=BINS)
    place = np.flatnonzero(negatives + positives)
    rows = [place.astype("<u2"), negatives[place].astype("<u4"), positives[place].astype("<u4")]
    rows.append(shares[place].astype("<f4"))
    packed = zlib.compress(b"".join(row.tobytes() for row in rows), 6)
    return base64.b85encode(packed).decode("ascii"), pieces - 1


def areas_of(predicted: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int) -> tuple[tuple[int, int, int], ...]:
    """Of the classes 1 … classes - 1: pixels predicted right, predicted, and true, of two label maps (h, w)."""
    right = np.bincount(truth[predicted == truth], minlength=classes)
    said = np.bincount(predicted.ravel(), minlength=classes)
    true = np.bincount(truth.ravel(), minlength=classes)
    return tuple((int(right[c]), int(said[c]), int(true[c])) for c in range(1, classes))


def matches(
    found: Sequence[tuple[int, float, Box]], objects: Sequence[tuple[int, Box]], ious: Sequence[float] = IOUS
) -> tuple[Found, ...]:
    """Match detections (class, score, box) with true defects (class, box), as COCO does, at each of `ious`.

    The surest detection comes first and takes the free defect of its class that it overlaps most. Only the surest 100
    of a class count.
    """
    kept: list[Found] = []
    for label in sorted({each[0] for each in found}):
        mine = sorted((each for each in found if each[0] == label), key=lambda each: -each[1])[:_MOST]
        boxes = [box for name, box in objects if name == label]
        overlaps = _ious([box for _, _, box in mine], boxes)
        bits = np.zeros(len(mine), np.int64)
        for place, least in enumerate(ious):
            bits |= _matched(overlaps, least).astype(np.int64) << place
        kept += [(label, float(score), int(bit)) for (_, score, _), bit in zip(mine, bits.tolist(), strict=True)]
    return tuple(kept)


def _matched(overlaps: F64, least: float) -> NDArray[np.bool_]:
    """Which detections (rows, the surest first) take a defect (columns)."""
    free = np.ones(overlaps.shape[1], np.bool_)
    hit = np.zeros(len(overlaps), np.bool_)
    for row, overlap in enumerate(overlaps):
        open_ones = np.where(free, overlap, -1.0)
        if len(open_ones) and open_ones.max() >= min(least, 1 - 1e-10):
            # Of equals COCO takes the last.
            best = len(open_ones) - 1 - int(open_ones[::-1].argmax())
            free[best], hit[row] = False, True
    return hit


def _ious(some: Sequence[Box], others: Sequence[Box]) -> F64:
    """Intersection over union of every pair, float64 (some, others)."""
    a, b = np.array(some, np.float64).reshape(-1, 1, 4), np.array(others, np.float64).reshape(1, -1, 4)
    size = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(size, 0, None).prod(axis=-1)
    whole = a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - shared
    found: F64 = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return found
