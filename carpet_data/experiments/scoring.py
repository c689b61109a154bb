"""The scores of the conditions of a comparison, with intervals and paired tests: of labels, or of kept evidence.

No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from carpet_data.dataset import GOOD
from carpet_data.metrics import (
    BALANCED_ACCURACY,
    MACRO_F1,
    Estimate,
    Outcome,
    PairedResult,
    Statistic,
    bootstrap_interval,
    paired_bootstrap,
    recall_of,
)
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.metrics.resampled import (
    ANOMALY,
    DETECT,
    SEGMENT,
    Evidence,
    Measures,
    Resampled,
    per_class,
    resampled,
)

__all__ = ["DEFECT", "MEASURES", "EvidenceScores", "Key", "LabelScores", "Scores"]

Key = tuple[str, int, str]
"""Partition, seed and id of a test image."""

MEASURES: Mapping[str, Measures] = {"segment": SEGMENT, "detect": DETECT, "anomaly": ANOMALY}
DEFECT = "defect"
"""All defect classes together."""


class Scores(Protocol):
    """What a comparison says of its conditions."""

    @property
    def units(self) -> Mapping[str, int]:
        """Groups of test images of what the first score rests on: of each class, or of all defects."""
        ...

    def estimates(self, condition: str) -> dict[str, Estimate]:
        """All scores; a verdict rests on the first."""
        ...

    def by_class(self, condition: str) -> dict[str, Estimate]:
        """The score of each class; empty where there is none."""
        ...

    def by_training(self, condition: str) -> list[tuple[str, int, float]]:
        """Partition, seed and first score of each training run that has one."""
        ...

    def paired(self, before: str, after: str) -> tuple[PairedResult, ...]:
        """Tests of the differences, that of the first score first; empty where none is possible."""
        ...


@dataclass(frozen=True, eq=False)
class LabelScores:
    """Scores of predicted classes.

    Attributes:
        outcomes: condition -> what it predicted.
        baseline: A condition; all have the same test images.
    """

    outcomes: Mapping[str, Outcome]
    baseline: str

    @cached_property
    def units(self) -> Mapping[str, int]:
        """Groups of test images of each class."""
        return self.outcomes[self.baseline].units_by_class()

    @property
    def testable(self) -> bool:
        """Whether every class has two groups of test images, without which its spread is unknown."""
        return min((count for count in self.units.values() if count), default=0) > 1

    def estimates(self, condition: str) -> dict[str, Estimate]:
        """Balanced accuracy, macro F1 and the recall of good."""
        found = {each.name: self._estimate(condition, each) for each in (BALANCED_ACCURACY, MACRO_F1)}
        good = self.by_class(condition).get(GOOD)
        return found if good is None or good.value is None else found | {f"recall of {GOOD}": good}

    def by_class(self, condition: str) -> dict[str, Estimate]:
        """The recall of each class."""
        return self._recalls[condition]

    @cached_property
    def _recalls(self) -> dict[str, dict[str, Estimate]]:
        return {
            name: {each: self._recall(name, label, each) for label, each in enumerate(outcome.classes)}
            for name, outcome in self.outcomes.items()
        }

    def _recall(self, condition: str, label: int, class_name: str) -> Estimate:
        units = self.units[class_name]
        if not units:
            return Estimate(None)
        return self._estimate(condition, recall_of(label, class_name), enough=units > 1)

    def _estimate(self, condition: str, statistic: Statistic, *, enough: bool | None = None) -> Estimate:
        outcome = self.outcomes[condition]
        possible = self.testable if enough is None else enough
        return Estimate(outcome.value(statistic), bootstrap_interval(outcome, statistic) if possible else None)

    def by_training(self, condition: str) -> list[tuple[str, int, float]]:
        """Balanced accuracy over the classes that the training run was tested on."""
        outcome = replace(self.outcomes[condition], pooled=False)
        runs = dict.fromkeys(zip(outcome.partitions.tolist(), outcome.seeds.tolist(), strict=True))
        found = []
        for partition, seed in runs:
            rows = np.flatnonzero((outcome.partitions == partition) & (outcome.seeds == seed))
            found.append((partition, seed, outcome.take(rows).value(BALANCED_ACCURACY)))
        return found

    def paired(self, before: str, after: str) -> tuple[PairedResult, ...]:
        """Of balanced accuracy and macro F1."""
        if not self.testable:
            return ()
        first, second = self.outcomes[before], self.outcomes[after]
        return tuple(paired_bootstrap(first, second, each) for each in (BALANCED_ACCURACY, MACRO_F1))


@dataclass(frozen=True, eq=False)
class EvidenceScores:
    """Scores of maps, detections or image scores.

    Attributes:
        task: "segment", "detect" or "anomaly".
        outcomes: condition -> its labels.
        images: condition -> evidence of each test image.
        baseline: A condition; all have the same test images.
    """

    task: str
    outcomes: Mapping[str, Outcome]
    images: Mapping[str, Mapping[Key, ImageEvidence]]
    baseline: str

    @cached_property
    def units(self) -> Mapping[str, int]:
        """Groups of test images: of all defects (segment), each defect class (detect), good and defect (anomaly)."""
        outcome = self.outcomes[self.baseline]
        by_class = outcome.units_by_class()
        good = by_class.get(GOOD, 0)
        if self.task == "detect":
            return {name: count for name, count in by_class.items() if name != GOOD}
        defect = outcome.truth != outcome.classes.index(GOOD) if GOOD in outcome.classes else outcome.truth >= 0
        counts = {DEFECT: len(np.unique(outcome.units[defect]))}
        return {GOOD: good, **counts} if self.task == "anomaly" else counts

    @property
    def _measures(self) -> Measures:
        return MEASURES[self.task]

    @cached_property
    def _evidence(self) -> dict[str, Evidence]:
        return {name: Evidence.of(each, self.images[name], _good(each)) for name, each in self.outcomes.items()}

    @cached_property
    def _resampled(self) -> Resampled:
        return resampled(self._evidence, self._measures)

    @cached_property
    def _class_scores(self) -> dict[str, Resampled]:
        if self.task == "anomaly":
            return {}
        classes = self.outcomes[self.baseline].classes
        defects = [name for name in classes if name != GOOD]
        shown = self.outcomes[self.baseline].units_by_class()
        return {
            name: resampled(self._evidence, per_class(self._measures, classes.index(name), column), resamples=500)
            for column, name in enumerate(defects)
            if shown[name]
        }

    def estimates(self, condition: str) -> dict[str, Estimate]:
        """All scores of the task."""
        enough = min((count for count in self.units.values() if count), default=0) > 1
        found = {name: self._resampled.estimate(condition, name) for name in self._measures.names}
        return found if enough else {name: Estimate(each.value) for name, each in found.items()}

    def by_class(self, condition: str) -> dict[str, Estimate]:
        """The first score of each defect class."""
        shown = self.outcomes[self.baseline].units_by_class()
        found = {}
        for name, each in self._class_scores.items():
            estimate = each.estimate(condition, self._measures.names[0])
            found[name] = estimate if shown[name] > 1 else Estimate(estimate.value)
        return found

    def by_training(self, condition: str) -> list[tuple[str, int, float]]:
        """The first score of each training run."""
        apart = replace(self.outcomes[condition], pooled=False)
        evidence = self._evidence[condition]
        if self.outcomes[condition].pooled:
            evidence = Evidence.of(apart, self.images[condition], _good(apart))
        runs = {f"{p}, seed {s}": (p, s) for p, s, _ in self.images[condition]}
        names, _ = apart.replicates()
        values = zip(names, evidence.by_replicate(self._measures), strict=True)
        of = {runs[name]: value for name, value in values if not math.isnan(value)}
        return [(partition, seed, of[partition, seed]) for partition, seed in runs.values() if (partition, seed) in of]

    def paired(self, before: str, after: str) -> tuple[PairedResult, ...]:
        """Of the scores in which more is better."""
        fewest = min((count for count in self.units.values() if count), default=0)
        if fewest < 2:
            return ()
        names: Sequence[str] = self._measures.names if self.task != "anomaly" else self._measures.names[:1]
        found = [self._resampled.paired(before, after, name, fewest_units=fewest) for name in names]
        return tuple(each for each in found if each is not None) if found[0] is not None else ()


def _good(outcome: Outcome) -> int | None:
    return outcome.classes.index(GOOD) if GOOD in outcome.classes else None
