"""A finished comparison: every prediction, and the metrics, intervals and paired tests made of them. No torch here."""

from __future__ import annotations

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
    Estimate,
    Outcome,
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
from carpet_data.reporting.pages import ComparisonMetrics, ConditionMetrics, Contrast

__all__ = ["Comparison"]

_FEW_UNITS = 6
"""With fewer test groups in a class the bootstrap's intervals are too narrow (see `metrics.PairedResult`)."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that an experiment found; see `metrics`.

    Attributes:
        classes: Names, in the order of the labels.
        conditions: In order.
        baseline: Name of the condition that the others are compared with.
        trainings: Every training run and its predictions.
        given: Notes on the partitions.
    """

    classes: tuple[str, ...]
    conditions: tuple[Condition, ...]
    baseline: str
    trainings: tuple[Training, ...]
    given: tuple[str, ...] = ()

    @cached_property
    def partitions(self) -> tuple[str, ...]:
        """Their names, in the order of the trainings."""
        return tuple(dict.fromkeys(training.partition for training in self.trainings))

    @cached_property
    def pooled(self) -> bool:
        """Whether the test images of all partitions are put together: where one lacks a class that another has.

        Means over different classes could not be compared.
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
        mine = self._of(condition)
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
    def notes(self) -> tuple[str, ...]:
        """What limits the metrics, a sentence each."""
        few = {name: count for name, count in self.units.items() if 0 < count < _FEW_UNITS}
        lonely = ", ".join(name for name, count in few.items() if count == 1)
        notes = list(self.given)
        if lonely:
            notes.append(
                f"{lonely} has a single group of test images, so there is no interval and no test; use more partitions "
                "(--partitions) or more test images"
            )
        elif few:
            listed = ", ".join(f"{name} {count}" for name, count in few.items())
            notes.append(f"few groups of test images ({listed}): intervals are too narrow and p-values too small")
        none = [name for name, count in self.units.items() if count == 0]
        if none:
            notes.append(f"no test image of {', '.join(none)}: excluded from all averages")
        if self.pooled:
            notes.append(
                "not every partition tests every class, so the test images of all partitions were pooled before scoring"
            )
        for condition in self.conditions:
            missing = {name for each in self._of(condition.name) for name in each.untrained}
            if missing:
                listed = ", ".join(name for name in self.classes if name in missing)
                notes.append(f"{condition.name} was trained without any image of {listed}")
        return tuple(notes)

    @cached_property
    def metrics(self) -> ComparisonMetrics:
        """All metrics."""
        return ComparisonMetrics(
            classes=self.classes,
            baseline=self.baseline,
            partitions=self.partitions,
            pooled=self.pooled,
            test_images={each.partition: len(each.predictions) for each in self._of(self.baseline)},
            test_units=self.units,
            conditions={condition.name: self._condition(condition) for condition in self.conditions},
            contrasts=tuple(self.contrast(each.name) for each in self.conditions if each.name != self.baseline),
            notes=self.notes,
        )

    def _of(self, condition: str) -> list[Training]:
        return [training for training in self.trainings if training.condition == condition]

    def _condition(self, condition: Condition) -> ConditionMetrics:
        outcome, mine = self._outcomes[condition.name], self._of(condition.name)
        by_training = tuple((training.partition, training.seed, _alone(training, self.classes)) for training in mine)
        table = confusion(outcome.truth, outcome.predicted, len(self.classes))
        return ConditionMetrics(
            balanced_accuracy=self._estimate(outcome, BALANCED_ACCURACY, enough=self.testable),
            macro_f1=self._estimate(outcome, MACRO_F1, enough=self.testable),
            recalls={name: self._recall(outcome, label, name) for label, name in enumerate(self.classes)},
            by_partition=_means(by_training),
            by_training=by_training,
            confusion=tuple(tuple(row) for row in table.tolist()),
            real_images=mine[0].real_images,
            synthetic_images=mine[0].synthetic_images,
            steps=mine[0].steps,
            description=condition.description,
        )

    @staticmethod
    def _estimate(outcome: Outcome, statistic: Statistic, *, enough: bool) -> Estimate:
        return Estimate(outcome.value(statistic), bootstrap_interval(outcome, statistic) if enough else None)

    def _recall(self, outcome: Outcome, label: int, class_name: str) -> Estimate:
        units = self.units[class_name]
        return self._estimate(outcome, recall_of(label, class_name), enough=units > 1) if units else Estimate(None)

    def contrast(self, name: str, *, against: str | None = None) -> Contrast:
        """One condition against another, or against the baseline."""
        other = self.baseline if against is None else against
        before, after = self._outcomes[other], self._outcomes[name]
        differences: dict[str, float] = {}
        spread, signs = None, None
        if not self.pooled and len(self.partitions) > 1:
            values = partition_differences(before, after)
            differences = {
                str(key): float(value) for key, value in zip(np.unique(before.partitions), values, strict=True)
            }
            first = self._of(other)[0]
            spread = corrected_t(values, train=first.real_images, test=len(first.predictions))
            signs = sign_flip(values)
        good = self.classes.index(GOOD) if GOOD in self.classes and self.units[GOOD] else None
        recall = None if good is None else recall_of(good, GOOD)
        return Contrast(
            condition=name,
            against=other,
            difference=after.value(BALANCED_ACCURACY) - before.value(BALANCED_ACCURACY),
            paired_bootstrap=paired_bootstrap(before, after) if self.testable else None,
            paired_bootstrap_macro_f1=paired_bootstrap(before, after, MACRO_F1) if self.testable else None,
            by_partition=differences,
            corrected_t=spread,
            sign_flip=signs,
            good_recall_before=None if recall is None else before.value(recall),
            good_recall_after=None if recall is None else after.value(recall),
        )

    def to_json(self) -> dict[str, Any]:
        """The metrics as plain values."""
        return self.metrics.to_json()


def _alone(training: Training, classes: tuple[str, ...]) -> float:
    """Balanced accuracy of one training run, over the classes that it was tested on."""
    place = {name: number for number, name in enumerate(classes)}
    truth = np.array([place[prediction.truth] for prediction in training.predictions], np.int64)
    predicted = np.array([place[prediction.predicted] for prediction in training.predictions], np.int64)
    return balanced_accuracy(confusion(truth, predicted, len(classes)))


def _means(by_training: tuple[tuple[str, int, float], ...]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for partition, _, value in by_training:
        found.setdefault(partition, []).append(value)
    return {partition: sum(values) / len(values) for partition, values in found.items()}
