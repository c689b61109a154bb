"""The image term: the class of an image from its pooled cell logits and from its mean features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from carpet_data.training.dense.ridge import minimum, softmax_loss

__all__ = ["PLAIN", "Evidence", "ImageTerm", "evidence_of", "fit_term", "pooled"]

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_TOP_SHARE, _TOP_CELLS = 0.002, 6
"""The share of the cells, and their smallest number, that speak for the image: defects are small."""
_FLOOR = 1e-4
_PRIOR = 0.02
"""How strongly the weights of pooled logits are drawn to those of `PLAIN`."""
_TIED = 10.0
_PLAIN_WEIGHTS = np.array([1.0, 1.0, 0.0])


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the map of an image says of the whole image.

    Attributes:
        level: Mean log-odds of a defect over the top cells.
        types: float64 (k - 1,), log of the share of each type in the probabilities of the cells that are called
            defect; of all cells where none is.
        sums: float64 (k - 1,), log-sum-exp over all cells of each type's logit against that of the background, per
            cell.
        features: float64 (d,), mean and standard deviation of each channel over the image; empty where left out.
    """

    level: float
    types: F64
    sums: F64
    features: F64


def pooled(maps: F16) -> F64:
    """Mean and standard deviation of each channel of a map, float16 (c, rows, columns) -> float64 (2c,)."""
    flat = maps.reshape(len(maps), -1).astype(np.float32)
    return np.concatenate((flat.mean(axis=1), flat.std(axis=1))).astype(np.float64)


def evidence_of(
    logits: F32, features: F64, *, threshold: float = 0.0, without: NDArray[np.bool_] | None = None
) -> Evidence:
    """Pool a map of logits, float32 (k, rows, columns), over its top cells and over all.

    Cells whose log-odds exceed `threshold` are called defect. `without` are cells, bool (rows, columns), that are left
    out, as where the rest of the image is to be judged.
    """
    flat = logits.reshape(len(logits), -1).astype(np.float64)
    if without is not None and not without.all():
        flat = flat[:, ~without.ravel()]
    against = flat[1:] - flat[0]
    odds = _log_sum(against, 0)
    count = min(len(odds), max(_TOP_CELLS, round(_TOP_SHARE * len(odds))))
    top = np.argpartition(odds, len(odds) - count)[len(odds) - count :]
    called = odds > threshold
    chosen = against[:, called] if called.any() else against
    # The probability of each type is against / (1 + exp(odds)), written so that nothing overflows.
    chance = np.exp(chosen - np.logaddexp(0.0, _log_sum(chosen, 0))).sum(axis=1)
    share = chance / chance.sum()
    sums = _log_sum(against, 1) - np.log(against.shape[1])
    return Evidence(float(odds[top].mean()), np.log(np.maximum(share, _FLOOR)), sums, features)


def _log_sum(values: F64, axis: int) -> F64:
    most = values.max(axis=axis, keepdims=True)
    return np.asarray((np.log(np.exp(values - most).sum(axis=axis, keepdims=True)) + most).squeeze(axis))


@dataclass(frozen=True, slots=True, eq=False)
class ImageTerm:
    """Logits of an image: those of good are `shift` and what the mean features say.

    The logit of type c is level · L + types · T_c + sums · S_c + bias_c + features_c · f for its `Evidence` (L, T, S,
    f), f standardized.

    Attributes:
        bias: float64 (k - 1,).
        weights: float64 (k, d) of the features; None where they are left out.
        mean: float64 (d,) of the features in training.
        deviation: Likewise.
    """

    level: float
    types: float
    sums: float
    bias: F64
    shift: float = 0.0
    weights: F64 | None = None
    mean: F64 | None = None
    deviation: F64 | None = None

    def logits(self, found: Evidence) -> F64:
        """float64 (k,): the logit of each class, good first."""
        defect = self.level * found.level + self.types * found.types + self.sums * found.sums + self.bias
        logits = np.concatenate(([self.shift], defect))
        if self.weights is not None and self.mean is not None and self.deviation is not None:
            logits = logits + self.weights @ ((found.features - self.mean) / self.deviation)
        return np.asarray(logits)


def PLAIN(types: int) -> ImageTerm:  # noqa: N802 - the one that stands where there is nothing to fit
    """The term that takes the cells at their word: an image is defect when its top cells are, of their type."""
    return ImageTerm(1.0, 1.0, 0.0, np.zeros(types))


def fit_term(
    rows: Sequence[Evidence],
    labels: NDArray[np.int64],
    weights: F64,
    *,
    features: float | None,
) -> ImageTerm:
    """Fit a term to images that the cells' head has not seen, by ridge-penalized cross-entropy (L-BFGS).

    With few images the weights stay near those of the plain term, to which the penalty draws them.

    Args:
        rows: What was found in each image.
        labels: int64 (n,), the class of each.
        weights: float64 (n,), of each image; classes are weighed alike besides.
        features: Penalty of the weights of the mean features; None to leave them out.
    """
    types = len(rows[0].types)
    given = np.stack([row.features for row in rows])
    mean, deviation = given.mean(axis=0), given.std(axis=0) + 1e-6
    f = (given - mean) / deviation if features is not None else np.zeros((len(rows), 0))
    loss = _loss_of(rows, labels, _balanced(labels, weights, types + 1), f, features or 0.0)
    best = minimum(loss, np.concatenate((_PLAIN_WEIGHTS, np.zeros(types + 1 + (types + 1) * f.shape[1]))))
    term = ImageTerm(float(best[0]), float(best[1]), float(best[2]), best[3 : 3 + types] + best[3 + types])
    if features is None:
        return term
    weight = best[4 + types :].reshape(types + 1, -1).copy()
    return replace(term, weights=weight, mean=mean, deviation=deviation)


def _loss_of(
    rows: Sequence[Evidence], labels: NDArray[np.int64], weights: F64, f: F64, penalty: float
) -> Callable[[F64], tuple[float, F64]]:
    """The penalized loss, and its gradient, of: the three weights, each type's bias, that of all, those of features."""
    types = len(rows[0].types)
    level = np.array([row.level for row in rows])
    shares, sums = np.stack([row.types for row in rows]), np.stack([row.sums for row in rows])
    told = np.bincount(labels[labels > 0], minlength=types + 1)[1:]
    # A type of which little is known has the bias of all types.
    ridge = np.where(told > 1, _PRIOR / 10, _TIED)

    def loss(values: F64) -> tuple[float, F64]:
        main, apart, common = values[:3], values[3 : 3 + types], values[3 + types]
        weight = values[4 + types :].reshape(types + 1, -1)
        defect = main[0] * level[:, None] + main[1] * shares + main[2] * sums + apart + common
        logits = np.concatenate((np.zeros((len(rows), 1)), defect), axis=1) + f @ weight.T
        found, slope = softmax_loss(logits, labels, weights)
        of_defect, moved = slope[:, 1:], main - _PLAIN_WEIGHTS
        found += _PRIOR * (moved**2).sum() + (ridge * apart**2).sum() + penalty * (weight**2).sum()
        by_main = np.array([(of_defect * each).sum() for each in (level[:, None], shares, sums)]) + 2 * _PRIOR * moved
        by_bias = np.append(of_defect.sum(axis=0) + 2 * ridge * apart, of_defect.sum())
        by_weight = slope.T @ f + 2 * penalty * weight
        return float(found), np.concatenate((by_main, by_bias, by_weight.ravel()))

    return loss


def _balanced(labels: NDArray[np.int64], weights: F64, count: int) -> F64:
    sums = np.bincount(labels, weights, minlength=count)
    balanced = weights / sums[labels]
    return np.asarray(balanced / balanced.sum())
