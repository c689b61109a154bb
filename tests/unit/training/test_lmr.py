"""LMR against its formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from carpet_data.training import mixing

FEATURES = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 5.0]])
LABELS = torch.tensor([0, 0, 1, 2])
FEW_SHOT = torch.tensor([False, False, True])


def test_the_reconstruction_by_hand() -> None:
    rebuilt = mixing.reconstruct(FEATURES, LABELS, FEW_SHOT, temperature=1.0)
    # Sample 3, few-shot, from samples 0, 1, 2 with cosines 0, 1, 0.
    weights = [1 / (math.e + 2), math.e / (math.e + 2), 1 / (math.e + 2)]
    expected = [weights[0] * 1 + weights[2] * 3, weights[1] * 2]
    assert rebuilt[3].tolist() == pytest.approx(expected)
    # Sample 0 from 1 and 2 with cosines 0 and 1: never from itself, never from the few-shot sample 3.
    assert rebuilt[0].tolist() == pytest.approx([3 * math.e / (1 + math.e), 2 / (1 + math.e)])


def test_self_and_few_shot_samples_have_no_say() -> None:
    before = mixing.reconstruct(FEATURES, LABELS, FEW_SHOT)
    changed = FEATURES.clone()
    changed[3] = torch.tensor([100.0, -7.0])
    after = mixing.reconstruct(changed, LABELS, FEW_SHOT)
    assert torch.equal(before[:3], after[:3])
    # Only the direction of a sample decides its own reconstruction, not its length.
    longer = FEATURES.clone()
    longer[0] *= 50
    assert torch.allclose(mixing.reconstruct(longer, LABELS, FEW_SHOT)[0], before[0])


def test_without_a_source_a_sample_stays_as_it_is() -> None:
    few = torch.tensor([True, True, True])
    assert torch.equal(mixing.reconstruct(FEATURES, LABELS, few), FEATURES)
    # One source only, and a sample that is it: nothing is left for it but itself.
    one = mixing.reconstruct(FEATURES, LABELS, torch.tensor([True, False, True]))
    assert torch.equal(one[2], FEATURES[2])
    assert one[0].tolist() == pytest.approx([3.0, 0.0])


def test_the_contribution_falls_from_the_rarest_to_the_threshold() -> None:
    share = mixing.contribution(torch.tensor([1, 4, 20, 21, 400]), few_shot=20, largest=0.5)
    assert share[0].item() == pytest.approx(0.5)
    assert share[1].item() == pytest.approx(0.5 * (1 - math.log(4) / math.log(21)))
    assert share[0] > share[1] > share[2] > 0
    assert share[3:].tolist() == [0.0, 0.0]


def test_pairs_by_hand() -> None:
    mixed = mixing.pair(FEATURES[:2], torch.eye(2), torch.tensor([1, 0]), torch.tensor([[0.25], [1.0]]))
    assert mixed.tolist() == [[0.25, 1.5, 0.25, 0.75], [0.0, 2.0, 0.0, 1.0]]


def test_all_steps_together() -> None:
    counts = torch.tensor([30, 40, 2])
    rng = np.random.default_rng(0)
    values, labels = mixing.lmr(FEATURES, LABELS, torch.eye(3)[LABELS], counts, 20, rng)
    assert torch.allclose(labels.sum(dim=1), torch.ones(4))
    again = np.random.default_rng(0)
    partner, share = again.permutation(4), again.random((4, 1), dtype=np.float32)
    c = 0.5 * (1 - math.log(2) / math.log(21))
    blended = FEATURES.clone()
    blended[3] = c * mixing.reconstruct(FEATURES, LABELS, FEW_SHOT)[3] + (1 - c) * FEATURES[3]
    expected = torch.from_numpy(share) * blended + torch.from_numpy(1 - share) * blended[torch.from_numpy(partner)]
    assert torch.allclose(values, expected, atol=1e-6)
