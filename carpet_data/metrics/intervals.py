"""Scores with their confidence intervals, and the interval of a share of independent trials."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from carpet_data.core.results import Result
from carpet_data.errors import UsageError

__all__ = ["Estimate", "Interval", "check_level", "wilson"]


@dataclass(frozen=True, slots=True)
class Interval(Result):
    """A confidence interval; `level` is the share of such intervals that contain the true value, such as 0.95."""

    low: float
    high: float
    level: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def text(self, *, signed: bool = False) -> str:
        """`0.472 to 0.820`."""
        form = "+.3f" if signed else ".3f"
        return f"{self.low:{form}} to {self.high:{form}}"


@dataclass(frozen=True, slots=True)
class Estimate(Result):
    """A score and how certain it is.

    Attributes:
        value: None where it does not exist, such as the recall of a class without images.
        interval: None where there is none, such as with a single group of test images.

    Examples:
        >>> Estimate(0.552, Interval(0.491, 0.607, 0.95)).text()
        '0.552 (0.491 to 0.607)'
    """

    value: float | None
    interval: Interval | None = None

    def text(self, *, signed: bool = False) -> str:
        """The score with its interval, or `–` where there is none."""
        if self.value is None:
            return "–"
        number = f"{self.value:{'+.3f' if signed else '.3f'}}"
        return number if self.interval is None else f"{number} ({self.interval.text(signed=signed)})"


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927), without continuity correction.

    It assumes independent trials: for images of shared groups, or pooled over seeds, it is too narrow. Where `n` is a
    number of groups, the successes are their share of it and need not be whole.

    Raises:
        UsageError: No trial, more successes than trials, or a level outside (0, 1).
    """
    check_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise UsageError(
            f"invalid share: {successes} successes of {n} trials",
            hint="give at least one trial and from 0 to n successes",
        )
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    # At the two ends the formula gives exactly 0 and 1, but for rounding.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == n else min(1.0, middle + half)
    return Interval(low, high, level)


def check_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0 < level < 1:
        raise UsageError(f"invalid confidence level {level}", hint="give a level between 0 and 1, such as 0.95")
