"""Scores of a confusion table, each defined once.

Every score needs only three counts per class: its images, the images predicted as it, and the correct ones among them.
Scores are defined over `Counts` of any leading shape, so that one table and 10,000 resampled ones take the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carpet_data.errors import DataError, UsageError
from carpet_data.metrics.intervals import Interval, wilson

__all__ = [
    "ACCURACY",
    "BALANCED_ACCURACY",
    "MACRO_F1",
    "Counts",
    "Scores",
    "Statistic",
    "accuracy",
    "as_labels",
    "balanced_accuracy",
    "confusion",
    "macro_f1",
    "mean_of_existing",
    "recall_of",
    "recalls",
]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Counts(NamedTuple):
    """The diagonal and the two margins of confusion tables.

    Attributes:
        hits: float64 (..., k): images of the class that were predicted as it.
        truths: float64 (..., k): images of the class.
        predictions: float64 (..., k): images predicted as the class.
    """

    hits: F64
    truths: F64
    predictions: F64

    @classmethod
    def of(cls, table: ArrayLike) -> Counts:
        """The counts of confusion tables (..., k, k), rows truth.

        Raises:
            UsageError: The last two axes are not square.
        """
        values = np.asarray(table, dtype=np.float64)
        if values.ndim < 2 or values.shape[-1] != values.shape[-2]:
            raise UsageError(
                f"invalid confusion table: shape {values.shape} is not square",
                hint="make it with confusion(truth, predicted, count)",
            )
        return cls(np.diagonal(values, axis1=-2, axis2=-1), values.sum(axis=-1), values.sum(axis=-2))


@dataclass(frozen=True, slots=True)
class Statistic:
    """A score that is a mean of parts, one per class.

    Attributes:
        name: For messages and tables, such as "balanced accuracy".
        scores: Counts of shape (..., k) -> float64 (..., k), nan for a class that does not count or has no image; or
            (..., 1) for a score that is not made class by class.
    """

    name: str
    scores: Callable[[Counts], F64]

    def of(self, counts: Counts) -> F64:
        """Mean of the parts that are not nan, float64 of the counts' leading shape; nan where all are."""
        return mean_of_existing(self.scores(counts), axis=-1)


def mean_of_existing(values: F64, axis: int) -> F64:
    """Mean along an axis of the values that are not nan; nan where all are."""
    exists = ~np.isnan(values)
    total = np.where(exists, values, 0.0).sum(axis=axis)
    return _ratio(total, exists.sum(axis=axis).astype(np.float64))


def _ratio(part: F64, whole: F64) -> F64:
    """part / whole, nan where the whole is 0."""
    ratio: F64 = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
    return ratio


def _accuracy(counts: Counts) -> F64:
    return _ratio(counts.hits.sum(axis=-1, keepdims=True), counts.truths.sum(axis=-1, keepdims=True))


def _recalls(counts: Counts) -> F64:
    return _ratio(counts.hits, counts.truths)


def _f1(counts: Counts) -> F64:
    """2 hits / (truths + predictions): the harmonic mean of precision and recall (van Rijsbergen 1979)."""
    scores = _ratio(2 * counts.hits, counts.truths + counts.predictions)
    # A class without images has no F1, even if images are predicted as it: those lower the recall of their own class.
    return np.where(counts.truths > 0, scores, np.nan)


def _one_recall(counts: Counts, *, label: int) -> F64:
    scores = np.full(counts.truths.shape, np.nan)
    scores[..., label] = _ratio(counts.hits[..., label], counts.truths[..., label])
    return scores


ACCURACY = Statistic("accuracy", _accuracy)
"""The share of correct predictions."""
BALANCED_ACCURACY = Statistic("balanced accuracy", _recalls)
"""The mean of the classes' recalls (Brodersen et al. 2010)."""
MACRO_F1 = Statistic("macro F1", _f1)
"""The mean of the classes' F1, over the classes that have images."""


def recall_of(label: int, class_name: str) -> Statistic:
    """The recall of one class: `label` is its index among the classes, `class_name` is for messages."""
    return Statistic(f"recall of {class_name}", partial(_one_recall, label=label))


def as_labels(values: ArrayLike, count: int, what: str) -> I64:
    """Labels as int64 (n,), each in 0 … count - 1.

    Raises:
        UsageError: Not one row of whole numbers, or a label out of range.
    """
    labels = np.asarray(values)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise UsageError(
            f"invalid labels ({what}): shape {labels.shape}, {labels.dtype}",
            hint="give one whole number per image, the index of its class",
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < count):
        outside = labels[(labels < 0) | (labels >= count)][0]
        raise UsageError(f"{what}: label {outside} is out of range for {count} classes", hint=f"use 0 … {count - 1}")
    return labels.astype(np.int64)


def confusion(truth: ArrayLike, predicted: ArrayLike, count: int) -> I64:
    """The confusion table, int64 (count, count), of the classes of images: rows are the truth, columns the prediction.

    Raises:
        UsageError: The two differ in length, or hold invalid labels.

    Examples:
        >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    rows, columns = as_labels(truth, count, "truth"), as_labels(predicted, count, "predicted")
    if len(rows) != len(columns):
        raise UsageError(
            f"{len(rows)} true labels, but {len(columns)} predicted ones", hint="give one of each per image"
        )
    table = np.bincount(rows * count + columns, minlength=count * count).astype(np.int64)
    return table.reshape(count, count)


def recalls(table: ArrayLike) -> F64:
    """The recall of each class, float64 (k,); nan for a class without images."""
    return _recalls(Counts.of(table))


def accuracy(table: ArrayLike) -> float:
    """The share of correct predictions in a confusion table (k, k); DataError where it holds no image."""
    return _value(ACCURACY, table)


def balanced_accuracy(table: ArrayLike) -> float:
    """The mean of the recalls that exist (Brodersen et al. 2010); DataError where the table holds no image."""
    return _value(BALANCED_ACCURACY, table)


def macro_f1(table: ArrayLike) -> float:
    """The mean F1 of the classes that have images; DataError where the table holds no image."""
    return _value(MACRO_F1, table)


def _value(statistic: Statistic, table: ArrayLike) -> float:
    value = float(statistic.of(Counts.of(table)))
    if np.isnan(value):
        raise DataError(f"no images to compute {statistic.name} of", hint="score at least one image")
    return value


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one list of predictions.

    Attributes:
        accuracy_interval: Wilson's, 95 %; it assumes independent images.
        balanced_accuracy: Mean of the recalls that exist.
        macro_f1: Mean F1 of the classes that have images.
        recalls: Recall of each class; None for a class without images.
    """

    classes: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    accuracy: float
    accuracy_interval: Interval
    balanced_accuracy: float
    macro_f1: float
    recalls: tuple[float | None, ...]

    @classmethod
    def of(cls, truth: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> Scores:
        """Score labels against the truth, both (n,) indices into `classes`.

        Raises:
            UsageError: As `confusion`.
            DataError: There are no images.
        """
        table = confusion(truth, predicted, len(classes))
        share = accuracy(table)  # refuses a table without images, before the interval would
        return cls(
            classes=tuple(classes),
            table=tuple(tuple(int(number) for number in row) for row in table),
            accuracy=share,
            accuracy_interval=wilson(int(np.trace(table)), int(table.sum())),
            balanced_accuracy=balanced_accuracy(table),
            macro_f1=macro_f1(table),
            recalls=tuple(None if np.isnan(recall) else float(recall) for recall in recalls(table)),
        )

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values."""
        return {
            "images": sum(sum(row) for row in self.table),
            "accuracy": self.accuracy,
            "accuracy_interval": self.accuracy_interval.to_json(),
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "recalls": dict(zip(self.classes, self.recalls, strict=True)),
            "classes": list(self.classes),
            "confusion": [list(row) for row in self.table],
        }
