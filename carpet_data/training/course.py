"""The course of the training of a classifier: its epochs, and the predictions that choose the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress
from carpet_data.metrics import accuracy, balanced_accuracy, confusion
from carpet_data.networks.checkpoints import Keeper
from carpet_data.training.evaluate import Predictions
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import batches, total_steps
from carpet_data.training.stepping import TRAINING, Pace, Training, rate_factor

__all__ = ["TRAINING", "Course", "Epoch", "History", "rate_factor"]


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


class Course(Training[Epoch]):
    """The training of a classifier.

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
        self._options = options
        self._right: torch.Tensor | float
        pace = _pace(options, count)
        super().__init__(
            weights,
            parameters,
            pace,
            Epoch,
            keeper=keeper,
            resume=resume,
            name=name,
            progress=progress,
            scaler=scaler,
        )

    def __enter__(self) -> Course:
        return self

    def batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The order of an epoch cut into the batches of the steps that are left."""
        return batches(order, self._options.batch_size)[: self.steps_left]

    def step(self, loss: torch.Tensor, logits: torch.Tensor, truth: torch.Tensor) -> None:
        """Take a step by the mean loss of a batch, computed from logits, float (n, k); truth is its classes, int64."""
        self.take(loss, len(truth))
        self._right = self._right + (logits.detach().argmax(dim=1) == truth).sum()

    def end_epoch(self, val: Predictions | None, classes: int) -> None:
        """Take in the end of an epoch, with the predictions of the validation images; None without any.

        Raises:
            DataError: The loss is not a number any more.
        """
        loss = self.mean_loss()
        right = float(self._right) / self._images
        of_val: tuple[float | None, float | None, float | None] = (None, None, None)
        if val is not None:
            table = confusion(val.truth, val.predicted, classes)
            of_val = (val.loss, accuracy(table), balanced_accuracy(table))
        done = Epoch(self.number, loss, right, *of_val, self.rate, self.seconds())
        self.end(done, self._score(done))

    def _start_epoch(self) -> None:
        super()._start_epoch()
        self._right = 0.0

    def _score(self, epoch: Epoch) -> float | None:
        if epoch.val_loss is None or epoch.val_balanced_accuracy is None:
            return None
        return -epoch.val_loss if self._options.monitor == "loss" else epoch.val_balanced_accuracy


def _pace(options: TrainOptions, count: int) -> Pace:
    steps, epochs = total_steps(count, options)
    return Pace(
        learning_rate=options.learning_rate,
        optimizer=options.optimizer,
        schedule=options.schedule,
        weight_decay=options.weight_decay,
        momentum=options.momentum,
        steps=steps,
        epochs=epochs,
        steps_of_epoch=len(batches(np.arange(count), options.batch_size)),
        patience=options.patience,
    )
