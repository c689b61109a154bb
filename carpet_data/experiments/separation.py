"""How well a number tells two groups of units apart; numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["auc", "by_unit", "chance"]

F64: TypeAlias = NDArray[np.float64]


def auc(ones: F64, zeros: F64) -> float:
    """The share of pairs in which the one is larger, ties counted half (Hanley and McNeil 1982); nan without pairs.

    Args:
        ones: float64 (m,).
        zeros: float64 (n,).
    """
    if not len(ones) or not len(zeros):
        return float("nan")
    both = np.concatenate([ones, zeros])
    _, place, times = np.unique(both, return_inverse=True, return_counts=True)
    ends = np.cumsum(times)
    ranks = (ends - (times - 1) / 2)[place.reshape(-1)]
    m, n = len(ones), len(zeros)
    return float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))


def chance(value: float, m: int, n: int) -> float:
    """How likely an AUC this far from 1/2 is by chance, two-sided (Mann and Whitney 1947, normal approximation)."""
    if m == 0 or n == 0 or math.isnan(value):
        return 1.0
    z = abs(value - 0.5) / math.sqrt((m + n + 1) / (12 * m * n))
    return math.erfc(z / math.sqrt(2))


def by_unit(values: NDArray[Any], units: Sequence[str]) -> tuple[F64, tuple[str, ...]]:
    """The mean of each unit's values, nan left out: images of one unit are no independent evidence.

    Args:
        values: float (n, …).
        units: One an image.

    Returns:
        float64 (units, …) and the units' names, sorted; nan where a unit has no value.
    """
    names, place = np.unique(np.asarray(units, dtype=np.str_), return_inverse=True)
    place = place.reshape(-1)
    there = ~np.isnan(values)
    shape = (len(names), *values.shape[1:])
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, place, np.where(there, values, 0.0))
    np.add.at(count, place, there)
    means: F64 = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
    return means, tuple(str(name) for name in names)
