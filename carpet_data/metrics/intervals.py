"""Intervals, and the one of a share of independent trials."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from carpet_data.errors import UsageError

__all__ = ["Interval", "check_level", "wilson"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        level: How often such intervals hold the true value, such as 0.95.
    """

    low: float
    high: float
    level: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def to_json(self) -> dict[str, Any]:
        """The interval as plain values."""
        return {"low": self.low, "high": self.high, "level": self.level}

    def text(self) -> str:
        """`0.472 to 0.820`."""
        return f"{self.low:.3f} to {self.high:.3f}"


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927), without continuity correction.

    It takes the trials as independent: for images of shared groups, or pooled over seeds, it is too narrow.

    Args:
        successes: How many of the trials succeeded.
        n: Trials, at least 1.
        level: Of confidence, in (0, 1).

    Raises:
        UsageError: No trial, more successes than trials, or a level outside (0, 1).
    """
    check_level(level)
    if n < 1 or not 0 <= successes <= n:
        raise UsageError(
            f"{successes} successes of {n} trials are no share",
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
    """Refuse what is no level of confidence."""
    if not 0 < level < 1:
        raise UsageError(f"a level of confidence of {level} is none", hint="give a level between 0 and 1, such as 0.95")
