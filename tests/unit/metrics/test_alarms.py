"""Image scores as an inspection line reads them."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import alarm_scores, auroc_interval


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=examples(60), deadline=None)
def test_auroc_and_ap_are_those_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    # Finer than float32: images are ranked in the precision of their scores.
    scores, defect = np.array([1 + 1e-12 * value for value, _ in rows]), np.array([each for _, each in rows])
    found = alarm_scores(scores, defect)
    if defect.any():
        assert found.ap == pytest.approx(average_precision_score(defect, scores), abs=1e-12)
    if defect.any() and not defect.all():
        assert found.auroc.value == pytest.approx(roc_auc_score(defect, scores), abs=1e-12)
        assert found.auroc.value in found.auroc.interval


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 300), st.sampled_from([3, 1000]))
@settings(max_examples=examples(60), deadline=None)
def test_recalls_are_those_of_the_best_threshold(seed: int, bad: int, good: int, steps: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, steps, bad + good).astype(float)
    defect = np.arange(bad + good) < bad
    found = alarm_scores(scores, defect, rates=(0.01, 0.05))
    thresholds = [*np.unique(scores), np.inf]
    for each in found.recalls:
        if good < round(1 / each.rate):
            assert each.recall.value is None
            continue
        reached = [
            (scores[defect] >= t).mean() for t in thresholds if (scores[~defect] >= t).mean() <= each.rate + 1e-12
        ]
        assert each.recall.value == pytest.approx(max(reached))
    full = [(scores[~defect] >= t).mean() for t in thresholds if (scores[defect] >= t).all()]
    assert found.false_alarms.value == pytest.approx(min(full))
    none = [(scores[defect] >= t).mean() for t in thresholds if not (scores[~defect] >= t).any()]
    assert found.recall_without_alarms.value == pytest.approx(max(none))


def test_few_good_images_cannot_tell_a_small_rate() -> None:
    found = alarm_scores(np.arange(60.0), np.arange(60) >= 41)
    first, second = found.recalls
    assert (first.recall.value, first.needs, first.good_images) == (None, 1000, 41)
    assert first.text() == "recall at 0.1 % false alarms needs 1000 good images"
    assert second.text() == "recall at 1 % false alarms needs 100 good images"
    enough = alarm_scores(np.arange(119.0), np.arange(119) >= 100)
    assert enough.recalls[1].recall.value == 1.0
    assert enough.text()[-1].startswith("recall at 1 % false alarms 1.000 (0.832 to 1.000)")


def test_images_of_one_group_are_one() -> None:
    scores, defect = np.arange(40.0), np.arange(40) >= 20
    alone = alarm_scores(scores, defect)
    grouped = alarm_scores(scores, defect, groups=[str(number // 5) for number in range(40)])
    assert alone.auroc.value == grouped.auroc.value == 1.0
    assert grouped.auroc.interval.low < alone.auroc.interval.low
    assert grouped.false_alarms.interval.high > alone.false_alarms.interval.high


def test_newcombe_covers_what_he_printed_and_the_truth() -> None:
    """Coverage of a score interval: near 95 of 100, also where the AUROC is close to 1."""
    random = np.random.default_rng(0)
    for shift, truth in ((1.0, 0.7602), (2.5, 0.9615)):
        inside = 0
        for _ in range(300):
            scores = random.normal(size=45) + shift * (np.arange(45) < 20)
            inside += truth in alarm_scores(scores, np.arange(45) < 20).auroc.interval
        assert 0.91 < inside / 300 < 0.99
    assert auroc_interval(0.5, 10, 10).low == pytest.approx(1 - auroc_interval(0.5, 10, 10).high)


def test_one_kind_of_image() -> None:
    found = alarm_scores([0.1, 0.2], [False, False])
    assert (found.auroc.value, found.ap, found.false_alarms.value) == (None, None, None)
    assert found.text() == ["image AUROC – (0 defect and 2 good images: it needs both)"]
    assert alarm_scores([0.1], [True]).ap == 1.0
    assert alarm_scores([], []).defect_images == 0


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        alarm_scores([np.nan, 1.0], [True, False])
    with pytest.raises(UsageError, match="one per image"):
        alarm_scores([0.5], [True, False])
    with pytest.raises(UsageError, match="rates"):
        alarm_scores([0.5], [True], rates=(1.0,))
    with pytest.raises(UsageError):
        auroc_interval(1.2, 3, 3)
