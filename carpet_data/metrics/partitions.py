"""Is one condition better than another, seen over partitions?

Differences are always candidate - baseline. The bootstrap over test units (`carpet_data.metrics.paired`) takes the
trained models as they are; the spread over partitions also holds what other training images would have made of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import student
from carpet_data.metrics.classification import BALANCED_ACCURACY, Statistic
from carpet_data.metrics.intervals import Interval, check_level
from carpet_data.metrics.outcomes import Outcome
from carpet_data.metrics.paired import ROUNDING, without_rounding

__all__ = ["CorrectedT", "SignFlip", "corrected_t", "partition_differences", "sign_flip"]

F64 = NDArray[np.float64]

_MOST_EXACT = 20
"""Differences whose every pattern of signs is tried: half a million patterns."""
_FLIPS = 100_000
"""Patterns drawn where there are too many to try."""


def partition_differences(baseline: Outcome, candidate: Outcome, statistic: Statistic = BALANCED_ACCURACY) -> F64:
    """candidate - baseline in each partition, averaged over its seeds, float64 (partitions,), sorted by name.

    Raises:
        UsageError: The two differ in their classes.
        DataError: They were not tested on the same rows; or as `Outcome.scores`.
    """
    baseline.refuse_unlike(candidate)
    before, after = baseline.by_partition(statistic), candidate.by_partition(statistic)
    return without_rounding(np.array([after[name] - before[name] for name in before]))


@dataclass(frozen=True, slots=True)
class CorrectedT:
    """The corrected resampled t-test over partitions.

    Attributes:
        mean: Of the differences.
        t: The statistic; None where the differences do not differ, for then their spread is not known.
        degrees: Of freedom, partitions - 1.
        p_value: Two-sided; None as `t`.
        interval: Of the mean difference; None as `t`.
    """

    mean: float
    t: float | None
    degrees: int
    p_value: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "mean": self.mean,
            "t": self.t,
            "degrees": self.degrees,
            "p_value": self.p_value,
            "interval": None if self.interval is None else self.interval.to_json(),
        }


def corrected_t(differences: ArrayLike, *, train: float, test: float, level: float = 0.95) -> CorrectedT:
    """The t-test for repeated random partitions, its variance corrected for their overlap (Nadeau & Bengio 2003).

    The training sides of random partitions share samples, so their differences spread less than those of new data
    would; the variance of the mean is taken as (1 / n + test / train) times that of the differences.

    Args:
        differences: float (n,): one a partition, candidate - baseline (`partition_differences`); at least two.
        train: Fraction or number of samples on the training side.
        test: The same of the test side; only test / train counts.
        level: Of confidence of the interval.

    Raises:
        UsageError: Fractions that are not above 0, a level outside (0, 1), or numbers that are not finite.
        DataError: Fewer than two differences.
    """
    check_level(level)
    values = _checked(differences)
    if not (train > 0 and test > 0 and math.isfinite(train) and math.isfinite(test)):
        raise UsageError(f"train {train} and test {test} are no sizes", hint="give both sides' fractions, above 0")
    n = len(values)
    if n < 2:
        raise DataError("the spread over partitions needs two of them at least", hint="compare over more partitions")
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread <= ROUNDING:
        return CorrectedT(mean, None, n - 1, None, None)
    error = math.sqrt(1 / n + test / train) * spread
    half = student.two_sided_quantile(level, n - 1) * error
    return CorrectedT(
        mean=mean,
        t=mean / error,
        degrees=n - 1,
        p_value=student.two_sided(mean / error, n - 1),
        interval=Interval(mean - half, mean + half, level),
    )


@dataclass(frozen=True, slots=True)
class SignFlip:
    """A permutation test by signs.

    Attributes:
        mean: Of the differences.
        p_value: Two-sided.
        smallest: The least p-value that so many differences can give: 0.0625 for five.
        exact: Whether every pattern of signs was tried; else they were drawn.
    """

    mean: float
    p_value: float
    smallest: float
    exact: bool

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {"mean": self.mean, "p_value": self.p_value, "smallest": self.smallest, "exact": self.exact}


def sign_flip(differences: ArrayLike, *, seed: int = 0) -> SignFlip:
    """How often would the mean be as far from 0 if every difference had its sign by chance (Fisher 1935)?

    Exact up to 20 differences; beyond, 100,000 patterns are drawn and the data count as one more. It takes the
    differences as independent, which those of overlapping partitions are not quite: read it beside `corrected_t`.

    Args:
        differences: float (n,): one a partition, candidate - baseline; at least one.
        seed: Of the patterns, where they are drawn.

    Raises:
        UsageError: Numbers that are not finite, or a negative seed.
        DataError: No differences.
    """
    values = _checked(differences)
    n = len(values)
    if n == 0:
        raise DataError("no partitions to compare", hint="compare over at least one partition")
    if seed < 0:
        raise UsageError(f"the seed {seed} is below 0", hint="give a seed of 0 or more")
    sums, drawn = (_all_sums(values), False) if n <= _MOST_EXACT else (_drawn_sums(values, seed), True)
    as_far = int((np.abs(sums) >= abs(float(values.sum())) - ROUNDING).sum()) + drawn
    return SignFlip(
        mean=float(values.mean()),
        p_value=as_far / (len(sums) + drawn),
        smallest=1 / (len(sums) + drawn) if drawn else 2.0 ** (1 - n),
        exact=not drawn,
    )


def _all_sums(values: F64) -> F64:
    """The sum under each pattern of signs, the first sign kept: the others mirror these. float64 (2 ** (n - 1),)."""
    sums = values[:1]
    for value in values[1:]:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _drawn_sums(values: F64, seed: int) -> F64:
    """The sum under patterns of signs drawn by chance, one difference after the other, so that memory stays small."""
    random = np.random.default_rng(np.random.SeedSequence(seed))
    sums = np.zeros(_FLIPS)
    for value in values:
        sums += value * random.choice((-1.0, 1.0), size=_FLIPS)
    return sums


def _checked(differences: ArrayLike) -> F64:
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise UsageError(
            "the differences are not one row of finite numbers",
            hint="give one number a partition (partition_differences)",
        )
    return values
