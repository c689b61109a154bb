"""What happened in each epoch, and which epoch was the best. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from carpet_data.training.settings import Monitor

__all__ = ["Epoch", "History", "Report", "Tick", "Watch"]


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

    def to_json(self) -> dict[str, Any]:
        """The epoch as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Epoch:
        """The epoch from plain values."""
        return cls(**values)


History: TypeAlias = tuple[Epoch, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """How far a training has come.

    Attributes:
        doing: "images", "features", "training" or "head".
        done: Of `total`.
        total: Images or epochs; None where it is not known yet.
        epoch: The epoch just ended; None while there is none.
    """

    doing: str
    done: int
    total: int | None
    epoch: Epoch | None = None


Report: TypeAlias = Callable[[Tick], None]


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
