"""Losses against their formulas, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from carpet_data.training import losses

COUNTS = torch.tensor([8, 2, 0])
LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 0.0]])
TRUTH = torch.tensor([0, 1])


def log_softmax(row: list[float], k: int) -> float:
    return row[k] - math.log(sum(math.exp(value) for value in row))


def test_cross_entropy_is_torchs() -> None:
    loss = losses.make("cross-entropy", COUNTS)(LOGITS, losses.soft_labels(TRUTH, 3))
    assert loss.item() == pytest.approx(torch.nn.functional.cross_entropy(LOGITS, TRUTH).item(), rel=1e-6)


def test_label_smoothing_is_torchs() -> None:
    loss = losses.make("cross-entropy", COUNTS)(LOGITS, losses.soft_labels(TRUTH, 3, 0.2))
    expected = torch.nn.functional.cross_entropy(LOGITS, TRUTH, label_smoothing=0.2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_effective_number_by_hand() -> None:
    # β = 0.5: E_8 = (1 − 0.5⁸) / 0.5, E_2 = (1 − 0.5²) / 0.5; weights 1/E scaled to sum to the two classes present.
    raw = [0.5 / (1 - 0.5**8), 0.5 / (1 - 0.5**2)]
    expected = [2 * value / sum(raw) for value in raw]
    found = losses.effective_number_weights(COUNTS, beta=0.5)
    assert found.tolist() == pytest.approx([*expected, 0.0])
    assert losses.effective_number_weights(COUNTS, beta=0.0).tolist() == pytest.approx([1, 1, 0])
    # Towards β = 1 the weights are those of one over the counts.
    assert losses.effective_number_weights(COUNTS, beta=1 - 1e-9).tolist() == pytest.approx([0.4, 1.6, 0], rel=1e-5)


def test_effective_number_weighs_the_loss() -> None:
    loss = losses.make("effective-number", COUNTS)
    weights = loss.weights.tolist()
    expected = -(weights[0] * log_softmax([2, 0.5, -1], 0) + weights[1] * log_softmax([0, 1, 0], 1)) / 2
    assert loss(LOGITS, losses.soft_labels(TRUTH, 3)).item() == pytest.approx(expected, rel=1e-6)


def test_logit_adjustment_by_hand() -> None:
    loss = losses.make("logit-adjusted", COUNTS)(LOGITS, losses.soft_labels(TRUTH, 3))
    # A class without images counts as half an image.
    prior = [math.log(n / 10.5) for n in (8, 2, 0.5)]
    rows = [[z + a for z, a in zip(row, prior, strict=True)] for row in LOGITS.tolist()]
    assert loss.item() == pytest.approx(-(log_softmax(rows[0], 0) + log_softmax(rows[1], 1)) / 2, rel=1e-6)
