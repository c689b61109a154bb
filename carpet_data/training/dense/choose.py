"""Choose the settings that were not given, by cross-fitting on the training images alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Sample
from carpet_data.errors import UsageError
from carpet_data.training.dense.bank import MapBank, Resolution
from carpet_data.training.dense.calibration import Calibration, average_precision, log_odds
from carpet_data.training.dense.crossfit import HeldOut
from carpet_data.training.dense.image_term import evidence_of
from carpet_data.training.dense.options import CHOSEN, DenseOptions
from carpet_data.training.dense.source import CellSource, cross_fitted

__all__ = ["Choice", "Compared", "choose", "held_out_score"]

_FOLDS, _VIEWS = 3, 2
_GAIN = 0.01
"""A setting must be better than the usual one by this much, so that noise does not choose."""
_LONGEST, _SMALL, _LARGE = 1536, 700, 1100
"""Longer side of an image, in pixels: what is seen at most; up to which images are enlarged at first; and the most that
enlarging further may come to."""
_ENLARGED = 1.5
_ORDER = ("scale", "strides", "background")
_CANDIDATES: dict[str, tuple[Any, ...]] = {"strides": ((8, 16, 32),), "background": (0.3,)}


@dataclass(frozen=True, slots=True)
class Compared:
    """A setting that was tried.

    Attributes:
        name: Of the option.
        value: Tried for it.
        score: See `held_out_score`.
        usual: The score without it.
        taken: Whether it is better enough.
    """

    name: str
    value: Any
    score: float
    usual: float
    taken: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        options: With a value for each option that was open, but for the smoothing, which the fit chooses.
        compared: What was tried, in order.
        notes: What was chosen and why, for people.
    """

    options: DenseOptions
    compared: tuple[Compared, ...]
    notes: tuple[str, ...]


def choose(
    bank: MapBank,
    samples: Sequence[Sample],
    classes: Sequence[str],
    options: DenseOptions,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Choice:
    """Choose the open settings of a training: one option after the other, the usual value first.

    Each candidate is judged by `held_out_score` in three grouped folds of the training images, shown in two positions,
    and taken where it is better by 0.01. What would exceed `options.budget_s` is not tried, which a note says.

    Raises:
        As `fit_dense`.
    """
    started = clock()
    base = options.but(**{name: _usual(name, samples) for name in options.open if name != "smoothing"})
    wanted = [name for name in _ORDER if name in options.open]
    total = 1 + sum(len(_candidates(name, base, samples)) for name in wanted)
    if not wanted or total == 1 or options.budget_s == 0:
        return Choice(base, (), ())
    best = _score(bank, samples, classes, base)
    if best is None:
        return Choice(base, (), ("too few training images to choose settings by: the usual ones are used",))
    cost = (clock() - started) / _work(base)
    tried: list[Compared] = []
    left_out = 0
    _report(progress, 1, total)
    for name in wanted:
        for option in _candidates(name, base, samples):
            if clock() - started + cost * _work(option) > options.budget_s:
                left_out += 1
                continue
            begun = clock()
            found = _score(bank, samples, classes, option)
            cost = max(cost, (clock() - begun) / _work(option))
            _report(progress, 1 + len(tried) + 1, total)
            if found is None:
                continue
            taken = found > best + _GAIN
            tried.append(Compared(name, getattr(option, name), found, best, taken))
            if taken:
                base, best = option, found
    return Choice(base, tuple(tried), tuple(_notes(base, wanted, tried, best, left_out)))


def held_out_score(held: Sequence[HeldOut], smoothing: float) -> float | None:
    """How good held-out maps are: the mean of the average precision of pixels and the balanced accuracy of types.

    Where no head had seen other images of a class, the first alone; None where nothing can be told.
    """
    masked = [each for each in held if each.cover is not None]
    if not any(each.label for each in masked):
        return None
    plain = Calibration.plain(len(masked[0].logits), smoothing)
    logits = [plain.logits(each.logits) for each in masked]
    cover = [each.cover.astype(np.float32).sum(axis=0).ravel() for each in masked if each.cover is not None]
    odds = np.concatenate([log_odds(each).ravel() for each in logits])
    parts = [average_precision(odds, np.minimum(np.concatenate(cover), 1))]
    right: dict[int, list[bool]] = {}
    for each, values in zip(masked, logits, strict=True):
        if each.label and each.typed:
            named = int(evidence_of(values, np.zeros(0)).types.argmax()) + 1
            right.setdefault(each.label, []).append(named == each.label)
    if len(right) > 1:
        parts.append(float(np.mean([np.mean(of_class) for of_class in right.values()])))
    return float(np.mean(parts))


def _score(bank: MapBank, samples: Sequence[Sample], classes: Sequence[str], options: DenseOptions) -> float | None:
    settled = options.settled()
    assert settled.views is not None, "settled"
    settled = settled.but(folds=_FOLDS, views=min(settled.views, _VIEWS))
    try:
        source = CellSource.of(bank, samples, classes, settled)
    except UsageError:
        # The network lacks a stride that is only a candidate.
        if options.strides == CHOSEN["strides"]:
            raise
        return None
    assert settled.smoothing is not None, "settled"
    return None if source.table is None else held_out_score(cross_fitted(source), settled.smoothing)


def _usual(name: str, samples: Sequence[Sample]) -> Any:
    if name != "scale":
        return CHOSEN[name]
    side, scale = _typical_side(samples), 1.0
    while side * scale > _LONGEST:
        scale /= 2
    # Cells of small images cover much of a defect: seen larger, screws and grids of 512 pixels gained .08 of pixel AP.
    return _ENLARGED if side <= _SMALL else scale


def _typical_side(samples: Sequence[Sample]) -> float:
    real = [sample for sample in samples if sample.origin == "real"] or samples
    return float(median(max(sample.width, sample.height) for sample in real))


def _candidates(name: str, base: DenseOptions, samples: Sequence[Sample]) -> list[DenseOptions]:
    if name != "scale":
        return [base.but(**{name: value}) for value in _CANDIDATES[name]]
    assert base.scale is not None, "set"
    side, scales = _typical_side(samples), [base.scale / 2, 1.0, 2.0]
    least = 1.0 if side <= _SMALL else base.scale / 2
    fitting = [scale for scale in scales if least <= scale and scale * side <= max(_LARGE, base.scale * side)]
    return [base.but(scale=scale) for scale in dict.fromkeys(fitting) if scale != base.scale]


def _work(options: DenseOptions) -> float:
    """How long a candidate takes compared with others: as the pixels that it sees."""
    return Resolution.of(options.settled()).scale ** 2


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(Step(done, total, "comparing settings"))


def _notes(
    base: DenseOptions, wanted: Sequence[str], tried: Sequence[Compared], best: float, left_out: int
) -> Iterator[str]:
    shown = ", ".join(f"{name} {_text(getattr(base, name))}" for name in wanted)
    others = "; ".join(f"{each.name} {_text(each.value)}: {each.score:.3f}" for each in tried if not each.taken)
    yield (
        f"chosen on held-out training images: {shown} (score {best:.3f}, the mean of pixel AP and type accuracy"
        f"{f'; {others}' if others else ''})"
    )
    if left_out:
        yield (f"{left_out} of the settings to compare were left out, as they would take longer than --budget-s allows")


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
