"""What the page of a data set says: plain facts, gathered by the verb, drawn by the template dataset.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carpet_data.reporting.pages import ValidationPage
from carpet_data.reporting.thumbnails import Thumbnail
from carpet_data.statistics.summary import DefectStats

__all__ = ["ClassRow", "DatasetPage", "RecipeRow", "RunRow", "ScoreRow", "ScoreTable", "Sheet", "Tail", "Training"]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One image class.

    Attributes:
        name: The class.
        colour: As #rrggbb.
        sides: Side -> real images on it; "all" for a data set without splits.
        synthetic: Synthetic images that take part.
    """

    name: str
    colour: str
    sides: Mapping[str, int]
    synthetic: int

    @property
    def real(self) -> int:
        """Real images that take part."""
        return sum(self.sides.values())


@dataclass(frozen=True, slots=True)
class Tail:
    """The long tail, on the side that teaches.

    Attributes:
        side: "train", or "all" where that side does not hold several classes.
        rows: (class, real, synthetic), by the real ones, the largest first.
        most: The longest bar.
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
    """The contact sheet of one class.

    Attributes:
        class_name: The class.
        colour: As #rrggbb.
        real: Thumbnails of real samples, picked evenly.
        synthetic: The same of synthetic ones.
        real_total: Real samples in all.
        synthetic_total: Synthetic ones.
    """

    class_name: str
    colour: str
    real: tuple[Thumbnail, ...]
    synthetic: tuple[Thumbnail, ...]
    real_total: int
    synthetic_total: int


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The score of one class and recipe: figures as text, those among the real ones in the second place."""

    class_name: str
    recipe: str
    images: int
    accepted: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A score file.

    Attributes:
        columns: Names of the figures.
        rows: Class by class.
        against: "train" or "all": which real images it compared with.
        network: Whose features it compared; None without one.
    """

    columns: tuple[str, ...]
    rows: tuple[ScoreRow, ...]
    against: str
    network: str | None


@dataclass(frozen=True, slots=True)
class Training:
    """The last finished training.

    Attributes:
        run: Name of its folder.
        side: What was predicted: "test", else "val".
        classes: In order.
        matrix: Counts, rows are the truth; None without predictions.
        figures: Name -> figure of that side.
        settings: Of the run.
        history: One mapping an epoch.
        stale: Whether the data set has changed since.
    """

    run: str
    side: str
    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...] | None
    figures: Mapping[str, float]
    settings: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    stale: bool


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of train, sweep or validate."""

    name: str
    command: str
    started: str
    finished: bool
    seconds: float
    stale: bool


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """What synthetic samples were made by.

    Attributes:
        hash: Of the recipe.
        method: Its method and version.
        counts: class -> images made by it.
        text: The recipe as JSON; empty where its file is missing.
    """

    hash: str
    method: str
    counts: Mapping[str, int]
    text: str


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """All that the page of a data set says.

    Attributes:
        name: Of the data set.
        format: What it was read from.
        split: The split shown; None for a data set without splits.
        fingerprint: Of the data set with this split.
        license: Of the data; empty where unknown.
        classes: Every image class.
        tail: The long tail.
        defects: Instances of each defect type.
        sizes: (width, height, images), the commonest first.
        sheets: Contact sheets, class by class.
        score: What `score --json` found; None without a file of it.
        validation: The last validation's page; None without one.
        validation_run: Name of its folder.
        validation_stale: Whether the data set has changed since.
        training: The last training; None without one.
        runs: All runs.
        recipes: Of the synthetic samples.
        provenance: Name -> how the data set was made.
        splits: Every split: name -> how many images on each side.
        notes: What a reader must know.
        versions: Package -> version.
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
    validation: ValidationPage | None
    validation_run: str
    validation_stale: bool
    training: Training | None
    runs: tuple[RunRow, ...]
    recipes: tuple[RecipeRow, ...]
    provenance: Mapping[str, Any]
    splits: Mapping[str, Mapping[str, int]]
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
