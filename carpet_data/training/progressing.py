"""What both loops keep besides the weights: the history, the best epoch, and the way back to both."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from carpet_data.errors import DataError
from carpet_data.metrics import accuracy, balanced_accuracy, confusion
from carpet_data.networks.checkpoints import Checkpoint, optimizer_tensors, restore_optimizer
from carpet_data.training.evaluate import Predictions
from carpet_data.training.history import Epoch, Watch
from carpet_data.training.options import TrainOptions

__all__ = ["State", "Tally", "ValFigures", "val_figures"]

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class ValFigures:
    """Loss, accuracy and balanced accuracy on the val images; all None without them."""

    loss: float | None = None
    accuracy: float | None = None
    balanced_accuracy: float | None = None


def val_figures(predictions: Predictions, classes: int) -> ValFigures:
    """The figures of predictions."""
    table = confusion(predictions.truth, predictions.predicted, classes)
    return ValFigures(predictions.loss, accuracy(table), balanced_accuracy(table))


@dataclass(slots=True)
class Tally:
    """Sums over the batches of one epoch, kept on the device so that no batch waits for the other side."""

    started: float = field(default_factory=time.perf_counter)
    loss: torch.Tensor | float = 0.0
    right: torch.Tensor | float = 0.0
    images: int = 0

    def add(self, loss: torch.Tensor, logits: torch.Tensor, truth: torch.Tensor) -> None:
        """Take in a batch: its mean loss, its logits and the classes its images are of."""
        self.loss = self.loss + loss.detach() * len(truth)
        self.right = self.right + (logits.detach().argmax(dim=1) == truth).sum()
        self.images += len(truth)

    def epoch(self, number: int, rate: float, val: ValFigures) -> Epoch:
        """The epoch that ends here.

        Raises:
            DataError: The loss is no number any more.
        """
        loss = float(self.loss) / self.images
        if not np.isfinite(loss):
            raise DataError(
                f"the training diverged: the loss of epoch {number} is {loss}",
                hint="use a smaller --lr, or --schedule cosine",
            )
        seconds = time.perf_counter() - self.started
        right = float(self.right) / self.images
        return Epoch(number, loss, right, val.loss, val.accuracy, val.balanced_accuracy, rate, seconds)


@dataclass(slots=True)
class State:
    """A training between two epochs."""

    watch: Watch
    history: list[Epoch] = field(default_factory=list)
    best: Weights = field(default_factory=dict)

    @classmethod
    def of(cls, settings: TrainOptions) -> State:
        """At the start."""
        return cls(Watch(settings.monitor, settings.patience))

    def see(self, epoch: Epoch, weights: Mapping[str, torch.Tensor]) -> None:
        """Take in an epoch; the weights are copied where val calls it the best so far."""
        self.history.append(epoch)
        better = self.watch.see(epoch)
        if better and epoch.val_loss is not None:
            self.best = {name: value.detach().clone() for name, value in weights.items()}

    def checkpoint(self, weights: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> Checkpoint:
        """All that is needed to go on from here; chance needs nothing, being a function of seed and epoch."""
        tensors = {f"weights.{name}": value.detach().clone() for name, value in weights.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        facts: dict[str, Any] = {
            "history": [epoch.to_json() for epoch in self.history],
            "best": self.watch.best,
            "best_epoch": self.watch.best_epoch,
            "waited": self.watch.waited,
        }
        return Checkpoint({**tensors, **optimizer_tensors(optimizer)}, facts)

    def restore(
        self, found: Checkpoint, weights: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Go back to where a checkpoint was taken; `weights` are written to in place."""
        self.history = [Epoch.from_json(values) for values in found.facts["history"]]
        self.watch.best, self.watch.best_epoch = found.facts["best"], found.facts["best_epoch"]
        self.watch.waited = found.facts["waited"]
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(found.tensors[f"weights.{name}"])
        self.best = {
            name: found.tensors[f"best.{name}"].to(value.device)
            for name, value in weights.items()
            if f"best.{name}" in found.tensors
        }
        if optimizer is not None:
            restore_optimizer(optimizer, found.tensors)

    def take_best(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Put the best epoch's weights in place; without val images they are those of the last epoch."""
        with torch.no_grad():
            for name, value in self.best.items():
                weights[name].copy_(value)
