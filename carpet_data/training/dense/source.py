"""The cells that a fit is trained on, drawn once, and the heads of its folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.core.seeds import generator
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import DataError, UsageError
from carpet_data.training.dense.bank import MapBank, Resolution
from carpet_data.training.dense.cells import CellTable, chosen_cells, joined, targets
from carpet_data.training.dense.crossfit import HeldOut, folds_of
from carpet_data.training.dense.head import CellHeads, fit_cells
from carpet_data.training.dense.options import DenseOptions

__all__ = ["CellSource", "cross_fitted", "views_of"]

_MOST_CELLS = 600_000
_GOOD_VIEWS = 64
"""Views of good images that are enough: with fewer images each is shown in more positions."""


def views_of(sample: Sample, options: DenseOptions, good: int) -> int:
    """In how many positions a training image is shown: synthetic ones in one, good ones fewer the more there are.

    `good` is the number of real good images.
    """
    assert options.views is not None, "settled"
    if sample.origin != "real":
        return 1
    if sample.class_name != GOOD:
        return options.views
    return min(options.views, max(1, _GOOD_VIEWS // max(good, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class CellSource:
    """The training samples of a fit, and the cells that were drawn from them, once for all folds.

    Attributes:
        table: None where no sample has a mask that shows a defect.
        masked: bool (n,), whether a sample is good or has a mask that is not empty.
    """

    bank: MapBank
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    options: DenseOptions
    resolution: Resolution
    table: CellTable | None
    masked: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        bank: MapBank,
        samples: Sequence[Sample],
        classes: Sequence[str],
        options: DenseOptions,
        weights: Sequence[float] | None = None,
    ) -> CellSource:
        """Draw the cells; the options are settled."""
        resolution = bank.resolution(options)
        _check(samples, classes)
        good = sum(sample.class_name == GOOD and sample.origin == "real" for sample in samples)
        views = [views_of(sample, options, good) for sample in samples]
        masked = np.array([bank.cover(each, classes, resolution) is not None for each in samples], np.bool_)
        shown = sum(count for count, known in zip(views, masked, strict=True) if known)
        limits = _limits(options, shown)
        given = [1.0] * len(samples) if weights is None else weights
        tables: dict[tuple[int, int], CellTable] = {}
        # Images without a mask give no cells, but what is held out of them is looked at later.
        shown_views = [count if known else 1 for count, known in zip(views, masked.tolist(), strict=True)]
        for row, view, maps in bank.each(samples, resolution, shown_views):
            if masked[row]:
                cover = bank.cover(samples[row], classes, resolution, view)
                assert cover is not None, "it has a mask"
                rng = generator(options.seed, "cells", samples[row].id, view)
                tables[row, view] = _drawn(maps, cover, limits, rng, samples[row], row, given[row])
        table = joined([tables[place] for place in sorted(tables)]) if tables else None
        if table is not None and not bool((table.labels > 0).any()):
            table = None
        return cls(bank, tuple(samples), tuple(classes), options, resolution, table, masked)

    def fit(self, train: NDArray[np.bool_] | None) -> CellHeads | None:
        """Train the heads on the cells of some samples, bool (n,), or of all; None where they show no defect.

        Raises:
            DataError: They show no background, or the training diverged.
        """
        if self.table is None:
            return None
        rows = None
        if train is not None:
            rows = torch.from_numpy(train)[self.table.image]
            if not bool((self.table.labels[rows] > 0).any()) or not bool((self.table.labels[rows] == 0).any()):
                return None
        return fit_cells(
            self.table,
            len(self.classes),
            self.options,
            rows=rows,
            seed=self.options.seed,
            device=self.bank.device,
            widths=self.bank.widths(self.options),
        )

    def label(self, row: int) -> int:
        """The number of a sample's class."""
        return self.classes.index(self.samples[row].class_name)


def cross_fitted(source: CellSource, progress: Progress | None = None) -> list[HeldOut]:
    """The maps of the real samples, each by a head that was trained without its group.

    None where there is one group only; a fold whose training images show no defect is left out.
    """
    folds = folds_of(source.samples, source.options.folds, seed=source.options.seed)
    found = []
    for number, fold in enumerate(folds):
        head = source.fit(fold.train)
        shown = fold.train if source.table is None else fold.train & source.masked
        seen = {source.samples[row].class_name for row in np.flatnonzero(shown)}
        for row in fold.held_out:
            sample, maps = source.samples[row], source.bank.map(source.samples[row], source.resolution)
            if head is None and source.table is not None:
                continue
            shape = (len(source.classes), *maps.shape[1:])
            logits = np.zeros(shape, np.float32) if head is None else head.logits(maps)
            cover = source.bank.cover(sample, source.classes, source.resolution)
            half = None if cover is None else cover.astype(np.float16)
            # Logits beyond the largest half are certain anyway.
            kept = np.clip(logits, -6e4, 6e4).astype(np.float16)
            found.append(HeldOut(row, source.label(row), kept, half, sample.class_name in seen))
        if progress is not None:
            progress(Step(number + 1, len(folds), "cross-fitting"))
    return found


def _check(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    if not classes or classes[0] != GOOD or len(classes) < 2:
        raise UsageError(
            f"the classes are {', '.join(classes) or 'none'}", hint="name good first, then one defect type or more"
        )
    unknown = sorted({sample.class_name for sample in samples} - set(classes))
    if unknown:
        raise UsageError(f"unknown class {unknown[0]!r}", hint=f"the classes are {', '.join(classes)}")
    if not any(sample.class_name != GOOD for sample in samples):
        raise DataError(
            "no training image shows a defect", hint="add defect images, or train an anomaly model (--task anomaly)"
        )


def _limits(options: DenseOptions, views: int) -> tuple[int, int]:
    """The number of defect and of background cells of a view, less where all together would not fit into memory."""
    most = _MOST_CELLS // max(views, 1)
    return options.defect_cells, max(1, min(options.background_cells, most))


def _drawn(
    maps: NDArray[np.float16],
    cover: NDArray[np.float32],
    limits: tuple[int, int],
    rng: np.random.Generator,
    sample: Sample,
    row: int,
    weight: float,
) -> CellTable:
    """Cells of one view of a sample."""
    target = targets(cover)
    places = chosen_cells(target, defect=limits[0], background=limits[1], rng=rng)
    features = maps.reshape(len(maps), -1)[:, places].T
    count = len(places)
    return CellTable(
        torch.from_numpy(np.ascontiguousarray(features)),
        torch.from_numpy(target.ravel()[places].astype(np.int64)),
        torch.full((count,), float(weight)),
        torch.full((count,), sample.origin == "real"),
        torch.full((count,), row),
    )
