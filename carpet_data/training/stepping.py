"""The steps and epochs of any training: its optimizer, the best epoch, and the checkpoint that it resumes from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Generic, Literal, Protocol, TypeVar

import torch

from carpet_data.core.progress import Progress, Step
from carpet_data.errors import DataError
from carpet_data.networks.checkpoints import Checkpoint, Keeper, optimizer_tensors, restore_optimizer
from carpet_data.training.options import Schedule

__all__ = ["TRAINING", "EpochRecord", "Pace", "Training", "rate_factor"]

TRAINING = "training"
"""The name of the steps that are epochs."""
_DROPS = 3


class EpochRecord(Protocol):
    """What is recorded of an epoch: a dataclass of JSON values."""

    def metrics(self) -> dict[str, float]:
        """What a progress bar shows."""
        ...


E = TypeVar("E", bound=EpochRecord)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a training steps.

    Attributes:
        steps: Optimizer steps in all; the last epoch may be cut short by them.
        steps_of_epoch: Steps of a whole epoch.
        patience: Epochs without a better validation after which it ends; None for never.
    """

    learning_rate: float
    optimizer: Literal["sgd", "adam", "adamw"]
    schedule: Schedule
    weight_decay: float
    momentum: float
    steps: int
    epochs: int
    steps_of_epoch: int
    patience: int | None


class Training(Generic[E]):
    """Takes the steps of a training, and keeps the history, the best epoch and the checkpoint.

    A loop looks like this; it resumes by itself where the keeper has a checkpoint:

        with Training(weights, parameters, pace, Record, keeper=keeper, resume=True) as training:
            for epoch in training.epochs():
                for batch in some batches:
                    training.take(loss, images=len(batch))
                training.end(Record(…), score)

    Args:
        weights: All numbers of what is trained, by name; written to in place.
        parameters: Those that learn.
        pace: How it steps.
        record: Makes the record of an epoch from its values in a checkpoint.
        keeper: None to keep no checkpoint.
        resume: Whether to resume from the keeper's checkpoint, if there is one.
        name: Of the steps for `progress`, which is called after each epoch.
        scaler: Of the gradients, for mixed precision.

    Raises:
        DataError: The checkpoint belongs to another training.
    """

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor],
        parameters: Iterable[torch.nn.Parameter],
        pace: Pace,
        record: Callable[..., E],
        *,
        keeper: Keeper | None = None,
        resume: bool = False,
        name: str = TRAINING,
        progress: Progress | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.pace = pace
        self.best_epoch = 0
        self._history: list[E] = []
        self._best: dict[str, torch.Tensor] = {}
        self._best_score: float | None = None
        self._waited = 0
        self._weights = weights
        self._record = record
        self._keeper = keeper or Keeper(None, {})
        self._name = name
        self._progress = progress
        self._scaler = scaler
        self._optimizer = _optimizer(pace, parameters)
        found = self._keeper.found(resume)
        if found is not None:
            self._restore(found)
        self._loss: torch.Tensor | float
        self._images: int
        self.steps = min(len(self._history) * pace.steps_of_epoch, pace.steps)
        self._start_epoch()

    def __enter__(self) -> Training[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also for Ctrl-C: what was kept last is the end of the last whole epoch.
        self._keeper.flush()

    @property
    def history(self) -> tuple[E, ...]:
        """Every epoch so far."""
        return tuple(self._history)

    @property
    def number(self) -> int:
        """The number of the epoch that goes on, from 1."""
        return len(self._history) + 1

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._rate

    @property
    def steps_left(self) -> int:
        """Steps until the end of the training."""
        return self.pace.steps - self.steps

    def epochs(self) -> Iterator[int]:
        """The epochs that are left, from 0; they end early when patience has run out."""
        for epoch in range(len(self._history), self.pace.epochs):
            if self.pace.patience is not None and self._waited >= self.pace.patience:
                return
            self._start_epoch()
            yield epoch

    def take(self, loss: torch.Tensor, images: int) -> None:
        """Take a step by the mean loss of a batch of images."""
        self._rate = self.pace.learning_rate * rate_factor(self.pace.schedule, self.steps, self.pace.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate
        self._optimizer.zero_grad(set_to_none=True)
        if self._scaler is None:
            torch.autograd.backward(loss)
            self._optimizer.step()
        else:
            torch.autograd.backward(self._scaler.scale(loss))
            self._scaler.step(self._optimizer)
            self._scaler.update()
        # Kept on the device, so that no batch waits for the other side.
        self._loss = self._loss + loss.detach() * images
        self._images += images
        self.steps += 1

    def mean_loss(self) -> float:
        """The mean loss of the epoch's images so far.

        Raises:
            DataError: It is not a number any more.
        """
        loss = float(self._loss) / self._images
        if not math.isfinite(loss):
            raise DataError(
                f"the training diverged: the loss of epoch {self.number} is {loss}",
                hint="use a smaller --lr, or --schedule cosine"
                if self.pace.schedule != "cosine"
                else "use a smaller --lr",
            )
        return loss

    def seconds(self) -> float:
        """Since the epoch started."""
        return time.perf_counter() - self._started

    def end(self, done: E, score: float | None) -> None:
        """Take in the end of an epoch; the score is that of validation, higher is better, None where it says nothing.

        While no epoch has a score, the last one is the best.
        """
        self._history.append(done)
        self._see(len(self._history), score)
        self._keeper.keep(self._checkpoint)
        if self._progress is not None:
            self._progress(Step(len(self._history), self.pace.epochs, self._name, done.metrics()))

    def take_best(self) -> None:
        """Put the best epoch's weights in place; without validation images they are those of the last epoch."""
        with torch.no_grad():
            for name, value in self._best.items():
                self._weights[name].copy_(value)

    def _start_epoch(self) -> None:
        self._started = time.perf_counter()
        self._loss, self._images = 0.0, 0
        self._rate = self.pace.learning_rate

    def _see(self, epoch: int, score: float | None) -> None:
        """Keep the weights where validation calls the epoch the best so far; of equal ones the first counts."""
        if score is None:
            if self._best_score is None:
                self.best_epoch = epoch
            else:
                self._waited += 1
            return
        if self._best_score is not None and score <= self._best_score:
            self._waited += 1
            return
        self._best_score, self.best_epoch, self._waited = score, epoch, 0
        self._best = {name: value.detach().clone() for name, value in self._weights.items()}

    def _checkpoint(self) -> Checkpoint:
        """All that is needed to resume here; randomness needs nothing, being a function of seed and epoch."""
        tensors = {f"weights.{name}": value.detach().clone() for name, value in self._weights.items()}
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        facts: dict[str, Any] = {
            "history": [asdict(epoch) for epoch in self._history],  # type: ignore[call-overload]
            "best": self._best_score,
            "best_epoch": self.best_epoch,
            "waited": self._waited,
        }
        return Checkpoint({**tensors, **optimizer_tensors(self._optimizer)}, facts)

    def _restore(self, found: Checkpoint) -> None:
        self._history = [self._record(**values) for values in found.facts["history"]]
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


def _optimizer(pace: Pace, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    chosen = list(parameters)
    rate, decay = pace.learning_rate, pace.weight_decay
    if pace.optimizer == "sgd":
        return torch.optim.SGD(chosen, lr=rate, momentum=pace.momentum, weight_decay=decay)
    if pace.optimizer == "adamw":
        return torch.optim.AdamW(chosen, lr=rate, weight_decay=decay)
    return torch.optim.Adam(chosen, lr=rate, weight_decay=decay)


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
