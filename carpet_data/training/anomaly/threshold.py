"""From scores in a model's own units to [0, 1], with 0.5 where an alarm begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Scale", "best_separation", "threshold_of"]

F64 = NDArray[np.float64]

_AT_MEDIAN = 0.1
"""What the median good image becomes."""
_POWERS = (1.0, 12.0)
_SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class Scale:
    """Scores s with a threshold t: (s / t)^p / 2 below it, 1 - t / (2 s) above it.

    So 0 stays 0, the threshold becomes 0.5 and 2 t becomes 0.75; order is kept, also in float32 and far above.

    Attributes:
        threshold: In units of the model, above 0.
        power: p, by which the median of good scores becomes 0.1.
    """

    threshold: float
    power: float

    @classmethod
    def of(cls, threshold: float, good: ArrayLike) -> Scale:
        """The scale on which the median of scores of good images, float (n,), lies at 0.1; from 1 to 12 is p."""
        threshold = max(float(threshold), _SMALLEST)
        middle = max(float(np.median(np.asarray(good, np.float64))), _SMALLEST)
        ratio = threshold / middle
        steep = math.log(0.5 / _AT_MEDIAN) / math.log(ratio) if ratio > 1 else _POWERS[1]
        return cls(threshold, min(max(steep, _POWERS[0]), _POWERS[1]))

    def __call__(self, scores: ArrayLike) -> F64:
        """The scores on the scale, float64 in [0, 1]."""
        relative = np.maximum(np.asarray(scores, np.float64), 0) / self.threshold
        low, high = np.minimum(relative, 1), np.maximum(relative, 1)
        return np.asarray(np.where(relative < 1, 0.5 * low**self.power, 1 - 0.5 / high))


def threshold_of(held_out: Sequence[float], rate: float) -> tuple[float, bool]:
    """The score that good images exceed with a chance of at most `rate`.

    With n held-out scores it is the k-th smallest, k = ceil((n + 1)(1 - rate)): split conformal prediction, exact for
    any distribution (Papadopoulos et al., 2002). Where k > n there are too few to tell; then it is the larger of their
    maximum and of the quantile of a log-normal distribution fitted to them.

    Args:
        held_out: Scores of good images that the model was not fitted to, at least one.
        rate: Share of false alarms, in (0, 1).

    Returns:
        The threshold, and whether it had to be extrapolated.

    Examples:
        >>> threshold_of([float(number) for number in range(1, 200)], 0.01)
        (198.0, False)
    """
    ordered = np.sort(np.asarray(held_out, np.float64))
    rank = math.ceil((len(ordered) + 1) * (1 - rate) - 1e-9)
    if rank <= len(ordered):
        return float(ordered[rank - 1]), False
    logs = np.log(np.maximum(ordered, _SMALLEST))
    spread = float(logs.std(ddof=1)) if len(logs) > 1 else 0.1
    tail = math.exp(float(logs.mean()) + NormalDist().inv_cdf(1 - rate) * spread)
    return max(float(ordered[-1]), tail), True


def best_separation(good: Sequence[float], defects: Sequence[float]) -> float:
    """The threshold with the best mean of the shares of good scores below and of defect scores at or above it."""
    low, high = np.sort(np.asarray(good, np.float64)), np.sort(np.asarray(defects, np.float64))
    every = np.unique(np.concatenate((low, high)))
    # Between neighbors, so that neither side lies on it.
    places = np.concatenate((every[:1], (every[1:] + every[:-1]) / 2, every[-1:] * 1.001))
    kept = np.searchsorted(low, places, side="left") / len(low)
    caught = 1 - np.searchsorted(high, places, side="left") / len(high)
    best = kept + caught
    # The middle of all that are equally good.
    found = places[best >= best.max() - 1e-12]
    return float(found[len(found) // 2])
