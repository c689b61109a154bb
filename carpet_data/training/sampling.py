"""Which image comes when: the order of an epoch, a pure function of (seed, stage, epoch)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.seeds import generator
from carpet_data.training.settings import Sampling, Settings

__all__ = ["batches", "draws", "order", "total_steps", "view_of"]

I64 = NDArray[np.int64]


def draws(labels: I64, sampling: Sampling) -> NDArray[np.float64]:
    """How likely each class is to be drawn, float64 (k,), summing to 1; k reaches to the largest label.

    A class of n images has probability n / N ("instance"), 1 / classes present ("balanced"), or √n / Σ√n ("sqrt";
    Mahajan et al. 2018).
    """
    counts = np.bincount(labels).astype(np.float64)
    weights = {"instance": counts, "balanced": (counts > 0).astype(np.float64), "sqrt": np.sqrt(counts)}[sampling]
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def order(labels: I64, sampling: Sampling, *, seed: int, epoch: int, stage: int = 0) -> I64:
    """The images of one epoch in order: as many draws as there are images.

    "instance" is a shuffle: each image once. The others draw a class, then an image of it. Within a class the images
    come in shuffled rounds, so that none comes a third time before each has come twice (Kang et al. 2020 draw
    independently; rounds have the same expectation and less noise).

    Args:
        labels: int64 (n,).
        sampling: See `draws`.
        seed: Of the training.
        epoch: From 0.
        stage: 0, or 1 in the second stage of cRT and LMR.

    Returns:
        int64 (n,), places in `labels`.
    """
    rng = generator(seed, "order", stage, epoch)
    count = len(labels)
    if sampling == "instance":
        return rng.permutation(count).astype(np.int64)
    probabilities = draws(labels, sampling)
    classes = rng.choice(len(probabilities), size=count, p=probabilities)
    chosen = np.empty(count, np.int64)
    for label in np.unique(classes):
        places = np.flatnonzero(classes == label)
        members = np.flatnonzero(labels == label)
        rounds = -(-len(places) // len(members))
        chosen[places] = np.concatenate([rng.permutation(members) for _ in range(rounds)])[: len(places)]
    return chosen


def batches(indices: I64, batch_size: int) -> list[I64]:
    """Cut an order into batches; a last batch of one image joins the one before it.

    One image alone would have no statistics for batch normalisation.
    """
    cuts = list(range(batch_size, len(indices), batch_size))
    if cuts and batch_size > 1 and len(indices) - cuts[-1] == 1:
        cuts.pop()
    return np.split(indices, cuts)


def total_steps(count: int, settings: Settings) -> tuple[int, int]:
    """(optimiser steps, epochs) of a training on `count` images; the last epoch may be cut short by `steps`."""
    of_epoch = len(batches(np.arange(count), settings.batch_size))
    if settings.steps is None:
        return settings.epochs * of_epoch, settings.epochs
    return settings.steps, -(-settings.steps // of_epoch)


def view_of(count: int, views: int, *, seed: int, epoch: int) -> I64:
    """Which view of each image an epoch shows: each image goes through its views in an order of its own.

    Args:
        count: Images.
        views: Views of each.
        seed: Of the training.
        epoch: From 0; the order comes again every `views` epochs.

    Returns:
        int64 (count,).
    """
    if views == 1:
        return np.zeros(count, np.int64)
    orders = generator(seed, "views").permuted(np.tile(np.arange(views, dtype=np.int64), (count, 1)), axis=1)
    return np.asarray(orders[:, epoch % views], dtype=np.int64)
