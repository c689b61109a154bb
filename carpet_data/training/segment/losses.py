"""Losses of class maps."""

from __future__ import annotations

import torch
from torch.nn import functional

from carpet_data.training.segment.options import SegmentLoss

__all__ = ["dice", "focal", "loss"]

_GAMMA = 2.0
_SMOOTH = 1.0


def loss(name: SegmentLoss, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean loss of a batch.

    Args:
        name: "cross-entropy", "cross-entropy+dice" or "focal".
        logits: float (n, k, h, w).
        labels: int64 (n, h, w).
    """
    logits = logits.float()
    if name == "focal":
        return focal(logits, labels)
    entropy = functional.cross_entropy(logits, labels)
    return entropy + dice(logits, labels) if name == "cross-entropy+dice" else entropy


def focal(logits: torch.Tensor, labels: torch.Tensor, gamma: float = _GAMMA) -> torch.Tensor:
    """The focal loss (Lin et al. 2017), -(1 - p)^gamma log p of each pixel's class, as a mean over pixels."""
    logs = functional.log_softmax(logits, dim=1).gather(1, labels.unsqueeze(1))
    values: torch.Tensor = -((1 - logs.exp()) ** gamma) * logs
    return values.mean()


def dice(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice coefficient (Milletari et al. 2016) of the defect classes that the batch shows.

    The pixels of a batch are pooled. Without a defect in it the loss is 0: cross-entropy alone answers for good images.
    """
    shares = functional.softmax(logits, dim=1)[:, 1:]
    truth = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:].to(shares.dtype)
    common, total = (shares * truth).sum((0, 2, 3)), (shares + truth).sum((0, 2, 3))
    shown = truth.sum((0, 2, 3)) > 0
    coefficients = (2 * common + _SMOOTH) / (total + _SMOOTH)
    if not bool(shown.any()):
        return logits.new_zeros(())
    return 1 - coefficients[shown].mean()
