"""Paired tests against hand-worked cases, scipy, and worlds in which nothing differs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.outcomes import by_hand, simulated

from carpet_data import metrics
from carpet_data.errors import DataError, UsageError

SIZES = (6, 8, 12, 20)


def rejected(*, grouped: bool, lift: float = 0.0, data_sets: int = 300) -> float:
    """The share of simulated data sets whose difference is called significant at 0.05."""
    random = np.random.default_rng(20)
    pairs = (simulated(random, SIZES, lift=lift, grouped=grouped) for _ in range(data_sets))
    return float(
        np.mean([metrics.paired_bootstrap(*pair, resamples=400, seed=n).p_value < 0.05 for n, pair in enumerate(pairs)])
    )


def test_equals_are_called_different_about_as_often_as_stated() -> None:
    # Nominal 0.05. Three standard errors of 300 trials are 0.04, and few units a class make it a little eager.
    assert 0.02 <= rejected(grouped=True) <= 0.10


def test_images_taken_one_by_one_would_cry_wolf() -> None:
    assert rejected(grouped=False) > 0.15


def test_a_real_difference_is_found() -> None:
    assert rejected(grouped=True, lift=1.5, data_sets=60) > 0.8


def test_the_difference_is_candidate_less_baseline() -> None:
    baseline, candidate = simulated(np.random.default_rng(1), SIZES, lift=2.0)
    result = metrics.paired_bootstrap(baseline, candidate)
    assert result.difference == pytest.approx(
        candidate.value(metrics.BALANCED_ACCURACY) - baseline.value(metrics.BALANCED_ACCURACY)
    )
    assert 0 < result.interval.low < result.difference < result.interval.high
    assert result.p_value < 0.01
    assert result.statistic == "balanced accuracy"
    assert result.fewest_units == 5  # of the six of the first class, two partitions tested five
    assert json.loads(json.dumps(result.to_json()))["resamples"] == 10_000


def test_the_other_way_round_is_the_mirror() -> None:
    baseline, candidate = simulated(np.random.default_rng(2), SIZES, lift=0.7)
    there = metrics.paired_bootstrap(baseline, candidate, metrics.MACRO_F1, resamples=1000)
    back = metrics.paired_bootstrap(candidate, baseline, metrics.MACRO_F1, resamples=1000)
    assert back.difference == -there.difference
    assert back.p_value == there.p_value
    assert (back.interval.low, back.interval.high) == pytest.approx((-there.interval.high, -there.interval.low))


def test_no_difference_at_all_has_the_p_value_one() -> None:
    outcome, _ = simulated(np.random.default_rng(3), SIZES)
    result = metrics.paired_bootstrap(outcome, outcome, resamples=500)
    assert (result.difference, result.p_value, result.interval.low, result.interval.high) == (0, 1, 0, 0)


def test_a_p_value_is_never_zero() -> None:
    rows = [("p", 0, f"s{n}", f"s{n}", n % 2, n % 2) for n in range(40)]
    right = by_hand(rows)
    wrong = by_hand([(*row[:5], 1 - row[4]) for row in rows], "wrong")
    assert metrics.paired_bootstrap(wrong, right, resamples=999).p_value == 2 / 1000


def test_pairing_removes_what_both_have_in_common() -> None:
    random = np.random.default_rng(4)
    baseline, _ = simulated(random, SIZES, spread=3.0)
    flipped = baseline.predicted.copy()
    wrong = np.flatnonzero(flipped != baseline.truth)[::8]
    flipped[wrong] = baseline.truth[wrong]
    candidate = metrics.Outcome.of(
        "candidate", baseline.classes, partitions=baseline.partitions.tolist(), seeds=baseline.seeds.tolist(),
        samples=baseline.samples.tolist(), units=baseline.units.tolist(), truth=baseline.truth, predicted=flipped,
    )  # fmt: skip
    alone = metrics.bootstrap_interval(baseline)
    together = metrics.paired_bootstrap(baseline, candidate).interval
    assert together.high - together.low < (alone.high - alone.low) / 2


def test_other_rows_are_refused() -> None:
    baseline, _ = simulated(np.random.default_rng(0), SIZES)
    other, _ = simulated(np.random.default_rng(1), SIZES)
    with pytest.raises(DataError, match="not tested on the same images"):
        metrics.paired_bootstrap(baseline, other)
    with pytest.raises(DataError, match="not tested on the same images"):
        metrics.partition_differences(baseline, other)


def test_holm_by_hand() -> None:
    assert metrics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert metrics.holm([0.5, 0.9]) == (1.0, 1.0)
    assert metrics.holm([]) == ()
    with pytest.raises(UsageError):
        metrics.holm([1.2])
