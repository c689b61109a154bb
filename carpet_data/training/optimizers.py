"""Optimizers and learning rates by name."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from carpet_data.training.options import Schedule, TrainOptions

__all__ = ["factor", "make", "set_rate"]

_DROPS = 3


def make(options: TrainOptions, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of the options for these parameters."""
    chosen = list(parameters)
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "sgd":
        return torch.optim.SGD(chosen, lr=rate, momentum=options.momentum, weight_decay=decay)
    if options.optimizer == "adamw":
        return torch.optim.AdamW(chosen, lr=rate, weight_decay=decay)
    return torch.optim.Adam(chosen, lr=rate, weight_decay=decay)


def set_rate(optimizer: torch.optim.Optimizer, options: TrainOptions, step: int, steps: int) -> float:
    """Set the learning rate of a step, from 0, and return it."""
    rate = options.learning_rate * factor(options.schedule, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def factor(schedule: Schedule, step: int, steps: int) -> float:
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
