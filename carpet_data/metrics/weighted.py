"""Scores of maps, detections and image scores under weights of the images, for many weights at once.

Weights are float64 (b, images); every function returns float64 (b,), nan where the score does not exist.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "auroc",
    "average_precision",
    "detection_ap",
    "f1_max",
    "false_alarms",
    "iou",
    "pixel_auroc",
    "pro",
]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_RECALLS = np.linspace(0, 1, 101)
"""At which COCO reads the precision."""
_PRO_TO = 0.3
"""False positive rate up to which the per-region overlap is integrated (Bergmann et al. 2020)."""


def _ratio(part: F64, whole: F64) -> F64:
    found: F64 = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return found


def _falling(counts: F64) -> F64:
    """The counts summed from the highest bin down: (b, bins) -> (b, bins), the last column the whole."""
    return counts[:, ::-1].cumsum(axis=1)


def pixel_auroc(negatives: F64, positives: F64) -> F64:
    """Area under the ROC curve of counts (b, bins), the bins in rising order; ties count half."""
    below = negatives.cumsum(axis=1) - negatives / 2
    return _ratio((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))


def average_precision(negatives: F64, positives: F64) -> F64:
    """Average precision of counts (b, bins), the bins in rising order.

    Within a bin the two kinds are taken as evenly mixed, so precision is interpolated as Davis & Goadrich (2006) do.
    """
    p, n = positives[:, ::-1], negatives[:, ::-1]
    s = p + n
    hits, all_of_them = p.cumsum(axis=1) - p, s.cumsum(axis=1) - s
    filled = s > 0
    share = np.divide(p, s, out=np.zeros_like(p), where=filled)
    # The integral of (hits + p t) / (all + s t) over t in 0 … 1.
    inner = filled & (all_of_them > 0)
    growth = np.log1p(np.divide(s, all_of_them, out=np.zeros_like(s), where=inner))
    rest = np.divide(hits - share * all_of_them, s, out=np.zeros_like(s), where=inner)
    return _ratio((p * (share + rest * growth)).sum(axis=1), p.sum(axis=1))


def f1_max(negatives: F64, positives: F64) -> F64:
    """The largest F1 over all thresholds, of counts (b, bins)."""
    hits, alarms = _falling(positives), _falling(negatives)
    scores = _ratio(2 * hits, hits + alarms + hits[:, -1:])
    scores[hits[:, -1] <= 0] = np.nan
    best: F64 = scores.max(axis=1, initial=-1.0, where=~np.isnan(scores))
    return np.where(best < 0, np.nan, best)


def pro(negatives: F64, shares: F64, components: F64) -> F64:
    """Per-region overlap against the false positive rate, integrated to 0.3 and divided by it (Bergmann et al. 2020).

    Args:
        negatives: float64 (b, bins).
        shares: float64 (b, bins): defect pixels, each weighted by 1 / (pixels of its component).
        components: float64 (b,): number of components.
    """
    rate = _ratio(_falling(negatives), negatives.sum(axis=1, keepdims=True))
    overlap = _ratio(_falling(shares), components[:, None])
    rate, overlap = (np.concatenate([np.zeros((len(each), 1)), each], axis=1) for each in (rate, overlap))
    wide, rise = np.diff(rate, axis=1), np.diff(overlap, axis=1)
    # The part of each step that lies below the limit.
    part = np.clip(_PRO_TO - rate[:, :-1], 0, wide)
    share = np.divide(part, wide, out=np.zeros_like(part), where=wide > 0)
    area: F64 = (part * (overlap[:, :-1] + share * rise / 2)).sum(axis=1) / _PRO_TO
    return area


def iou(weights: F64, areas: F64) -> F64:
    """Mean intersection over union of the classes, pixels pooled; `areas` is (images, classes, 3): right, said, true.

    A class that no weighted image shows is left out.
    """
    summed = np.tensordot(weights, areas, axes=(1, 0))
    ratio = _ratio(summed[..., 0], summed[..., 1] + summed[..., 2] - summed[..., 0])
    ratio[summed[..., 2] <= 0] = np.nan
    exists = ~np.isnan(ratio)
    return _ratio(np.where(exists, ratio, 0.0).sum(axis=1), exists.sum(axis=1).astype(np.float64))


def auroc(weights: F64, scores: F64, positive: NDArray[np.bool_]) -> F64:
    """Area under the ROC curve of scores (images,); ties count half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    drawn, defect = weights[:, order], positive[order]
    return pixel_auroc(*(np.add.reduceat(drawn * kind, starts, axis=1) for kind in (~defect, defect)))


def false_alarms(weights: F64, scores: F64, positive: NDArray[np.bool_]) -> F64:
    """The share of images without a defect that are reported where the threshold misses no defect."""
    seen = np.where((weights > 0) & positive, scores, np.inf).min(axis=1)
    alarms = (weights * (~positive & (scores >= seen[:, None]))).sum(axis=1)
    found = _ratio(alarms, (weights * ~positive).sum(axis=1))
    return np.where(np.isinf(seen), np.nan, found)


def detection_ap(weights: F64, image: I64, hit: NDArray[np.bool_], scores: F64, objects: F64) -> F64:
    """COCO's average precision of one class at one overlap: precision at 101 recalls.

    Args:
        weights: float64 (b, images).
        image: int64 (n,): the image of each detection.
        hit: bool (n,): whether it matches a defect.
        scores: float64 (n,).
        objects: float64 (images,): number of true defects.
    """
    total = weights @ objects
    order = np.argsort(-scores, kind="stable")
    drawn = weights[:, image[order]]
    hits = (drawn * hit[order]).cumsum(axis=1)
    precision = _ratio(hits, drawn.cumsum(axis=1))
    precision = np.nan_to_num(np.maximum.accumulate(np.nan_to_num(precision)[:, ::-1], axis=1)[:, ::-1])
    recall = _ratio(hits, total[:, None])
    count = recall.shape[1]
    # One search for all rows: each row is shifted beyond the one before.
    shifted = np.nan_to_num(recall) + 2.0 * np.arange(len(recall))[:, None]
    wanted = _RECALLS[None] - 1e-12 + 2.0 * np.arange(len(recall))[:, None]
    place = (
        np.searchsorted(shifted.ravel(), wanted.ravel()).reshape(wanted.shape) - count * np.arange(len(recall))[:, None]
    )
    padded = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)
    found: F64 = np.take_along_axis(padded, np.minimum(place, count), axis=1).mean(axis=1)
    return np.where(total > 0, found, np.nan)
