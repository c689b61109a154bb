"""The image term: the class of an image from its pooled cell logits and from its mean features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["PLAIN", "Evidence", "ImageTerm", "evidence_of", "fit_term", "pooled"]

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_TOP_SHARE, _TOP_CELLS = 0.002, 6
"""The share of the cells, and their smallest number, that speak for the image: defects are small."""
_FLOOR = 1e-4
_PRIOR = 0.02
"""How strongly the weights of pooled logits are drawn to those of `PLAIN`."""
_ROUNDS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the map of an image says of the whole image.

    Attributes:
        level: Mean log-odds of a defect over the top cells.
        types: float64 (k - 1,), log of the mean probability of each type over them, given a defect.
        sums: float64 (k - 1,), log-sum-exp over all cells of each type's logit against that of the background, per
            cell.
        features: float64 (d,), mean and standard deviation of each channel over the image; empty where left out.
    """

    level: float
    types: F64
    sums: F64
    features: F64


def pooled(maps: F16) -> F64:
    """Mean and standard deviation of each channel of a map, float16 (c, rows, columns) -> float64 (2c,)."""
    flat = maps.reshape(len(maps), -1).astype(np.float32)
    return np.concatenate((flat.mean(axis=1), flat.std(axis=1))).astype(np.float64)


def evidence_of(logits: F32, features: F64, *, without: NDArray[np.bool_] | None = None) -> Evidence:
    """Pool a map of logits, float32 (k, rows, columns), over its top cells and over all.

    `without` are cells, bool (rows, columns), that are left out, as where the rest of the image is to be judged.
    """
    flat = logits.reshape(len(logits), -1).astype(np.float64)
    if without is not None and not without.all():
        flat = flat[:, ~without.ravel()]
    against = flat[1:] - flat[0]
    odds = _log_sum(against, 0)
    count = min(len(odds), max(_TOP_CELLS, round(_TOP_SHARE * len(odds))))
    top = np.argpartition(odds, len(odds) - count)[len(odds) - count :]
    share = np.exp(against[:, top] - odds[top]).mean(axis=1)
    sums = _log_sum(against, 1) - np.log(against.shape[1])
    return Evidence(float(odds[top].mean()), np.log(np.maximum(share, _FLOOR)), sums, features)


def _log_sum(values: F64, axis: int) -> F64:
    most = values.max(axis=axis, keepdims=True)
    return np.asarray((np.log(np.exp(values - most).sum(axis=axis, keepdims=True)) + most).squeeze(axis))


@dataclass(frozen=True, slots=True, eq=False)
class ImageTerm:
    """Logits of an image: those of good are `shift` and what the mean features say.

    The logit of type c is level · L + types · T_c + sums · S_c + bias_c + features_c · f for its `Evidence` (L, T, S,
    f), f standardized.

    Attributes:
        bias: float64 (k - 1,).
        weights: float64 (k, d) of the features; None where they are left out.
        mean: float64 (d,) of the features in training.
        deviation: Likewise.
    """

    level: float
    types: float
    sums: float
    bias: F64
    shift: float = 0.0
    weights: F64 | None = None
    mean: F64 | None = None
    deviation: F64 | None = None

    def logits(self, found: Evidence) -> F64:
        """float64 (k,): the logit of each class, good first."""
        defect = self.level * found.level + self.types * found.types + self.sums * found.sums + self.bias
        logits = np.concatenate(([self.shift], defect))
        if self.weights is not None and self.mean is not None and self.deviation is not None:
            logits = logits + self.weights @ ((found.features - self.mean) / self.deviation)
        return np.asarray(logits)


def PLAIN(types: int) -> ImageTerm:  # noqa: N802 - the one that stands where there is nothing to fit
    """The term that takes the cells at their word: an image is defect when its top cells are, of their type."""
    return ImageTerm(1.0, 1.0, 0.0, np.zeros(types))


def fit_term(
    rows: Sequence[Evidence],
    labels: NDArray[np.int64],
    typed: NDArray[np.bool_],
    weights: F64,
    *,
    features: float | None,
) -> ImageTerm:
    """Fit a term to images that the cells' head has not seen, by ridge-penalized cross-entropy (L-BFGS).

    With few images the weights stay near those of the plain term, to which the penalty draws them.

    Args:
        rows: What was found in each image.
        labels: int64 (n,), the class of each.
        typed: bool (n,), False where a head that has not seen the type judged the image: only whether it is good
            counts then.
        weights: float64 (n,), of each image; classes are weighed alike besides.
        features: Penalty of the weights of the mean features; None to leave them out.
    """
    count = len(rows[0].types) + 1
    f = np.stack([row.features for row in rows])
    mean, deviation = f.mean(axis=0), f.std(axis=0) + 1e-6
    data = _Data(
        torch.tensor([row.level for row in rows], dtype=torch.float64),
        torch.from_numpy(np.stack([row.types for row in rows])),
        torch.from_numpy(np.stack([row.sums for row in rows])),
        torch.from_numpy((f - mean) / deviation),
        torch.from_numpy(labels),
        torch.from_numpy(typed),
        torch.from_numpy(_balanced(labels, weights, count)),
    )
    fixed = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    main = fixed.clone().requires_grad_()
    bias = torch.zeros(count - 1, dtype=torch.float64, requires_grad=True)
    weight = torch.zeros((count, f.shape[1]), dtype=torch.float64, requires_grad=features is not None)
    parameters = [main, bias] if features is None else [main, bias, weight]
    optimizer = torch.optim.LBFGS(parameters, max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = data.loss(main, bias, weight if features is not None else None)
        loss = loss + _PRIOR * ((main - fixed) ** 2).sum() + _PRIOR / 10 * ((bias - bias.mean()) ** 2).sum()
        if features is not None:
            loss = loss + features * (weight**2).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    level, types, sums = main.detach().tolist()
    term = ImageTerm(level, types, sums, bias.detach().numpy().copy())
    if features is None:
        return term
    return replace(term, weights=weight.detach().numpy().copy(), mean=mean, deviation=deviation)


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """The images of a fit as tensors, row by row."""

    level: torch.Tensor
    types: torch.Tensor
    sums: torch.Tensor
    features: torch.Tensor
    labels: torch.Tensor
    typed: torch.Tensor
    weights: torch.Tensor

    def loss(self, main: torch.Tensor, bias: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """The weighted mean of the cross-entropy."""
        defect = main[0] * self.level[:, None] + main[1] * self.types + main[2] * self.sums + bias
        logits = torch.cat((torch.zeros_like(defect[:, :1]), defect), dim=1)
        if weight is not None:
            logits = logits + self.features @ weight.T
        log = torch.log_softmax(logits, dim=1)
        by_type = log.gather(1, self.labels[:, None])[:, 0]
        any_defect = torch.logsumexp(log[:, 1:], dim=1)
        found = torch.where(self.typed | (self.labels == 0), by_type, any_defect)
        return -(found * self.weights).sum()


def _balanced(labels: NDArray[np.int64], weights: F64, count: int) -> F64:
    sums = np.bincount(labels, weights, minlength=count)
    balanced = weights / sums[labels]
    return np.asarray(balanced / balanced.sum())
