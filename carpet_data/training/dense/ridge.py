"""Small penalized softmax models, fitted by L-BFGS with gradients written out: thousands of them take a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["minimum", "softmax_loss"]

F64 = NDArray[np.float64]

_ROUNDS = 100


def softmax_loss(logits: F64, labels: NDArray[np.int64], weights: F64) -> tuple[float, F64]:
    """Weighted cross-entropy and its gradient.

    Args:
        logits: float64 (n, k).
        labels: int64 (n,).
        weights: float64 (n,).

    Returns:
        The sum over the rows, and its gradient float64 (n, k) by the logits.

    Examples:
        >>> loss, gradient = softmax_loss(np.zeros((1, 2)), np.array([1]), np.ones(1))
        >>> round(loss, 3), gradient.tolist()
        (0.693, [[0.5, -0.5]])
    """
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -float((np.log(np.maximum(chance[rows, labels], 1e-300)) * weights).sum())
    chance[rows, labels] -= 1
    return loss, chance * weights[:, None]


def minimum(function: Callable[[F64], tuple[float, F64]], start: F64) -> F64:
    """Where a function that gives its value and its gradient is smallest, looked for from `start`."""
    found = minimize(function, start, jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS})
    return np.asarray(found.x, np.float64)
