"""What the page of a validation says: plain facts, filled by the verb, drawn by `validation`, kept as page.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from carpet_data.errors import DataError

__all__ = [
    "PAGE",
    "Check",
    "Condition",
    "Estimate",
    "PairedTest",
    "Partition",
    "Picture",
    "Point",
    "ValidationPage",
    "Verdict",
    "load",
]

PAGE = "page.json"
"""The file of a run folder that holds its ValidationPage."""

SCHEMA = 1

Verdict: TypeAlias = Literal["helps", "no evidence", "hurts"]
Outcome: TypeAlias = Literal["passed", "flagged", "not run"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its confidence interval.

    Attributes:
        value: The figure; None where it does not exist (the recall of a class without images).
        low: Lower end of the interval; None without one.
        high: Upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    def text(self, *, signed: bool = False) -> str:
        """`0.552 (0.491 to 0.607)`, or `–` where there is none."""
        if self.value is None:
            return "–"
        form = "+.3f" if signed else ".3f"
        number = f"{self.value:{form}}"
        if self.low is None or self.high is None:
            return number
        return f"{number} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True, slots=True)
class Point:
    """One trained classifier.

    Attributes:
        partition: Name of the partition.
        seed: Of its training.
        value: Its balanced accuracy on the test side, 0 … 1.
    """

    partition: str
    seed: int
    value: float


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to train, over all partitions and seeds.

    Attributes:
        name: Short, such as "real + synthetic"; unique on the page.
        balanced_accuracy: Over all partitions and seeds, 0 … 1, with its interval.
        macro_f1: The same.
        recalls: class -> recall, in the order of the page's classes; classes may be missing.
        steps: Optimiser steps of one training.
        real_images: Real images one training saw (of the first partition where they differ).
        synthetic_images: Synthetic ones.
        description: One sentence; may be empty.
        points: Every trained classifier.
        confusion: Pooled counts (k, k), rows are the truth, in the order of the page's classes; None where not kept.
        baseline: Whether the others are compared with this one; at most one condition is.
    """

    name: str
    balanced_accuracy: Estimate
    macro_f1: Estimate = Estimate(None)
    recalls: Mapping[str, Estimate] = field(default_factory=dict)
    steps: int | None = None
    real_images: int | None = None
    synthetic_images: int | None = None
    description: str = ""
    points: tuple[Point, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A paired comparison on the same test images.

    Attributes:
        condition: Its name.
        against: Name of the condition it is compared with.
        method: Such as "paired bootstrap over groups, 10000 resamples".
        measure: Such as "balanced accuracy".
        difference: Condition minus the other, with its interval; for a test without an effect size, Estimate(None).
        p_value: Two-sided.
        primary: Whether the verdict rests on it.
    """

    condition: str
    against: str
    method: str
    measure: str
    difference: Estimate
    p_value: float
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of the images, every condition on it.

    Attributes:
        name: Such as "partition 0".
        test_images: Real images of its test side.
        scores: condition name -> balanced accuracy, mean over the seeds.
    """

    name: str
    test_images: int
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Check:
    """A question that was put to the data or the classifiers, such as the shortcut check.

    Attributes:
        name: Such as "Can real and synthetic be told apart by their borders?".
        outcome: "passed", "flagged" or "not run".
        detail: What was found, in one or two sentences with the figures.
    """

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A further picture of the run folder.

    Attributes:
        file: Relative to the run folder, PNG or JPEG.
        caption: Under the picture.
        alt: What it shows, for those who do not see it; the caption where empty.
    """

    file: str
    caption: str
    alt: str = ""


@dataclass(frozen=True, slots=True)
class ValidationPage:
    """All that the page of a validation says.

    Attributes:
        name: Of the data set.
        split: The split that was validated.
        fingerprint: Of the data set with this split.
        verdict: "helps", "no evidence" or "hurts".
        sentence: The verdict in words, with the figures it rests on.
        p_value: Of the primary test; None where none could be made.
        classes: In order; `recalls` and `confusion` follow it.
        conditions: In order.
        tests: Paired comparisons.
        partitions: Every partition.
        checks: The shortcut check and its like.
        leak: What was looked at to see that no test image taught, in a sentence.
        notes: What a reader must know, a sentence each.
        settings: Name -> value of the training and the protocol.
        versions: Package -> version.
        license: Of the data; empty where unknown.
        seconds: The run took; None where not known.
        history: One mapping an epoch, see `plots.curves`; empty where not kept.
        pictures: Further ones, such as the worst images.
        level: The p value below which the verdict is one.
        schema: Of this file.
    """

    name: str
    split: str
    fingerprint: str
    verdict: Verdict
    sentence: str
    p_value: float | None
    classes: tuple[str, ...]
    conditions: tuple[Condition, ...]
    tests: tuple[PairedTest, ...] = ()
    partitions: tuple[Partition, ...] = ()
    checks: tuple[Check, ...] = ()
    leak: str = ""
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    license: str = ""
    seconds: float | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    pictures: tuple[Picture, ...] = ()
    level: float = 0.05
    schema: int = SCHEMA

    @property
    def baseline(self) -> Condition | None:
        """The condition that the others are compared with."""
        return next((each for each in self.conditions if each.baseline), None)

    def to_bytes(self) -> bytes:
        """The page as JSON; a figure that is not finite becomes null."""
        from pydantic import TypeAdapter

        return bytes(TypeAdapter(ValidationPage).dump_json(self, indent=2)) + b"\n"


def load(folder: Path) -> ValidationPage | None:
    """Read the page of a run folder back; None where it has none.

    Raises:
        DataError: The file is damaged, or of a later version of this tool.
    """
    from pydantic import TypeAdapter, ValidationError

    path = folder / PAGE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    hint = "run validate again, or delete this run folder"
    try:
        page = TypeAdapter(ValidationPage).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"the page of a validation is damaged ({place}: {first['msg']})", where=path, hint=hint
        ) from error
    if page.schema != SCHEMA:
        raise DataError(f"the page has schema {page.schema}, this version reads {SCHEMA}", where=path, hint=hint)
    return page
