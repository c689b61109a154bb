"""A comparison: its training runs, which a journal keeps, and the metrics, intervals and paired tests made of them.

No torch here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.dataset import GOOD
from carpet_data.errors import DataError
from carpet_data.experiments.conditions import Condition
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
from carpet_data.store.runs import Prediction

__all__ = ["JOURNAL", "Comparison", "Training", "append", "read"]

JOURNAL = "trainings.partial.jsonl"
"""In a run folder: the training runs done so far, one per line; removed when the run is finished."""

_FEW_UNITS = 6
"""With fewer test groups in a class the bootstrap's intervals are too narrow (see `metrics.PairedResult`)."""


@dataclass(frozen=True, slots=True)
class Training:
    """One training run.

    Attributes:
        condition: Its name.
        partition: Its name.
        seed: Random seed of the training.
        real_images: Number of real training images.
        synthetic_images: Number of synthetic ones.
        steps: Optimizer steps.
        predictions: On the test images.
        units: The group of each of them; images of a group are not independent.
        untrained: Classes without a training image.
    """

    condition: str
    partition: str
    seed: int
    real_images: int
    synthetic_images: int
    steps: int
    predictions: tuple[Prediction, ...]
    units: tuple[str, ...]
    untrained: tuple[str, ...] = ()

    def labels(self, classes: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The true and the predicted class of each test image, as indices of `classes`."""
        place = {name: number for number, name in enumerate(classes)}
        truth = np.array([place[each.truth] for each in self.predictions], np.int64)
        return truth, np.array([place[each.predicted] for each in self.predictions], np.int64)

    @property
    def key(self) -> tuple[str, str, int]:
        """Condition, partition and seed."""
        return self.condition, self.partition, self.seed


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
            test_units=self.units,
            conditions={condition.name: self._condition(condition) for condition in self.conditions},
            contrasts=tuple(self.contrast(each.name) for each in self.conditions if each.name != self.baseline),
            notes=self.notes,
        )

    def _of(self, condition: str) -> list[Training]:
        return [training for training in self.trainings if training.condition == condition]

    def _condition(self, condition: Condition) -> ConditionMetrics:
        outcome, mine = self._outcomes[condition.name], self._of(condition.name)
        count = len(self.classes)
        # Of one training run alone, over the classes that it was tested on.
        alone = [balanced_accuracy(confusion(*training.labels(self.classes), count)) for training in mine]
        by_training = tuple((each.partition, each.seed, value) for each, value in zip(mine, alone, strict=True))
        table = confusion(outcome.truth, outcome.predicted, count)
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


def _means(by_training: tuple[tuple[str, int, float], ...]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for partition, _, value in by_training:
        found.setdefault(partition, []).append(value)
    return {partition: sum(values) / len(values) for partition, values in found.items()}


def append(folder: Path, training: Training) -> None:
    """Record a training run in a run folder, so that an interrupted comparison resumes after it."""
    line = json.dumps(asdict(training), ensure_ascii=False, allow_nan=False) + "\n"
    with (folder / JOURNAL).open("ab") as file:
        file.write(line.encode(errors="backslashreplace"))


def read(folder: Path) -> tuple[Training, ...]:
    """The training runs that a run folder records; a line that a kill cut short is removed from the file."""
    path = folder / JOURNAL
    if not path.is_file():
        return ()
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)
    return tuple(_from_json(json.loads(line)) for line in whole.splitlines())


def _from_json(values: Mapping[str, Any]) -> Training:
    predictions = tuple(
        Prediction(**{**row, "probabilities": tuple(row["probabilities"])}) for row in values["predictions"]
    )
    texts = {name: tuple(values[name]) for name in ("units", "untrained")}
    return Training(**{**values, **texts, "predictions": predictions})
