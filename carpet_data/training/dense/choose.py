"""Choose the scale where it was not given, by cross-fitting on the training images alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Sample
from carpet_data.training.dense.bank import MapBank
from carpet_data.training.dense.calibration import Calibration, average_precision, log_odds
from carpet_data.training.dense.crossfit import HeldOut
from carpet_data.training.dense.image_term import evidence_of
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.dense.source import CellSource, cross_fitted

__all__ = ["Choice", "Compared", "choose", "held_out_score"]

_GAIN = 0.01
"""Twice the size must be better by this much, so that noise does not choose."""
_SMALL = 768
"""Longer side in pixels up to which images are tried in twice their size."""
_MOST_PIXELS = 2048 * 2048
"""Larger images are halved until they fit: their maps would fill the memory of a laptop."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A scale that was tried, and its score, see `held_out_score`."""

    scale: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was chosen.

    Attributes:
        options: With a value for each option that was open, but for the smoothing, which the fit chooses.
        compared: What was tried, in order; empty where nothing was to be chosen.
        notes: What was chosen and why, for people.
        held: Held-out maps of the training images under the chosen options, for `fit_dense`; None where nothing was
            tried.
    """

    options: DenseOptions
    compared: tuple[Compared, ...] = ()
    notes: tuple[str, ...] = ()
    held: tuple[HeldOut, ...] | None = None


def choose(
    bank: MapBank,
    samples: Sequence[Sample],
    classes: Sequence[str],
    options: DenseOptions,
    *,
    progress: Progress | None = None,
) -> Choice:
    """Choose the scale of a training, where it is open: 1, or 2 where it is better by 0.01 in `held_out_score`.

    Images whose longer side is over 768 pixels (the median of the real ones) are not enlarged, and nothing is compared;
    those over 4 megapixels are made smaller. What is chosen does not depend on how fast the machine is.

    Raises:
        As `fit_dense`.
    """
    settled = options.settled().but(smoothing=options.smoothing)
    if options.scale is not None:
        return Choice(settled)
    scale, note = _only_scale(samples)
    if scale is not None:
        return Choice(settled.but(scale=scale), (), (note,))
    tried: list[tuple[float, DenseOptions, tuple[HeldOut, ...]]] = []
    for number, each in enumerate((1.0, 2.0)):
        candidate = settled.but(scale=each)
        held = _held_out(bank, samples, classes, candidate, progress)
        score = None if held is None else held_out_score(held, _smoothing(candidate))
        if held is None or score is None:
            few = "too little is known of the training images to choose a scale by: 1 is used"
            return Choice(settled.but(scale=1.0), (), (few,))
        tried.append((score, candidate, held))
        if progress is not None:
            progress(Step(number + 1, 2, "comparing scales"))
    (plain, _, _), (twice, _, _) = tried
    _, chosen, held = tried[1] if twice > plain + _GAIN else tried[0]
    said = (
        f"scale {chosen.scale:g} chosen on held-out training images: score {plain:.3f} in scale 1, {twice:.3f} in "
        f"scale 2 (the mean of pixel AP and type accuracy; 2 must be better by {_GAIN:g})"
    )
    return Choice(chosen, (Compared(1.0, plain), Compared(2.0, twice)), (said,), held)


def _held_out(
    bank: MapBank,
    samples: Sequence[Sample],
    classes: Sequence[str],
    options: DenseOptions,
    progress: Progress | None,
) -> tuple[HeldOut, ...] | None:
    """The held-out maps of a candidate; None where no sample has a mask."""
    source = CellSource.of(bank, samples, classes, options.settled())
    return None if source.table is None else tuple(cross_fitted(source, progress))


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


def _only_scale(samples: Sequence[Sample]) -> tuple[float | None, str]:
    """The scale where there is one candidate only, and why; None where there are two."""
    real = [sample for sample in samples if sample.origin == "real"] or list(samples)
    if median(max(sample.width, sample.height) for sample in real) <= _SMALL:
        return None, ""
    pixels, scale = median(sample.width * sample.height for sample in real), 1.0
    while pixels * scale**2 > _MOST_PIXELS:
        scale /= 2
    if scale == 1:
        return scale, f"scale 1: twice their size is tried only for images of up to {_SMALL} pixels"
    return scale, f"scale {scale:g}: in their own size the images are over {_MOST_PIXELS / 1e6:.1f} megapixels"


def _smoothing(options: DenseOptions) -> float:
    smoothing = options.settled().smoothing
    assert smoothing is not None, "settled"
    return smoothing
