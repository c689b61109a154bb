"""Scores of maps, detections and image scores under weights of the images, for many weights at once.

Weights are float64 (b, images); every function returns float64 (b,), nan where the score does not exist.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carpet_data.metrics.pixels import PRO_LIMIT

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


def average_precision(negatives: F64, positives: F64, tied: NDArray[np.bool_]) -> F64:
    """Average precision of counts (b, bins), the bins in rising order.

    In a bin of a single score (`tied`, bool (bins,)) all pixels pass the threshold together. In others the two kinds
    are taken as evenly mixed, so precision is interpolated as Davis & Goadrich (2006) do.
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
    within = share + rest * growth
    at_once = np.divide(hits + p, all_of_them + s, out=np.zeros_like(s), where=filled)
    return _ratio((p * np.where(tied[::-1], at_once, within)).sum(axis=1), p.sum(axis=1))


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
    part = np.clip(PRO_LIMIT - rate[:, :-1], 0, wide)
    share = np.divide(part, wide, out=np.zeros_like(part), where=wide > 0)
    area: F64 = (part * (overlap[:, :-1] + share * rise / 2)).sum(axis=1) / PRO_LIMIT
    return area


def iou(weights: F64, areas: F64) -> F64:
    """Mean intersection over union of the classes, pixels pooled; a class that no weighted image shows is left out.

    `areas` is (images, classes, 3): pixels told right, true ones, and predicted ones.
    """
    summed = np.tensordot(weights, areas, axes=(1, 0))
    ratio = _ratio(summed[..., 0], summed[..., 1] + summed[..., 2] - summed[..., 0])
    ratio[summed[..., 1] <= 0] = np.nan
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
    image, hit = image[order], hit[order]
    if not hit.any():
        return np.where(total > 0, 0.0, np.nan)
    # Only matches raise recall and precision, so the false alarms between two of them are counted together, image by
    # image; those after the last change nothing.
    before = hit.cumsum() - hit
    false = ~hit & (before < hit.sum())
    table = np.bincount(image[false] * hit.sum() + before[false], minlength=len(objects) * hit.sum())
    hits = weights[:, image[hit]].cumsum(axis=1)
    alarms = (weights @ table.reshape(len(objects), -1)).cumsum(axis=1)
    precision = np.nan_to_num(_ratio(hits, hits + alarms))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # How many of the recalls each match reaches. A sum of weights may just miss one that it equals; whole weights sum
    # to what COCO counts, and are compared as COCO does.
    recall = np.nan_to_num(_ratio(hits, total[:, None]))
    slack = 0.0 if np.array_equal(weights, np.round(weights)) else 1e-12
    reached = np.searchsorted(_RECALLS, recall + slack, side="right")
    found: F64 = (np.diff(reached, axis=1, prepend=0) * precision).sum(axis=1) / len(_RECALLS)
    return np.where(total > 0, found, np.nan)
