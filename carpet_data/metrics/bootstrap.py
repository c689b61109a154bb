"""How much a score would vary with other images: the bootstrap over units.

Images of one unit (shots of one tile, crops of one roll) are not independent evidence, so whole units are drawn (the
cluster bootstrap; Davison & Hinkley 1997, section 3.8), class by class. One draw weights the units of all replicates
alike: a unit on the test side of five partitions is drawn for all five, so that what the replicates share is kept.

From n units of a stratum, n - 1 are drawn and weighted by n / (n - 1) (Rao & Wu 1988). Drawing n, as is usual, makes
the variance too small by the factor (n - 1) / n: a fifth for a class with five units.

Only the test side is resampled. The models are taken as they are: that other training images would have made other
models shows in the spread over partitions (`carpet_data.metrics.paired`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import DataError, UsageError
from carpet_data.metrics.classification import BALANCED_ACCURACY, Counts, Statistic, mean_of_existing
from carpet_data.metrics.intervals import Interval, check_level
from carpet_data.metrics.outcomes import Outcome

__all__ = ["bootstrap_interval", "draws", "expanded", "percentiles", "resample", "strata"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_CHUNK_VALUES = 1 << 21
"""Numbers in the largest array of a chunk: 16 MiB each, a few at a time."""
_LOST_SHARE = 0.01
"""Share of resamples without one of the classes; more than this would bias the interval."""
_FEWEST_RESAMPLES = 100


def bootstrap_interval(
    outcome: Outcome,
    statistic: Statistic = BALANCED_ACCURACY,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile interval (Efron 1979) of a statistic averaged over the replicates.

    There are at least 100 resamples, a level is in (0, 1), and the same seed gives the same interval.

    Raises:
        UsageError: An invalid level, seed or number of resamples.
        DataError: As `Outcome.scores`; or a class that counts has only one unit.
    """
    check_level(level)
    return percentiles(resample([outcome], statistic, resamples=resamples, seed=seed)[0], level)


def percentiles(values: F64, level: float) -> Interval:
    """The middle of a distribution, float64 (n,), with `level` of it."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def expanded(values: F64, level: float, units: int) -> Interval:
    """The percentile interval for few units: as much wider as Student's t is than the normal distribution.

    This is the expanded percentile interval (Hesterberg 2015, "What teachers should know about the bootstrap"). Its
    other factor, for drawing n of n units, is in the weights of the draws already.
    """
    from scipy import special

    reach = special.stdtrit(units - 1, (1 + level) / 2)
    wide = percentiles(values, float(2 * special.ndtr(reach) - 1))
    return Interval(wide.low, wide.high, level)


def resample(outcomes: Sequence[Outcome], statistic: Statistic, *, resamples: int, seed: int) -> F64:
    """The statistic of each outcome in every resample, float64 (outcomes, resamples), the same draws for all.

    The outcomes hold the same rows (`Outcome.refuse_unlike`). Resamples without one of the classes are left out,
    which happens only where units hold several classes or a class has one unit. Memory is bounded for any number of
    resamples.

    Raises:
        UsageError: An invalid seed or number of resamples.
        DataError: As `Outcome.scores`; a class that counts has only one unit; or one vanishes too often.
    """
    if resamples < _FEWEST_RESAMPLES or seed < 0:
        raise UsageError(
            f"invalid bootstrap: {resamples} resamples, seed {seed}",
            hint=f"use at least {_FEWEST_RESAMPLES} resamples and a seed of 0 or more",
        )
    first = outcomes[0]
    used: NDArray[np.bool_] = np.logical_not(np.isnan(first.scores(statistic)).all(axis=0))
    tallies = [outcome.tally() for outcome in outcomes]
    _refuse_lonely(first, used)
    members = strata(tallies[0])
    size = max(max(tally[0].size for tally in tallies), len(tallies[0]))
    random = np.random.default_rng(np.random.SeedSequence(seed))
    chunks = [
        np.stack([_statistics(weights, tally, statistic, used) for tally in tallies])
        for weights in draws(members, resamples, max(1, _CHUNK_VALUES // size), random)
    ]
    values = np.concatenate(chunks, axis=1)
    lost = np.isnan(values).any(axis=0)
    if lost.mean() > _LOST_SHARE:
        raise DataError(
            f"{first.name}: too few test groups contain a class: it was missing from {int(lost.sum())} of {resamples} "
            "bootstrap resamples",
            hint="test on more groups of the rare classes, or leave the class out",
        )
    return values[:, ~lost]


def _statistics(weights: F64, tally: F64, statistic: Statistic, used: NDArray[np.bool_]) -> F64:
    """The statistic under each row of weights (b, units), float64 (b,).

    A class is averaged over the replicates that still have it, then the classes are averaged: a class that a resample
    has emptied in one replicate still counts as one class.
    """
    summed = (weights @ tally.reshape(len(tally), -1)).reshape(len(weights), *tally.shape[1:])
    scores = statistic.scores(Counts(summed[:, :, 0], summed[:, :, 1], summed[:, :, 2]))
    means: F64 = mean_of_existing(scores, axis=1)[:, used].mean(axis=1)
    return means


def draws(members: Sequence[I64], resamples: int, chunk: int, random: np.random.Generator) -> Iterator[F64]:
    """Rows of weights (b, units), b at most `chunk`, `resamples` rows in all; `members` are the `strata`."""
    units = sum(len(stratum) for stratum in members)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        weights = np.empty((count, units))
        for stratum in members:
            n = len(stratum)
            drawn = random.integers(n, size=(count, n - 1)) + n * np.arange(count)[:, None]
            times = np.bincount(drawn.reshape(-1), minlength=count * n).reshape(count, n)
            weights[:, stratum] = times * (n / (n - 1))
        yield weights


def strata(tally: F64) -> list[I64]:
    """The units of each stratum, by index; every unit in one, at least two in each.

    A unit belongs to the rarest class (with the fewest units) that it holds: by the most frequent one, the units with a
    crack among many good images would sometimes not be drawn at all. Strata of one unit are joined, since nothing can
    be drawn from one. Their order follows the units, not the classes, whose numbers mean nothing. The tally is that of
    `Outcome.tally`, with at least two units.
    """
    holds = tally[:, :, 1].sum(axis=1) > 0
    in_units = holds.sum(axis=0)
    first_unit = holds.argmax(axis=0)
    by_rarity = np.lexsort((first_unit, in_units))
    rarest = by_rarity[holds[:, by_rarity].argmax(axis=1)]
    found = [np.flatnonzero(rarest == label) for label in range(holds.shape[1])]
    several = [stratum for stratum in found if len(stratum) > 1]
    alone = np.sort(np.concatenate([stratum for stratum in found if len(stratum) == 1] or [np.empty(0, np.int64)]))
    if len(alone) > 1:
        several.append(alone)
    elif len(alone) == 1:
        largest = max(range(len(several)), key=lambda place: len(several[place]))
        several[largest] = np.sort(np.concatenate([several[largest], alone]))
    return sorted((stratum.astype(np.int64) for stratum in several), key=lambda stratum: int(stratum[0]))


def _refuse_lonely(outcome: Outcome, used: NDArray[np.bool_]) -> None:
    """A class with one unit would look as if it had no spread at all."""
    units = outcome.units_by_class()
    if len(used) == len(outcome.classes):
        lonely = [name for name, counts in zip(outcome.classes, used, strict=True) if counts and units[name] == 1]
        if lonely:
            raise DataError(
                f"{outcome.name}: all test images of class {lonely[0]} belong to one group, so their spread is unknown",
                hint="test on at least two groups of each class, or leave the class out",
            )
    if len(np.unique(outcome.units)) < 2:
        raise DataError(f"{outcome.name}: all test images belong to one group", hint="test on at least two groups")
