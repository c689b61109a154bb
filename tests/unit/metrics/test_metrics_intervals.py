"""Wilson's interval against published values, and what an interval and an estimate say."""

from __future__ import annotations

import pytest

from carpet_data import metrics
from carpet_data.errors import UsageError
from carpet_data.metrics import Estimate, Interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (16, 24, 0.4671, 0.8203),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    interval = metrics.wilson(successes, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_a_higher_level_is_wider() -> None:
    narrow, wide = metrics.wilson(16, 24, level=0.9), metrics.wilson(16, 24, level=0.99)
    assert wide.low < narrow.low < 16 / 24 < narrow.high < wide.high


def test_an_interval_says_what_it_holds() -> None:
    interval = metrics.wilson(16, 24)
    assert 0.5 in interval
    assert 0.4 not in interval
    assert interval.text() == "0.467 to 0.820"
    assert interval.to_json() == {"low": interval.low, "high": interval.high, "level": 0.95}


@pytest.mark.parametrize(("successes", "n", "level"), [(1, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_what_is_no_share_is_refused(successes: int, n: int, level: float) -> None:
    with pytest.raises(UsageError):
        metrics.wilson(successes, n, level)


def test_estimates_as_text() -> None:
    assert Estimate(0.5521, Interval(0.4, 0.7, 0.95)).text() == "0.552 (0.400 to 0.700)"
    assert Estimate(-0.1, Interval(-0.2, 0.0, 0.95)).text(signed=True) == "-0.100 (-0.200 to +0.000)"
    assert Estimate(0.5).text() == "0.500"
    assert Estimate(None, Interval(0.1, 0.2, 0.95)).text() == "–"


@pytest.mark.oracle
def test_scipy_agrees_on_wilson() -> None:
    reference = pytest.importorskip("scipy.stats")
    for successes, n in ((0, 7), (3, 7), (7, 7), (412, 900)):
        expected = reference.binomtest(successes, n).proportion_ci(0.9, method="wilson")
        interval = metrics.wilson(successes, n, 0.9)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
