"""How well one score per image tells defects from good images, in the terms of an inspection line.

AUROC says little where good images are thousands: what counts is how many of them are rejected, and how many defects
are caught at a rate of false alarms that the line can bear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carpet_data.core.results import Result
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics.intervals import Estimate, Interval, check_level, wilson
from carpet_data.metrics.pixels import PixelScores, pixel_scores

__all__ = ["RATES", "AlarmScores", "RecallAt", "alarm_scores", "auroc_interval"]

F64 = NDArray[np.float64]

RATES = (0.001, 0.01)
"""False-alarm rates at which the recall is reported."""


@dataclass(frozen=True, slots=True)
class RecallAt(Result):
    """The share of defect images that is caught at a rate of false alarms.

    Attributes:
        rate: Share of good images that may be rejected.
        recall: None where there are too few good images to tell.
        needs: Number of good images that this rate needs, 1 / rate.
        good_images: Number of good images there are.
    """

    rate: float
    recall: Estimate
    needs: int
    good_images: int

    def text(self) -> str:
        """`recall at 1 % false alarms 0.840 (0.653 to 0.936)`, or how many good images are needed."""
        known = self.recall.text() if self.recall.value is not None else f"needs {self.needs} good images"
        return f"recall at {100 * self.rate:g} % false alarms {known}"


@dataclass(frozen=True, slots=True)
class AlarmScores(Result):
    """How well the scores of images tell those with a defect from good ones.

    Attributes:
        auroc: Area under the ROC curve, ties counted half, with Newcombe's interval; None without images of both kinds.
        ap: Average precision, defects positive; None without defect images.
        false_alarms: Share of good images that score at least as high as the lowest defect: the price of missing none.
            None as `auroc`.
        recall_without_alarms: Share of defect images that score higher than every good one. None as `auroc`.
        recalls: Recall at each of the rates.
        defect_images: Number of images with a defect.
        good_images: Number of good images.

    Intervals are of 95 % and take images of one group as one: their sizes are numbers of groups.
    """

    auroc: Estimate
    ap: float | None
    false_alarms: Estimate
    recall_without_alarms: Estimate
    recalls: tuple[RecallAt, ...]
    defect_images: int
    good_images: int

    def text(self) -> list[str]:
        """The scores in words, a line each."""
        kinds = f"{self.defect_images} defect and {self.good_images} good images"
        if self.auroc.value is None:
            return [f"image AUROC – ({kinds}: it needs both)"]
        ap = "–" if self.ap is None else f"{self.ap:.3f}"
        return [
            f"image AUROC {self.auroc.text()}, AP {ap} ({kinds})",
            f"false alarms if no defect is missed {self.false_alarms.text()}",
            f"recall without a false alarm {self.recall_without_alarms.text()}",
            *(each.text() for each in self.recalls),
        ]


def alarm_scores(
    scores: ArrayLike,
    is_defect: ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    rates: Sequence[float] = RATES,
    level: float = 0.95,
) -> AlarmScores:
    """Score images by one number each, higher where a defect is likelier.

    At a rate r the threshold rejects at most floor(r x N) of the N good images; with fewer than 1 / r of them the
    recall is not reported, since one image more or less would change it at will.

    Args:
        scores: float (n,).
        is_defect: bool (n,).
        groups: Of each image; those of one group are no independent evidence. None for a group each.
        rates: Shares of good images that may be rejected.
        level: Of the intervals.

    Raises:
        UsageError: The lengths differ, or a rate or level is out of range.
        DataError: A score is NaN.

    Examples:
        >>> alarm_scores([0.9, 0.8, 0.3, 0.5], [True, True, False, False]).auroc.value
        1.0
    """
    check_level(level)
    values, defect = np.asarray(scores, np.float64), np.asarray(is_defect, np.bool_)
    names = np.arange(len(values)).astype(np.str_) if groups is None else np.asarray(groups, np.str_)
    if not values.ndim == defect.ndim == 1 or not len(values) == len(defect) == len(names):
        raise UsageError(f"{values.shape} scores, {defect.shape} truths, {names.shape} groups", hint="one per image")
    if any(not 0 < rate < 1 for rate in rates):
        raise UsageError(f"invalid rates {list(rates)}", hint="give shares between 0 and 1, such as 0.01")
    if np.isnan(values).any():
        raise DataError("the score of an image is NaN", hint="check the model: its training may have diverged")
    bad, good = values[defect], values[~defect]
    groups_bad, groups_good = len(np.unique(names[defect])), len(np.unique(names[~defect]))
    # The same ranking as that of pixels, but in the scores' own precision.
    ranked = _ranked(values, defect)
    both = len(bad) > 0 and len(good) > 0
    none = Estimate(None)
    auroc = ranked.auroc
    return AlarmScores(
        auroc=none if auroc is None else Estimate(auroc, auroc_interval(auroc, groups_bad, groups_good, level)),
        ap=ranked.ap,
        false_alarms=_share(good >= bad.min(), groups_good, level) if both else none,
        recall_without_alarms=_share(bad > good.max(), groups_bad, level) if both else none,
        recalls=tuple(_recall_at(rate, bad, good, groups_bad, level) for rate in rates),
        defect_images=len(bad),
        good_images=len(good),
    )


def _ranked(values: F64, defect: NDArray[np.bool_]) -> PixelScores:
    """Images as if they were pixels, by their ranks, which float32 holds exactly."""
    ranks = np.unique(values, return_inverse=True)[1].reshape(1, -1)
    return pixel_scores([ranks.astype(np.float32)], [defect[None]])


def _recall_at(rate: float, bad: F64, good: F64, groups: int, level: float) -> RecallAt:
    needs = math.ceil(1 / rate - 1e-9)
    if not len(bad) or len(good) < needs:
        return RecallAt(rate, Estimate(None), needs, len(good))
    allowed = math.floor(rate * len(good) + 1e-9)
    # Higher than all good images but those that may be rejected.
    threshold = np.sort(good)[len(good) - 1 - allowed]
    return RecallAt(rate, _share(bad > threshold, groups, level), needs, len(good))


def _share(hits: NDArray[np.bool_], groups: int, level: float) -> Estimate:
    """A share with Wilson's interval, as if of so many independent images."""
    share = float(hits.mean())
    return Estimate(share, wilson(share * groups, groups, level))


def auroc_interval(auroc: float, positives: int, negatives: int, level: float = 0.95) -> Interval:
    """The interval of an AUROC by Newcombe (2006, part 2, method 5).

    It inverts a score test with the variance of Hanley & McNeil (1982), so that an AUROC of 1 from a few images is not
    taken as certain. It assumes independent images: with groups, give their numbers.

    Raises:
        UsageError: An AUROC or level out of range, or a number below 1.

    Examples:
        >>> auroc_interval(1.0, 15, 3).text()
        '0.653 to 1.000'
    """
    check_level(level)
    if not 0 <= auroc <= 1 or positives < 1 or negatives < 1:
        raise UsageError(f"invalid AUROC {auroc} of {positives} and {negatives} images", hint="give at least one each")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    extra = (positives + negatives) / 2 - 1

    def too_far(theta: float) -> bool:
        variance = theta * (1 - theta) / (positives * negatives)
        variance *= 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        return abs(theta - auroc) > z * math.sqrt(max(variance, 0.0))

    return Interval(_border(too_far, auroc, 0.0), _border(too_far, auroc, 1.0), level)


def _border(too_far: Callable[[float], bool], near: float, far: float) -> float:
    """The value between the two at which it becomes too far, by halving; `far` where it never does."""
    if not too_far(far):
        return far
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (near, middle) if too_far(middle) else (middle, far)
    return (near + far) / 2
