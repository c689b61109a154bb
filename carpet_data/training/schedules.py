"""Learning rates as pure functions of the step."""

from __future__ import annotations

import math

from carpet_data.training.options import Schedule

__all__ = ["factor"]

_DROPS = 3


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step.

    Args:
        schedule: "constant": 1; "cosine": from 1 down to nearly 0 along half a cosine (Loshchilov and Hutter 2017);
            "step": a tenth after each third (He et al. 2016).
        step: From 0.
        steps: All steps of the training.
    """
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / steps))
    if schedule == "step":
        return float(0.1 ** (_DROPS * step // steps))
    return 1.0
