"""The course of a training: its steps and epochs, the best of them, and the checkpoint that it resumes from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.errors import DataError
from carpet_data.metrics import accuracy, balanced_accuracy, confusion
from carpet_data.networks.checkpoints import Checkpoint, Keeper, optimizer_tensors, restore_optimizer
from carpet_data.training.evaluate import Predictions
from carpet_data.training.options import Schedule, TrainOptions
from carpet_data.training.sampling import batches, total_steps

__all__ = ["TRAINING", "Course", "Epoch", "History", "rate_factor"]

_DROPS = 3
TRAINING = "training"
"""The name of the steps that are epochs."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch.

    Attributes:
        epoch: From 1.
        train_loss: Mean over the batches as they were trained on: augmented, mixed, weighted.
        train_accuracy: Share of these images whose class got the largest logit.
        val_loss: Plain cross-entropy; None without validation images.
        val_accuracy: Share of the validation images; None without.
        val_balanced_accuracy: Mean recall of the classes in validation; None without.
        learning_rate: At the epoch's last step.
        seconds: The epoch took.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None
    learning_rate: float
    seconds: float

    def metrics(self) -> dict[str, float]:
        """What a progress bar shows: loss and accuracy, those of validation where there are validation images."""
        shown = {
            "loss": self.train_loss,
            "accuracy": self.train_accuracy,
            "val loss": self.val_loss,
            "val accuracy": self.val_accuracy,
        }
        return {name: value for name, value in shown.items() if value is not None}


History: TypeAlias = tuple[Epoch, ...]


class Course:
    """Takes the steps of a training, and keeps the history, the best epoch and the checkpoint.

    A loop looks like this; it resumes by itself where the keeper has a checkpoint:

        with Course(weights, parameters, options, count, keeper=keeper, resume=True) as course:
            for epoch in course.epochs():
                for batch in course.batches(order):
                    course.step(loss, logits, truth)
                course.end_epoch(predictions of the validation images)

    Args:
        weights: All numbers of what is trained, by name; written to in place.
        parameters: Those that learn.
        count: Number of training images.
        keeper: None to keep no checkpoint.
        name: Of the steps for `progress`, which is called after each epoch.
        scaler: Of the gradients, for mixed precision.

    Raises:
        DataError: The checkpoint belongs to another training.
    """

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor],
        parameters: Iterable[torch.nn.Parameter],
        options: TrainOptions,
        count: int,
        *,
        keeper: Keeper | None = None,
        resume: bool = False,
        name: str = TRAINING,
        progress: Progress | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.best_epoch = 0
        self._history: list[Epoch] = []
        self._best: dict[str, torch.Tensor] = {}
        self._best_score: float | None = None
        self._waited = 0
        self._weights = weights
        self._options = options
        self._keeper = keeper or Keeper(None, {})
        self._name = name
        self._progress = progress
        self._scaler = scaler
        self._optimizer = _optimizer(options, parameters)
        self._steps, self._epochs = total_steps(count, options)
        found = self._keeper.found(resume)
        if found is not None:
            self._restore(found)
        of_epoch = len(batches(np.arange(count), options.batch_size))
        self._loss: torch.Tensor | float
        self._right: torch.Tensor | float
        self._images: int
        self.steps = min(len(self._history) * of_epoch, self._steps)
        self._start_epoch()

    def __enter__(self) -> Course:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also for Ctrl-C: what was kept last is the end of the last whole epoch.
        self._keeper.flush()

    @property
    def history(self) -> History:
        """Every epoch so far."""
        return tuple(self._history)

    def epochs(self) -> Iterator[int]:
        """The epochs that are left, from 0; they end early when patience has run out."""
        for epoch in range(len(self._history), self._epochs):
            if self._options.patience is not None and self._waited >= self._options.patience:
                return
            self._start_epoch()
            yield epoch

    def batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The order of an epoch cut into the batches of the steps that are left."""
        return batches(order, self._options.batch_size)[: self._steps - self.steps]

    def step(self, loss: torch.Tensor, logits: torch.Tensor, truth: torch.Tensor) -> None:
        """Take a step by the mean loss of a batch, computed from logits, float (n, k); truth is its classes, int64."""
        self._rate = _set_rate(self._optimizer, self._options, self.steps, self._steps)
        self._optimizer.zero_grad(set_to_none=True)
        if self._scaler is None:
            torch.autograd.backward(loss)
            self._optimizer.step()
        else:
            torch.autograd.backward(self._scaler.scale(loss))
            self._scaler.step(self._optimizer)
            self._scaler.update()
        # Kept on the device, so that no batch waits for the other side.
        self._loss = self._loss + loss.detach() * len(truth)
        self._right = self._right + (logits.detach().argmax(dim=1) == truth).sum()
        self._images += len(truth)
        self.steps += 1

    def end_epoch(self, val: Predictions | None, classes: int) -> None:
        """Take in the end of an epoch, with the predictions of the validation images; None without any.

        Raises:
            DataError: The loss is not a number any more.
        """
        number = len(self._history) + 1
        loss = float(self._loss) / self._images
        if not np.isfinite(loss):
            raise DataError(
                f"the training diverged: the loss of epoch {number} is {loss}",
                hint="use a smaller --lr, or --schedule cosine",
            )
        seconds = time.perf_counter() - self._started
        right = float(self._right) / self._images
        of_val: tuple[float | None, float | None, float | None] = (None, None, None)
        if val is not None:
            table = confusion(val.truth, val.predicted, classes)
            of_val = (val.loss, accuracy(table), balanced_accuracy(table))
        done = Epoch(number, loss, right, *of_val, self._rate, seconds)
        self._history.append(done)
        self._see(done)
        self._keeper.keep(self._checkpoint)
        if self._progress is not None:
            self._progress(Step(number, self._epochs, self._name, done.metrics()))

    def take_best(self) -> None:
        """Put the best epoch's weights in place; without validation images they are those of the last epoch."""
        with torch.no_grad():
            for name, value in self._best.items():
                self._weights[name].copy_(value)

    def _start_epoch(self) -> None:
        self._started = time.perf_counter()
        self._loss, self._right, self._images = 0.0, 0.0, 0
        self._rate = self._options.learning_rate

    def _see(self, epoch: Epoch) -> None:
        """Keep the weights where validation calls the epoch the best so far; of equal ones the first counts."""
        loss, balanced = epoch.val_loss, epoch.val_balanced_accuracy
        if loss is None or balanced is None:
            self.best_epoch = epoch.epoch
            return
        score = -loss if self._options.monitor == "loss" else balanced
        if self._best_score is not None and score <= self._best_score:
            self._waited += 1
            return
        self._best_score, self.best_epoch, self._waited = score, epoch.epoch, 0
        self._best = {name: value.detach().clone() for name, value in self._weights.items()}

    def _checkpoint(self) -> Checkpoint:
        """All that is needed to resume here; randomness needs nothing, being a function of seed and epoch."""
        tensors = {f"weights.{name}": value.detach().clone() for name, value in self._weights.items()}
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        facts: dict[str, Any] = {
            "history": [asdict(epoch) for epoch in self._history],
            "best": self._best_score,
            "best_epoch": self.best_epoch,
            "waited": self._waited,
        }
        return Checkpoint({**tensors, **optimizer_tensors(self._optimizer)}, facts)

    def _restore(self, found: Checkpoint) -> None:
        self._history = [Epoch(**values) for values in found.facts["history"]]
        self._best_score, self.best_epoch = found.facts["best"], found.facts["best_epoch"]
        self._waited = found.facts["waited"]
        with torch.no_grad():
            for name, value in self._weights.items():
                value.copy_(found.tensors[f"weights.{name}"])
        self._best = {
            name: found.tensors[f"best.{name}"].to(value.device)
            for name, value in self._weights.items()
            if f"best.{name}" in found.tensors
        }
        restore_optimizer(self._optimizer, found.tensors)


def _optimizer(options: TrainOptions, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of the options for these parameters."""
    chosen = list(parameters)
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "sgd":
        return torch.optim.SGD(chosen, lr=rate, momentum=options.momentum, weight_decay=decay)
    if options.optimizer == "adamw":
        return torch.optim.AdamW(chosen, lr=rate, weight_decay=decay)
    return torch.optim.Adam(chosen, lr=rate, weight_decay=decay)


def _set_rate(optimizer: torch.optim.Optimizer, options: TrainOptions, step: int, steps: int) -> float:
    """Set the learning rate of a step, from 0, and return it."""
    rate = options.learning_rate * rate_factor(options.schedule, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def rate_factor(schedule: Schedule, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step: a pure function, so that a resumed training has the same.

    Args:
        schedule: "constant": 1; "cosine": from 1 down to nearly 0 along half a cosine (Loshchilov and Hutter 2017);
            "step": a tenth after each third (He et al. 2016).
        step: From 0.
        steps: Total number of steps of the training.
    """
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / steps))
    if schedule == "step":
        return float(0.1 ** (_DROPS * step // steps))
    return 1.0
