"""What the training of a `Predictor` leaves in its run folder besides the model. No torch here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, named
from carpet_data.dataset import GOOD, Sample, Side
from carpet_data.metrics import Estimate
from carpet_data.reporting import figures
from carpet_data.store import runs
from carpet_data.store.files import write_bytes
from carpet_data.store.names import component
from carpet_data.store.runs import Prediction, RunInfo
from carpet_data.training.contract import ImagePrediction, Predictor
from carpet_data.training.detection_json import detection_json
from carpet_data.training.map_pictures import Pictures, heatmap_png
from carpet_data.training.scoring import score_model
from carpet_data.training.task_result import TaskResult
from carpet_data.training.truth import ANY_DEFECT

__all__ = ["prediction_row", "write_task_outputs"]

U8 = NDArray[np.uint8]
_BATCH = 4


def write_task_outputs(
    run: RunInfo,
    model: Predictor,
    samples: Mapping[Side, Sequence[Sample]],
    *,
    split: str,
    seed: int,
    worst: int,
    heatmaps: int,
    progress: Progress | None = None,
) -> dict[str, TaskResult]:
    """Predict val and test, and write metrics, predictions, plots, heat maps and pictures.

    The split's name is the partition of the predictions; `worst` and `heatmaps` are numbers of test images.

    Returns:
        side -> its scores.
    """
    folder, classes = run.folder, tuple(model.classes)
    rows: list[Prediction] = []
    scores: dict[str, TaskResult] = {}
    heat = _Best(heatmaps)
    pictures = Pictures(classes, worst)
    for side in ("val", "test"):
        if not samples[side]:
            continue

        def keep(sample: Sample, image: U8, found: ImagePrediction, side: Side = side) -> None:
            row = prediction_row(sample, found, classes, split=split, seed=seed, side=side)
            rows.append(row)
            if side != "test":
                return
            if found.heat is not None:
                drawn = found.heat
                heat.offer((row.predicted != row.truth, row.loss), sample.id, lambda: heatmap_png(drawn))
            pictures.offer(sample, image, found, row.loss)

        shown = named(progress, f"predicting {side} images")
        collected = score_model(model, samples[side], batch_size=_BATCH, seed=seed, keep=keep, progress=shown)
        scores[side] = collected.result()
    runs.write_predictions(folder, rows)
    heat.write(folder / runs.HEATMAPS)
    pictures.write(folder)
    _draw(run, scores["test"])
    runs.write_json(folder / runs.METRICS, {side: each.to_json() for side, each in scores.items()})
    return scores


def prediction_row(
    sample: Sample,
    found: ImagePrediction,
    classes: Sequence[str],
    *,
    split: str,
    seed: int,
    side: Side,
    condition: str = "train",
) -> Prediction:
    """A prediction as run folders keep it.

    A model that gives no probabilities has those of its anomaly score: of good and of the class that it names.
    """
    chances = found.probabilities
    if chances is None:
        chances = dict.fromkeys(classes, 0.0) | {GOOD: 1 - found.anomaly}
        other = found.class_name if found.class_name != GOOD else classes[-1]
        chances |= {other: found.anomaly}
    truth = sample.class_name if sample.class_name in classes else ANY_DEFECT
    return Prediction(
        id=sample.id,
        condition=condition,
        partition=split,
        seed=seed,
        side=side,
        truth=truth,
        predicted=found.class_name,
        probabilities=tuple(round(float(chances[name]), 6) for name in classes),
        loss=round(-math.log(max(float(chances.get(truth, 0.0)), 1e-12)), 6),
        anomaly=round(float(found.anomaly), 6),
        detections=tuple(detection_json(each, sample.width, sample.height) for each in found.detections),
    )


@dataclass(slots=True)
class _Best:
    """Keeps what was made for the largest of the keys that were offered."""

    count: int
    kept: dict[str, bytes] = field(default_factory=dict)
    _keys: dict[str, tuple[bool, float]] = field(default_factory=dict)

    def offer(self, key: tuple[bool, float], name: str, make: Callable[[], bytes]) -> None:
        """Make and keep it where the key is large enough; the smallest goes."""
        if self.count == 0:
            return
        if len(self.kept) == self.count:
            least = min(self._keys, key=self._keys.__getitem__)
            if self._keys[least] >= key:
                return
            del self.kept[least], self._keys[least]
        self.kept[name], self._keys[name] = make(), key

    def write(self, folder: Path) -> None:
        """Write FOLDER/NAME.png of each."""
        for name, data in self.kept.items():
            write_bytes(folder / f"{component(name)}.png", data)


def _draw(run: RunInfo, test: TaskResult) -> None:
    scores, folder = test.classify.scores, run.folder / "plots"
    figures.save(figures.confusion(scores.table, scores.classes), folder / "confusion.png")
    recalls = zip(scores.classes, scores.recalls, test.classify.recall_intervals, strict=True)
    drawn = figures.recalls({"test": {name: Estimate(value, interval) for name, value, interval in recalls}})
    figures.save(drawn, folder / "recall.png")
