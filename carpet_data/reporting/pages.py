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
    "PairedTest",
    "ValidationPage",
    "Verdict",
    "Word",
    "load",
]

SCHEMA = 2
LEAK = (
    "Checked in the manifest: no synthetic training image, host, donor or their group is in val or test; no group or "
    "duplicate file is on two sides."
)

Word: TypeAlias = Literal["helps", "no evidence", "hurts"]
CheckResult: TypeAlias = Literal["passed", "flagged", "not run"]


@dataclass(frozen=True, slots=True)
class ConditionMetrics(Result):
    """The metrics of one condition over all partitions and seeds.

    Attributes:
        balanced_accuracy: Mean of the recalls.
        macro_f1: Mean of the classes' F1.
        by_partition: Partition -> balanced accuracy, mean over its seeds.
        by_training: (partition, seed, balanced accuracy) of every training run.
        confusion: Pooled counts (k, k), rows are the truth; None where not kept.
        real_images: Real training images, of the first partition where they differ.
        steps: Optimizer steps of one training run.
        description: One sentence; may be empty.
    """

    balanced_accuracy: Estimate
    macro_f1: Estimate
    recalls: Mapping[str, Estimate] = field(default_factory=dict)
    by_partition: Mapping[str, float] = field(default_factory=dict)
    by_training: tuple[tuple[str, int, float], ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    real_images: int | None = None
    synthetic_images: int | None = None
    steps: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Contrast(Result):
    """One condition against another on the same test images.

    Attributes:
        difference: Of balanced accuracy, condition - other.
        paired_bootstrap: Bootstrap over groups of test images; None where a class has only one group.
        by_partition: Partition -> difference; empty where partitions are pooled.
        corrected_t: The corrected resampled t-test over partitions; None with fewer than two.
        sign_flip: The sign-flip test over partitions; None with fewer than two.
        good_recall_before: Recall of `good` under the other condition; None without good test images.
        good_recall_after: The same under the condition.
    """

    condition: str
    against: str
    difference: float
    paired_bootstrap: PairedResult | None = None
    paired_bootstrap_macro_f1: PairedResult | None = None
    by_partition: Mapping[str, float] = field(default_factory=dict)
    corrected_t: CorrectedT | None = None
    sign_flip: SignFlip | None = None
    good_recall_before: float | None = None
    good_recall_after: float | None = None


@dataclass(frozen=True, slots=True)
class ComparisonMetrics(Result):
    """The metrics of a finished comparison.

    Attributes:
        classes: In the order of `confusion`.
        baseline: Name of the condition that the others are compared with.
        pooled: Whether the test images of all partitions were put together before scoring.
        test_images: Partition -> number of test images.
        test_units: class -> groups of test images, over all partitions.
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

    def recalls(self) -> dict[str, Mapping[str, Estimate]]:
        """condition -> class -> recall."""
        return {name: row.recalls for name, row in self.conditions.items() if row.recalls}


@dataclass(frozen=True, slots=True)
class Verdict(Result):
    """The verdict on one condition.

    Attributes:
        verdict: "helps" (better, p below the level), "hurts" (worse, p below the level) or "no evidence".
        sentence: The same in words, with the metrics it rests on.
        p_value: Of the paired bootstrap, adjusted where several conditions are judged; None where no test was possible.
        adjusted_over: Number of comparisons the p-value was adjusted for (Holm 1979); 1 for none.
        good_images_suffer: Whether good images are called defective notably more often than by the baseline.
    """

    condition: str
    verdict: Word
    sentence: str
    p_value: float | None
    adjusted_over: int = 1
    good_images_suffer: bool = False


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
        license: Of the data; empty where unknown.
        verdicts: The first one is the page's.
        checks: Name of the synthetic images -> the shortcut check on them.
        settings: Name -> value of the training and the protocol.
        seconds: The run took; None where unknown.
        leak: What was checked to see that no test image reached training.
        level: The p-value below which a verdict is given.
    """

    name: str
    split: str
    fingerprint: str
    comparison: ComparisonMetrics
    verdicts: tuple[Verdict, ...]
    license: str = ""
    checks: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    leak: str = LEAK
    level: float = 0.05
    schema: int = SCHEMA

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
        """All verdicts in words."""
        return " ".join(each.sentence[:1].upper() + each.sentence[1:] for each in self.verdicts)

    def tests(self) -> list[PairedTest]:
        """The rows of the table of paired tests."""
        judged = {verdict.condition: verdict for verdict in self.verdicts}
        return [test for each in self.comparison.contrasts for test in _tests(each, judged.get(each.condition))]


def _tests(contrast: Contrast, verdict: Verdict | None) -> list[PairedTest]:
    """The bootstrap of every contrast; all tests of those that were judged."""
    found: list[PairedTest] = []

    def add(measure: str, difference: Estimate, p_value: float, method: str, *, primary: bool = False) -> None:
        found.append(
            PairedTest(contrast.condition, contrast.against, measure, difference, p_value, method, primary=primary)
        )

    paired, second = contrast.paired_bootstrap, contrast.paired_bootstrap_macro_f1
    if paired is not None:
        method, p_value = f"paired bootstrap over groups, {paired.resamples} resamples", paired.p_value
        if verdict is not None and verdict.p_value is not None:
            p_value = verdict.p_value
            method += f", Holm over {verdict.adjusted_over}" if verdict.adjusted_over > 1 else ""
        difference = Estimate(paired.difference, paired.interval)
        add(paired.statistic, difference, p_value, method, primary=verdict is not None)
    if verdict is None:
        return found
    if second is not None:
        method = f"paired bootstrap over groups, {second.resamples} resamples"
        add(second.statistic, Estimate(second.difference, second.interval), second.p_value, method)
    t, signs = contrast.corrected_t, contrast.sign_flip
    if t is not None and t.p_value is not None:
        method = f"corrected t-test over {t.degrees + 1} partitions"
        add("balanced accuracy", Estimate(t.mean, t.interval), t.p_value, method)
    if signs is not None:
        method = f"sign flips over {len(contrast.by_partition)} partitions"
        add("balanced accuracy", Estimate(signs.mean), signs.p_value, method)
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
