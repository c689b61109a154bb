"""The figures of a trained classifier on one side of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from carpet_data.errors import DataError
from carpet_data.metrics import Interval, Outcome, Scores, bootstrap_interval, wilson
from carpet_data.store.runs import Prediction
from carpet_data.training.evaluate import Predictions
from carpet_data.training.tables import ImageTable

__all__ = ["SideScores", "rows", "score"]


@dataclass(frozen=True, slots=True)
class SideScores:
    """Figures with what they can be trusted.

    Attributes:
        scores: Accuracy, balanced accuracy, macro F1, recalls, confusion.
        balanced_interval: 95 %, bootstrap over groups of images; None where a class has one group only.
        recall_intervals: 95 % of each class (Wilson); None for a class without images.
        loss: Mean cross-entropy.
    """

    scores: Scores
    balanced_interval: Interval | None
    recall_intervals: tuple[Interval | None, ...]
    loss: float

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        intervals = (None if each is None else each.to_json() for each in self.recall_intervals)
        return {
            **self.scores.to_json(),
            "loss": self.loss,
            "balanced_accuracy_interval": None if self.balanced_interval is None else self.balanced_interval.to_json(),
            "recall_intervals": dict(zip(self.scores.classes, intervals, strict=True)),
        }


def score(table: ImageTable, found: Predictions, *, seed: int) -> SideScores:
    """Score the predictions of a table's images.

    Args:
        table: The images, row by row those of the predictions.
        found: The predictions.
        seed: Of the bootstrap.

    Raises:
        DataError: There are no images.
    """
    scores = Scores.of(found.truth, found.predicted, table.classes)
    intervals = tuple(wilson(row[label], sum(row)) if sum(row) else None for label, row in enumerate(scores.table))
    return SideScores(scores, _balanced_interval(table, found, seed), intervals, found.loss)


def _balanced_interval(table: ImageTable, found: Predictions, seed: int) -> Interval | None:
    count = len(table)
    outcome = Outcome.of(
        "train",
        table.classes,
        partitions=["main"] * count,
        seeds=[0] * count,
        samples=table.ids,
        units=table.groups,
        truth=found.truth,
        predicted=found.predicted,
    )
    try:
        return bootstrap_interval(outcome, seed=seed)
    except DataError:
        # One group says nothing of how others would do; the figure stands without an interval, and the text says why.
        return None


def rows(found: Predictions, classes: tuple[str, ...], *, partition: str, seed: int, side: str) -> list[Prediction]:
    """Predictions as the run folder of `train` keeps them."""
    return [
        Prediction(
            condition="train",
            partition=partition,
            seed=seed,
            side=side,
            **{**values, "probabilities": tuple(values["probabilities"])},
        )
        for values in found.rows(classes)
    ]
