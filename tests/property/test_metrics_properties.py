"""Scores, intervals and tests, whatever the labels: bounds and invariances that must hold always."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.examples import examples
from helpers.outcomes import simulated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carpet_data import metrics

SEEDS = st.integers(0, 2**32 - 1)
RELAXED = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
STATISTICS = st.sampled_from([metrics.ACCURACY, metrics.BALANCED_ACCURACY, metrics.MACRO_F1])


@st.composite
def labels(draw: Any) -> tuple[np.ndarray, np.ndarray, int]:
    count = draw(st.integers(2, 6))
    n = draw(st.integers(1, 40))
    row = st.lists(st.integers(0, count - 1), min_size=n, max_size=n)
    return np.array(draw(row)), np.array(draw(row)), count


def scores(table: np.ndarray) -> list[float]:
    return [metrics.accuracy(table), metrics.balanced_accuracy(table), metrics.macro_f1(table)]


@given(labels())
@RELAXED
def test_scores_lie_between_nothing_and_all(given_labels: tuple[np.ndarray, np.ndarray, int]) -> None:
    truth, predicted, count = given_labels
    table = metrics.confusion(truth, predicted, count)
    assert table.sum() == len(truth)
    assert np.array_equal(table.T, metrics.confusion(predicted, truth, count))
    assert all(0 <= score <= 1 for score in scores(table))
    assert scores(metrics.confusion(truth, truth, count)) == [1, 1, 1]


@given(labels(), SEEDS)
@RELAXED
def test_the_numbers_of_classes_mean_nothing(given_labels: tuple[np.ndarray, np.ndarray, int], seed: int) -> None:
    truth, predicted, count = given_labels
    renamed = np.random.default_rng(seed).permutation(count)
    first = metrics.confusion(truth, predicted, count)
    second = metrics.confusion(renamed[truth], renamed[predicted], count)
    assert scores(second) == pytest.approx(scores(first))
    assert metrics.recalls(second)[renamed] == pytest.approx(metrics.recalls(first), nan_ok=True)


@given(labels(), st.integers(2, 5))
@RELAXED
def test_every_image_twice_changes_no_score(given_labels: tuple[np.ndarray, np.ndarray, int], times: int) -> None:
    table = metrics.confusion(*given_labels)
    assert scores(table * times) == pytest.approx(scores(table))


@given(st.integers(1, 3000), st.data(), st.floats(0.01, 0.999))
@RELAXED
def test_wilson_holds_the_share_within_its_bounds(n: int, data: st.DataObject, level: float) -> None:
    successes = data.draw(st.integers(0, n))
    interval = metrics.wilson(successes, n, level)
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    mirrored = metrics.wilson(n - successes, n, level)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((interval.low, interval.high))
    more = metrics.wilson(4 * successes, 4 * n, level)
    assert more.high - more.low < interval.high - interval.low


def relabelled(outcome: metrics.Outcome, random: np.random.Generator) -> metrics.Outcome:
    """The same outcome with its classes renumbered and its rows in another order."""
    renamed = random.permutation(len(outcome.classes))
    rows = random.permutation(len(outcome.truth))
    return metrics.Outcome.of(
        outcome.name,
        [outcome.classes[place] for place in np.argsort(renamed)],
        partitions=outcome.partitions[rows].tolist(),
        seeds=outcome.seeds[rows].tolist(),
        samples=outcome.samples[rows].tolist(),
        units=outcome.units[rows].tolist(),
        truth=renamed[outcome.truth[rows]],
        predicted=renamed[outcome.predicted[rows]],
    )


@given(SEEDS, st.lists(st.integers(2, 5), min_size=2, max_size=4), st.integers(1, 3), STATISTICS)
@settings(RELAXED, max_examples=examples(30))
def test_intervals_know_neither_the_order_of_rows_nor_the_numbers_of_classes(
    seed: int, sizes: list[int], partitions: int, statistic: metrics.Statistic
) -> None:
    random = np.random.default_rng(seed)
    baseline, candidate = simulated(random, tuple(sizes), partitions=partitions, shots=2)
    first = metrics.bootstrap_interval(baseline, statistic, resamples=200, seed=seed)
    second = metrics.bootstrap_interval(relabelled(baseline, random), statistic, resamples=200, seed=seed)
    assert 0 <= first.low <= first.high <= 1
    assert (second.low, second.high) == pytest.approx((first.low, first.high))
    state = int(random.integers(2**32))
    result = metrics.paired_bootstrap(baseline, candidate, statistic, resamples=200, seed=seed)
    again = metrics.paired_bootstrap(
        relabelled(baseline, np.random.default_rng(state)),
        relabelled(candidate, np.random.default_rng(state)),
        statistic,
        resamples=200,
        seed=seed,
    )
    assert again.p_value == result.p_value
    assert again.difference == pytest.approx(result.difference)


@given(SEEDS, st.floats(-2, 2), STATISTICS)
@settings(RELAXED, max_examples=examples(40))
def test_the_p_value_and_the_interval_tell_one_story(seed: int, lift: float, statistic: metrics.Statistic) -> None:
    pair = simulated(np.random.default_rng(seed), (3, 4, 5), lift=lift)
    result = metrics.paired_bootstrap(*pair, statistic, resamples=400, seed=seed)
    assert 0 < result.p_value <= 1
    assert -1 <= result.interval.low <= result.interval.high <= 1
    if result.p_value < 0.04:
        assert 0 not in result.interval
    if result.p_value > 0.06:
        assert 0 in result.interval


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=10), st.floats(0.1, 10))
@RELAXED
def test_signs_know_neither_scale_nor_direction(values: list[float], scale: float) -> None:
    differences = np.round(values, 3)
    result = metrics.sign_flip(differences)
    assert result.smallest <= result.p_value <= 1
    assert metrics.sign_flip(-differences).p_value == result.p_value
    assert metrics.sign_flip(np.concatenate((differences, [0.0]))).p_value == result.p_value


@given(st.lists(st.floats(0, 1), max_size=12))
@RELAXED
def test_holm_never_lowers_a_p_value_nor_changes_their_order(p_values: list[float]) -> None:
    adjusted = metrics.holm(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
