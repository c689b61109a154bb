"""The verdict in words: does a condition do better than the baseline on images it has never seen? No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from carpet_data.experiments.comparison import Comparison, Contrast
from carpet_data.metrics import holm

__all__ = ["LEVEL", "Verdict", "Word", "judge"]

Word: TypeAlias = Literal["helps", "no evidence", "hurts"]

LEVEL = 0.05
FEWEST_UNITS = 3
"""With two groups of test images in a class, equal conditions came out as different in up to 11 of 100 simulated data
sets, and the smallest possible p-value in up to 9: that carries no verdict."""
GOOD_FALL = 0.03
"""A recall of good images that falls by more is told beside the verdict."""
GOOD_LEAST = 0.9
"""So is one that ends below this and has fallen."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one condition.

    Attributes:
        condition: Its name.
        word: "helps" (better, p below the level), "hurts" (worse, p below the level) or "no evidence".
        sentence: The same in words, with the figures it rests on.
        p_value: Of the paired bootstrap, adjusted where several are judged; None where no test could be made.
        adjusted: Over how many comparisons the p-value was adjusted (Holm 1979); 1 for none.
        alarms: Whether good images are called defect notably more often than by the baseline.
    """

    condition: str
    word: Word
    sentence: str
    p_value: float | None
    adjusted: int
    alarms: bool

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return {
            "condition": self.condition,
            "verdict": self.word,
            "sentence": self.sentence,
            "p_value": self.p_value,
            "adjusted_over": self.adjusted,
            "good_images_suffer": self.alarms,
        }


def judge(comparison: Comparison, conditions: Sequence[str]) -> tuple[Verdict, ...]:
    """A verdict on each of these conditions.

    Args:
        comparison: Finished.
        conditions: Names, such as "real + synthetic"; with several of them the p-values are adjusted for having made
            several comparisons.
    """
    contrasts = [comparison.contrast(name) for name in conditions]
    raw = [1.0 if contrast.paired is None else contrast.paired.p_value for contrast in contrasts]
    return tuple(
        _verdict(comparison, contrast, None if contrast.paired is None else p_value, len(contrasts))
        for contrast, p_value in zip(contrasts, holm(raw), strict=True)
    )


def _verdict(comparison: Comparison, contrast: Contrast, p_value: float | None, several: int) -> Verdict:
    difference = contrast.difference
    word: Word = "no evidence"
    few = contrast.paired is not None and contrast.paired.fewest_units < FEWEST_UNITS
    if p_value is not None and p_value < LEVEL and difference != 0 and not few:
        word = "helps" if difference > 0 else "hurts"
    before, after = (comparison.row(name).balanced_accuracy.value for name in (contrast.against, contrast.condition))
    figures = f"went from {before:.3f} to {after:.3f} ({difference:+.3f}"
    if contrast.paired is not None:
        interval = contrast.paired.interval
        figures += f", 95 % interval {interval.low:+.3f} to {interval.high:+.3f}"
    figures += ")"
    if word == "no evidence":
        claim = f"no evidence that {contrast.condition} helps or hurts"
    else:
        claim = f"{contrast.condition} {word}"
    if p_value is None:
        said = (
            f"{claim}: no test could be made, because a class has a single group of test images. "
            f"Balanced accuracy {figures}."
        )
    else:
        adjusted = f" (Holm, {several} comparisons)" if several > 1 else ""
        said = f"{claim}: balanced accuracy {figures}, {_p_text(p_value)}{adjusted}."
        if few:
            said += (
                f" With fewer than {FEWEST_UNITS} groups of test images in a class no p-value can be relied on, so "
                "none gives a verdict."
            )
    alarms, suffering = _alarms(contrast)
    if alarms:
        said += f" But {suffering}" if word == "helps" else f" {suffering[:1].upper()}{suffering[1:]}"
    return Verdict(
        condition=contrast.condition,
        word=word,
        sentence=said,
        p_value=p_value,
        adjusted=several,
        alarms=alarms,
    )


def _alarms(contrast: Contrast) -> tuple[bool, str]:
    before, after = contrast.good_before, contrast.good_after
    if before is None or after is None:
        return False, ""
    fall = before - after
    first, last = f"{before:.2f}", f"{after:.2f}"
    # Rounding must not make a fall of exactly the bound one of more, and a fall that cannot be shown is none.
    if fall > GOOD_FALL + 1e-9 or (fall > 0 and first != last and after < GOOD_LEAST - 1e-9):
        return True, f"good images are called defect more often: the recall of good went from {first} to {last}."
    return False, ""


def _p_text(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
