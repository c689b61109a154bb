"""What happened in each epoch, and which epoch was the best. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from carpet_data.training.options import Monitor

__all__ = ["TRAINING", "Epoch", "History", "Watch"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch.

    Attributes:
        epoch: From 1.
        train_loss: Mean over the batches as they were trained on: augmented, mixed, weighted.
        train_accuracy: Share of these images whose class got the largest logit.
        val_loss: Plain cross-entropy; None without val images.
        val_accuracy: Share of the val images; None without.
        val_balanced_accuracy: Mean recall of the classes on val; None without.
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
        """What a progress bar shows: loss and accuracy, those of val where there are val images."""
        shown = {
            "loss": self.train_loss,
            "accuracy": self.train_accuracy,
            "val loss": self.val_loss,
            "val accuracy": self.val_accuracy,
        }
        return {name: value for name, value in shown.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """The epoch as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Epoch:
        """The epoch from plain values."""
        return cls(**values)


History: TypeAlias = tuple[Epoch, ...]

TRAINING = "training"
"""The name of the steps that are epochs."""


@dataclass(slots=True)
class Watch:
    """Keeps the best epoch by a val figure, and says when to stop.

    Attributes:
        monitor: "loss" (low is good) or "balanced-accuracy" (high is good).
        patience: Epochs without a better figure until the end; None for no early end.
        best: The best figure so far, such that more is better; None before the first.
        best_epoch: Where it was, from 1; without val figures the last epoch.
        waited: Epochs since.
    """

    monitor: Monitor
    patience: int | None
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def see(self, epoch: Epoch) -> bool:
        """Take in an epoch; True where it is the best so far. Of equal ones the first counts."""
        loss, balanced = epoch.val_loss, epoch.val_balanced_accuracy
        if loss is None or balanced is None:
            self.best_epoch = epoch.epoch
            return True
        figure = -loss if self.monitor == "loss" else balanced
        if self.best is None or figure > self.best:
            self.best, self.best_epoch, self.waited = figure, epoch.epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def stops(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience
