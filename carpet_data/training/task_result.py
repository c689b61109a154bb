"""The scores of a trained model, task by task: values for JSON, and lines for people. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carpet_data.core.results import Result
from carpet_data.errors import DataError
from carpet_data.metrics import (
    AlarmScores,
    DetectionScores,
    Estimate,
    Interval,
    Outcome,
    PixelScores,
    Scores,
    SegmentationScores,
    bootstrap_interval,
    wilson,
)
from carpet_data.training.contract import Task

__all__ = ["ClassifyScores", "DetectScores", "SegmentScores", "TaskResult"]


@dataclass(frozen=True, slots=True)
class ClassifyScores:
    """The scores of predicted image classes, and how far they can be trusted.

    Attributes:
        scores: Accuracy, balanced accuracy, macro F1, recalls, confusion.
        balanced_interval: 95 %, bootstrap over groups of images; None where a class has one group only.
        recall_intervals: 95 % of each class (Wilson); None for a class without images.
        loss: Mean cross-entropy; None for a model that gives no probabilities.
    """

    scores: Scores
    balanced_interval: Interval | None
    recall_intervals: tuple[Interval | None, ...]
    loss: float | None

    @classmethod
    def of(cls, outcome: Outcome, *, loss: float | None, seed: int) -> ClassifyScores:
        """The scores of a model's predictions; the seed is that of the bootstrap."""
        scores = Scores.of(outcome.truth, outcome.predicted, outcome.classes)
        intervals = tuple(wilson(row[label], sum(row)) if sum(row) else None for label, row in enumerate(scores.table))
        try:
            balanced = bootstrap_interval(outcome, seed=seed)
        except DataError:
            # One group does not show how others would do: the score has no interval, and the text says why.
            balanced = None
        return cls(scores, balanced, intervals, loss)

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values."""
        intervals = (None if each is None else each.to_json() for each in self.recall_intervals)
        return {
            **self.scores.to_json(),
            "loss": self.loss,
            "balanced_accuracy_interval": None if self.balanced_interval is None else self.balanced_interval.to_json(),
            "recall_intervals": dict(zip(self.scores.classes, intervals, strict=True)),
        }


@dataclass(frozen=True, slots=True)
class SegmentScores(Result):
    """How well pixels are told.

    Attributes:
        pixels: Of heat maps, defect against no defect, all images pooled.
        by_type: Defect type -> the same of its pixels, against the defect-free pixels of all images.
        classes: Of label maps; None for a model that gives none.
        intervals: "pixel AP", "pixel AUROC", "F1-max", "PRO", "mIoU" -> 95 %, bootstrap over groups of images; None
            where there is none.
    """

    pixels: PixelScores
    by_type: Mapping[str, PixelScores]
    classes: SegmentationScores | None
    intervals: Mapping[str, Interval | None]


@dataclass(frozen=True, slots=True)
class DetectScores(Result):
    """How well defects are found one by one, by COCO's measures.

    Attributes:
        boxes: By the overlap of boxes.
        masks: By the overlap of masks; None for a model that finds boxes only.
        intervals: "AP", "AP50" (of boxes) -> 95 %, bootstrap over groups of images; None where there is none.
    """

    boxes: DetectionScores
    masks: DetectionScores | None
    intervals: Mapping[str, Interval | None]


@dataclass(frozen=True, slots=True)
class TaskResult(Result):
    """The scores of one model on one set of images.

    Attributes:
        task: What it was trained for.
        classes: Its classes.
        images: Number of images.
        classify: Of predicted image classes.
        types: Share of defect images whose type is told, `good` left aside, with Wilson's interval over groups; its
            value is None for a model that knows no types.
        segment: Of pixels; None where they cannot be scored.
        detect: Of single defects; None as above.
        anomaly: Of image scores, defect against good; None as above.
        missing: Task -> why it cannot be scored.
        notes: What limits the scores, a sentence each.
    """

    task: Task
    classes: tuple[str, ...]
    images: int
    classify: ClassifyScores
    types: Estimate
    segment: SegmentScores | None
    detect: DetectScores | None
    anomaly: AlarmScores | None
    missing: Mapping[str, str]
    notes: tuple[str, ...]

    def text(self) -> list[str]:
        """The scores in words, a few lines; the task that the model was trained for comes first."""
        parts = {
            "classify": self._classify_text(),
            "segment": self._segment_text(),
            "detect": self._detect_text(),
            "anomaly": [] if self.anomaly is None else self.anomaly.text(),
        }
        order = sorted(parts, key=lambda name: name != self.task)
        lines = [line for name in order for line in (parts[name] or self._why_not(name))]
        return [*lines, *(f"note: {note}" for note in self.notes)]

    def _why_not(self, name: str) -> list[str]:
        return [f"{name}: not scored, {self.missing[name]}"] if name in self.missing else []

    def _classify_text(self) -> list[str]:
        scores = self.classify.scores
        balanced = Estimate(scores.balanced_accuracy, self.classify.balanced_interval).text()
        recalls = ", ".join(
            f"{name} {'–' if value is None else format(value, '.2f')}"
            for name, value in zip(scores.classes, scores.recalls, strict=True)
        )
        lines = [f"image class: balanced accuracy {balanced}, macro F1 {scores.macro_f1:.3f}; recall {recalls}"]
        if self.types.value is not None:
            lines.append(f"type of defect images: accuracy {self.types.text()}")
        return lines

    def _segment_text(self) -> list[str]:
        if self.segment is None:
            return []
        pixels, intervals = self.segment.pixels, self.segment.intervals
        ap = Estimate(pixels.ap, intervals["pixel AP"]).text()
        rest = pixels.text().partition(", ")[2]
        lines = [f"pixels: AP {ap}, {rest}"]
        if self.segment.classes is not None:
            lines.append(f"pixel classes: {self.segment.classes.text()}")
        return lines

    def _detect_text(self) -> list[str]:
        if self.detect is None:
            return []
        return [f"defects: {each.text()}" for each in (self.detect.boxes, self.detect.masks) if each is not None]
