"""Fit a model of cells to good images, and set its thresholds by held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Sample
from carpet_data.errors import DataError
from carpet_data.training.anomaly.cells import F16, CellModel, Scored
from carpet_data.training.anomaly.defects import SyntheticDefects
from carpet_data.training.anomaly.held_out import HeldOutScores, collected, scales_of
from carpet_data.training.anomaly.model import AnomalyModel, reduced
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.anomaly.padim import Padim, alignment
from carpet_data.training.anomaly.patchcore import PatchCore
from carpet_data.training.anomaly.scorers import MapScorer
from carpet_data.training.anomaly.subspace import Subspace
from carpet_data.training.dense.bank import MapBank, Resolution
from carpet_data.training.dense.cells import moved_back
from carpet_data.training.dense.crossfit import Fold, folds_of

__all__ = ["fit_cell_model"]

U8 = NDArray[np.uint8]
_ALIGNED = 0.3
"""Share of the variance of good cells that positions explain, from which on images count as aligned."""
_MANY = 20
"""Groups of good images from which on a memory is much the same without one of them."""
_MOST_DEFECTS = 200
"""Synthetic images that set a threshold; more tell nothing new."""


def fit_cell_model(
    bank: MapBank, samples: Sequence[Sample], options: AnomalyOptions, progress: Progress | None = None
) -> tuple[AnomalyModel, dict[str, object]]:
    """Fit subspace, padim or patchcore to good images.

    Returns:
        The model, and what was chosen where the options left it open.

    Raises:
        ImageError: An image is missing or damaged.
        UsageError: The network has no such strides.
        DeviceMemoryError: An image does not fit into memory.
    """
    maps = _Maps(bank, samples, options)
    chosen: dict[str, object] = {"views": maps.views}
    plain = [maps.of(row, 0) for row in range(len(samples))]
    aligned = options.positions == "aligned"
    if options.model == "padim":
        if options.positions == "auto":
            aligned = alignment(plain) >= _ALIGNED
            chosen["positions"] = "aligned" if aligned else "free"
        if aligned and len(samples) < 2:
            aligned, chosen["positions"] = False, "free"

    def fit(learned: Sequence[F16]) -> CellModel:
        if options.model == "padim":
            return Padim.fit(learned, aligned=aligned, seed=options.seed)
        if options.model == "subspace":
            return Subspace.fit(learned)
        return PatchCore.fit(learned, coreset=options.coreset, seed=options.seed)

    model = fit([values for row in range(len(samples)) for values in maps.all_views(row)])
    held_out = _held_out(maps, samples, fit, model, options, progress)
    image, pixel, notes = scales_of(held_out, options)
    scorer = MapScorer(bank.maker(options.used_strides), model)
    return AnomalyModel(options.model, scorer, options.size, image, pixel, notes), chosen


class _Maps:
    """The maps of good images, from the bank, each image reduced by a factor of its own."""

    def __init__(self, bank: MapBank, samples: Sequence[Sample], options: AnomalyOptions) -> None:
        self._bank, self._samples = bank, samples
        self.views = options.views_of(len(samples))
        self.size, self.strides = options.size, options.used_strides
        by_scale: dict[Resolution, list[Sample]] = {}
        for sample in samples:
            by_scale.setdefault(self._resolution(sample), []).append(sample)
        for resolution, alike in by_scale.items():
            bank.add(alike, resolution, self.views)

    def of(self, row: int, view: int) -> F16:
        return self._bank.map(self._samples[row], self._resolution(self._samples[row]), view)

    def all_views(self, row: int) -> Iterator[F16]:
        return (self.of(row, view) for view in range(self.views))

    def of_image(self, image: U8) -> F16:
        return self._bank.maker(self.strides).of([image])[0]

    def image(self, row: int) -> U8:
        return reduced(self._samples[row].image(), self.size)

    def _resolution(self, sample: Sample) -> Resolution:
        return Resolution(min(1.0, self.size / max(sample.width, sample.height)), self.strides)


def _held_out(
    maps: _Maps,
    samples: Sequence[Sample],
    fit: Callable[[Sequence[F16]], CellModel],
    whole: CellModel,
    options: AnomalyOptions,
    progress: Progress | None,
) -> HeldOutScores:
    """Scores of each good image by a model that was fitted without its group.

    A memory of many groups is not made again for each: it leaves out what is of the group.
    """
    folds = folds_of(samples, options.folds, seed=options.seed)
    if isinstance(whole, PatchCore):
        of_each = folds_of(samples, len(samples), seed=options.seed)
        folds = of_each if len(of_each) >= _MANY else folds
    if not folds:
        return _quarters(maps, samples, fit, options)
    wanted = options.threshold == "synthetic"
    drawn = (
        SyntheticDefects([maps.image(row) for row in range(len(samples))], options.defects, options.seed)
        if wanted
        else None
    )
    good: list[Scored] = []
    defects: list[Scored] = []
    for number, fold in enumerate(folds):
        model = _without(maps, whole, fold) if len(folds) >= _MANY else None
        if model is None:
            model = fit([values for row in np.flatnonzero(fold.train).tolist() for values in maps.all_views(row)])
        for row in fold.held_out:
            good.append(model.score(maps.of(row, 0)))
            if drawn is not None and len(defects) < _MOST_DEFECTS:
                defects.append(model.score(maps.of_image(drawn.draw(row, row)[0])))
        if progress is not None:
            progress(Step(number + 1, len(folds), "scoring held-out images"))
    return collected(good, defects, ())


def _without(maps: _Maps, whole: CellModel, fold: Fold) -> CellModel | None:
    """A memory without what is held out; None for other models, and where little else would be left of it."""
    if not isinstance(whole, PatchCore):
        return None
    left_out = np.flatnonzero(~fold.train).tolist()
    model = whole.without([row * maps.views + view for row in left_out for view in range(maps.views)])
    return model if 2 * len(model.memory) >= len(whole.memory) else None


def _quarters(
    maps: _Maps, samples: Sequence[Sample], fit: Callable[[Sequence[F16]], CellModel], options: AnomalyOptions
) -> HeldOutScores:
    """With one group of images: each quarter of an image, by a model of the other three, in all views."""
    scored = []
    for row in range(len(samples)):
        for quarter in range(4):
            learned = [
                part
                for other in range(len(samples))
                for view in range(maps.views)
                for place, part in enumerate(_cut(_upright(maps.of(other, view), view)))
                if place != quarter and part.size
            ]
            held = _cut(maps.of(row, 0))[quarter]
            if held.size and learned:
                scored.append(fit(learned).score(held))
    if not scored:
        raise DataError(
            "the good image is too small to hold a part of it out",
            where=samples[0].image_path,
            hint="use images of 16 pixels or more, or a second good image",
        )
    note = (
        "the good images are of one group: the threshold was found on quarters of them, each by a model of the other"
        " three, and may be too low for another image"
    )
    found = collected(scored, (), (note,))
    if options.threshold == "synthetic":
        note = "--threshold synthetic needs good images of two groups or more: the threshold was set by good images"
        found = replace(found, notes=(*found.notes, note))
    return found


def _upright(values: F16, view: int) -> F16:
    """A map in the position of the plain image."""
    return np.asarray(moved_back(values.transpose(1, 2, 0), view).transpose(2, 0, 1), np.float16)


def _cut(values: F16) -> list[F16]:
    """The four quarters of a map, float16 (c, rows, columns); some are empty where it has one row or column only."""
    rows, columns = values.shape[1] // 2, values.shape[2] // 2
    return [
        np.ascontiguousarray(values[:, down, across])
        for down in (slice(0, rows), slice(rows, None))
        for across in (slice(0, columns), slice(columns, None))
    ]
