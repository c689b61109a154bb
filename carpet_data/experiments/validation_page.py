"""What a validation found, as the facts of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carpet_data.dataset import Dataset
from carpet_data.experiments.comparison import Comparison, Contrast, Figure
from carpet_data.experiments.verdict import LEVEL, Verdict
from carpet_data.metrics import Interval, PairedResult
from carpet_data.reporting.pages import Check, Condition, Estimate, PairedTest, Partition, Point, ValidationPage
from carpet_data.store import runs

if TYPE_CHECKING:
    from carpet_data.experiments.shortcut import Answer

__all__ = ["page_of"]

_SHOWN = (
    "architecture",
    "weights",
    "pooling",
    "resize",
    "freeze",
    "steps",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "standardize",
    "augment",
    "views",
    "sampling",
    "good_share",
    "synthetic_share",
    "seeds",
    "synthesize to",
)


def page_of(
    comparison: Comparison,
    verdicts: Sequence[Verdict],
    checks: Mapping[str, Sequence[Answer]],
    *,
    dataset: Dataset,
    split: str,
    settings: Mapping[str, Any],
    leak: str,
    notes: Sequence[str],
    seconds: float,
) -> ValidationPage:
    """The page of a validation.

    Args:
        comparison: All figures.
        verdicts: The first one is the page's.
        checks: Pool -> what was asked about shortcuts.
        dataset: That was validated.
        split: Its split.
        settings: Of the training and the protocol.
        leak: What was looked at to see that no test image taught.
        notes: What a reader must know.
        seconds: The run took.
    """
    main = verdicts[0]
    others = [verdict.sentence for verdict in verdicts[1:]]
    judged = {verdict.condition: verdict for verdict in verdicts}
    shown = {name.replace("_", " "): settings[name] for name in _SHOWN if name in settings}
    return ValidationPage(
        name=dataset.name,
        split=split,
        fingerprint=dataset.fingerprint(split),
        verdict=main.word,
        sentence=" ".join(_capital(sentence) for sentence in (main.sentence, *others)),
        p_value=main.p_value,
        classes=comparison.classes,
        conditions=tuple(_conditions(comparison)),
        tests=tuple(test for contrast in comparison.contrasts for test in _tests(contrast, judged)),
        partitions=tuple(_partitions(comparison)),
        checks=tuple(
            Check(
                answer.question if len(checks) == 1 else f"{pool}: {answer.question}",
                answer.result,
                _stop(answer.detail),
            )
            for pool, answers in checks.items()
            for answer in answers
        ),
        leak=_stop(leak),
        notes=tuple(_stop(note) for note in notes),
        settings=shown,
        versions=runs.versions(),
        license=dataset.license,
        seconds=seconds,
        level=LEVEL,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _stop(text: str) -> str:
    """A sentence of the page: notes of the command line begin small and end without a stop."""
    return f"{_capital(text)}."


def _estimate(figure: Figure) -> Estimate:
    return _ranged(figure.value, figure.interval)


def _ranged(value: float | None, interval: Interval | None) -> Estimate:
    return Estimate(value) if interval is None else Estimate(value, interval.low, interval.high)


def _conditions(comparison: Comparison) -> list[Condition]:
    return [
        Condition(
            name=row.name,
            balanced_accuracy=_estimate(row.balanced_accuracy),
            macro_f1=_estimate(row.macro_f1),
            recalls={name: _estimate(figure) for name, figure in row.recalls.items()},
            steps=row.steps,
            real_images=row.real_images,
            synthetic_images=row.synthetic_images,
            description=condition.description,
            points=tuple(Point(partition, seed, value) for partition, seed, value in row.by_training),
            confusion=row.confusion,
            baseline=row.name == comparison.baseline,
        )
        for condition, row in zip(comparison.conditions, comparison.rows, strict=True)
    ]


def _tests(contrast: Contrast, judged: Mapping[str, Verdict]) -> list[PairedTest]:
    verdict = judged.get(contrast.condition)
    found: list[PairedTest] = []
    if contrast.paired is not None:
        adjusted = verdict is not None and verdict.adjusted > 1
        method = _bootstrap(contrast.paired)
        if verdict is not None and verdict.p_value is not None and adjusted:
            method += f", Holm over {verdict.adjusted}"
        p_value = contrast.paired.p_value if verdict is None or verdict.p_value is None else verdict.p_value
        found.append(_paired(contrast, contrast.paired, method, p_value, primary=verdict is not None))
    if verdict is None:
        return found
    if contrast.macro_f1 is not None:
        paired = contrast.macro_f1
        found.append(_paired(contrast, paired, _bootstrap(paired), paired.p_value, primary=False))
    measure = "balanced accuracy"
    if contrast.spread is not None and contrast.spread.p_value is not None:
        spread = contrast.spread
        method = f"corrected t-test over {spread.degrees + 1} partitions"
        estimate = _ranged(spread.mean, spread.interval)
        found.append(
            PairedTest(contrast.condition, contrast.against, method, measure, estimate, contrast.spread.p_value)
        )
    if contrast.signs is not None:
        method = f"sign flips over {len(contrast.differences)} partitions"
        estimate = Estimate(contrast.signs.mean)
        found.append(
            PairedTest(contrast.condition, contrast.against, method, measure, estimate, contrast.signs.p_value)
        )
    return found


def _bootstrap(paired: PairedResult) -> str:
    return f"paired bootstrap over groups, {paired.resamples} resamples"


def _paired(contrast: Contrast, paired: PairedResult, method: str, p_value: float, *, primary: bool) -> PairedTest:
    return PairedTest(
        condition=contrast.condition,
        against=contrast.against,
        method=method,
        measure=paired.statistic,
        difference=_ranged(paired.difference, paired.interval),
        p_value=p_value,
        primary=primary,
    )


def _partitions(comparison: Comparison) -> list[Partition]:
    tested = {
        training.partition: len(training.predictions)
        for training in comparison.trainings
        if training.condition == comparison.baseline
    }
    return [
        Partition(name, tested[name], {row.name: row.by_partition[name] for row in comparison.rows})
        for name in comparison.partitions
    ]
