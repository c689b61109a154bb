"""What the page of a data set says: plain facts, gathered by `report`, drawn by the template dataset.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carpet_data.dataset import Side
from carpet_data.reporting.pages import ValidationPage
from carpet_data.reporting.thumbnails import Thumbnail
from carpet_data.statistics.summary import DefectStats

__all__ = [
    "ClassRow",
    "DatasetPage",
    "Evidence",
    "LastTraining",
    "RecipeRow",
    "RunRow",
    "ScoreRow",
    "ScoreTable",
    "Sheet",
    "Tail",
]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One image class: its color as #rrggbb, real images on each side ("all" without splits), synthetic images."""

    name: str
    color: str
    sides: Mapping[str, int]
    synthetic: int

    @property
    def real(self) -> int:
        """Real images that take part."""
        return sum(self.sides.values())


@dataclass(frozen=True, slots=True)
class Tail:
    """The long tail of the training images.

    Attributes:
        side: "train", or "all" where that side does not hold several classes.
        rows: (class, real, synthetic), by the real ones, the largest first.
        before: Largest class over smallest among the real images; None with fewer than two classes.
        after: The same with the synthetic images.
    """

    side: str
    rows: tuple[tuple[str, int, int], ...]
    most: int
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The contact sheet of one class: thumbnails picked evenly, and of how many samples."""

    class_name: str
    color: str
    real: tuple[Thumbnail, ...]
    synthetic: tuple[Thumbnail, ...]
    real_total: int
    synthetic_total: int


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The score of one class and recipe: (metric, the same among the real defects) as text."""

    class_name: str
    recipe: str
    images: int
    accepted: str
    metrics: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A score file: names of its metrics, rows, the real images it compared with, and the network, if any."""

    columns: tuple[str, ...]
    rows: tuple[ScoreRow, ...]
    against: str
    network: str | None


@dataclass(frozen=True, slots=True)
class LastTraining:
    """The last finished training.

    Attributes:
        side: The side that was predicted: "test", else "val".
        classes: In order.
        matrix: Counts, rows are the truth; None without predictions.
        metrics: Name -> value on that side.
        settings: Of the run.
        stale: Whether the data set has changed since.
        note: Why another network than the default was trained; empty where none was.
    """

    run: str
    side: str
    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...] | None
    metrics: Mapping[str, float]
    settings: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    stale: bool
    note: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of train, sweep or validate, with its network; a sweep has several."""

    name: str
    command: str
    started: str
    finished: bool
    seconds: float
    stale: bool
    network: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the runs found: the last finished validation and training, and all runs, the last first."""

    validation: ValidationPage | None
    validation_run: str
    validation_stale: bool
    training: LastTraining | None
    runs: tuple[RunRow, ...]


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """What synthetic samples were made by; `text` is the recipe as JSON, empty where its file is missing."""

    hash: str
    method: str
    counts: Mapping[str, int]
    text: str


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """All that the page of a data set says.

    Attributes:
        format: What it was read from.
        split: The split shown; None for a data set without splits.
        fingerprint: Of the data set with this split.
        license: Of the data; empty where unknown.
        sizes: (width, height, images), the most frequent first.
        sheets: Contact sheets, class by class.
        score: What `score --json` found; None without a file of it.
        provenance: Name -> how the data set was made.
        splits: Every split: name -> number of images on each side.
    """

    name: str
    format: str
    split: str | None
    fingerprint: str
    license: str
    classes: tuple[ClassRow, ...]
    tail: Tail
    defects: tuple[DefectStats, ...]
    sizes: tuple[tuple[int, int, int], ...]
    sheets: tuple[Sheet, ...]
    score: ScoreTable | None
    evidence: Evidence
    recipes: tuple[RecipeRow, ...]
    provenance: Mapping[str, Any]
    splits: Mapping[str, Mapping[Side, int]]
    notes: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def real(self) -> int:
        """Real images that take part."""
        return sum(row.real for row in self.classes)

    @property
    def synthetic(self) -> int:
        """Synthetic images that take part."""
        return sum(row.synthetic for row in self.classes)
