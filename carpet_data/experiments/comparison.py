"""A finished comparison: every prediction, and the figures, intervals and paired tests made of them. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from carpet_data.dataset import GOOD
from carpet_data.errors import DataError
from carpet_data.experiments.conditions import Condition
from carpet_data.experiments.trainings import Training
from carpet_data.metrics import (
    BALANCED_ACCURACY,
    MACRO_F1,
    CorrectedT,
    Interval,
    Outcome,
    PairedResult,
    SignFlip,
    Statistic,
    balanced_accuracy,
    bootstrap_interval,
    confusion,
    corrected_t,
    paired_bootstrap,
    partition_differences,
    recall_of,
    sign_flip,
)

__all__ = ["Comparison", "Contrast", "Figure", "Row"]

FEW_UNITS = 6
"""With fewer test groups in a class the bootstrap's intervals are too narrow (see `metrics.PairedResult`)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A score and how sure it is.

    Attributes:
        value: None where nothing counts, as in the recall of a class without test images.
        interval: 95 %, bootstrap over groups of test images; None where a class has one group only.
    """

    value: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """The figure as plain values."""
        return {"value": self.value, "interval": None if self.interval is None else self.interval.to_json()}


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one condition, over all partitions and seeds.

    Attributes:
        name: Of the condition.
        balanced_accuracy: Mean of the recalls.
        macro_f1: Mean of the classes' F1.
        recalls: class -> recall.
        by_partition: Partition -> balanced accuracy, mean over its seeds; the pooled one where partitions are pooled.
        by_training: (partition, seed, balanced accuracy) of every classifier.
        confusion: Pooled counts (k, k), rows truth.
        real_images: That one training saw, of the first partition.
        synthetic_images: Likewise.
        steps: Optimiser steps of one training.
    """

    name: str
    balanced_accuracy: Figure
    macro_f1: Figure
    recalls: Mapping[str, Figure]
    by_partition: Mapping[str, float]
    by_training: tuple[tuple[str, int, float], ...]
    confusion: tuple[tuple[int, ...], ...]
    real_images: int
    synthetic_images: int
    steps: int

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {
            "balanced_accuracy": self.balanced_accuracy.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "recalls": {name: figure.to_json() for name, figure in self.recalls.items()},
            "by_partition": dict(self.by_partition),
            "by_training": [list(each) for each in self.by_training],
            "confusion": [list(row) for row in self.confusion],
            "real_images": self.real_images,
            "synthetic_images": self.synthetic_images,
            "steps": self.steps,
        }


@dataclass(frozen=True, slots=True)
class Contrast:
    """One condition against the baseline, on the same test images.

    Attributes:
        condition: Its name.
        against: The baseline's name.
        paired: Bootstrap over groups of test images; None where a class has one group only.
        macro_f1: The same of macro F1.
        difference: Of balanced accuracy, condition - baseline.
        differences: The same of each partition; empty where they are pooled.
        spread: The corrected resampled t-test over partitions; None with fewer than two.
        signs: The sign-flip test over partitions; None with fewer than two.
        good_before: Recall of `good` under the baseline; None without good test images.
        good_after: The same under the condition.
    """

    condition: str
    against: str
    paired: PairedResult | None
    macro_f1: PairedResult | None
    difference: float
    differences: Mapping[str, float]
    spread: CorrectedT | None
    signs: SignFlip | None
    good_before: float | None
    good_after: float | None

    def to_json(self) -> dict[str, Any]:
        """The contrast as plain values."""
        return {
            "condition": self.condition,
            "against": self.against,
            "difference": self.difference,
            "paired_bootstrap": None if self.paired is None else self.paired.to_json(),
            "paired_bootstrap_macro_f1": None if self.macro_f1 is None else self.macro_f1.to_json(),
            "by_partition": dict(self.differences),
            "corrected_t": None if self.spread is None else self.spread.to_json(),
            "sign_flip": None if self.signs is None else self.signs.to_json(),
            "good_recall_before": self.good_before,
            "good_recall_after": self.good_after,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that an experiment found.

    Attributes:
        classes: Names, in the order of the labels.
        conditions: In order.
        baseline: The name of the condition that the others are compared with.
        trainings: Every trained classifier and its predictions.
        notes: What the user should know.
    """

    classes: tuple[str, ...]
    conditions: tuple[Condition, ...]
    baseline: str
    trainings: tuple[Training, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def partitions(self) -> tuple[str, ...]:
        """Their names, in the order of the trainings."""
        return tuple(dict.fromkeys(training.partition for training in self.trainings))

    @cached_property
    def pooled(self) -> bool:
        """Whether the test sides are put together: where one of them lacks a class that another has.

        Means over different classes could not be compared, and one or two images of a class are no test side.
        """
        shown = [
            {prediction.truth for prediction in training.predictions}
            for training in self.trainings
            if training.condition == self.baseline
        ]
        return any(classes != shown[0] for classes in shown)

    def outcome(self, condition: str) -> Outcome:
        """What a condition predicted, as the metrics take it.

        Raises:
            DataError: It was not trained.
        """
        mine = [training for training in self.trainings if training.condition == condition]
        if not mine:
            raise DataError(f"the condition {condition} was not trained", hint="run the comparison again")
        rows = [
            (prediction, unit)
            for training in mine
            for prediction, unit in zip(training.predictions, training.units, strict=True)
        ]
        place = {name: number for number, name in enumerate(self.classes)}
        return Outcome.of(
            condition,
            self.classes,
            partitions=[prediction.partition for prediction, _ in rows],
            seeds=[prediction.seed for prediction, _ in rows],
            samples=[prediction.id for prediction, _ in rows],
            units=[unit for _, unit in rows],
            truth=np.array([place[prediction.truth] for prediction, _ in rows], np.int64),
            predicted=np.array([place[prediction.predicted] for prediction, _ in rows], np.int64),
            pooled=self.pooled,
        )

    @cached_property
    def _outcomes(self) -> dict[str, Outcome]:
        return {condition.name: self.outcome(condition.name) for condition in self.conditions}

    @cached_property
    def units(self) -> dict[str, int]:
        """class -> groups of test images, over all partitions."""
        return self._outcomes[self.baseline].units_by_class()

    @property
    def testable(self) -> bool:
        """Whether every class has two groups of test images, without which its spread is unknown."""
        return min(count for count in self.units.values() if count) > 1

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What stands between the figures and the truth, a sentence each."""
        few = {name: count for name, count in self.units.items() if 0 < count < FEW_UNITS}
        said = list(self.notes)
        if few:
            listed = ", ".join(f"{name} {count}" for name, count in few.items())
            lonely = [name for name, count in few.items() if count == 1]
            if lonely:
                said.append(
                    f"a single group of test images stands for {', '.join(lonely)}, so there is no interval and no "
                    "test; more partitions (--partitions) or more test images would give one"
                )
            else:
                said.append(
                    f"few groups of test images ({listed}): intervals come out too narrow and p-values too small"
                )
        none = [name for name, count in self.units.items() if count == 0]
        if none:
            said.append(f"no test image at all of {', '.join(none)}: not in any average")
        if self.pooled:
            said.append(
                "not every partition tests every class, so the test images of all partitions were put together "
                "before scoring"
            )
        for condition in self.conditions:
            lacking = self._untaught(condition.name)
            if lacking:
                said.append(f"{condition.name} was trained on no image of {', '.join(lacking)}")
        return tuple(said)

    def _untaught(self, condition: str) -> tuple[str, ...]:
        lacking = {name for training in self.trainings if training.condition == condition for name in training.untaught}
        return tuple(name for name in self.classes if name in lacking)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The figures of every condition."""
        return tuple(self._row(condition.name) for condition in self.conditions)

    def row(self, name: str) -> Row:
        """The figures of one condition."""
        return next(row for row in self.rows if row.name == name)

    def _row(self, name: str) -> Row:
        outcome = self._outcomes[name]
        mine = [training for training in self.trainings if training.condition == name]
        by_training = tuple((training.partition, training.seed, _alone(training, self.classes)) for training in mine)
        return Row(
            name=name,
            balanced_accuracy=self._figure(outcome, BALANCED_ACCURACY),
            macro_f1=self._figure(outcome, MACRO_F1),
            recalls={
                class_name: self._recall(outcome, label, class_name) for label, class_name in enumerate(self.classes)
            },
            by_partition=_means(by_training),
            by_training=by_training,
            confusion=tuple(
                tuple(int(count) for count in row)
                for row in confusion(outcome.truth, outcome.predicted, len(self.classes))
            ),
            real_images=mine[0].real_images,
            synthetic_images=mine[0].synthetic_images,
            steps=mine[0].steps,
        )

    def _figure(self, outcome: Outcome, statistic: Statistic) -> Figure:
        return Figure(outcome.value(statistic), bootstrap_interval(outcome, statistic) if self.testable else None)

    def _recall(self, outcome: Outcome, label: int, class_name: str) -> Figure:
        if self.units[class_name] == 0:
            return Figure(None, None)
        statistic = recall_of(label, class_name)
        return Figure(
            outcome.value(statistic), bootstrap_interval(outcome, statistic) if self.units[class_name] > 1 else None
        )

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every condition but the baseline against it."""
        return tuple(self.contrast(condition.name) for condition in self.conditions if condition.name != self.baseline)

    def contrast(self, name: str, *, against: str | None = None) -> Contrast:
        """One condition against another.

        Args:
            name: Of the condition.
            against: Of the other; None for the baseline.
        """
        other = self.baseline if against is None else against
        before, after = self._outcomes[other], self._outcomes[name]
        differences: dict[str, float] = {}
        spread, signs = None, None
        if not self.pooled and len(self.partitions) > 1:
            values = partition_differences(before, after)
            differences = {
                str(key): float(value) for key, value in zip(np.unique(before.partitions), values, strict=True)
            }
            first = next(training for training in self.trainings if training.condition == other)
            spread = corrected_t(values, train=first.real_images, test=len(first.predictions))
            signs = sign_flip(values)
        good = self.classes.index(GOOD) if GOOD in self.classes and self.units[GOOD] else None
        recall = None if good is None else recall_of(good, GOOD)
        return Contrast(
            condition=name,
            against=other,
            paired=paired_bootstrap(before, after) if self.testable else None,
            macro_f1=paired_bootstrap(before, after, MACRO_F1) if self.testable else None,
            difference=after.value(BALANCED_ACCURACY) - before.value(BALANCED_ACCURACY),
            differences=differences,
            spread=spread,
            signs=signs,
            good_before=None if recall is None else before.value(recall),
            good_after=None if recall is None else after.value(recall),
        )

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "classes": list(self.classes),
            "baseline": self.baseline,
            "partitions": list(self.partitions),
            "pooled": self.pooled,
            "test_units": dict(self.units),
            "conditions": {row.name: row.to_json() for row in self.rows},
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
            "warnings": list(self.warnings),
        }


def _alone(training: Training, classes: tuple[str, ...]) -> float:
    """Balanced accuracy of one classifier, over the classes that its test side shows."""
    place = {name: number for number, name in enumerate(classes)}
    truth = np.array([place[prediction.truth] for prediction in training.predictions], np.int64)
    predicted = np.array([place[prediction.predicted] for prediction in training.predictions], np.int64)
    return balanced_accuracy(confusion(truth, predicted, len(classes)))


def _means(by_training: tuple[tuple[str, int, float], ...]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for partition, _, value in by_training:
        found.setdefault(partition, []).append(value)
    return {partition: sum(values) / len(values) for partition, values in found.items()}
