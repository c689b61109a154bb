"""What a sweep found: one record a training, kept in the run folder, and one result a line. No torch here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from carpet_data.errors import DataError
from carpet_data.metrics import Interval, wilson
from carpet_data.store.json_files import write_json
from carpet_data.training.options import TrainOptions

__all__ = ["LineResult", "Record", "read_record", "write_record"]

FOLDER = "rows"
"""In a run folder: one file a finished training."""


@dataclass(frozen=True, slots=True)
class Record:
    """One training of one line.

    Attributes:
        seed: Of the training.
        epochs: Trained.
        train_loss: In the epoch that was kept, over its batches.
        train_accuracy: Likewise.
        val_loss: Of the classifier that was kept; None without val images.
        val_accuracy: Likewise.
        test_loss: Likewise, on test.
        right: Test images whose class it names.
        test_images: How many there are.
        seconds: Training took, features included where no line before had computed them.
        history: The epochs, plain values.
        predictions: Of the test images: id, truth, predicted, probabilities, loss.
    """

    seed: int
    epochs: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    test_loss: float
    right: int
    test_images: int
    seconds: float
    history: tuple[dict[str, Any], ...]
    predictions: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class LineResult:
    """What a sweep found of one line of its table; figures are means over the seeds.

    Attributes:
        name: "row 3", or "fallback 2".
        settings: As the table says.
        architecture: The network.
        weights: The name of what it began with, or of what it should have.
        missing: Why it was not run or failed; empty where it was run.
        fallback: Whether it stands in for rows whose weights are not here.
        records: One a seed.
    """

    name: str
    settings: TrainOptions
    architecture: str
    weights: str
    missing: str
    fallback: bool
    records: tuple[Record, ...]

    def mean(self, figure: str) -> float | None:
        """The mean of a figure of `Record` over the seeds; None where it was not measured."""
        values = [getattr(record, figure) for record in self.records]
        return None if not values or None in values else fmean(values)

    @property
    def test_accuracy(self) -> float | None:
        """The mean share of the test images that are right."""
        right = self.mean("right")
        return None if right is None else right / self.records[0].test_images

    @property
    def test_interval(self) -> Interval | None:
        """95 % (Wilson) for as many test images as there are; further seeds add no images.

        Over several seeds it is of the mean number of right images, rounded.
        """
        right = self.mean("right")
        return None if right is None else wilson(round(right), self.records[0].test_images)

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        interval = self.test_interval
        figures = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss")
        return {
            "line": self.name,
            "architecture": self.architecture,
            "weights": self.weights,
            "fallback": self.fallback,
            "missing": self.missing or None,
            "settings": self.settings.to_json(),
            **{figure: self.mean(figure) for figure in figures},
            "test_accuracy": self.test_accuracy,
            "test_accuracy_interval": None if interval is None else interval.to_json(),
            "trainings": [
                {name: value for name, value in asdict(record).items() if name not in ("history", "predictions")}
                for record in self.records
            ],
        }


def write_record(folder: Path, identity: str, record: Record) -> None:
    """Keep a finished training in a run folder."""
    write_json(folder / FOLDER / f"{identity}.json", asdict(record))


def read_record(folder: Path, identity: str) -> Record | None:
    """A training that a run folder keeps; None where it keeps none of this identity.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / FOLDER / f"{identity}.json"
    try:
        values = json.loads(path.read_bytes())
        return Record(**{**values, "history": _rows(values["history"]), "predictions": _rows(values["predictions"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"it is no record of a training ({error})", where=path, hint="remove the file") from error


def _rows(values: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(row) for row in values)
