"""From held-out maps to a head that can be trusted: calibration, image term, and the threshold that keeps good good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.dataset import GOOD
from carpet_data.training.dense.calibration import Calibration, calibrate
from carpet_data.training.dense.crossfit import HeldOut
from carpet_data.training.dense.dense_head import DenseHead
from carpet_data.training.dense.head import CellHeads
from carpet_data.training.dense.image_term import PLAIN, Evidence, ImageTerm, evidence_of, fit_term, pooled
from carpet_data.training.dense.options import CHOSEN
from carpet_data.training.dense.source import CellSource

__all__ = ["Judged", "good_shift", "judged", "judged_images"]

F64 = NDArray[np.float64]

_PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003)
"""Of the mean features, the strongest first; the best in cross-validation is used, or none."""
_FEATURE_IMAGES = 3
"""Images of each class that mean features need."""
_ENOUGH_GOOD = 20
"""Good images with which the background around defects need not stand in for more."""
_STAND_IN = 0.5
_AROUND = 2
"""Cells around a defect that are left out where its background stands in for a good image."""
_NEVER = -1e3
_TERM_FOLDS = 5
_FEW_GROUPS, _ALL_VIEWS = 3, 8


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Held-out images, row by row: what was found in each, and what it is.

    Attributes:
        labels: int64 (n,).
        weights: float64 (n,); less than 1 for a background that stands in for a good image.
        folds: int64 (n,), rows of one group are in one fold.
    """

    rows: tuple[Evidence, ...]
    labels: NDArray[np.int64]
    weights: F64
    folds: NDArray[np.int64]


def judged(
    source: CellSource, cells: CellHeads | None, held: Sequence[HeldOut], *, smoothing: float | None
) -> DenseHead:
    """The head, calibrated on held-out maps of its training images.

    Args:
        source: The training images.
        cells: The head trained on all of them.
        held: Their maps by other heads; empty where nothing could be held out.
        smoothing: None to choose it.
    """
    options, classes = source.options, source.classes
    default = CHOSEN["smoothing"]
    assert isinstance(default, float)
    plain = Calibration.plain(len(classes), default if smoothing is None else smoothing)
    notes = list(_notes(source, held))
    calibration = plain
    if cells is not None and held:
        calibration = calibrate(held, len(classes), smoothing=smoothing, default=default, seed=options.seed)
    image = PLAIN(len(classes) - 1)
    found = judged_images(source, held, calibration)
    if found is not None:
        image = _term(found, options.good_recall)
    return DenseHead(classes, source.resolution, _test_views(source), cells, calibration, image, tuple(notes))


def _test_views(source: CellSource) -> int:
    """In how many positions a new image is seen: all of them where a class was learned from one or two images."""
    if source.options.test_views is not None:
        return source.options.test_views
    groups = [
        {
            sample.group or sample.id
            for sample in source.samples
            if sample.class_name == name and sample.origin == "real"
        }
        for name in source.classes[1:]
    ]
    return _ALL_VIEWS if any(0 < len(each) < _FEW_GROUPS for each in groups) else 1


def judged_images(source: CellSource, held: Sequence[HeldOut], calibration: Calibration) -> Judged | None:
    """Pool the held-out maps; None where there are none.

    An image whose type the head had not seen says nothing. With few good images the background of each defect image is
    judged too, as half a good image: what is around a defect must stay good as well.
    """
    good = sum(each.label == 0 for each in held)
    rows: list[Evidence] = []
    facts: list[tuple[int, float, int]] = []
    features = [pooled(source.bank.map(source.samples[each.row], source.resolution)) for each in held]
    for each, own in zip(held, features, strict=True):
        logits = calibration.logits(each.logits)
        if each.typed or not each.label:
            rows.append(evidence_of(logits, own, threshold=calibration.threshold))
            facts.append((each.label, 1.0, each.row))
        if each.label and each.cover is not None and good < _ENOUGH_GOOD and source.table is not None:
            around = _around(each.cover)
            if not around.all():
                others = np.mean(features, axis=0)
                rows.append(evidence_of(logits, others, threshold=calibration.threshold, without=around))
                facts.append((0, _STAND_IN, each.row))
    if not rows:
        return None
    labels, weights, samples = (np.array(column) for column in zip(*facts, strict=True))
    groups = [source.samples[row].group or source.samples[row].id for row in samples.tolist()]
    place = {name: number for number, name in enumerate(sorted(set(groups)))}
    folds = np.array([place[name] % _TERM_FOLDS for name in groups], np.int64)
    return Judged(tuple(rows), labels.astype(np.int64), weights.astype(np.float64), folds)


def _around(cover: NDArray[np.float16]) -> NDArray[np.bool_]:
    """The cells of defects and those next to them."""
    touched = (cover.astype(np.float32).sum(axis=0) > 0).astype(np.uint8)
    kernel = np.ones((2 * _AROUND + 1, 2 * _AROUND + 1), np.uint8)
    return np.asarray(cv2.dilate(touched, kernel) > 0)


def _term(found: Judged, good_recall: float) -> ImageTerm:
    """Fit the image term, its penalty chosen by cross-validation, and set the threshold between good and defect."""
    everything = np.ones(len(found.labels), np.bool_)
    if not (found.labels == 0).any():
        return replace(_fitted(found, everything, _penalty(found)[0]), shift=_NEVER)
    if not (found.labels > 0).any():
        # Nothing is known of how defects look to a head that has seen others: what no good image reaches is one.
        term = PLAIN(len(found.rows[0].types))
        logits = np.stack([term.logits(row) for row in found.rows])
        return replace(term, shift=max(0.0, float((logits[:, 1:].max(axis=1) - logits[:, 0]).max())))
    penalty, logits = _penalty(found)
    term = _fitted(found, everything, penalty)
    margins = logits[:, 1:].max(axis=1) - logits[:, 0]
    return replace(term, shift=good_shift(margins, found.labels > 0, found.weights, good_recall))


def _fitted(found: Judged, chosen: NDArray[np.bool_], penalty: float | None) -> ImageTerm:
    rows = [row for row, taken in zip(found.rows, chosen, strict=True) if taken]
    return fit_term(rows, found.labels[chosen], found.weights[chosen], features=penalty)


def _penalty(found: Judged) -> tuple[float | None, F64]:
    """The penalty of the mean features whose logits of left-out images are best, and these logits."""
    penalties: list[float | None] = [None]
    counts = np.bincount(found.labels[found.weights == 1])
    if (counts[counts > 0] >= _FEATURE_IMAGES).all() and len(counts) > 1:
        penalties += _PENALTIES
    best: tuple[float, float | None, F64] | None = None
    for penalty in penalties:
        logits = _left_out(found, penalty)
        loss = _loss(logits, found)
        if best is None or loss < best[0]:
            best = loss, penalty, logits
    assert best is not None
    return best[1], best[2]


def _left_out(found: Judged, penalty: float | None) -> F64:
    """The logits of each image by a term that was fitted without its fold."""
    logits = np.zeros((len(found.labels), len(found.rows[0].types) + 1))
    for fold in np.unique(found.folds):
        inside = found.folds == fold
        # Where nothing is left, or one class only, the term of all images stands in.
        few = len(set(found.labels[~inside].tolist())) < 2
        term = _fitted(found, inside | True if few else ~inside, penalty)
        for row in np.flatnonzero(inside):
            logits[row] = term.logits(found.rows[row])
    return logits


def _loss(logits: F64, found: Judged) -> float:
    """Cross-entropy, each class counting alike."""
    most = logits.max(axis=1, keepdims=True)
    log = logits - most - np.log(np.exp(logits - most).sum(axis=1, keepdims=True))
    chance = np.exp(log)
    right = chance[np.arange(len(log)), found.labels]
    sums = np.bincount(found.labels, found.weights)
    weights = found.weights / sums[found.labels]
    return float(-(np.log(np.maximum(right, 1e-12)) * weights).sum() / weights.sum())


def good_shift(margins: F64, defect: NDArray[np.bool_], weights: F64, good_recall: float) -> float:
    """The margin from which on an image counts as defect.

    Of those that keep the wanted share of good images good, the one of the largest balanced accuracy; where a range of
    margins does equally well, its middle.

    Examples:
        >>> good_shift(np.array([0.0, 1.0, 5.0]), np.array([False, False, True]), np.ones(3), 0.9)
        3.0
    """
    levels = np.unique(margins)
    edges = np.concatenate(([levels[0] - 1], (levels[:-1] + levels[1:]) / 2, [levels[-1] + 1]))
    good, bad = margins[~defect], margins[defect]
    recall = np.array([weights[~defect][good <= edge].sum() for edge in edges]) / weights[~defect].sum()
    if not len(bad):
        return float(levels[-1])
    caught = np.array([weights[defect][bad > edge].sum() for edge in edges]) / weights[defect].sum()
    value = np.where(recall >= good_recall, recall + caught, -1)
    best = np.flatnonzero(value == value.max())
    return float((edges[best[0]] + edges[best[-1]]) / 2)


def _notes(source: CellSource, held: Sequence[HeldOut]) -> list[str]:
    """What the user should know of a fit: classes with few images, missing masks, and what stood in."""
    real = [sample for sample in source.samples if sample.origin == "real"]
    notes = []
    for name in source.classes[1:]:
        own = [sample for sample in source.samples if sample.class_name == name]
        groups = {sample.group or sample.id for sample in real if sample.class_name == name}
        if not own:
            notes.append(f"{name} has no training image: it will never be predicted")
        elif len(groups) == 1:
            notes.append(f"{name} has one group of training images: nothing of it could be held out for calibration")
    if source.table is None:
        notes.append("no training image has a mask: images are classified, but nothing is said of their pixels")
    bare = [sample for sample, known in zip(source.samples, source.masked, strict=True) if not known]
    if bare and source.table is not None:
        who = "1 defect image has" if len(bare) == 1 else f"{len(bare)} defect images have"
        notes.append(f"{who} no mask, or an empty one: the class of the image is all that is learned there")
    good = sum(sample.class_name == GOOD for sample in real)
    if not held:
        notes.append("the training images form one group: nothing could be held out, so thresholds are not calibrated")
    elif source.table is not None and good < _ENOUGH_GOOD:
        notes.append(
            f"{good or 'no'} good training {'image' if good == 1 else 'images'}: the background of defect images "
            "stands in for more where the threshold of good is set"
        )
    elif not good:
        notes.append("no good training image and no mask: good will never be predicted")
    return notes
