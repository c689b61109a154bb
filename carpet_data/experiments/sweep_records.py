"""What a sweep found: one record per training, kept in the run folder, and one result per line. No torch here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from carpet_data.core.results import plain
from carpet_data.errors import DataError
from carpet_data.metrics import Interval, wilson
from carpet_data.store.json_files import write_json
from carpet_data.store.runs import Prediction
from carpet_data.training.options import TrainOptions

__all__ = ["LineResult", "Record", "read_record", "write_record"]

FOLDER = "rows"
"""In a run folder: one file per finished training."""


@dataclass(frozen=True, slots=True)
class Record:
    """One training of one line.

    Attributes:
        train_loss: In the epoch that was kept, over its batches.
        train_accuracy: Likewise.
        val_loss: Of the classifier that was kept; None without validation images.
        val_accuracy: Likewise.
        test_loss: Likewise, on test.
        right: Number of test images whose class it predicts.
        seconds: Duration, features included where no line before had computed them.
        history: The epochs, plain values.
        predictions: Of the test images.
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
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class LineResult:
    """What a sweep found of one line of its table; metrics are means over the seeds.

    Attributes:
        name: "row 3", or "fallback 2".
        settings: As the table says.
        architecture: The network.
        weights: The name of what it started with, or of what it should have.
        missing: Why it was not run or failed; empty where it was run.
        fallback: Whether it replaces rows without weights.
        records: One per seed.
    """

    name: str
    settings: TrainOptions
    architecture: str
    weights: str
    missing: str
    fallback: bool
    records: tuple[Record, ...]

    def mean(self, metric: str) -> float | None:
        """The mean of a field of `Record` over the seeds; None where it was not measured."""
        values = [getattr(record, metric) for record in self.records]
        return None if not values or None in values else fmean(values)

    @property
    def test_accuracy(self) -> float | None:
        """The mean share of the test images that are right."""
        right = self.mean("right")
        return None if right is None else right / self.records[0].test_images

    @property
    def test_interval(self) -> Interval | None:
        """95 % (Wilson) for the number of test images; further seeds add no images.

        Over several seeds it is of the mean number of right images, rounded.
        """
        right = self.mean("right")
        return None if right is None else wilson(round(right), self.records[0].test_images)

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        metrics = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss")
        return {
            "line": self.name,
            "architecture": self.architecture,
            "weights": self.weights,
            "fallback": self.fallback,
            "missing": self.missing or None,
            "settings": self.settings.to_json(),
            **{metric: self.mean(metric) for metric in metrics},
            "test_accuracy": self.test_accuracy,
            "test_accuracy_interval": plain(self.test_interval),
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
        rows = ({**row, "probabilities": tuple(row["probabilities"])} for row in values["predictions"])
        kept = {"history": tuple(values["history"]), "predictions": tuple(Prediction(**row) for row in rows)}
        return Record(**{**values, **kept})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"invalid record of a training ({error})", where=path, hint="remove the file") from error
