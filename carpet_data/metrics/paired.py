"""Is one condition better than another, on the same images or over partitions?

Differences are always candidate - baseline: above 0, the candidate is better. The bootstrap over test groups takes the
trained models as they are; the spread over partitions also covers what other training images would have made of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carpet_data.core.results import Result
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics.bootstrap import expanded, percentiles, resample
from carpet_data.metrics.classification import BALANCED_ACCURACY, Statistic
from carpet_data.metrics.intervals import Interval, check_level
from carpet_data.metrics.outcomes import Outcome

__all__ = [
    "CorrectedT",
    "PairedResult",
    "SignFlip",
    "corrected_t",
    "holm",
    "paired_bootstrap",
    "paired_result",
    "partition_differences",
    "sign_flip",
]

F64 = NDArray[np.float64]

ROUNDING = 1e-12
"""Smaller differences are none: they come from adding in another order."""
_MOST_EXACT = 20
"""Up to this number of differences every pattern of signs is tried: half a million patterns."""
_FLIPS = 100_000
"""Random patterns beyond that."""


@dataclass(frozen=True, slots=True)
class PairedResult(Result):
    """The difference of two conditions and how certain it is.

    Attributes:
        interval: Percentile interval of the difference.
        p_value: Two-sided, of the hypothesis that there is no difference; never 0.
        fewest_units: Test units of the class with the fewest. With few of them the interval is too narrow and the
            p-value too small: between equal conditions, 7 in 100 came out below 0.05 with 6 to 20 units per class,
            11 with three and 20 with two (1000 simulated data sets each).
    """

    statistic: str
    difference: float
    interval: Interval
    p_value: float
    resamples: int
    fewest_units: int


def paired_bootstrap(
    baseline: Outcome,
    candidate: Outcome,
    statistic: Statistic = BALANCED_ACCURACY,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedResult:
    """Compare two conditions by drawing the same units for both (`carpet_data.metrics.bootstrap`).

    The p-value is that of the interval inverted (Efron & Tibshirani 1993, chapter 15): twice the smaller share of
    resamples, at least 100, on one side of 0, counting the data themselves as one more resample.

    Raises:
        UsageError: As `bootstrap_interval`; or the two differ in their classes.
        DataError: As `bootstrap_interval`; or the two were not tested on the same rows.
    """
    check_level(level)
    baseline.refuse_unlike(candidate)
    values = resample([baseline, candidate], statistic, resamples=resamples, seed=seed)
    difference = candidate.value(statistic) - baseline.value(statistic)
    fewest = min(units for units in baseline.units_by_class().values() if units)
    return paired_result(statistic.name, difference, values[1] - values[0], fewest_units=fewest, level=level)


def paired_result(
    statistic: str,
    difference: float,
    moved: F64,
    *,
    fewest_units: int,
    units: int | None = None,
    level: float = 0.95,
) -> PairedResult:
    """What a difference and its values in the resamples, float64 (n,), say; see `paired_bootstrap`.

    With `units`, at least 2, the interval and the p-value are those of `expanded`, for a score that pools the images of
    so many units.
    """
    moved = _without_rounding(moved)
    below, above = int((moved <= 0).sum()), int((moved >= 0).sum())
    p_value = min(1.0, 2 * (1 + min(below, above)) / (len(moved) + 1))
    if units is not None:
        from scipy import special

        p_value = float(2 * special.stdtr(units - 1, special.ndtri(p_value / 2)))
    return PairedResult(
        statistic=statistic,
        difference=float(_without_rounding(np.asarray(difference))),
        interval=percentiles(moved, level) if units is None else expanded(moved, level, units),
        p_value=p_value,
        resamples=len(moved),
        fewest_units=fewest_units,
    )


def _without_rounding(values: F64) -> F64:
    return np.where(np.abs(values) < ROUNDING, 0.0, values)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted for having made several comparisons (Holm 1979), in the order given.

    Comparing five recipes with one baseline finds one "better" at 0.05 in a quarter of all cases in which none is.

    Raises:
        UsageError: A value outside 0 … 1.
    """
    if not all(0 <= value <= 1 for value in p_values):
        raise UsageError(f"invalid p-values {list(p_values)}", hint="give numbers from 0 to 1")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return tuple(adjusted)


def partition_differences(baseline: Outcome, candidate: Outcome, statistic: Statistic = BALANCED_ACCURACY) -> F64:
    """candidate - baseline in each partition, averaged over its seeds, float64 (partitions,), sorted by name.

    Raises:
        UsageError: The two differ in their classes.
        DataError: They were not tested on the same rows; or as `Outcome.scores`.
    """
    baseline.refuse_unlike(candidate)
    before, after = baseline.by_partition(statistic), candidate.by_partition(statistic)
    return _without_rounding(np.array([after[name] - before[name] for name in before]))


@dataclass(frozen=True, slots=True)
class CorrectedT(Result):
    """The corrected resampled t-test over partitions.

    Attributes:
        t: The statistic; None where all differences are equal, so that their spread is unknown.
        degrees: Degrees of freedom, partitions - 1.
        p_value: Two-sided; None as `t`.
        interval: Interval of the mean difference; None as `t`.
    """

    mean: float
    t: float | None
    degrees: int
    p_value: float | None
    interval: Interval | None


def corrected_t(differences: ArrayLike, *, train: float, test: float, level: float = 0.95) -> CorrectedT:
    """The t-test for repeated random partitions, its variance corrected for their overlap (Nadeau & Bengio 2003).

    The training sides of random partitions share samples, so their differences spread less than those of new data
    would; the variance of the mean is taken as (1 / n + test / train) times that of the differences.

    Args:
        differences: float (n,), at least two: one per partition, candidate - baseline (`partition_differences`).
        train: Fraction or number of samples on the training side.
        test: The same of the test side; only test / train counts.
        level: Confidence level of the interval.

    Raises:
        UsageError: Fractions that are not above 0, a level outside (0, 1), or numbers that are not finite.
        DataError: Fewer than two differences.
    """
    from scipy import special  # a quarter of a second, and few comparisons come here

    check_level(level)
    values = _checked(differences)
    if not (train > 0 and test > 0 and math.isfinite(train) and math.isfinite(test)):
        raise UsageError(f"invalid sizes: train {train}, test {test}", hint="give numbers above 0")
    n = len(values)
    if n < 2:
        raise DataError("the spread over partitions needs at least two partitions", hint="use more partitions")
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread <= ROUNDING:
        return CorrectedT(mean, None, n - 1, None, None)
    error = math.sqrt(1 / n + test / train) * spread
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    return CorrectedT(
        mean=mean,
        t=mean / error,
        degrees=n - 1,
        p_value=2 * float(special.stdtr(n - 1, -abs(mean / error))),
        interval=Interval(mean - half, mean + half, level),
    )


@dataclass(frozen=True, slots=True)
class SignFlip(Result):
    """A permutation test on the signs of the differences.

    Attributes:
        smallest: The smallest p-value possible with this number of differences: 0.0625 for five.
        exact: Whether every pattern of signs was tried; otherwise patterns were drawn at random.
    """

    mean: float
    p_value: float
    smallest: float
    exact: bool


def sign_flip(differences: ArrayLike, *, seed: int = 0) -> SignFlip:
    """How often would the mean be as far from 0 if every difference had its sign by chance (Fisher 1935)?

    `differences` (n,), at least one, are candidate - baseline, one per partition. Exact up to 20 of them; beyond,
    100,000 patterns are drawn by `seed` and the data count as one more. It assumes independent differences, which those
    of overlapping partitions are not quite: read it beside `corrected_t`.

    Raises:
        UsageError: Numbers that are not finite, or a negative seed.
        DataError: No differences.
    """
    values = _checked(differences)
    n = len(values)
    if n == 0:
        raise DataError("no partitions to compare", hint="give at least one difference")
    if seed < 0:
        raise UsageError(f"seed must be at least 0 (got {seed})")
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
    """The sum under random patterns of signs, one difference at a time, so that memory stays small."""
    random = np.random.default_rng(np.random.SeedSequence(seed))
    sums = np.zeros(_FLIPS)
    for value in values:
        sums += value * random.choice((-1.0, 1.0), size=_FLIPS)
    return sums


def _checked(differences: ArrayLike) -> F64:
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise UsageError(
            "the differences must be one row of finite numbers",
            hint="give one number per partition (partition_differences)",
        )
    return values
