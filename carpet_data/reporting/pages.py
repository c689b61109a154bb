"""What a validation found, as plain facts: metrics.json of its run folder, and all that its pages say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from carpet_data.core.results import Result
from carpet_data.errors import DataError
from carpet_data.metrics import CorrectedT, Estimate, PairedResult, SignFlip
from carpet_data.store import runs

__all__ = [
    "Check",
    "CheckResult",
    "ComparisonMetrics",
    "ConditionMetrics",
    "Contrast",
    "MapPicture",
    "PairedTest",
    "ValidationPage",
    "Verdict",
    "Word",
    "load",
    "titled",
]

SCHEMA = 3
LEAK = (
    "Checked in the manifest: no synthetic training image, host, donor or their group is in val or test; no group or "
    "duplicate file is on two sides."
)

TASKS = {
    "classify": "Image class",
    "segment": "Segmentation",
    "detect": "Detection",
    "anomaly": "Anomaly",
}
"""What is compared -> its heading."""
LEARNERS = {"dense": "dense head", "classifier": "whole-image classifier"}
"""What was trained -> its name in text."""
_BY_CLASS = {"classify": "recall", "segment": "pixel AP", "detect": "AP50"}

Word: TypeAlias = Literal["helps", "no evidence", "hurts"]
CheckResult: TypeAlias = Literal["passed", "flagged", "not run"]


@dataclass(frozen=True, slots=True)
class ConditionMetrics(Result):
    """The metrics of one condition over all partitions and seeds.

    Attributes:
        scores: Name -> score; the verdict rests on the first.
        by_class: Class -> its recall (classify), pixel AP (segment) or AP50 (detect).
        by_partition: Partition -> first score, mean over its seeds.
        by_training: (partition, seed, first score) of every training run.
        confusion: Pooled counts (k, k), rows are the truth; None where not kept.
        real_images: Real training images, of the first partition where they differ.
        steps: Optimizer steps of one training run.
        description: One sentence; may be empty.
    """

    scores: Mapping[str, Estimate]
    by_class: Mapping[str, Estimate] = field(default_factory=dict)
    by_partition: Mapping[str, float] = field(default_factory=dict)
    by_training: tuple[tuple[str, int, float], ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    real_images: int | None = None
    synthetic_images: int | None = None
    steps: int | None = None
    description: str = ""

    @property
    def first(self) -> Estimate:
        """The score that the verdict rests on."""
        return next(iter(self.scores.values()), Estimate(None))


@dataclass(frozen=True, slots=True)
class Contrast(Result):
    """One condition against another on the same test images.

    Attributes:
        difference: Of the first score, condition - other; None where one of the two does not exist.
        paired: Bootstrap over groups of test images, of the first score and others; empty where there are too few
            groups.
        by_partition: Partition -> difference; empty where partitions are pooled.
        corrected_t: The corrected resampled t-test over partitions; None with fewer than two.
        sign_flip: The sign-flip test over partitions; None with fewer than two.
        good_recall_before: Recall of `good` under the other condition; None without good test images.
        good_recall_after: The same under the condition.
    """

    condition: str
    against: str
    difference: float | None
    paired: tuple[PairedResult, ...] = ()
    by_partition: Mapping[str, float] = field(default_factory=dict)
    corrected_t: CorrectedT | None = None
    sign_flip: SignFlip | None = None
    good_recall_before: float | None = None
    good_recall_after: float | None = None

    @property
    def first(self) -> PairedResult | None:
        """The test that a verdict rests on."""
        return self.paired[0] if self.paired else None


@dataclass(frozen=True, slots=True)
class ComparisonMetrics(Result):
    """The metrics of a finished comparison: one kind of model, one task.

    Attributes:
        classes: In the order of `confusion`.
        baseline: Name of the condition that the others are compared with.
        pooled: Whether the test images of all partitions were put together before scoring.
        test_images: Partition -> number of test images.
        test_units: class -> groups of test images, over all partitions; "defect" is all defect classes together.
        task: "classify", "segment", "detect" or "anomaly".
        learner: What was trained: "dense" or "classifier".
    """

    classes: tuple[str, ...]
    baseline: str
    partitions: tuple[str, ...]
    pooled: bool
    test_images: Mapping[str, int]
    test_units: Mapping[str, int]
    conditions: Mapping[str, ConditionMetrics]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...] = ()
    task: str = "classify"
    learner: str = "classifier"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scores; the verdict rests on the first."""
        return tuple(next((row.scores for row in self.conditions.values()), {}))

    @property
    def measure(self) -> str:
        """The score that the verdict rests on."""
        return next(iter(self.names), "score")

    @property
    def class_measure(self) -> str:
        """The score of each class."""
        return _BY_CLASS.get(self.task, "score")

    @property
    def key(self) -> str:
        """Unique on a page, for the names of files and anchors."""
        return f"{self.learner}-{self.task}"

    @property
    def title(self) -> str:
        """Such as "Segmentation, dense head"."""
        return f"{TASKS[self.task]}, {LEARNERS[self.learner]}"

    def by_class(self) -> dict[str, Mapping[str, Estimate]]:
        """condition -> class -> score."""
        return {name: row.by_class for name, row in self.conditions.items() if row.by_class}


@dataclass(frozen=True, slots=True)
class Verdict(Result):
    """The verdict on one condition.

    Attributes:
        verdict: "helps" (better, p below the level), "hurts" (worse, p below the level) or "no evidence".
        sentence: The same in words, with the metrics it rests on.
        p_value: Of the paired bootstrap, adjusted where several conditions are judged; None where no test was possible.
        adjusted_over: Number of comparisons the p-value was adjusted for (Holm 1979); 1 for none.
        good_images_suffer: Whether good images are called defective notably more often than by the baseline.
        task: Of the comparison it rests on.
        learner: Likewise.
    """

    condition: str
    verdict: Word
    sentence: str
    p_value: float | None
    adjusted_over: int = 1
    good_images_suffer: bool = False
    task: str = "classify"
    learner: str = "classifier"


@dataclass(frozen=True, slots=True)
class MapPicture(Result):
    """A picture of one test image: image, true mask, and the heat maps of two conditions, side by side.

    Attributes:
        file: In the run folder.
        caption: What it shows.
    """

    file: str
    caption: str


@dataclass(frozen=True, slots=True)
class Check(Result):
    """One question about shortcuts and its answer.

    Attributes:
        result: "passed", "flagged", or "not run" where there are too few images.
        value: The largest area under the ROC curve; None where it was not run.
    """

    question: str
    result: CheckResult
    detail: str
    value: float | None = None


class PairedTest(NamedTuple):
    """A row of the table of paired tests; `primary` where the verdict rests on it."""

    condition: str
    against: str
    measure: str
    difference: Estimate
    p_value: float
    method: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class ValidationPage(Result):
    """All that a validation found: metrics.json.

    Attributes:
        fingerprint: Of the data set with this split.
        comparisons: One per task and kind of model; the first is the one that was asked for.
        license: Of the data; empty where unknown.
        verdicts: Those of the first comparison first.
        checks: Name of the synthetic images -> the shortcut check on them.
        settings: Name -> value of the training and the protocol.
        seconds: The run took; None where unknown.
        pictures: Maps of test images, those that gained most and least.
        leak: What was checked to see that no test image reached training.
        level: The p-value below which a verdict is given.
    """

    name: str
    split: str
    fingerprint: str
    comparisons: tuple[ComparisonMetrics, ...]
    verdicts: tuple[Verdict, ...]
    license: str = ""
    checks: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    pictures: tuple[MapPicture, ...] = ()
    leak: str = LEAK
    level: float = 0.05
    schema: int = SCHEMA

    @property
    def comparison(self) -> ComparisonMetrics:
        """The one that was asked for."""
        return self.comparisons[0]

    @property
    def verdict(self) -> Word:
        """The verdict on the first condition that was judged."""
        return self.verdicts[0].verdict

    @property
    def p_value(self) -> float | None:
        """Its p-value."""
        return self.verdicts[0].p_value

    @property
    def sentence(self) -> str:
        """The verdicts of the first comparison in words."""
        return " ".join(each.sentence[:1].upper() + each.sentence[1:] for each in self.of(self.comparison))

    def of(self, comparison: ComparisonMetrics) -> tuple[Verdict, ...]:
        """The verdicts that rest on a comparison."""
        return tuple(v for v in self.verdicts if (v.learner, v.task) == (comparison.learner, comparison.task))

    def tests(self, comparison: ComparisonMetrics | None = None) -> list[PairedTest]:
        """The rows of the table of paired tests of a comparison; None for the first."""
        found = self.comparison if comparison is None else comparison
        judged = {verdict.condition: verdict for verdict in self.of(found)}
        return [test for each in found.contrasts for test in _tests(each, judged.get(each.condition), found.measure)]


def titled(measure: str) -> str:
    """A score's name as it begins a line: `Pixel AP`, but `mIoU`."""
    return measure if measure[1:2].isupper() else measure[:1].upper() + measure[1:]


def _tests(contrast: Contrast, verdict: Verdict | None, measure: str) -> list[PairedTest]:
    """The bootstrap of every contrast; all tests of those that were judged."""
    found: list[PairedTest] = []

    def add(name: str, difference: Estimate, p_value: float, method: str, *, primary: bool = False) -> None:
        found.append(
            PairedTest(contrast.condition, contrast.against, name, difference, p_value, method, primary=primary)
        )

    for number, paired in enumerate(contrast.paired):
        method, p_value = f"paired bootstrap over groups, {paired.resamples} resamples", paired.p_value
        primary = number == 0 and verdict is not None
        if primary and verdict is not None and verdict.p_value is not None:
            p_value = verdict.p_value
            method += f", Holm over {verdict.adjusted_over}" if verdict.adjusted_over > 1 else ""
        if number == 0 or verdict is not None:
            difference = Estimate(paired.difference, paired.interval)
            add(paired.statistic, difference, p_value, method, primary=primary)
    if verdict is None:
        return found
    t, signs = contrast.corrected_t, contrast.sign_flip
    if t is not None and t.p_value is not None:
        method = f"corrected t-test over {t.degrees + 1} partitions"
        add(measure, Estimate(t.mean, t.interval), t.p_value, method)
    if signs is not None:
        method = f"sign flips over {len(contrast.by_partition)} partitions"
        add(measure, Estimate(signs.mean), signs.p_value, method)
    return found


def load(folder: Path) -> ValidationPage:
    """Read what the validation in a run folder found.

    Raises:
        DataError: metrics.json is missing, damaged, or of another version of this program.
    """
    from pydantic import TypeAdapter, ValidationError

    path, hint = folder / runs.METRICS, "run validate again, or delete this run folder"
    values = runs.metrics(folder)
    if values.get("schema") != SCHEMA:
        raise DataError(f"unsupported schema {values.get('schema')!r}, expected {SCHEMA}", where=path, hint=hint)
    try:
        return TypeAdapter(ValidationPage).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"the file is damaged ({place}: {first['msg']})", where=path, hint=hint) from error
