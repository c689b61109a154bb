"""Predictions against a computation by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import networks

from carpet_data.store.runs import Prediction
from carpet_data.training import evaluate
from carpet_data.training.features import extract


def test_logits_become_probabilities_and_losses() -> None:
    logits = np.array([[math.log(2), math.log(1), math.log(1)], [0, 1000, 0], [-1e9, 0, -1e9]])
    found = evaluate.of_logits(logits, np.array([0, 0, 1]), ("a", "b", "c"))
    assert np.allclose(found.probabilities[0], [0.5, 0.25, 0.25])
    assert np.allclose(found.probabilities.sum(axis=1), 1)
    assert np.allclose(found.losses, [math.log(2), 1000, 0])
    assert found.predicted.tolist() == [0, 1, 1]
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.loss == pytest.approx((math.log(2) + 1000) / 3)
    assert found.worst(2) == [1, 0]
    rows = found.rows(("good", "hole", "cut"), condition="train", partition="main", seed=3)
    assert rows[1] == Prediction("b", "train", "main", 3, "test", "good", "hole", (0.0, 1.0, 0.0), 1000.0)


def test_a_network_and_its_cached_features_agree() -> None:
    network, table = networks.network("efficientnet_lite0"), networks.table()
    network.train()
    calls: list[tuple[int, int | None]] = []
    whole = evaluate.predict(network, table, batch_size=3, progress=lambda step: calls.append((step.done, step.total)))
    assert network.training
    assert calls == [(3, 7), (6, 7), (7, 7)]
    cached = evaluate.predict_features(network.head, extract(network, table))
    assert np.allclose(whole.probabilities, cached.probabilities, atol=1e-5)
    assert whole.ids == cached.ids == table.ids
    assert np.array_equal(whole.truth, table.labels)
    network.eval()
    with torch.inference_mode():
        by_hand = network(network.prepare(table.pixels)).double().softmax(dim=1).numpy()
    assert np.allclose(whole.probabilities, by_hand, atol=1e-5)
