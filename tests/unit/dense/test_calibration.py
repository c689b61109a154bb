"""Calibration, thresholds and the image term, on made-up maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, f1_score

from carpet_data.training.dense.calibration import average_precision, best_threshold, calibrate, log_odds
from carpet_data.training.dense.crossfit import HeldOut
from carpet_data.training.dense.image_term import PLAIN, Evidence, evidence_of, fit_term
from carpet_data.training.dense.ridge import softmax_loss
from carpet_data.training.dense.thresholds import good_shift


@settings(max_examples=20)
@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-4, 4)), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_the_gradient_is_that_of_the_loss(logits: np.ndarray, labels: list[int]) -> None:  # type: ignore[type-arg]
    weights = np.array([0.5, 1.0, 2.0, 0.1])
    _, slope = softmax_loss(logits, np.array(labels), weights)
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-5
        up, down = (softmax_loss(logits + sign * step, np.array(labels), weights)[0] for sign in (1, -1))
        assert slope[place] == pytest.approx((up - down) / 2e-5, abs=1e-6)


COUNTS = st.integers(2, 25)


@settings(max_examples=30)
@given(st.data())
def test_average_precision_is_that_of_scikit_learn(data: st.DataObject) -> None:
    count = data.draw(COUNTS)
    scores = data.draw(hnp.arrays(np.float32, count, elements=st.sampled_from([0.0, 0.5, 1.0, 2.5, 3.0])))
    truth = data.draw(hnp.arrays(np.bool_, count))
    truth[0] = True
    found = average_precision(scores, truth.astype(np.float32))
    assert found == pytest.approx(average_precision_score(truth, scores))


@settings(max_examples=30)
@given(st.data())
def test_no_threshold_is_better(data: st.DataObject) -> None:
    count = data.draw(COUNTS)
    scores = data.draw(hnp.arrays(np.float32, count, elements=st.integers(-5, 5).map(float)))
    truth = data.draw(hnp.arrays(np.bool_, count))
    truth[0] = True
    chosen = best_threshold(scores, truth.astype(np.float32))
    best = max(f1_score(truth, scores >= level) for level in set(scores.tolist()))
    assert f1_score(truth, scores >= chosen) == pytest.approx(best)


@settings(max_examples=30)
@given(
    hnp.arrays(np.float64, 12, elements=st.floats(-5, 5).map(lambda value: round(value, 2))),
    hnp.arrays(np.bool_, 12),
    st.sampled_from([0.5, 0.8, 0.95]),
)
def test_good_stays_good(margins: np.ndarray, defect: np.ndarray, wanted: float) -> None:  # type: ignore[type-arg]
    defect[0] = False
    shift = good_shift(margins, defect, np.ones(12), wanted)
    assert (margins[~defect] <= shift).mean() >= wanted


def _held(row: int, label: int, *, sharp: float) -> HeldOut:
    rng = np.random.default_rng(row)
    logits = rng.normal(0, sharp, (3, 16, 16))
    logits[0] += 3 * sharp
    cover = np.zeros((2, 16, 16), np.float16)
    if label:
        cover[label - 1, 4:8, 4:8] = 1
        logits[label, 4:8, 4:8] += 6 * sharp
    return HeldOut(row, label, logits.astype(np.float16), cover, typed=True)


def test_overconfident_logits_are_cooled() -> None:
    held = [_held(row, row % 3, sharp=8.0) for row in range(9)]
    found = calibrate(held, 3, smoothing=0.0, default=0.7, seed=0)
    mild = calibrate([_held(row, row % 3, sharp=1.0) for row in range(9)], 3, smoothing=0.0, default=0.7, seed=0)
    assert found.temperature > 3 * mild.temperature


def test_smoothing_is_chosen_where_the_map_is_noisy() -> None:
    held = [_held(row, row % 3, sharp=1.0) for row in range(9)]
    noisy = calibrate(held, 3, smoothing=None, default=0.0, seed=0)
    assert noisy.smoothing > 0


def test_types_that_no_head_had_seen_do_not_choose_the_smoothing() -> None:
    held = [replace(_held(row, row % 3, sharp=1.0), typed=False) for row in range(9)]
    assert calibrate(held, 3, smoothing=None, default=0.0, seed=0).smoothing == 0


def test_types_that_no_head_had_seen_do_not_calibrate() -> None:
    held = [replace(_held(row, 1 + row % 2, sharp=8.0), typed=False) for row in range(8)]
    found = calibrate(held, 3, smoothing=0.0, default=0.7, seed=0)
    assert found.temperature == 1
    assert not found.bias.any()
    ground = [log_odds(each.logits.astype(np.float32))[each.cover.sum(axis=0) == 0] for each in held]  # type: ignore[union-attr]
    assert (np.concatenate(ground) > found.threshold).mean() < 0.002


def test_a_type_of_one_image_has_the_bias_of_the_others() -> None:
    rows = [_evidence(label, seed) for seed, label in enumerate((0, 0, 1, 2))]
    term = fit_term(rows, np.array([0, 0, 1, 2]), np.ones(4), features=None)
    assert term.bias[0] == pytest.approx(term.bias[1], abs=0.1)


def test_maps_without_masks_are_of_no_use() -> None:
    held = [HeldOut(0, 1, np.zeros((3, 4, 4), np.float16), None, typed=True)]
    found = calibrate(held, 3, smoothing=None, default=0.7, seed=0)
    assert (found.smoothing, found.temperature, found.threshold) == (0.7, 1.0, 0.0)


def test_the_top_cells_speak_for_the_image() -> None:
    logits = np.zeros((3, 30, 30), np.float32)
    logits[0] = 5
    logits[2, 3:6, 3:6] = 15
    found = evidence_of(logits, np.zeros(0))
    assert found.level == pytest.approx(10, abs=0.01)
    assert found.types.argmax() == 1
    spared = np.zeros((30, 30), np.bool_)
    spared[2:7, 2:7] = True
    assert evidence_of(logits, np.zeros(0), without=spared).level < -4


def _evidence(label: int, seed: int) -> Evidence:
    rng = np.random.default_rng(seed)
    types = np.log(np.array([0.5, 0.5]))
    features = rng.normal(0, 1, 4)
    if label:
        features[label] += 3
    return Evidence(-2.0 + 4 * (label > 0) + rng.normal(), types, np.zeros(2), features)


def test_mean_features_tell_types_that_cells_do_not() -> None:
    labels = np.arange(60) % 3
    rows = [_evidence(int(label), seed) for seed, label in enumerate(labels)]
    everything = np.ones(60)
    plain = fit_term(rows, labels, everything, features=None)
    better = fit_term(rows, labels, everything, features=0.01)
    right = [
        np.mean([term.logits(row).argmax() == label for row, label in zip(rows, labels, strict=True)])
        for term in (PLAIN(2), plain, better)
    ]
    assert right[2] > 0.9
    assert right[2] > right[1]


def test_one_image_of_a_class_leaves_the_term_near_the_plain_one() -> None:
    rows = [_evidence(label, label) for label in (0, 1, 2)]
    term = fit_term(rows, np.arange(3), np.ones(3), features=None)
    assert 0.5 < term.level < 3
    assert np.isfinite(term.bias).all()
