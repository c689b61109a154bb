"""Training runs and what they showed on the test images, kept line by line so that an interrupted experiment resumes.

No torch here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.store.runs import Prediction

__all__ = ["CLASSIFIER", "DENSE", "JOURNAL", "RunKey", "Training", "append", "read"]

JOURNAL = "trainings.partial.jsonl"
"""In a run folder: the training runs done so far, one per line; removed when the run is finished."""
CLASSIFIER, DENSE = "classifier", "dense"
"""What can be trained: the whole-image classifier, and the dense head."""

RunKey = tuple[str, str, str, int]
"""Learner, condition, partition and seed."""


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
        learner: What was trained: "classifier" or "dense".
        evidence: What it showed of pixels, instances and anomalies, of each test image; None where it shows none.
        notes: What the user should know of it.
        chosen: Settings that were chosen on the real training images of the partition, for all conditions and seeds.
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
    learner: str = CLASSIFIER
    evidence: tuple[ImageEvidence, ...] | None = None
    notes: tuple[str, ...] = ()
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def labels(self, classes: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The true and the predicted class of each test image, as indices of `classes`."""
        place = {name: number for number, name in enumerate(classes)}
        truth = np.array([place[each.truth] for each in self.predictions], np.int64)
        return truth, np.array([place[each.predicted] for each in self.predictions], np.int64)

    @property
    def key(self) -> RunKey:
        """Learner, condition, partition and seed."""
        return self.learner, self.condition, self.partition, self.seed


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
        Prediction(**{**row, **{name: tuple(row[name]) for name in ("probabilities", "detections")}})
        for row in values["predictions"]
    )
    texts = {name: tuple(values[name]) for name in ("units", "untrained", "notes")}
    kept = values["evidence"]
    evidence = None if kept is None else tuple(ImageEvidence.from_json(each) for each in kept)
    return Training(**{**values, **texts, "predictions": predictions, "evidence": evidence})
