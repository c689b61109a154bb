"""Fit the dense head: cells drawn from the bank, the heads, and what held-out images say of it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

from carpet_data.core.progress import Progress
from carpet_data.dataset import Sample
from carpet_data.training.dense.bank import MapBank
from carpet_data.training.dense.crossfit import HeldOut
from carpet_data.training.dense.dense_head import DenseHead
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.dense.source import CellSource, cross_fitted
from carpet_data.training.dense.thresholds import judged

__all__ = ["fit_dense"]


def fit_dense(
    bank: MapBank,
    samples: Sequence[Sample],
    classes: Sequence[str],
    options: DenseOptions | None = None,
    *,
    weights: Sequence[float] | None = None,
    like: DenseHead | Future[DenseHead] | None = None,
    held: Sequence[HeldOut] | None = None,
    progress: Progress | None = None,
) -> DenseHead:
    """Train a dense head and calibrate it on held-out training images.

    Args:
        bank: Gives the maps and what the masks cover of them.
        samples: The training samples, of data sets, real and synthetic; their order does not matter for the folds.
        classes: `good` first, then the defect types.
        options: How to train; what is open in them has the values of `CHOSEN`. None for the defaults.
        weights: Of the cells of each sample; None for 1 each.
        like: A head of the same samples with another seed, whose calibration and image term are taken instead of
            cross-fitting again; it may still be being fitted, in another thread.
        held: Held-out maps of these samples under these options, as `choose` returns them, in place of cross-fitting.
        progress: Called with each fold.

    Raises:
        DataError: There are no good cells, a mask contradicts its image, or the training diverged.
        ImageError: An image is missing or damaged.
        UsageError: A sample's class is not among the classes, or the network lacks a stride.
        DeviceMemoryError: An image does not fit into memory.
    """
    asked = options or DenseOptions()
    options = asked.settled()
    source = CellSource.of(bank, samples, classes, options, weights)
    cells = source.fit(None)
    if like is not None:
        return replace(like.result() if isinstance(like, Future) else like, cells=cells)
    held = cross_fitted(source, progress) if held is None else held
    return judged(source, cells, held, smoothing=asked.smoothing)
