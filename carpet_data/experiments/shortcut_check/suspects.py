"""The images of a shortcut check, and how well a number tells two groups of their units apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.sheets import evenly
from carpet_data.dataset import GOOD, Sample
from carpet_data.experiments.partitions import DatasetSplit
from carpet_data.store.leaks import ancestors

__all__ = ["CHANCE", "LIMIT", "Suspects", "auc", "by_unit", "chance", "known", "suspects"]

F64: TypeAlias = NDArray[np.float64]

LIMIT = 0.9
"""An area under the ROC curve above this gives the origin away,"""
CHANCE = 0.01
"""unless chance would produce it more often than this."""
_MOST_IMAGES = 200


@dataclass(frozen=True, slots=True)
class Suspects:
    """The images that are compared.

    Attributes:
        made: Where the synthetic ones are.
        synthetic: Synthetic defect images, at most 200, evenly spaced.
        hosts: The unit of each: that of the image it was made on.
        donors: The unit of each defect: that of the image it was taken from.
        kept: Where the real ones are.
        real: Real training images, defects and good, at most 200, evenly spaced.
        units: The unit of each.
    """

    made: DatasetSplit
    synthetic: tuple[Sample, ...]
    hosts: tuple[str, ...]
    donors: tuple[str, ...]
    kept: DatasetSplit
    real: tuple[Sample, ...]
    units: tuple[str, ...]


def suspects(kept: DatasetSplit, made: DatasetSplit) -> Suspects:
    """Choose what to compare: the real training images of one folder, the synthetic ones of another or the same."""
    by_id = {sample.id: sample for sample in made.dataset}
    synthetic = tuple(evenly([each for each in made.synthetic() if each.class_name != GOOD], _MOST_IMAGES))
    real = tuple(evenly(kept.real(), _MOST_IMAGES))

    def unit(sample: Sample, role: str) -> str:
        found = next((its_id for its_role, its_id in ancestors(sample.provenance or {}) if its_role == role), "")
        return _unit(by_id.get(found, sample))

    return Suspects(
        made=made,
        synthetic=synthetic,
        hosts=tuple(unit(sample, "host") for sample in synthetic),
        donors=tuple(unit(sample, "donor") for sample in synthetic),
        kept=kept,
        real=real,
        units=tuple(_unit(sample) for sample in real),
    )


def _unit(sample: Sample) -> str:
    return sample.group if sample.group is not None else sample.id


def auc(ones: F64, zeros: F64) -> float:
    """The share of pairs in which the one is larger, ties counted half (Hanley and McNeil 1982); nan without pairs.

    Examples:
        >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        0.875
    """
    if not len(ones) or not len(zeros):
        return float("nan")
    _, place, times = np.unique(np.concatenate([ones, zeros]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place.reshape(-1)]
    m, n = len(ones), len(zeros)
    return float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))


def chance(value: float, m: int, n: int) -> float:
    """How likely an AUC this far from 1/2 is by chance, two-sided (Mann and Whitney 1947, normal approximation)."""
    if m == 0 or n == 0 or math.isnan(value):
        return 1.0
    z = abs(value - 0.5) / math.sqrt((m + n + 1) / (12 * m * n))
    return math.erfc(z / math.sqrt(2))


def by_unit(values: NDArray[Any], units: Sequence[str]) -> tuple[F64, tuple[str, ...]]:
    """The mean of each unit's values (n, …), nan left out: images of one unit are not independent evidence.

    Returns:
        float64 (units, …), nan where a unit has no value, and the units' names, sorted.
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


def known(values: F64) -> F64:
    """The values that are not nan."""
    return values[~np.isnan(values)]
