"""Records of training runs: the predictions of each on the test images, from which an interrupted run resumes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carpet_data.store.runs import Prediction

__all__ = ["JOURNAL", "Training", "append", "read"]

JOURNAL = "trainings.partial.jsonl"
"""In a run folder: the training runs done so far, one per line; removed when the run is finished."""


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

    @property
    def key(self) -> tuple[str, str, int]:
        """Condition, partition and seed."""
        return self.condition, self.partition, self.seed

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Training:
        """A training from plain values."""
        predictions = tuple(
            Prediction(**{**row, "probabilities": tuple(row["probabilities"])}) for row in values["predictions"]
        )
        texts = {name: tuple(values[name]) for name in ("units", "untrained")}
        return cls(**{**values, **texts, "predictions": predictions})


def append(folder: Path, training: Training) -> None:
    """Record a training run in a run folder."""
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
    return tuple(_lines(whole.splitlines()))


def _lines(lines: Iterable[bytes]) -> Iterator[Training]:
    for line in lines:
        yield Training.from_json(json.loads(line))
