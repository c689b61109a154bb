"""Train a linear head on features that were computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carpet_data.core.progress import Progress
from carpet_data.core.seeds import generator
from carpet_data.errors import UsageError
from carpet_data.networks import devices
from carpet_data.networks.checkpoints import Keeper
from carpet_data.networks.network import fresh_head
from carpet_data.training import losses, mixing
from carpet_data.training.course import TRAINING, Course, History
from carpet_data.training.evaluate import Predictions, of_logits
from carpet_data.training.features import FeatureTable
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import Shares, order, view_of

__all__ = ["HeadFit", "fit_head", "second_stage"]

F32 = NDArray[np.float32]
_SMALLEST_DEVIATION = 1e-6
_SMALL = 2**24
"""Products per step below which waking a second thread takes longer than the work."""


@dataclass(frozen=True, eq=False)
class HeadFit:
    """A trained head.

    Attributes:
        head: Linear, d -> k, on the CPU; of the best epoch.
        best_epoch: From 1; the last one without validation images.
    """

    head: nn.Linear
    history: History
    best_epoch: int
    steps: int


def second_stage(options: TrainOptions) -> TrainOptions:
    """How the head is retrained by cRT (Kang et al. 2020) and LMR: class-balanced batches, plain cross-entropy.

    The first stage's sampling, loss and mixing are of no use to it: balanced batches already weigh classes alike.
    """
    return options.but(freeze="backbone", sampling="balanced", loss="cross-entropy", mix="none", retrain_head=True)


def fit_head(
    train: FeatureTable,
    val: FeatureTable | None,
    options: TrainOptions,
    *,
    head: nn.Linear | None = None,
    device: torch.device | str = "cpu",
    keeper: Keeper | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> HeadFit:
    """Train a linear classifier on features.

    With `options.retrain_head` or `options.lmr` the training is the second stage of those methods, see
    `second_stage`; what the first would leave is the backbone, which made the features.

    An epoch shows one view of each image, see `sampling.view_of`. The plain view of the validation features chooses the
    best epoch; None takes the last. `head` is where training starts, and is not changed; None starts from a fresh one
    by the options' seed, and `options.standardize` from zero. A keeper of None keeps no checkpoint; with `resume` the
    training resumes from the keeper's checkpoint, if there is one.

    Raises:
        UsageError: There are no features, or those of validation have another size.
        DataError: The training diverges, or the checkpoint belongs to another one.
    """
    _check(train, val)
    again = int(options.retrain_head or options.lmr)
    if again:
        options = second_stage(options)
    classes = len(train.classes)
    mean, deviation = _moments(train.values, options.standardize)
    images = _Images.of(train, _on(device, train.values, mean, deviation, options.standardize), options, again)
    held_out = None if val is None else _on(device, val.values[0], mean, deviation, options.standardize)
    learner = _start(head, train.values.shape[2], classes, options).to(device)
    loss_of = losses.make(options.loss, images.counts.cpu(), device)
    course = Course(
        dict(learner.state_dict(keep_vars=True)),
        learner.parameters(),
        options,
        len(train),
        keeper=keeper,
        resume=resume,
        name="training head" if again else TRAINING,
        progress=progress,
    )
    small = options.batch_size * learner.in_features * classes <= _SMALL
    with devices.one_thread(learner.weight.device if small else None), course:
        for epoch in course.epochs():
            for x, y, truth in images.batches(course, epoch):
                logits = learner(x)
                course.step(loss_of(logits, y), logits, truth)
            course.end_epoch(_predicted(learner, held_out, val), classes)
    course.take_best()
    return HeadFit(_unfolded(learner, mean, deviation), course.history, course.best_epoch, course.steps)


@dataclass(frozen=True, eq=False)
class _Images:
    """What batches are made from: features float (views, n, d), classes int64 (n,) and their counts on the device."""

    values: torch.Tensor
    truth: torch.Tensor
    counts: torch.Tensor
    labels: NDArray[np.int64]
    shares: Shares
    options: TrainOptions
    stage: int

    @classmethod
    def of(cls, train: FeatureTable, values: torch.Tensor, options: TrainOptions, stage: int) -> _Images:
        counts = torch.from_numpy(np.bincount(train.labels, minlength=len(train.classes)))
        truth = torch.from_numpy(train.labels)
        shares = Shares.of(options, train.classes, train.origins)
        device = values.device
        return cls(values, truth.to(device), counts.to(device), train.labels, shares, options, stage)

    def batches(self, course: Course, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Features, soft labels and classes of each batch of an epoch."""
        options, seed, count = self.options, self.options.seed, len(self.labels)
        chosen = order(self.labels, options.sampling, seed=seed, epoch=epoch, stage=self.stage, shares=self.shares)
        views = view_of(count, len(self.values), seed=seed, epoch=epoch)[chosen]
        rows = torch.from_numpy(chosen).to(self.values.device)
        shown, truth = self.values[torch.from_numpy(views).to(self.values.device), rows], self.truth[rows]
        soft = losses.soft_labels(truth, len(self.counts), options.label_smoothing)
        rng = generator(seed, "mix", self.stage, epoch)
        for batch in course.batches(np.arange(count)):
            part = slice(int(batch[0]), int(batch[-1]) + 1)
            x, y, t = shown[part], soft[part], truth[part]
            if options.lmr:
                x, y = mixing.lmr(x, t, y, self.counts, options.few_shot, rng)
            elif options.mix == "mixup":
                x, y = mixing.mixup(x, y, rng, options.mix_alpha)
            yield x, y, t


def _check(train: FeatureTable, val: FeatureTable | None) -> None:
    if not len(train):
        raise UsageError("there are no features to train on", hint="give one image or more")
    if val is not None and val.values.shape[2] != train.values.shape[2]:
        raise UsageError(
            f"features of {train.values.shape[2]} numbers for training, but {val.values.shape[2]} for validation",
            hint="compute both with one network",
        )


def _on(device: torch.device | str, values: F32, mean: F32, deviation: F32, wanted: bool) -> torch.Tensor:
    return torch.from_numpy((values - mean) / deviation if wanted else np.ascontiguousarray(values)).to(device)


def _predicted(learner: nn.Linear, held_out: torch.Tensor | None, val: FeatureTable | None) -> Predictions | None:
    if held_out is None or val is None:
        return None
    with torch.inference_mode():
        return of_logits(learner(held_out).double().cpu().numpy(), val.labels, ())


def _start(head: nn.Linear | None, size: int, classes: int, options: TrainOptions) -> nn.Linear:
    learner = fresh_head(size, classes, seed=options.seed)
    with torch.no_grad():
        if options.standardize:
            # The problem is convex, so random weights are noise that short training on few images does not forget.
            learner.weight.zero_()
            learner.bias.zero_()
        elif head is not None:
            learner.load_state_dict(head.state_dict())
    return learner


def _moments(features: F32, wanted: bool) -> tuple[F32, F32]:
    """Mean and deviation of each feature over images and views; 0 and 1 where standardizing is not wanted."""
    size = features.shape[2]
    if not wanted:
        return np.zeros(size, np.float32), np.ones(size, np.float32)
    flat = features.reshape(-1, size)
    deviation = flat.std(axis=0, dtype=np.float64)
    # A feature that never changes carries no information; dividing by its deviation would make noise of rounding.
    deviation[deviation < _SMALLEST_DEVIATION] = 1.0
    return flat.mean(axis=0, dtype=np.float64).astype(np.float32), deviation.astype(np.float32)


def _unfolded(learner: nn.Linear, mean: F32, deviation: F32) -> nn.Linear:
    """The same classifier of features as they are: W x' + b with x' = (x − m) / s is (W / s) x + (b − (W / s) m)."""
    head = nn.Linear(learner.in_features, learner.out_features, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        weight = learner.weight.cpu() / torch.from_numpy(deviation)
        head.weight.copy_(weight)
        head.bias.copy_(learner.bias.cpu() - weight @ torch.from_numpy(mean))
    return head
