"""Tests over partitions, by hand and against scipy."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest
from helpers.outcomes import by_hand, simulated

from carpet_data import metrics
from carpet_data.errors import DataError, UsageError

DIFFERENCES = (0.05, 0.02, 0.04, -0.01, 0.03)


def test_the_corrected_t_by_hand() -> None:
    # mean 0.026, sum of squares about it 0.00212, variance 0.00053; 1 / 5 + 2 makes the error sqrt(2.2 x 0.00053).
    result = metrics.corrected_t(DIFFERENCES, train=1 / 3, test=2 / 3)
    assert result.mean == pytest.approx(0.026)
    assert result.t == pytest.approx(0.026 / math.sqrt(2.2 * 0.00053))
    assert result.degrees == 4
    assert result.p_value == pytest.approx(0.4890, abs=1e-3)
    assert result.interval is not None
    half = 2.7764451 * math.sqrt(2.2 * 0.00053)
    assert (result.interval.low, result.interval.high) == pytest.approx((0.026 - half, 0.026 + half))


def test_the_p_value_and_the_interval_agree() -> None:
    result = metrics.corrected_t(DIFFERENCES, train=9, test=1)
    assert result.p_value is not None
    edge = metrics.corrected_t(DIFFERENCES, train=9, test=1, level=1 - result.p_value).interval
    assert edge is not None
    assert edge.low == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_differences_that_do_not_differ_say_nothing_about_their_spread(value: float) -> None:
    result = metrics.corrected_t([value] * 3, train=2, test=1)
    assert result.mean == pytest.approx(value)
    assert (result.t, result.p_value, result.interval) == (None, None, None)
    assert json.loads(json.dumps(result.to_json()))["p_value"] is None


@pytest.mark.oracle
def test_scipy_agrees_where_nothing_overlaps() -> None:
    # With next to no test side the correction is gone, and what is left is the plain t-test.
    reference = pytest.importorskip("scipy.stats").ttest_1samp(DIFFERENCES, 0)
    result = metrics.corrected_t(DIFFERENCES, train=1, test=1e-12)
    assert (result.t, result.p_value) == pytest.approx((reference.statistic, reference.pvalue), rel=1e-6)


def test_signs_by_hand() -> None:
    result = metrics.sign_flip(DIFFERENCES)
    as_far = [sum(s * d for s, d in zip(signs, DIFFERENCES, strict=True)) for signs in product((1, -1), repeat=5)]
    assert result.p_value == sum(abs(total) >= 0.13 - 1e-9 for total in as_far) / 32 == 4 / 32
    assert result.exact
    assert result.smallest == metrics.sign_flip([0.1, 0.2, 0.3, 0.4, 0.5]).p_value == 0.0625
    assert metrics.sign_flip([0.3]).p_value == 1
    assert metrics.sign_flip([0.0, 0.0]).p_value == 1


def test_many_signs_are_drawn() -> None:
    random = np.random.default_rng(0)
    none, some = random.normal(0, 1, 30), random.normal(1, 1, 30)
    assert not metrics.sign_flip(none).exact
    assert metrics.sign_flip(none).p_value > 0.05
    assert metrics.sign_flip(some).p_value < 0.001
    assert metrics.sign_flip([1.0] * 40).p_value == metrics.sign_flip([1.0] * 40).smallest > 0
    assert metrics.sign_flip(none, seed=1) == metrics.sign_flip(none, seed=1) != metrics.sign_flip(none, seed=2)


@pytest.mark.oracle
def test_scipy_agrees_on_signs() -> None:
    reference = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(5).normal(0.3, 1, 9)
    expected = reference.permutation_test(
        (values,), np.mean, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    assert metrics.sign_flip(values).p_value == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_difference_of_each_partition() -> None:
    baseline, candidate = simulated(np.random.default_rng(0), (6, 8, 12), partitions=3, lift=1.0)
    found = metrics.partition_differences(baseline, candidate, metrics.ACCURACY)
    before, after = baseline.by_partition(metrics.ACCURACY), candidate.by_partition(metrics.ACCURACY)
    assert found.tolist() == pytest.approx([after[name] - before[name] for name in ("p0", "p1", "p2")])


def test_seeds_are_averaged_before_partitions_are_compared() -> None:
    rows = [("p", seed, f"s{n}", f"s{n}", n % 2, n % 2) for seed in (0, 1) for n in range(4)]
    right = by_hand(rows)
    half = by_hand([(*row[:5], row[4] if row[1] else 1 - row[4]) for row in rows], "half")
    assert metrics.partition_differences(half, right).tolist() == [0.5]


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(DataError, match="two"):
        metrics.corrected_t([0.1], train=1, test=1)
    with pytest.raises(DataError, match="no partitions"):
        metrics.sign_flip([])
    for wrong in ({"train": 0, "test": 1}, {"train": 1, "test": -1}, {"train": math.inf, "test": 1}):
        with pytest.raises(UsageError, match="sizes"):
            metrics.corrected_t(DIFFERENCES, **wrong)
    with pytest.raises(UsageError, match="finite"):
        metrics.sign_flip([0.1, math.nan])
    with pytest.raises(UsageError, match="seed"):
        metrics.sign_flip([0.1], seed=-1)
