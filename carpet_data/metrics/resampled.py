"""Scores of maps, detections and images with intervals and paired tests: the bootstrap over units, as for labels.

`carpet_data.metrics.bootstrap` says how units are drawn. Here each draw weights the images of a unit, and the scores
are made again of the evidence kept of each image (`carpet_data.metrics.image_evidence`). The draws are the same for
all conditions, so any two of them are compared in pairs.

Pixel scores come from counts in bins placed at the quantiles of each model's scores (`pixel_counts`). They differ from
the exact ones by less than 0.001, F1-max by less than 0.002.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import DataError
from carpet_data.metrics import weighted
from carpet_data.metrics.bootstrap import draws, expanded, strata
from carpet_data.metrics.detection import IOUS
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.metrics.intervals import Estimate
from carpet_data.metrics.outcomes import Outcome
from carpet_data.metrics.paired import PairedResult, paired_result
from carpet_data.metrics.pixel_counts import bounds_of, is_single

__all__ = [
    "ANOMALY",
    "DETECT",
    "RESAMPLES",
    "SEGMENT",
    "Evidence",
    "Measures",
    "Replicate",
    "Resampled",
    "per_class",
    "resampled",
]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

RESAMPLES = 2000
_CHUNK = 64
"""Resamples at once: the arrays then fit into a core's cache, which is three times as fast as 250."""
_LOST_SHARE = 0.01
"""Resamples in which a score does not exist; with more than this share there is no interval."""


@dataclass(frozen=True, eq=False)
class Replicate:
    """What one model showed on its test images; where partitions are pooled, the models of one seed.

    Attributes:
        images: One per test image.
        units: int64 (images,): the unit of each, an index into the sorted units of the condition.
        truth: int64 (images,): the class of each.
        good: The index of the class without defects; None where there is none.
    """

    images: tuple[ImageEvidence, ...]
    units: I64
    truth: I64
    good: int | None

    @cached_property
    def counts(self) -> F64:
        """Pixels by score, float64 (images, 3, columns), as `PixelCounts.table`; images without a map are empty."""
        return self._columns[0]

    @property
    def tied(self) -> NDArray[np.bool_]:
        """Which columns are a single score, bool (columns,)."""
        return self._columns[1]

    @cached_property
    def _columns(self) -> tuple[F64, NDArray[np.bool_]]:
        counted = {row: image.counts() for row, image in enumerate(self.images) if image.pixels is not None}
        if not counted:
            return np.zeros((len(self.images), 3, 1)), np.zeros(1, np.bool_)
        bounds = bounds_of(list(counted.values()))
        tables = np.zeros((len(self.images), 3, len(bounds) - 1))
        for row, each in counted.items():
            tables[row] = each.at(bounds)
        return tables, is_single(bounds)

    @cached_property
    def components(self) -> F64:
        """Connected pieces of the masks, float64 (images,)."""
        return np.array([image.components for image in self.images], np.float64)

    @cached_property
    def defect(self) -> NDArray[np.bool_]:
        """Which images show a defect, bool (images,)."""
        return np.ones(len(self.truth), np.bool_) if self.good is None else self.truth != self.good

    @cached_property
    def anomaly(self) -> F64:
        """Image scores, float64 (images,)."""
        return np.array([image.anomaly for image in self.images], np.float64)

    @cached_property
    def areas(self) -> F64:
        """float64 (images, classes but good, 3), as `ImageEvidence.areas`."""
        return _stacked([image.areas for image in self.images])

    @cached_property
    def objects(self) -> F64:
        """True defects, float64 (images, classes but good)."""
        return _stacked([image.objects for image in self.images])

    @cached_property
    def found(self) -> tuple[I64, I64, F64, I64]:
        """The detections: image, class, score and matches of each."""
        rows = [(row, *each) for row, image in enumerate(self.images) for each in image.found or ()]
        columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
        image, label, score, bits = columns
        return (
            np.array(image, np.int64),
            np.array(label, np.int64),
            np.array(score, np.float64),
            np.array(bits, np.int64),
        )


def _stacked(rows: Sequence[Sequence[object] | None]) -> F64:
    """Rows as one array; a missing one is 0."""
    known = next((row for row in rows if row is not None), ())
    return np.array([np.zeros_like(np.array(known)) if row is None else row for row in rows], np.float64)


@dataclass(frozen=True, slots=True)
class Measures:
    """Scores that are made together.

    Attributes:
        names: The one that a verdict rests on comes first.
        of: A replicate and weights (b, images) -> float64 (b, names), nan where a score does not exist.
        of_defects: Whether they say how well defects are found, rather than how they differ from good images.
    """

    names: tuple[str, ...]
    of: Callable[[Replicate, F64], F64]
    of_defects: bool = True


def _segment(replicate: Replicate, weights: F64) -> F64:
    summed = np.tensordot(weights, replicate.counts, axes=(1, 0))
    negatives, positives, shares = summed[:, 0], summed[:, 1], summed[:, 2]
    pro = weighted.pro(negatives, shares, weights @ replicate.components)
    return np.stack(
        [
            weighted.average_precision(negatives, positives, replicate.tied),
            weighted.iou(weights, replicate.areas) if replicate.areas.size else np.full(len(weights), np.nan),
            pro,
            weighted.f1_max(negatives, positives),
            weighted.pixel_auroc(negatives, positives),
        ],
        axis=1,
    )


def _detect(replicate: Replicate, weights: F64) -> F64:
    every = range(len(IOUS))
    by_class = [_detected(replicate, weights, label, every) for label in range(replicate.objects.shape[1])]
    means: F64 = _mean(np.array([[ap[0], ap.mean(axis=0)] for ap in by_class]), axis=0).T
    return means


def _detected(replicate: Replicate, weights: F64, column: int, ious: Sequence[int]) -> F64:
    """Average precision of one class, float64 (ious, b); `column` is its place among the classes but `good`.

    `ious` are indices of `IOUS`.
    """
    image, label, scores, bits = replicate.found
    mine = label == column
    objects = replicate.objects[:, column]
    return np.stack(
        [
            weighted.detection_ap(weights, image[mine], (bits[mine] >> each) & 1 > 0, scores[mine], objects)
            for each in ious
        ]
    )


def _anomaly(replicate: Replicate, weights: F64) -> F64:
    both: F64 = np.stack(
        [
            weighted.auroc(weights, replicate.anomaly, replicate.defect),
            weighted.false_alarms(weights, replicate.anomaly, replicate.defect),
        ],
        axis=1,
    )
    return both


SEGMENT = Measures(("pixel AP", "mIoU", "PRO", "F1-max", "pixel AUROC"), _segment)
"""Of heat maps and label maps; mIoU over the defect classes, PRO to a false positive rate of 0.3."""
DETECT = Measures(("AP50", "AP"), _detect)
"""COCO's of boxes, mean over the defect classes."""
ANOMALY = Measures(("image AUROC", "false alarms at full recall"), _anomaly, of_defects=False)
"""Of image scores, defect against good."""


def per_class(measures: Measures, label: int, column: int) -> Measures:
    """The first of SEGMENT or DETECT for one class: its index in `truth`, and its place among the classes but `good`.

    Pixel AP is that of the defect pixels of the class's images against the defect-free pixels of all images.
    """

    def of(replicate: Replicate, weights: F64) -> F64:
        if measures is DETECT:
            ap50: F64 = _detected(replicate, weights, column, range(1)).T
            return ap50
        free = np.tensordot(weights, replicate.counts[:, 0], axes=(1, 0))
        defect = np.tensordot(weights * (replicate.truth == label), replicate.counts[:, 1], axes=(1, 0))
        return weighted.average_precision(free, defect, replicate.tied)[:, None]

    return Measures(measures.names[:1], of)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a condition showed over all partitions and seeds.

    Attributes:
        outcome: Its labels, which say what was tested and which images are one unit.
        replicates: One per replicate of the outcome.
    """

    outcome: Outcome
    replicates: tuple[Replicate, ...]

    @classmethod
    def of(cls, outcome: Outcome, images: Mapping[tuple[str, int, str], ImageEvidence], good: int | None) -> Evidence:
        """Evidence from the images by partition, seed and sample.

        Raises:
            DataError: An image of the outcome is missing.
        """
        keys = list(zip(outcome.partitions.tolist(), outcome.seeds.tolist(), outcome.samples.tolist(), strict=True))
        missing = next((key for key in keys if key not in images), None)
        if missing is not None:
            raise DataError(f"{outcome.name}: no evidence of {missing[2]}", hint="run the comparison again")
        units = np.unique(outcome.units, return_inverse=True)[1].reshape(-1).astype(np.int64)
        names, replicate = outcome.replicates()
        found = []
        for number in range(len(names)):
            rows = np.flatnonzero(replicate == number)
            mine = tuple(images[keys[row]] for row in rows)
            found.append(Replicate(mine, units[rows], outcome.truth[rows], good))
        return cls(outcome, tuple(found))

    def values(self, measures: Measures) -> dict[str, float | None]:
        """Each score of each replicate, averaged over those in which it exists; None where in none."""
        rows = np.stack([measures.of(each, np.ones((1, len(each.images))))[0] for each in self.replicates])
        means = _mean(rows, axis=0)
        return {n: None if np.isnan(v) else float(v) for n, v in zip(measures.names, means, strict=True)}

    def by_replicate(self, measures: Measures) -> list[float]:
        """The first score of each replicate, in the order of the outcome's; nan where it does not exist."""
        return [float(measures.of(each, np.ones((1, len(each.images))))[0, 0]) for each in self.replicates]


def _mean(values: F64, axis: int) -> F64:
    exists = ~np.isnan(values)
    count = exists.sum(axis=axis)
    total: F64 = np.where(exists, values, 0.0).sum(axis=axis)
    means: F64 = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """The scores of several conditions, and the same in every resample.

    Attributes:
        values: condition -> score -> value; None where it does not exist.
        drawn: condition -> float64 (resamples, names).
        units: Number of units that the scores rest on; with few of them intervals are wider (`bootstrap.expanded`).
    """

    names: tuple[str, ...]
    values: Mapping[str, Mapping[str, float | None]]
    drawn: Mapping[str, F64]
    units: int

    def estimate(self, condition: str, name: str) -> Estimate:
        """A score with its interval; without one where too many resamples have no score."""
        value = self.values[condition][name]
        if value is None or condition not in self.drawn:
            return Estimate(value)
        column = self.drawn[condition][:, self.names.index(name)]
        known = column[~np.isnan(column)]
        return Estimate(value, expanded(known, 0.95, self.units) if _enough(known, column) else None)

    def paired(self, before: str, after: str, name: str, *, fewest_units: int) -> PairedResult | None:
        """The test of a difference; None where the score does not exist, or in too few resamples."""
        first, second = self.values[before][name], self.values[after][name]
        if first is None or second is None or before not in self.drawn:
            return None
        place = self.names.index(name)
        column = self.drawn[after][:, place] - self.drawn[before][:, place]
        moved = column[~np.isnan(column)]
        if not _enough(moved, column):
            return None
        return paired_result(name, second - first, moved, fewest_units=fewest_units, units=self.units)


def _enough(known: F64, everything: F64) -> bool:
    return len(known) >= (1 - _LOST_SHARE) * len(everything)


def resampled(
    conditions: Mapping[str, Evidence], measures: Measures, *, resamples: int = RESAMPLES, seed: int = 0
) -> Resampled:
    """The scores of conditions that were tested on the same rows, and the same in resamples drawn alike for all.

    With fewer than two units, of those that show a defect where defects are scored, there are none.

    Raises:
        DataError: Two conditions were not tested on the same rows.
    """
    everything = list(conditions.values())
    for each in everything[1:]:
        everything[0].outcome.refuse_unlike(each.outcome)
    values = {name: each.values(measures) for name, each in conditions.items()}
    tally = everything[0].outcome.tally()
    units = _units(everything[0], measures)
    if len(tally) < 2 or units < 2:
        return Resampled(measures.names, values, {}, units)
    random = np.random.default_rng(np.random.SeedSequence(seed))
    parts: dict[str, list[F64]] = {name: [] for name in conditions}
    for weights in draws(strata(tally), resamples, _CHUNK, random):
        for name, each in conditions.items():
            rows = np.stack([measures.of(model, weights[:, model.units]) for model in each.replicates])
            parts[name].append(_mean(rows, axis=0))
    drawn = {name: np.concatenate(found) for name, found in parts.items()}
    return Resampled(measures.names, values, drawn, units)


def _units(evidence: Evidence, measures: Measures) -> int:
    """Units with a defect, whose number limits what scores of defects can show; for image scores all units."""
    shown = [each.units[each.defect] if measures.of_defects else each.units for each in evidence.replicates]
    return len(np.unique(np.concatenate(shown)))
