"""Trainings: what each trained classifier said of the test images, as records that a stopped run goes on from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carpet_data.store.runs import Prediction

__all__ = ["JOURNAL", "Training", "append", "read"]

JOURNAL = "trainings.partial.jsonl"
"""In a run folder: the trainings done so far, one a line; gone when the run is finished."""


@dataclass(frozen=True, slots=True)
class Training:
    """One trained classifier.

    Attributes:
        condition: Its name.
        partition: Its name.
        seed: Of the training.
        real_images: Real images that it was trained on.
        synthetic_images: Synthetic ones.
        steps: Optimiser steps.
        predictions: Of the test images.
        units: The group of each of them; images of a group are not independent.
        untaught: Classes of which no image was trained on.
    """

    condition: str
    partition: str
    seed: int
    real_images: int
    synthetic_images: int
    steps: int
    predictions: tuple[Prediction, ...]
    units: tuple[str, ...]
    untaught: tuple[str, ...] = ()

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
        texts = {name: tuple(values[name]) for name in ("units", "untaught")}
        return cls(**{**values, **texts, "predictions": predictions})


def append(folder: Path, training: Training) -> None:
    """Record a training in a run folder."""
    line = json.dumps(asdict(training), ensure_ascii=False, allow_nan=False) + "\n"
    with (folder / JOURNAL).open("ab") as file:
        file.write(line.encode(errors="backslashreplace"))


def read(folder: Path) -> tuple[Training, ...]:
    """The trainings that a run folder records; a line that a kill cut short is removed from the file."""
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
