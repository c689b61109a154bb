"""A comparison: the metrics, intervals and paired tests made of training runs. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from carpet_data.dataset import GOOD
from carpet_data.errors import DataError
from carpet_data.experiments.conditions import Condition
from carpet_data.experiments.journal import CLASSIFIER, Training
from carpet_data.experiments.scoring import EvidenceScores, Key, LabelScores, Scores
from carpet_data.metrics import Outcome, confusion, corrected_t, recall_of, sign_flip
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.metrics.paired import ROUNDING
from carpet_data.reporting.pages import ComparisonMetrics, ConditionMetrics, Contrast

__all__ = ["Comparison"]

_FEW_UNITS = 6
"""With fewer test groups in a class the bootstrap's intervals are too narrow (see `metrics.PairedResult`)."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What an experiment found, of one kind of model and one task; see `metrics`.

    Attributes:
        classes: Names, in the order of the labels.
        conditions: In order.
        baseline: Name of the condition that the others are compared with.
        trainings: Every training run and its predictions, of all kinds of model.
        given: Notes on the partitions.
        learner: The kind of model: "classifier" or "dense".
        task: "classify", "segment", "detect" or "anomaly".
    """

    classes: tuple[str, ...]
    conditions: tuple[Condition, ...]
    baseline: str
    trainings: tuple[Training, ...]
    given: tuple[str, ...] = ()
    learner: str = CLASSIFIER
    task: str = "classify"

    def of(self, learner: str, task: str, conditions: tuple[Condition, ...] | None = None) -> Comparison:
        """The same experiment seen by another kind of model or another task."""
        shown = self.conditions if conditions is None else conditions
        return replace(self, learner=learner, task=task, conditions=shown)

    @cached_property
    def partitions(self) -> tuple[str, ...]:
        """Their names, in the order of the trainings."""
        return tuple(dict.fromkeys(training.partition for training in self.trainings))

    @cached_property
    def pooled(self) -> bool:
        """Whether the test images of all partitions are put together: where one lacks a class that another has.

        Means over different classes could not be compared.
        """
        shown = [{prediction.truth for prediction in training.predictions} for training in self._of(self.baseline)]
        return any(classes != shown[0] for classes in shown)

    def outcome(self, condition: str) -> Outcome:
        """What a condition predicted, as the metrics take it.

        Raises:
            DataError: It was not trained.
        """
        mine = self._of(condition)
        if not mine:
            raise DataError(f"the condition {condition} was not trained", hint="run the comparison again")
        rows = [prediction for training in mine for prediction in training.predictions]
        labels = [training.labels(self.classes) for training in mine]
        return Outcome.of(
            condition,
            self.classes,
            partitions=[prediction.partition for prediction in rows],
            seeds=[prediction.seed for prediction in rows],
            samples=[prediction.id for prediction in rows],
            units=[unit for training in mine for unit in training.units],
            truth=np.concatenate([truth for truth, _ in labels]),
            predicted=np.concatenate([predicted for _, predicted in labels]),
            pooled=self.pooled,
        )

    @cached_property
    def _outcomes(self) -> dict[str, Outcome]:
        return {condition.name: self.outcome(condition.name) for condition in self.conditions}

    @cached_property
    def scores(self) -> Scores:
        """The scores of the conditions.

        Raises:
            DataError: A condition was not trained, or says nothing on this task.
        """
        if self.task == "classify":
            return LabelScores(self._outcomes, self.baseline)
        outcomes = self._outcomes
        images: dict[str, dict[Key, ImageEvidence]] = {}
        for condition in self.conditions:
            kept = images[condition.name] = {}
            for each in self._of(condition.name):
                if each.evidence is None:
                    raise DataError(f"{self.learner} says nothing on {self.task}", hint="compare another task")
                for row, shown in zip(each.predictions, each.evidence, strict=True):
                    kept[row.partition, row.seed, row.id] = shown
        return EvidenceScores(self.task, outcomes, images, self.baseline)

    @property
    def units(self) -> Mapping[str, int]:
        """class -> groups of test images, over all partitions; "defect" is all defect classes together."""
        return self.scores.units

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What limits the metrics, a sentence each."""
        few = {name: count for name, count in self.units.items() if 0 < count < _FEW_UNITS}
        single = ", ".join(name for name, count in few.items() if count == 1)
        notes = list(self.given)
        if single:
            notes.append(
                f"{single} has a single group of test images, so there is no interval and no test; use more partitions "
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
            test_units=dict(self.units),
            conditions={condition.name: self._condition(condition) for condition in self.conditions},
            contrasts=tuple(self.contrast(each.name) for each in self.conditions if each.name != self.baseline),
            notes=self.notes,
            task=self.task,
            learner=self.learner,
        )

    def _of(self, condition: str) -> list[Training]:
        return [each for each in self.trainings if each.condition == condition and each.learner == self.learner]

    def _condition(self, condition: Condition) -> ConditionMetrics:
        mine = self._of(condition.name)
        table = None
        if self.task == "classify":
            outcome = self._outcomes[condition.name]
            counts = confusion(outcome.truth, outcome.predicted, len(self.classes))
            table = tuple(tuple(row) for row in counts.tolist())
        by_training = self._by_training[condition.name]
        return ConditionMetrics(
            scores=self.scores.estimates(condition.name),
            by_class=self.scores.by_class(condition.name),
            by_partition=_means(by_training),
            by_training=by_training,
            confusion=table,
            real_images=mine[0].real_images,
            synthetic_images=mine[0].synthetic_images,
            steps=mine[0].steps,
            description=condition.described(self.learner),
        )

    @cached_property
    def _by_training(self) -> dict[str, tuple[tuple[str, int, float], ...]]:
        """condition -> partition, seed and first score, in the order of the partitions."""
        order = {name: number for number, name in enumerate(self.partitions)}
        return {
            each.name: tuple(sorted(self.scores.by_training(each.name), key=lambda row: (order[row[0]], row[1])))
            for each in self.conditions
        }

    def contrast(self, name: str, *, against: str | None = None) -> Contrast:
        """One condition against another, or against the baseline."""
        other = self.baseline if against is None else against
        before, after = (next(iter(self.scores.estimates(each).values())).value for each in (other, name))
        differences = self._differences(other, name)
        spread, signs = None, None
        if len(differences) > 1:
            values = list(differences.values())
            first = self._of(other)[0]
            spread = corrected_t(values, train=first.real_images, test=len(first.predictions))
            signs = sign_flip(values)
        recalls = [self._good_recall(each) for each in (other, name)]
        return Contrast(
            condition=name,
            against=other,
            difference=None if before is None or after is None else after - before,
            paired=self.scores.paired(other, name),
            by_partition=differences,
            corrected_t=spread,
            sign_flip=signs,
            good_recall_before=recalls[0],
            good_recall_after=recalls[1],
        )

    def _differences(self, before: str, after: str) -> dict[str, float]:
        """Partition -> difference of the first score; none where partitions are pooled, or there is one only."""
        if self.pooled or len(self.partitions) < 2:
            return {}
        first, second = (_means(self._by_training[each]) for each in (before, after))
        moved = {name: second[name] - first[name] for name in first if name in second}
        return {name: 0.0 if abs(value) < ROUNDING else value for name, value in moved.items()}

    def _good_recall(self, condition: str) -> float | None:
        outcome = self._outcomes[condition]
        if self.task != "classify" or GOOD not in self.classes or not outcome.units_by_class()[GOOD]:
            return None
        return outcome.value(recall_of(self.classes.index(GOOD), GOOD))

    def to_json(self) -> dict[str, Any]:
        """The metrics as plain values."""
        return self.metrics.to_json()


def _means(by_training: tuple[tuple[str, int, float], ...]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for partition, _, value in by_training:
        found.setdefault(partition, []).append(value)
    return {partition: sum(values) / len(values) for partition, values in found.items()}
