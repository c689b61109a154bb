"""The verdict in words: is a condition better than the baseline on unseen images? No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from carpet_data.core.text import p_text
from carpet_data.experiments.comparison import Comparison
from carpet_data.metrics import holm
from carpet_data.metrics.outlook import FEWEST_UNITS
from carpet_data.reporting.pages import Contrast, Verdict, Word

__all__ = ["LEVEL", "judge", "judged"]

LEVEL = 0.05
GOOD_FALL = 0.03
"""A larger fall of the recall of good images is stated beside the verdict."""
GOOD_LEAST = 0.9
"""So is any fall that ends below this."""


def judged(views: Sequence[Comparison], conditions: Sequence[str], *, asked: int) -> tuple[Verdict, ...]:
    """The verdicts of all comparisons of an experiment.

    Those that were asked for, the first ones, are adjusted for each other; so are the other tasks of the same kind of
    model; each further kind of model is on its own.
    """
    found = list(judge(views[:asked], conditions))
    for learner in dict.fromkeys(view.learner for view in views[asked:]):
        found += judge([view for view in views[asked:] if view.learner == learner], conditions)
    return tuple(found)


def judge(
    comparisons: Comparison | Sequence[Comparison], conditions: Sequence[str], *, level: float = LEVEL
) -> tuple[Verdict, ...]:
    """A verdict on each of these conditions, such as "real + synthetic", by each of the finished comparisons.

    The p-values of all of them together are adjusted for multiple comparisons.
    """
    views = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    found = []
    for view in views:
        by_name = {contrast.condition: contrast for contrast in view.metrics.contrasts}
        found += [(view, by_name[name]) for name in conditions]
    tested = [each.first.p_value for _, each in found if each.first is not None]
    adjusted = iter(holm(tested))
    return tuple(
        _verdict(view, contrast, None if contrast.first is None else next(adjusted), max(len(tested), 1), level)
        for view, contrast in found
    )


def _verdict(view: Comparison, contrast: Contrast, p_value: float | None, several: int, level: float) -> Verdict:
    paired = contrast.first
    word: Word = "no evidence"
    few = paired is not None and paired.fewest_units < FEWEST_UNITS
    if p_value is not None and p_value < level and contrast.difference and not few:
        word = "helps" if contrast.difference > 0 else "hurts"
    claim = f"{contrast.condition} {word}"
    if word == "no evidence":
        claim = f"no evidence that {contrast.condition} helps or hurts"
    change = _change(view, contrast)
    if p_value is None:
        sentence = f"{claim}: no test is possible, because {_why_none(view)}. {change[:1].upper()}{change[1:]}."
    else:
        adjusted = f" (Holm, {several} comparisons)" if several > 1 else ""
        sentence = f"{claim}: {change}, {p_text(p_value)}{adjusted}."
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
        task=view.task,
        learner=view.learner,
    )


def _change(view: Comparison, contrast: Contrast) -> str:
    metrics, paired = view.metrics, contrast.first
    before, after = (metrics.conditions[name].first.value for name in (contrast.against, contrast.condition))
    if before is None or after is None:
        return f"{metrics.measure} does not exist here"
    interval = "" if paired is None else f", 95 % interval {paired.interval.text(signed=True)}"
    return f"{metrics.measure} went from {before:.3f} to {after:.3f} ({after - before:+.3f}{interval})"


def _why_none(view: Comparison) -> str:
    if min((count for count in view.units.values() if count), default=0) == 1:
        of = "a class" if view.task in ("classify", "detect") else "one side"
        return f"{of} has a single group of test images"
    return "too few test images show what it rests on"


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
