"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from carpet_data.training.options import TrainOptions
from carpet_data.training.schedules import factor

__all__ = ["make", "set_rate"]


def make(settings: TrainOptions, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of the settings over what learns."""
    chosen = list(parameters)
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(chosen, lr=rate, momentum=settings.momentum, weight_decay=decay)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(chosen, lr=rate, weight_decay=decay)
    return torch.optim.Adam(chosen, lr=rate, weight_decay=decay)


def set_rate(optimizer: torch.optim.Optimizer, settings: TrainOptions, step: int, steps: int) -> float:
    """Set the learning rate of a step, from 0, and return it."""
    rate = settings.learning_rate * factor(settings.schedule, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate
