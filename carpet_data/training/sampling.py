"""Which image comes when: the order of an epoch, a pure function of (seed, stage, epoch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.seeds import generator
from carpet_data.dataset import GOOD
from carpet_data.training.options import Sampling, TrainOptions

__all__ = ["Shares", "batches", "draws", "order", "total_steps", "view_of"]

I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of the draws that are given, not counted.

    Attributes:
        good: The label of `good`; None where it is not a class.
        good_share: Of the draws, 0 … 1; None for what the sampling says.
        synthetic: bool (n,), which images are synthetic.
        synthetic_share: Of the draws of each defect class that has both kinds; None for what the counts say. Null
            samples, which are labeled good, always count as they are.
    """

    good: int | None
    good_share: float | None
    synthetic: NDArray[np.bool_]
    synthetic_share: float | None

    @classmethod
    def of(cls, options: TrainOptions, classes: Sequence[str], origins: Sequence[str]) -> Shares:
        """The shares that the options give; labels are indices of `classes`, origins "real" or "synthetic"."""
        good = classes.index(GOOD) if GOOD in classes else None
        synthetic = np.array([origin == "synthetic" for origin in origins], dtype=np.bool_)
        return cls(good, options.good_share, synthetic, options.synthetic_share)

    def strata(self, labels: I64, probabilities: NDArray[np.float64]) -> tuple[I64, NDArray[np.float64]]:
        """Classes split in two by origin, and how likely each of the 2 k strata is to be drawn.

        From labels, int64 (n,), and the probability of each class, float64 (k,): int64 (n,), 2 label + origin; and
        float64 (2 k,).
        """
        wanted = probabilities.copy()
        if self.good is not None and self.good_share is not None and self.good < len(wanted):
            others = wanted.sum() - wanted[self.good]
            if wanted[self.good] > 0 and others > 0:
                wanted *= (1 - self.good_share) / others
                wanted[self.good] = self.good_share
        strata = 2 * labels + self.synthetic
        counts = np.bincount(strata, minlength=2 * len(wanted)).reshape(-1, 2)
        parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        if self.synthetic_share is not None:
            both = np.asarray((counts > 0).all(axis=1))
            if self.good is not None and self.good < len(both):
                both[self.good] = False
            parts[both] = 1 - self.synthetic_share, self.synthetic_share
        return strata, (wanted[:, None] * parts).ravel()


def draws(labels: I64, sampling: Sampling) -> NDArray[np.float64]:
    """How likely each class is to be drawn, float64 (k,), summing to 1; k reaches to the largest label.

    A class of n images has probability n / N ("instance"), 1 / classes present ("balanced"), or √n / Σ√n ("sqrt";
    Mahajan et al. 2018).
    """
    counts = np.bincount(labels).astype(np.float64)
    weights = {"instance": counts, "balanced": (counts > 0).astype(np.float64), "sqrt": np.sqrt(counts)}[sampling]
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def order(
    labels: I64, sampling: Sampling, *, seed: int, epoch: int, stage: int = 0, shares: Shares | None = None
) -> I64:
    """The images of one epoch in order: as many draws as there are images.

    "instance" is a shuffle: each image once. The others draw a class, then an image of it. Within a class the images
    come in shuffled rounds, so that none comes a third time before each has come twice (Kang et al. 2020 draw
    independently; rounds have the same expectation and less noise).

    Labels are int64 (n,); epochs count from 0; the stage is 1 in the second stage of cRT and LMR, else 0. `shares`, of
    `good` and of the synthetic images, are not used by "instance".

    Returns:
        int64 (n,), indices of `labels`.
    """
    rng = generator(seed, "order", stage, epoch)
    count = len(labels)
    if sampling == "instance":
        return rng.permutation(count).astype(np.int64)
    probabilities = draws(labels, sampling)
    if shares is not None:
        labels, probabilities = shares.strata(labels, probabilities)
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

    One image alone would have no statistics for batch normalization.
    """
    cuts = list(range(batch_size, len(indices), batch_size))
    if cuts and batch_size > 1 and len(indices) - cuts[-1] == 1:
        cuts.pop()
    return np.split(indices, cuts)


def total_steps(count: int, options: TrainOptions) -> tuple[int, int]:
    """(optimizer steps, epochs) of a training on `count` images; the last epoch may be cut short by `steps`."""
    of_epoch = len(batches(np.arange(count), options.batch_size))
    if options.steps is None:
        return options.epochs * of_epoch, options.epochs
    return options.steps, -(-options.steps // of_epoch)


def view_of(count: int, views: int, *, seed: int, epoch: int) -> I64:
    """Which view of each image an epoch shows: each image goes through its views in an order of its own.

    int64 (count,); epochs count from 0, and the order repeats every `views` epochs.
    """
    if views == 1:
        return np.zeros(count, np.int64)
    orders = generator(seed, "views").permuted(np.tile(np.arange(views, dtype=np.int64), (count, 1)), axis=1)
    return np.asarray(orders[:, epoch % views], dtype=np.int64)
