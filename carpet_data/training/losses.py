"""Losses for long tails, over soft labels so that every one works with every mixing."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from carpet_data.training.options import LossName

__all__ = ["Loss", "effective_number_weights", "log_prior", "make", "soft_labels"]

_BETA = 0.999
_ABSENT = 0.5
"""Images that a class without training images counts as in the prior, whose logarithm must exist."""


def effective_number_weights(counts: torch.Tensor, beta: float = _BETA) -> torch.Tensor:
    """The class weights of the class-balanced loss (Cui et al. 2019).

    w_k ∝ (1 − β) / (1 − β^n_k), one over the effective number of the class's images, scaled so that the weights of the
    classes with images sum to their number.

    Args:
        counts: Images of each class, (k,); a class without images gets the weight 0.
        beta: In [0, 1): 0 weighs all classes alike, towards 1 by one over their counts.

    Returns:
        float32 (k,).
    """
    counts = counts.double()
    present = counts > 0
    weights = torch.where(present, (1 - beta) / (1 - beta ** counts.clamp(min=1)), 0.0)
    return (weights * present.sum() / weights.sum()).float()


def log_prior(counts: torch.Tensor) -> torch.Tensor:
    """log π_k, the share of each class among the training images, float32 (k,), for logit adjustment."""
    counts = counts.double().clamp(min=_ABSENT)
    return (counts / counts.sum()).log().float()


@dataclass(frozen=True, eq=False)
class Loss:
    """Cross-entropy with optional class weights and logit adjustment.

    The mean over images of −Σ_k w_k t_k log softmax(z + a)_k, with logits z, labels t, weights w and adjustment a.

    Attributes:
        weights: w, float32 (k,); ones for the plain loss.
        adjustment: a, float32 (k,); zeros for the plain loss. Logit adjustment (Menon et al. 2021) has τ log π, τ = 1,
            in training only, so that the bare logits suit balanced classes.
    """

    weights: torch.Tensor
    adjustment: torch.Tensor

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch: logits, float (n, k), and labels, float (n, k), each row summing to 1."""
        logs = torch.log_softmax(logits.float() + self.adjustment, dim=1)
        return -(labels * logs * self.weights).sum(dim=1).mean()


def make(name: LossName, counts: torch.Tensor, device: torch.device | str = "cpu") -> Loss:
    """The loss of a name.

    Names: "cross-entropy", "effective-number" (Cui et al. 2019) or "logit-adjusted" (Menon et al. 2021). `counts` are
    the training images of each class, (k,).
    """
    ones, zeros = torch.ones(len(counts)), torch.zeros(len(counts))
    weights = effective_number_weights(counts) if name == "effective-number" else ones
    adjustment = log_prior(counts) if name == "logit-adjusted" else zeros
    return Loss(weights.to(device), adjustment.to(device))


def soft_labels(labels: torch.Tensor, classes: int, smoothing: float = 0.0) -> torch.Tensor:
    """Labels as rows that sum to 1, float32 (n, k).

    Args:
        labels: int64 (n,).
        classes: k.
        smoothing: ε: each row is (1 − ε) of its label and ε / k everywhere (Szegedy et al. 2016).
    """
    hard = torch.nn.functional.one_hot(labels, classes).float()
    return hard * (1 - smoothing) + smoothing / classes
