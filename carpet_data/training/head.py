"""Train a linear head on features that were computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carpet_data.core.progress import Progress, Step
from carpet_data.core.seeds import generator
from carpet_data.errors import UsageError
from carpet_data.networks import devices
from carpet_data.networks.checkpoints import Keeper
from carpet_data.networks.network import fresh_head
from carpet_data.training import lmr, losses, mixing, optimizers
from carpet_data.training.evaluate import of_logits
from carpet_data.training.history import TRAINING, History
from carpet_data.training.options import TrainOptions
from carpet_data.training.progressing import State, Tally, ValFigures, val_figures
from carpet_data.training.sampling import Shares, batches, order, total_steps, view_of

__all__ = ["HeadFit", "fit_head", "second_stage"]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
_LEAST_DEVIATION = 1e-6
_SMALL = 2**24
"""Products a step below which waking a second thread takes longer than the work."""


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A trained head.

    Attributes:
        head: Linear, d -> k, on the CPU; of the best epoch.
        history: Every epoch.
        best_epoch: From 1; the last one without val images.
        steps: Optimiser steps taken.
    """

    head: nn.Linear
    history: History
    best_epoch: int
    steps: int


def second_stage(settings: TrainOptions) -> TrainOptions:
    """How the head is trained anew by cRT (Kang et al. 2020) and LMR: class-balanced batches, plain cross-entropy.

    The first stage's sampling, loss and mixing are of no use to it: balanced batches already weigh classes alike.
    """
    return settings.but(freeze="backbone", sampling="balanced", loss="cross-entropy", mix="none", retrain_head=True)


def fit_head(
    features: F32,
    labels: I64,
    settings: TrainOptions,
    *,
    classes: int,
    val_features: F32 | None = None,
    val_labels: I64 | None = None,
    shares: Shares | None = None,
    head: nn.Linear | None = None,
    device: torch.device | str = "cpu",
    keeper: Keeper | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> HeadFit:
    """Train a linear classifier on features.

    With `settings.retrain_head` or `settings.lmr` the training is the second stage of those methods, see
    `second_stage`; what the first would leave is the backbone, which made the features.

    Args:
        features: float32 (views, n, d); an epoch shows one view of each image, see `sampling.view_of`.
        labels: int64 (n,).
        settings: Of the training.
        classes: k.
        val_features: float32 (m, d) that choose the best epoch; None to take the last.
        val_labels: int64 (m,).
        shares: Of `good` and of synthetic images in what is drawn; None where the settings give none.
        head: To begin from; it is not changed. None for the fresh one of the settings' seed. With
            `settings.standardize` the training begins from zero instead.
        device: Where to compute.
        keeper: Of the checkpoint; None for none.
        resume: Go on from the keeper's checkpoint, if there is one.
        progress: Called after each epoch.

    Raises:
        UsageError: The shapes do not agree.
        DataError: The training diverges, or the checkpoint is of another one.
    """
    _check(features, labels, classes, val_features, val_labels)
    again = settings.retrain_head or settings.lmr
    if again:
        settings = second_stage(settings)
    count = len(labels)
    mean, deviation = _moments(features, settings.standardize)
    values = torch.from_numpy((features - mean) / deviation if settings.standardize else features).to(device)
    held_out = None
    if val_features is not None:
        shown = (val_features - mean) / deviation if settings.standardize else val_features
        held_out = torch.from_numpy(np.ascontiguousarray(shown)).to(device)
    truth = torch.from_numpy(labels).to(device)
    counts = torch.from_numpy(np.bincount(labels, minlength=classes)).to(device)
    learner = _begin(head, features.shape[2], classes, settings).to(device)
    weights = dict(learner.state_dict(keep_vars=True))
    loss_of = losses.make(settings.loss, counts.cpu(), device)
    optimizer = optimizers.make(settings, learner.parameters())
    steps, epochs = total_steps(count, settings)
    state, keeper = State.of(settings), keeper or Keeper(None, {})
    found = keeper.found(resume)
    if found is not None:
        state.restore(found, weights, optimizer)
    of_epoch = len(batches(np.arange(count), settings.batch_size))
    step = min(len(state.history) * of_epoch, steps)
    small = settings.batch_size * features.shape[2] * classes <= _SMALL
    with devices.one_thread(learner.weight.device if small else None):
        try:
            for epoch in range(len(state.history), epochs):
                if state.watch.stops:
                    break
                chosen = order(
                    labels, settings.sampling, seed=settings.seed, epoch=epoch, stage=int(again), shares=shares
                )
                views = view_of(count, len(features), seed=settings.seed, epoch=epoch)[chosen]
                rows = torch.from_numpy(chosen).to(device)
                shown_values = values[torch.from_numpy(views).to(device), rows]
                shown_truth = truth[rows]
                soft = losses.soft_labels(shown_truth, classes, settings.label_smoothing)
                rng = generator(settings.seed, "mix", int(again), epoch)
                tally, rate = Tally(), settings.learning_rate
                for batch in batches(np.arange(count), settings.batch_size)[: steps - step]:
                    start, stop = int(batch[0]), int(batch[-1]) + 1
                    x, y, t = shown_values[start:stop], soft[start:stop], shown_truth[start:stop]
                    if settings.lmr:
                        x, y = lmr.mix(x, t, y, counts, settings.few_shot, rng)
                    elif settings.mix == "mixup":
                        x, y = mixing.mixup(x, y, rng, settings.mix_alpha)
                    rate = optimizers.set_rate(optimizer, settings, step, steps)
                    logits = learner(x)
                    loss = loss_of(logits, y)
                    optimizer.zero_grad(set_to_none=True)
                    torch.autograd.backward(loss)
                    optimizer.step()
                    tally.add(loss, logits, t)
                    step += 1
                val = _val(learner, held_out, val_labels)
                done = tally.epoch(epoch + 1, rate, val)
                state.see(done, weights)
                keeper.keep(lambda: state.checkpoint(weights, optimizer))
                if progress is not None:
                    progress(Step(epoch + 1, epochs, "training head" if again else TRAINING, done.metrics()))
        finally:
            # Also for Ctrl-C: what was kept last is the end of the last whole epoch.
            keeper.flush()
    state.take_best(weights)
    return HeadFit(_unfolded(learner, mean, deviation), tuple(state.history), state.watch.best_epoch, step)


def _val(learner: nn.Linear, held_out: torch.Tensor | None, labels: I64 | None) -> ValFigures:
    if held_out is None or labels is None:
        return ValFigures()
    with torch.inference_mode():
        logits = learner(held_out).double().cpu().numpy()
    return val_figures(of_logits(logits, labels, ()), learner.out_features)


def _begin(head: nn.Linear | None, size: int, classes: int, settings: TrainOptions) -> nn.Linear:
    learner = fresh_head(size, classes, seed=settings.seed)
    if settings.standardize:
        # The problem is convex, so random weights are noise that short training on few images does not forget.
        with torch.no_grad():
            learner.weight.zero_()
            learner.bias.zero_()
        return learner
    if head is not None:
        with torch.no_grad():
            learner.load_state_dict(head.state_dict())
    return learner


def _moments(features: F32, wanted: bool) -> tuple[F32, F32]:
    """Mean and deviation of each feature over images and views; 0 and 1 where standardising is not wanted."""
    size = features.shape[2]
    if not wanted:
        return np.zeros(size, np.float32), np.ones(size, np.float32)
    flat = features.reshape(-1, size)
    deviation = flat.std(axis=0, dtype=np.float64)
    # A feature that never changes says nothing; dividing by its deviation would make noise of rounding.
    deviation[deviation < _LEAST_DEVIATION] = 1.0
    return flat.mean(axis=0, dtype=np.float64).astype(np.float32), deviation.astype(np.float32)


def _unfolded(learner: nn.Linear, mean: F32, deviation: F32) -> nn.Linear:
    """The same classifier of features as they are: W x' + b with x' = (x − m) / s is (W / s) x + (b − (W / s) m)."""
    head = nn.Linear(learner.in_features, learner.out_features, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        weight = learner.weight.cpu() / torch.from_numpy(deviation)
        head.weight.copy_(weight)
        head.bias.copy_(learner.bias.cpu() - weight @ torch.from_numpy(mean))
    return head


def _check(features: F32, labels: I64, classes: int, val_features: F32 | None, val_labels: I64 | None) -> None:
    if features.ndim != 3 or features.shape[1] != len(labels):
        raise UsageError(
            f"features of shape {features.shape} do not go with {len(labels)} labels",
            hint="give (views, images, features) and one label an image",
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= classes:
        raise UsageError(f"labels must be in 0 … {classes - 1}, at least one", hint="look at the labels")
    if (val_features is None) != (val_labels is None):
        raise UsageError("val features and val labels come together", hint="give both or neither")
    if val_features is not None and val_labels is not None and len(val_features) != len(val_labels):
        raise UsageError(
            f"{len(val_features)} val features, but {len(val_labels)} val labels", hint="give one label an image"
        )
