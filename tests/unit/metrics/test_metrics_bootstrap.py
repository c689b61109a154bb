"""The bootstrap over units: its draws, its variance, its coverage."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers.outcomes import by_hand, simulated

from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.metrics import ACCURACY, BALANCED_ACCURACY, MACRO_F1, Outcome, Statistic, bootstrap, recall_of

SIZES = (6, 8, 12, 20)


def right_and_wrong(counts: dict[int, list[tuple[int, int]]]) -> Outcome:
    """Class -> (images, of them right) of each unit, in one partition."""
    rows = [
        ("p", 0, f"{label}{unit}{image}", f"{label}{unit}", label, label if image < right else (label + 1) % 2)
        for label, units in counts.items()
        for unit, (images, right) in enumerate(units)
        for image in range(images)
    ]
    return by_hand(rows)


def test_the_variance_is_that_of_the_mean_of_units() -> None:
    # Units of one image: the variance of a recall r over n images is estimated by r (1 - r) / (n - 1), without bias.
    outcome = right_and_wrong({0: [(1, 1)] * 3 + [(1, 0)] * 2, 1: [(1, 1)] * 2 + [(1, 0)] * 6})
    values = bootstrap.resample([outcome], BALANCED_ACCURACY, resamples=40_000, seed=1)[0]
    expected = (0.6 * 0.4 / 4 + 0.25 * 0.75 / 7) / 4
    assert values.mean() == pytest.approx((0.6 + 0.25) / 2, abs=0.005)
    assert values.var() == pytest.approx(expected, rel=0.03)


def test_shots_of_one_unit_are_one_piece_of_evidence() -> None:
    alone = right_and_wrong({0: [(1, 1), (1, 0), (1, 1), (1, 0)], 1: [(1, 1), (1, 0), (1, 1)]})
    shots = right_and_wrong({0: [(9, 9), (9, 0), (9, 9), (9, 0)], 1: [(9, 9), (9, 0), (9, 9)]})
    assert bootstrap.bootstrap_interval(alone) == bootstrap.bootstrap_interval(shots)


def test_partitions_of_the_same_units_add_no_evidence() -> None:
    once = right_and_wrong({0: [(1, 1), (1, 0), (1, 1), (1, 0)], 1: [(1, 1), (1, 0), (1, 1)]})
    rows = [
        (partition, seed, *row)
        for row in zip(once.samples, once.units, once.truth, once.predicted, strict=True)
        for partition in ("p", "q")
        for seed in (0, 1, 2)
    ]
    assert bootstrap.bootstrap_interval(by_hand(rows)) == bootstrap.bootstrap_interval(once)


def test_every_unit_is_in_one_stratum_and_none_is_alone() -> None:
    rows = [("p", 0, f"g{n}", f"roll{n % 5}", 0, 0) for n in range(20)]
    rows += [("p", 0, f"h{n}", f"roll{n}", 1, 1) for n in (0, 1)]  # holes on two of the five rolls
    rows += [("p", 0, f"t{n}", f"roll{n}", 2, 2) for n in (2, 3, 4)]
    assert [stratum.tolist() for stratum in bootstrap.strata(by_hand(rows).tally())] == [[0, 1], [2, 3, 4]]
    # Another unit of a class that has a stratum of its own otherwise not: it joins the largest.
    rows.append(("p", 0, "g99", "roll9", 0, 0))
    assert [stratum.tolist() for stratum in bootstrap.strata(by_hand(rows).tally())] == [[0, 1], [2, 3, 4, 5]]


def test_two_strata_of_one_unit_are_joined() -> None:
    two_units = right_and_wrong({0: [(2, 1)], 1: [(2, 1)]})
    assert [stratum.tolist() for stratum in bootstrap.strata(two_units.tally())] == [[0, 1]]


def test_weights_are_drawn_stratum_by_stratum() -> None:
    # All units of class 0 are right and all of class 1 are wrong: only other weights of a stratum would change this.
    outcome = right_and_wrong({0: [(2, 2)] * 3, 1: [(2, 0)] * 2})
    values = bootstrap.resample([outcome], ACCURACY, resamples=1000, seed=0)
    assert values.shape == (1, 1000)
    assert np.allclose(values, 0.6)
    # Within a stratum the units do change places, each as often.
    mixed = right_and_wrong({0: [(2, 2), (2, 0), (2, 0)], 1: [(2, 2)] * 2})
    recalls = bootstrap.resample([mixed], recall_of(0, "c0"), resamples=10_000, seed=0)
    assert recalls.mean() == pytest.approx(1 / 3, abs=0.02)
    assert recalls.std() > 0.1


@pytest.mark.parametrize("statistic", [ACCURACY, BALANCED_ACCURACY, MACRO_F1, recall_of(1, "c1")])
def test_an_interval_holds_the_value_and_follows_the_seed(statistic: Statistic) -> None:
    outcome, _ = simulated(np.random.default_rng(0), SIZES)
    interval = bootstrap.bootstrap_interval(outcome, statistic, resamples=2000, seed=5)
    assert outcome.value(statistic) in interval
    assert interval == bootstrap.bootstrap_interval(outcome, statistic, resamples=2000, seed=5)
    fifth, sixth = (bootstrap.resample([outcome], statistic, resamples=2000, seed=seed) for seed in (5, 6))
    assert not np.array_equal(fifth, sixth)
    assert interval.low < bootstrap.bootstrap_interval(outcome, statistic, resamples=2000, level=0.5).low


def test_small_chunks_bound_memory_and_change_nothing_but_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = simulated(np.random.default_rng(0), SIZES)
    whole = bootstrap.bootstrap_interval(outcome)
    monkeypatch.setattr(bootstrap, "_CHUNK_VALUES", 2000)
    parts = bootstrap.bootstrap_interval(outcome)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.01)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    # 300 data sets of 6 to 20 units a class, three shots each; the true balanced accuracy is E[sigmoid(0.3 + 1.5 z)].
    draws = np.random.default_rng(9).normal(0.3, 1.5, 1_000_000)
    true = float((1 / (1 + np.exp(-draws))).mean())
    random = np.random.default_rng(10)
    held = [
        true in bootstrap.bootstrap_interval(simulated(random, SIZES, partitions=1, shots=3)[0], resamples=400, seed=n)
        for n in range(300)
    ]
    assert 0.90 <= np.mean(held) <= 0.98


def test_ten_thousand_resamples_of_900_images_take_under_a_second() -> None:
    outcome, _ = simulated(np.random.default_rng(0), (38,) * 6, partitions=3, shots=4)
    taken = []
    for _ in range(3):  # the best of three: other programs share the machine
        start = time.perf_counter()
        bootstrap.bootstrap_interval(outcome)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 1.0


GOOD = [(1, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ({0: GOOD, 1: [(5, 3)]}, "class hole belong to one group"),
        ({0: GOOD}, None),
        ({0: [(3, 2)]}, "good belong to one group"),
    ],
)
def test_a_class_of_one_group_is_refused(counts: dict[int, list[tuple[int, int]]], word: str | None) -> None:
    outcome = right_and_wrong(counts)
    if word is None:
        assert outcome.value(BALANCED_ACCURACY) in bootstrap.bootstrap_interval(outcome)
        return
    with pytest.raises(DataError, match=word):
        bootstrap.bootstrap_interval(outcome)


def test_a_score_that_does_not_count_the_lonely_class_has_its_interval() -> None:
    outcome = right_and_wrong({0: GOOD * 2, 1: [(5, 3)]})
    for statistic in (ACCURACY, recall_of(0, "good")):
        interval = bootstrap.bootstrap_interval(outcome, statistic)
        assert interval.low < outcome.value(statistic) < interval.high
    with pytest.raises(DataError, match="belong to one group"):
        bootstrap.bootstrap_interval(right_and_wrong({0: [(3, 1)]}), ACCURACY)


def test_resamples_that_lost_a_class_are_left_out() -> None:
    # good on u00 … u05 and holes on u06 … u11 are strata; threads lie on some units of both and can miss the draw,
    # with a chance of (3 / 6) ** 5 * (2 / 6) ** 5 = 0.00013.
    rows: list[Any] = [("p", 0, f"i{n:02}", f"u{n:02}", n // 6, n % 2) for n in range(12)]
    rows += [("p", 0, f"t{n:02}", f"u{n:02}", 2, 2) for n in (0, 1, 2, 6, 7, 8, 9)]
    values = bootstrap.resample([by_hand(rows)], BALANCED_ACCURACY, resamples=100_000, seed=0)
    assert not np.isnan(values).any()
    assert 100_000 - 30 < values.shape[1] < 100_000


def test_a_class_that_vanishes_often_is_refused() -> None:
    rows: list[Any] = [("p", 0, f"t{n}", f"u{n}", 2, 2) for n in range(4)]
    rows += [("p", 0, f"h{n}", f"u{n}", 1, 1) for n in (0, 1, 4)]
    rows += [("p", 0, f"g{n}", f"u{n}", 0, 0) for n in (0, 4)]
    with pytest.raises(DataError, match="too few test groups contain a class"):
        bootstrap.resample([by_hand(rows)], BALANCED_ACCURACY, resamples=500, seed=0)


@pytest.mark.parametrize(("given", "word"), [({"resamples": 10}, "10"), ({"seed": -1}, "-1"), ({"level": 95}, "95")])
def test_wrong_settings_are_refused(given: dict[str, Any], word: str) -> None:
    outcome, _ = simulated(np.random.default_rng(0), (2, 2))
    with pytest.raises(UsageError, match=word) as caught:
        bootstrap.bootstrap_interval(outcome, **given)
    assert isinstance(caught.value, CarpetDataError)


def test_quantiles_rise_with_the_level() -> None:
    values = np.random.default_rng(0).normal(size=1001)
    intervals = [bootstrap.percentiles(values, level) for level in (0.5, 0.9, 0.99)]
    assert all(wide.low < narrow.low < narrow.high < wide.high for narrow, wide in pairwise(intervals))
