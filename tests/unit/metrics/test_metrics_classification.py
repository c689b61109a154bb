"""Scores of a confusion table against cases worked by hand and against scikit-learn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from carpet_data import metrics
from carpet_data.errors import CarpetDataError, DataError, UsageError

# 10 good, 4 holes, 2 threads; no image of the last class, but one good image is taken for it.
TABLE = np.array([[8, 1, 0, 1], [1, 3, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])


def test_a_table_counts_pairs_rows_truth() -> None:
    table = metrics.confusion([0, 0, 1, 2, 2], [0, 1, 1, 0, 2], 3)
    assert table.dtype == np.int64
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_scores_by_hand() -> None:
    assert metrics.accuracy(TABLE) == pytest.approx(12 / 16)
    assert metrics.recalls(TABLE)[:3].tolist() == pytest.approx([8 / 10, 3 / 4, 1 / 2])
    assert np.isnan(metrics.recalls(TABLE)[3])
    assert metrics.balanced_accuracy(TABLE) == pytest.approx((8 / 10 + 3 / 4 + 1 / 2) / 3)
    assert metrics.macro_f1(TABLE) == pytest.approx((16 / 19 + 6 / 9 + 2 / 3) / 3)


def test_a_class_that_is_never_predicted_has_an_f1_of_zero_not_none() -> None:
    assert metrics.macro_f1([[2, 0], [2, 0]]) == pytest.approx((4 / 6 + 0) / 2)


def test_one_recall_counts_one_class_only() -> None:
    statistic = metrics.recall_of(1, "hole")
    assert statistic.name == "recall of hole"
    assert float(statistic.of(metrics.Counts.of(TABLE))) == pytest.approx(3 / 4)


def test_many_tables_at_once_are_scored_as_each_alone() -> None:
    random = np.random.default_rng(3)
    tables = random.integers(0, 4, (5, 2, 3, 3)) + np.eye(3, dtype=np.int64)
    for statistic, alone in (
        (metrics.ACCURACY, metrics.accuracy),
        (metrics.BALANCED_ACCURACY, metrics.balanced_accuracy),
        (metrics.MACRO_F1, metrics.macro_f1),
    ):
        together = statistic.of(metrics.Counts.of(tables))
        assert together.shape == (5, 2)
        assert together.reshape(-1).tolist() == pytest.approx([alone(table) for table in tables.reshape(-1, 3, 3)])


def test_scores_of_labels_are_plain_values() -> None:
    scores = metrics.Scores.of([0, 0, 0, 1], [0, 0, 1, 1], ["good", "hole", "thread"])
    plain = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert plain["images"] == 4
    assert plain["accuracy"] == 0.75
    assert plain["balanced_accuracy"] == pytest.approx(5 / 6)
    assert plain["recalls"] == {"good": pytest.approx(2 / 3), "hole": 1.0, "thread": None}
    assert plain["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert plain["accuracy_interval"]["low"] == pytest.approx(0.3006, abs=1e-4)


@pytest.mark.parametrize(
    ("truth", "predicted", "kind", "word"),
    [
        ([], [], DataError, "no images"),
        ([0, 1], [0], UsageError, "2 true labels"),
        ([0, 3], [0, 1], UsageError, "label 3"),
        ([0, 1], [0, -1], UsageError, "label -1"),
        ([0.0, 1.0], [0, 1], UsageError, "invalid labels"),
        ([[0, 1]], [0, 1], UsageError, "invalid labels"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(
    truth: list[int], predicted: list[int], kind: type[CarpetDataError], word: str
) -> None:
    with pytest.raises(kind, match=word) as caught:
        metrics.Scores.of(truth, predicted, ["good", "hole"])
    assert caught.value.hint


def test_a_table_that_is_not_square_is_refused() -> None:
    with pytest.raises(UsageError, match="square"):
        metrics.accuracy([[1, 2, 3], [4, 5, 6]])


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_agrees(seed: int) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(0, 5, 80), random.integers(0, 5, 80)
    table = metrics.confusion(truth, predicted, 5)
    assert np.array_equal(table, reference.confusion_matrix(truth, predicted, labels=range(5)))
    assert metrics.accuracy(table) == pytest.approx(reference.accuracy_score(truth, predicted))
    assert metrics.balanced_accuracy(table) == pytest.approx(reference.balanced_accuracy_score(truth, predicted))
    assert metrics.macro_f1(table) == pytest.approx(reference.f1_score(truth, predicted, average="macro"))
    assert metrics.recalls(table).tolist() == pytest.approx(reference.recall_score(truth, predicted, average=None))
