"""The verdict in words: is a condition better than the baseline on unseen images? No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from carpet_data.core.text import p_text
from carpet_data.experiments.comparison import Comparison
from carpet_data.metrics import holm
from carpet_data.metrics.outlook import FEWEST_UNITS
from carpet_data.reporting.pages import Contrast, Verdict, Word

__all__ = ["LEVEL", "judge"]

LEVEL = 0.05
GOOD_FALL = 0.03
"""A larger fall of the recall of good images is stated beside the verdict."""
GOOD_LEAST = 0.9
"""So is any fall that ends below this."""


def judge(comparison: Comparison, conditions: Sequence[str]) -> tuple[Verdict, ...]:
    """A verdict on each of these conditions, such as "real + synthetic", of a finished comparison.

    The p-values of several are adjusted for multiple comparisons.
    """
    by_name = {contrast.condition: contrast for contrast in comparison.metrics.contrasts}
    contrasts = [by_name[name] for name in conditions]
    paired = [contrast.paired_bootstrap for contrast in contrasts]
    adjusted = holm([1.0 if each is None else each.p_value for each in paired])
    return tuple(
        _verdict(comparison, contrast, None if each is None else p_value, len(contrasts))
        for contrast, each, p_value in zip(contrasts, paired, adjusted, strict=True)
    )


def _verdict(comparison: Comparison, contrast: Contrast, p_value: float | None, several: int) -> Verdict:
    difference, paired = contrast.difference, contrast.paired_bootstrap
    word: Word = "no evidence"
    few = paired is not None and paired.fewest_units < FEWEST_UNITS
    if p_value is not None and p_value < LEVEL and difference != 0 and not few:
        word = "helps" if difference > 0 else "hurts"
    conditions = comparison.metrics.conditions
    before, after = (conditions[name].balanced_accuracy.value for name in (contrast.against, contrast.condition))
    interval = "" if paired is None else f", 95 % interval {paired.interval.text(signed=True)}"
    change = f"went from {before:.3f} to {after:.3f} ({difference:+.3f}{interval})"
    claim = f"{contrast.condition} {word}"
    if word == "no evidence":
        claim = f"no evidence that {contrast.condition} helps or hurts"
    if p_value is None:
        sentence = (
            f"{claim}: no test is possible, because a class has a single group of test images. "
            f"Balanced accuracy {change}."
        )
    else:
        adjusted = f" (Holm, {several} comparisons)" if several > 1 else ""
        sentence = f"{claim}: balanced accuracy {change}, {p_text(p_value)}{adjusted}."
    if few and p_value is not None:
        sentence += (
            f" With fewer than {FEWEST_UNITS} groups of test images in a class, p-values are unreliable, so no verdict "
            "is given."
        )
    suffering = _fall_of_good(contrast)
    if suffering:
        sentence += f" But {suffering}" if word == "helps" else f" {suffering[:1].upper()}{suffering[1:]}"
    return Verdict(
        condition=contrast.condition,
        verdict=word,
        sentence=sentence,
        p_value=p_value,
        adjusted_over=several,
        good_images_suffer=bool(suffering),
    )


def _fall_of_good(contrast: Contrast) -> str:
    """In words, whether good images are called defective notably more often than before; empty where not."""
    before, after = contrast.good_recall_before, contrast.good_recall_after
    if before is None or after is None:
        return ""
    fall = before - after
    first, last = f"{before:.2f}", f"{after:.2f}"
    # Rounding must not turn a fall of exactly the bound into a larger one, and a fall that cannot be shown is none.
    if fall > GOOD_FALL + 1e-9 or (fall > 0 and first != last and after < GOOD_LEAST - 1e-9):
        return f"good images are called defective more often: the recall of good fell from {first} to {last}."
    return ""
