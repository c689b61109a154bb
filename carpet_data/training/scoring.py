"""Scores of a trained model of any task, from its predictions, image by image. No torch here.

One pass over the test images gives the scores of every task that the predictions and the masks allow; for the others
it says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import (
    DetectionRanking,
    DetectionScores,
    Estimate,
    Interval,
    Outcome,
    SegmentationScores,
    alarm_scores,
    wilson,
)
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.metrics.resampled import DETECT, SEGMENT, Evidence, Measures, resampled
from carpet_data.training.contract import ImagePrediction, Predictor, Task
from carpet_data.training.evidence import KeptEvidence
from carpet_data.training.task_result import ClassifyScores, DetectScores, SegmentScores, TaskResult
from carpet_data.training.truth import Truth, knows_types, truth_of, types_of

__all__ = ["TaskScores", "score_model"]

_TOLERANCE = 0.002
"""Where a score made of the kept evidence is further from the exact one, its interval is not reported."""


class TaskScores:
    """Collects what a model predicts of test images, and scores it.

    Of each image only the ranking data are kept: 4 bytes a defect-free pixel, beyond `memory_bytes` in a temporary
    file, and 8 a defect pixel. Scores are exact whatever the limit.

    Args:
        classes: Those of the model, in its order.
        task: What the model was trained for; "dense" serves every task.
        seed: Of the bootstrap.
        memory_bytes: See above.

    Raises:
        UsageError: An unknown task, or no defect class.

    Examples:
        >>> from carpet_data.training.truth import Truth
        >>> scores = TaskScores(("good", "hole", "cut"))
        >>> for number, name in enumerate(("good", "hole", "cut", "cut")):
        ...     truth = Truth.of(str(number), name)
        ...     scores.add(truth, ImagePrediction(name if number < 3 else "hole", None, anomaly=number / 4))
        >>> scores.result().types.value, scores.result().missing["segment"]
        (0.6666666666666666, 'no test image has a mask')
    """

    def __init__(
        self, classes: Sequence[str], *, task: Task = "dense", seed: int = 0, memory_bytes: int = 1 << 30
    ) -> None:
        if task not in get_args(Task):
            raise UsageError(f"unknown task {task!r}", hint=f"use one of: {', '.join(get_args(Task))}")
        self.classes = tuple(classes)
        self.types = types_of(classes)
        if not self.types:
            raise UsageError("the model knows no defect class", hint="train it on images with a defect")
        self.task: Task = task
        self.seed = seed
        self._truths: list[tuple[str, str, str]] = []
        self._predicted: list[str] = []
        self._probabilities: list[Mapping[str, float] | None] = []
        self._anomalies: list[float] = []
        self._masked: list[bool] = []
        self._kept = KeptEvidence(classes, detects=task in ("dense", "detect"), memory_bytes=memory_bytes)
        self._masks: DetectionRanking | None = DetectionRanking(self.types, overlap="mask")

    def __len__(self) -> int:
        """Number of images."""
        return len(self._truths)

    def evidence(self) -> tuple[ImageEvidence, ...]:
        """What the bootstrap keeps of each image, in the order given."""
        return self._kept.images()

    def add(self, image: Sample | Truth, prediction: ImagePrediction) -> None:
        """Add an image: what it shows, read from its data set where a sample is given, and what the model says of it.

        Raises:
            UsageError: A class that the model does not know, or a map that is not of the size of the image.
            DataError: A prediction holds NaN; or as `truth_of`.
        """
        truth = image if isinstance(image, Truth) else truth_of(image, self.classes)
        for name in (truth.class_name, prediction.class_name):
            if name not in self.classes:
                raise UsageError(f"unknown class {name!r}", where=truth.id, hint=f"use: {', '.join(self.classes)}")
        if np.isnan(prediction.anomaly):
            hint = "check the model: its training may have diverged"
            raise DataError("the anomaly score is NaN", where=truth.id, hint=hint)
        self._truths.append((truth.id, truth.class_name, truth.group))
        self._predicted.append(prediction.class_name)
        self._probabilities.append(prediction.probabilities)
        self._anomalies.append(float(prediction.anomaly))
        self._masked.append(truth.instances is not None)
        self._kept.add(truth, prediction)
        self._add_masks(truth, prediction)

    def _add_masks(self, truth: Truth, prediction: ImagePrediction) -> None:
        labels = truth.labels
        if any(each.mask is None for each in prediction.detections):
            self._masks = None
        if self._masks is not None and labels is not None and truth.instances is not None:
            self._masks.add(prediction.detections, truth.instances, *labels.shape)

    def result(self, *, intervals: bool = True) -> TaskResult:
        """The scores of all images so far.

        Without `intervals` those of pixels and detections are left out, which take most of the time.

        Raises:
            DataError: There are no images, or one was given twice.
        """
        if not self._truths:
            raise DataError("no images to score", hint="put images on the test side of the split")
        outcome = self._outcome()
        evidence = self.evidence() if intervals else None
        missing = {task: why for task, why in self._missing().items() if why}
        anomaly = alarm_scores(
            self._anomalies,
            [name != GOOD for _, name, _ in self._truths],
            groups=[group for _, _, group in self._truths],
        )
        return TaskResult(
            task=self.task,
            classes=self.classes,
            images=len(self),
            classify=self._classify(outcome),
            types=self._type_accuracy(),
            segment=None if "segment" in missing else self._segment(outcome, evidence),
            detect=None if "detect" in missing else self._detect(outcome, evidence),
            anomaly=None if "anomaly" in missing else anomaly,
            missing=missing,
            notes=self._notes(),
        )

    def _outcome(self) -> Outcome:
        place = {name: number for number, name in enumerate(self.classes)}
        # One class alone cannot be compared, but it can be scored.
        classes = self.classes if len(self.classes) > 1 else (*self.classes, GOOD)
        return Outcome.of(
            "the model",
            classes,
            partitions=["main"] * len(self),
            seeds=[0] * len(self),
            samples=[each for each, _, _ in self._truths],
            units=[group for _, _, group in self._truths],
            truth=[place[name] for _, name, _ in self._truths],
            predicted=[place[name] for name in self._predicted],
        )

    def _missing(self) -> dict[str, str]:
        """Task -> why it cannot be scored; empty where it can."""
        no_masks = "" if self._count(masked=True) else "no test image has a mask"
        if not any(name != GOOD for _, name, _ in self._truths):
            no_masks = "there are no test images with a defect"
        good = sum(name == GOOD for _, name, _ in self._truths)
        alarms = "" if good else "there are no good test images"
        return {
            "segment": no_masks or ("" if len(self._kept.pixels) else "the model gives no heat maps"),
            "detect": no_masks or ("" if self._kept.detects else "the model finds no defects by themselves"),
            "anomaly": alarms if good < len(self) else "there are no test images with a defect",
        }

    def _notes(self) -> tuple[str, ...]:
        without = self._count(masked=False)
        if not without or not self._count(masked=True):
            return ()
        count = "1 defect image" if without == 1 else f"{without} defect images"
        return (f"{count} without a mask, or with an empty one, left out of the scores of pixels and detections",)

    def _count(self, *, masked: bool) -> int:
        """Number of defect images with or without a mask."""
        rows = zip(self._truths, self._masked, strict=True)
        return sum(name != GOOD and known == masked for (_, name, _), known in rows)

    def _classify(self, outcome: Outcome) -> ClassifyScores:
        losses = [
            -float(np.log(max(chances.get(name, 0.0), 1e-12)))
            for (_, name, _), chances in zip(self._truths, self._probabilities, strict=True)
            if chances is not None
        ]
        return ClassifyScores.of(outcome, loss=float(np.mean(losses)) if losses else None, seed=self.seed)

    def _type_accuracy(self) -> Estimate:
        """The share of defect images whose type is the likeliest of all types, `good` left aside."""
        if len(self.types) < 2 or not knows_types(self.classes):
            return Estimate(None)
        right, groups = list[bool](), set[str]()
        for (_, name, group), said, chances in zip(self._truths, self._predicted, self._probabilities, strict=True):
            if name == GOOD:
                continue
            of_types = {each: chances.get(each, 0.0) for each in self.types} if chances is not None else None
            right.append(name == (said if of_types is None else max(of_types, key=of_types.__getitem__)))
            groups.add(group)
        if not right:
            return Estimate(None)
        share = sum(right) / len(right)
        return Estimate(share, wilson(share * len(groups), len(groups)))

    def _segment(self, outcome: Outcome, evidence: Sequence[ImageEvidence] | None) -> SegmentScores:
        pixels = self._kept.pixels.scores()
        areas = self._kept.areas()
        classes = None if areas is None else SegmentationScores.of(areas, (GOOD, *self.types))
        exact = {
            "pixel AP": pixels.ap,
            "pixel AUROC": pixels.auroc,
            "F1-max": pixels.f1_max,
            "PRO": pixels.pro,
            "mIoU": None if classes is None else classes.mean_iou,
        }
        return SegmentScores(
            pixels, self._kept.pixels.by_type(), classes, self._intervals(outcome, evidence, SEGMENT, exact)
        )

    def _detect(self, outcome: Outcome, evidence: Sequence[ImageEvidence] | None) -> DetectScores:
        boxes = self._kept.boxes.scores()
        found: DetectionScores | None = None if self._masks is None else self._masks.scores()
        return DetectScores(
            boxes, found, self._intervals(outcome, evidence, DETECT, {"AP": boxes.ap, "AP50": boxes.ap50})
        )

    def _intervals(
        self,
        outcome: Outcome,
        evidence: Sequence[ImageEvidence] | None,
        measures: Measures,
        exact: Mapping[str, float | None],
    ) -> dict[str, Interval | None]:
        """Of each score, by the bootstrap over groups; None where there are too few, or the evidence is too coarse."""
        if evidence is None:
            return dict.fromkeys(exact)
        keys = [("main", 0, each) for each, _, _ in self._truths]
        images = dict(zip(keys, evidence, strict=True))
        good = self.classes.index(GOOD) if GOOD in self.classes else None
        drawn = resampled({"model": Evidence.of(outcome, images, good)}, measures, seed=self.seed)
        found: dict[str, Interval | None] = {}
        for name, value in exact.items():
            estimate = drawn.estimate("model", name)
            near = value is not None and estimate.value is not None and abs(estimate.value - value) <= _TOLERANCE
            found[name] = estimate.interval if near else None
        return found


def score_model(
    model: Predictor,
    samples: Sequence[Sample],
    *,
    batch_size: int = 8,
    seed: int = 0,
    keep: Callable[[Sample, NDArray[np.uint8], ImagePrediction], None] | None = None,
    progress: Progress | None = None,
) -> TaskScores:
    """Predict samples with a model, a few at a time, and collect the scores.

    Args:
        model: Of any task.
        samples: Of a data set, such as `dataset.on_side("main", "test")`.
        batch_size: Number of images in memory at once.
        seed: Of the bootstrap.
        keep: Called with each sample, its image and its prediction, to record or draw it.
        progress: Called after each batch.

    Raises:
        UsageError, DataError, ImageError: As `TaskScores.add`.
        DeviceMemoryError: A batch does not fit into memory.
    """
    scores = TaskScores(model.classes, task=model.task, seed=seed)
    for start in range(0, len(samples), batch_size):
        batch = samples[start : start + batch_size]
        images = [sample.image() for sample in batch]
        for sample, image, prediction in zip(batch, images, model.predict(images), strict=True):
            scores.add(sample, prediction)
            if keep is not None:
                keep(sample, image, prediction)
        if progress is not None:
            progress(Step(min(start + batch_size, len(samples)), len(samples), "predicting"))
    return scores
