"""Calibration on held-out maps: smoothing, temperature, bias of each class, and the threshold of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.seeds import generator
from carpet_data.training.dense.cells import targets
from carpet_data.training.dense.crossfit import HeldOut
from carpet_data.training.dense.grids import smoothed
from carpet_data.training.dense.ridge import minimum, softmax_loss

__all__ = ["Calibration", "average_precision", "best_threshold", "calibrate", "log_odds"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_SIGMAS = (0.0, 0.5, 0.7, 1.0)
_GAIN = 0.005
"""A smoother map must be better by this much, so that noise does not choose."""
_BACKGROUND_CELLS, _DEFECT_CELLS = 500, 500
_RIDGE, _TIED = 1e-3, 10.0
_LEAST = 1e-12
_BACKGROUND_SHARE = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What turns the logits of cells into probabilities.

    Attributes:
        smoothing: Standard deviation in cells of a Gaussian that smooths the probabilities that the head gives.
        temperature: Divides the logits (Guo et al. 2017).
        bias: float32 (k,), added then.
        threshold: The log-odds from which on a pixel counts as defect.
    """

    smoothing: float
    temperature: float
    bias: F32
    threshold: float

    @classmethod
    def plain(cls, classes: int, smoothing: float) -> Calibration:
        """One that changes nothing but smooths."""
        return cls(smoothing, 1.0, np.zeros(classes, np.float32), 0.0)

    def logits(self, raw: NDArray[np.floating]) -> F32:
        """Calibrated logits of a map, (k, rows, columns) -> float32 of the same shape."""
        values = smooth_logits(np.asarray(raw, np.float32), self.smoothing)
        return np.asarray(values / np.float32(self.temperature) + self.bias[:, None, None], np.float32)


def smooth_logits(raw: F32, sigma: float) -> F32:
    """Logits, float32 (k, rows, columns), whose probabilities are those of `raw` smoothed by a Gaussian.

    Probabilities rather than logits: a cell that is sure to be background does not outvote its neighbors.
    """
    if sigma <= 0:
        return raw
    chances = np.exp(raw - raw.max(axis=0))
    blurred = smoothed(chances / chances.sum(axis=0), sigma)
    return np.asarray(np.log(np.maximum(blurred, _LEAST)), np.float32)


def log_odds(logits: F32) -> F32:
    """The log-odds of a defect of whatever type: float32 (k, …) -> float32 (…)."""
    types = logits[1:]
    most = types.max(axis=0)
    return np.asarray(np.log(np.exp(types - most).sum(axis=0)) + most - logits[0], np.float32)


def calibrate(
    held: Sequence[HeldOut], classes: int, *, smoothing: float | None, default: float, seed: int
) -> Calibration:
    """Find a calibration on held-out maps; those without a mask are of no use here.

    Args:
        held: The maps.
        classes: Number of classes, background included.
        smoothing: None to choose it by the average precision of pixels, with `default` where none is better.
        default: See above.
        seed: Of the cells that are drawn.
    """
    masked = [each for each in held if each.cover is not None]
    # The map of a type that the head had not seen says nothing of maps of types that it has seen.
    known = [each for each in masked if each.typed or not each.label]
    if not any(each.label for each in known):
        plain = Calibration.plain(classes, default if smoothing is None else smoothing)
        return replace(plain, threshold=_above_background(masked, plain))
    if smoothing is None:
        smoothing = _best_smoothing(known, default)
    temperature, bias = _scaling(known, classes, smoothing, seed)
    found = Calibration(smoothing, temperature, bias, 0.0)
    return replace(found, threshold=best_threshold(*_pooled(known, found)))


def _above_background(held: Sequence[HeldOut], calibration: Calibration) -> float:
    """Log-odds that hardly a background cell reaches, and even odds at least."""
    if not held:
        return 0.0
    odds, cover = _pooled(held, calibration)
    ground = odds[cover == 0]
    return max(0.0, float(np.quantile(ground, _BACKGROUND_SHARE))) if len(ground) else 0.0


def _best_smoothing(held: Sequence[HeldOut], default: float) -> float:
    classes = len(held[0].logits)
    scores = {
        sigma: average_precision(*_pooled(held, Calibration.plain(classes, sigma)))
        for sigma in sorted({*_SIGMAS, default})
    }
    best = max(scores, key=lambda sigma: scores[sigma])
    return best if scores[best] > scores[default] + _GAIN else default


def _pooled(held: Sequence[HeldOut], calibration: Calibration) -> tuple[F32, F32]:
    """Log-odds and defect share of all cells of all maps."""
    odds = [log_odds(calibration.logits(each.logits)).ravel() for each in held]
    cover = [
        np.minimum(each.cover.astype(np.float32).sum(axis=0), 1).ravel() for each in held if each.cover is not None
    ]
    return np.concatenate(odds), np.concatenate(cover)


def average_precision(scores: F32, cover: F32) -> float:
    """Average precision of pixels, from cells that each hold a share of defect pixels: float32 (n,) both.

    Examples:
        >>> average_precision(np.array([3, 2, 1], np.float32), np.array([1, 0, 0], np.float32))
        1.0
    """
    hits, all_found, _ = _ranked(scores, cover)
    if not len(hits) or hits[-1] <= 0:
        return float("nan")
    steps = np.diff(hits, prepend=0)
    return float((steps * hits / all_found).sum() / hits[-1])


def best_threshold(scores: F32, cover: F32) -> float:
    """The score from which on cells are called defect where that gives the largest F1 of pixels."""
    hits, all_found, ordered = _ranked(scores, cover)
    f1 = 2 * hits / (all_found + hits[-1])
    place = int(np.argmax(f1))
    after = ordered[min(place + 1, len(ordered) - 1)]
    return float((ordered[place] + after) / 2)


def _ranked(scores: F32, cover: F32) -> tuple[F64, F64, F64]:
    """At each distinct score, from the highest: defect area and area found so far, and the score."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order].astype(np.float64)
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    hits = np.cumsum(cover[order], dtype=np.float64)[last]
    return hits, (last + 1).astype(np.float64), ordered[last]


def _scaling(held: Sequence[HeldOut], classes: int, smoothing: float, seed: int) -> tuple[float, F32]:
    """Temperature and biases that make held-out cells most likely, each image counting alike."""
    drawn = [_drawn(each, smoothing, generator(seed, "calibration", each.row)) for each in held]
    x, y, w = (np.concatenate(column) for column in zip(*drawn, strict=True))
    w = w / w.sum()

    # A type of one image, or of none, has the bias of all types.
    known = np.bincount([each.label for each in held if each.label], minlength=classes)[1:]
    # A type that no head had seen says nothing of its own bias: it has that of all types.
    ridge = np.where(known > 1, _RIDGE, _TIED)

    def loss(values: F64) -> tuple[float, F64]:
        sharp, ground, apart = np.exp(values[0]), values[1], values[2:]
        found, slope = softmax_loss(x * sharp + np.concatenate(([ground], apart)), y, w)
        found += _RIDGE * values[0] ** 2 + float((ridge * apart**2).sum())
        by_bias = slope.sum(axis=0) + np.concatenate(([0.0], 2 * ridge * apart))
        return found, np.concatenate(([(slope * x).sum() * sharp + 2 * _RIDGE * values[0]], by_bias))

    best = minimum(loss, np.zeros(classes + 1))
    return float(np.exp(-best[0])), best[1:].astype(np.float32)


def _drawn(each: HeldOut, smoothing: float, rng: np.random.Generator) -> tuple[F64, NDArray[np.int64], F64]:
    """Cells of a map: logits, class, and the area that each stands for."""
    assert each.cover is not None
    flat = smooth_logits(each.logits.astype(np.float32), smoothing).reshape(len(each.logits), -1)
    target = targets(each.cover.astype(np.float32)).ravel()
    picked, weights = [], []
    for places, most in (
        (np.flatnonzero(target > 0), _DEFECT_CELLS),
        (np.flatnonzero(target == 0), _BACKGROUND_CELLS),
    ):
        some = rng.choice(places, most, replace=False) if len(places) > most else places
        picked.append(some)
        weights.append(np.full(len(some), len(places) / max(len(some), 1) / target.size))
    rows = np.concatenate(picked)
    labels = target[rows].astype(np.int64)
    return flat[:, rows].T.astype(np.float64), labels, np.concatenate(weights)
