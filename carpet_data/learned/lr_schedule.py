"""The pace of a fit: how the learning rate rises and falls, and how averaged weights follow."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

__all__ = ["follow", "rate"]

_WARM_UP = 0.1
"""Share of the steps over which the rate rises, as far as a method names no fewer."""


def rate(number: int, steps: int, *, most_warm: int | None = None, last: float = 0.05) -> float:
    """The share of the largest learning rate: a straight rise, then half a cosine.

    Args:
        number: Of the step, from 0.
        steps: In all.
        most_warm: The rise takes no more steps than this; None for a tenth of all.
        last: What is left at the end.
    """
    warm = max(1, round(_WARM_UP * steps))
    if most_warm is not None:
        warm = min(warm, most_warm)
    if number < warm:
        return (number + 1) / warm
    way = (number - warm) / max(1, steps - warm)
    return last + (1 - last) * (1 + math.cos(math.pi * way)) / 2


@torch.no_grad()
def follow(averaged: Iterable[torch.Tensor], current: Iterable[torch.Tensor], number: int, decay: float) -> None:
    """Move averaged weights towards the current ones, in place.

    Early weights are worth little, so the memory grows to its full length as the fit goes on.

    Args:
        averaged: Written to.
        current: In the same order.
        number: Of the step, from 0.
        decay: At full length.
    """
    torch._foreach_lerp_(list(averaged), list(current), 1 - min(decay, (1 + number) / (10 + number)))
