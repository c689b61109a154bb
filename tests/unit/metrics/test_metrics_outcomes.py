"""Tables of outcomes: what they count, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.outcomes import CLASSES, by_hand

from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.metrics import ACCURACY, BALANCED_ACCURACY, MACRO_F1, Outcome, recall_of

# Two partitions; the unit u1 holds two shots; in p1 with the seed 1 one good image is taken for a hole.
ROWS = [
    ("p1", 0, "g1", "u1", 0, 0), ("p1", 0, "g2", "u1", 0, 0), ("p1", 0, "h1", "u2", 1, 1),
    ("p1", 1, "g1", "u1", 0, 1), ("p1", 1, "g2", "u1", 0, 0), ("p1", 1, "h1", "u2", 1, 1),
    ("p2", 0, "g1", "u1", 0, 0), ("p2", 0, "h1", "u2", 1, 1), ("p2", 0, "h2", "u3", 1, 0),
]  # fmt: skip


def test_a_value_is_the_mean_over_replicates() -> None:
    outcome = by_hand(ROWS)
    assert outcome.replicates()[0] == ("p1, seed 0", "p1, seed 1", "p2, seed 0")
    assert outcome.value(BALANCED_ACCURACY) == pytest.approx((1 + 0.75 + 0.75) / 3)
    assert outcome.value(ACCURACY) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert outcome.value(recall_of(0, "good")) == pytest.approx((1 + 0.5 + 1) / 3)


def test_a_partition_is_the_mean_over_its_seeds() -> None:
    assert by_hand(ROWS).by_partition(BALANCED_ACCURACY) == pytest.approx({"p1": 0.875, "p2": 0.75})
    assert by_hand(ROWS, pooled=True).by_partition(ACCURACY) == pytest.approx({"p1": 5 / 6, "p2": 2 / 3})


def test_counts_of_units_and_replicates() -> None:
    tally = by_hand(ROWS).tally()
    assert tally.shape == (3, 3, 3, 3)
    assert tally[0, 1].tolist() == [[1, 0, 0], [2, 0, 0], [1, 1, 0]]  # u1 in p1, seed 1: hits, truths, predictions
    assert tally[2, 0].sum() == 0  # u3 is not on the test side of p1
    assert by_hand(ROWS).units_by_class() == {"good": 1, "hole": 2, "thread": 0}


def test_pooled_partitions_are_one_test_set_a_seed() -> None:
    folds = [(f"fold {n}", seed, f"s{n}", f"s{n}", n % 2, n % 2 if n else 1) for n in range(4) for seed in (0, 1)]
    pooled = by_hand(folds, pooled=True)
    assert pooled.replicates()[0] == ("seed 0", "seed 1")
    assert pooled.value(BALANCED_ACCURACY) == pytest.approx((1 / 2 + 1) / 2)
    with pytest.raises(DataError, match=r"good has no test image in fold 1, seed 0"):
        by_hand(folds).value(BALANCED_ACCURACY)
    assert by_hand(folds).value(ACCURACY) == pytest.approx(3 / 4)


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = [ROWS[place] for place in np.random.default_rng(1).permutation(len(ROWS))]
    assert np.array_equal(by_hand(shuffled).tally(), by_hand(ROWS).tally())


def test_a_class_without_any_image_does_not_count() -> None:
    outcome = by_hand(ROWS)
    assert outcome.value(MACRO_F1) < 1
    with pytest.raises(DataError, match="no images to compute recall of thread"):
        outcome.value(recall_of(2, "thread"))


@pytest.mark.parametrize(
    ("rows", "given", "kind", "word"),
    [
        ([], {}, DataError, "there are no predictions"),
        ([*ROWS, ROWS[0]], {}, DataError, "g1 was predicted twice in partition p1, seed 0"),
        ([*ROWS, ("p3", 0, "g1", "u1", 1, 0)], {}, DataError, "g1 has more than one truth"),
        ([*ROWS, ("p3", 0, "g1", "u9", 0, 0)], {}, DataError, "g1 has more than one unit"),
        ([*ROWS, ("p3", 0, "x", "u9", 0, 7)], {}, UsageError, "label 7"),
        (ROWS, {"truth": [0, 1]}, UsageError, "differ in length"),
    ],
)
def test_a_table_at_fault_is_refused(
    rows: list[Any], given: dict[str, Any], kind: type[CarpetDataError], word: str
) -> None:
    with pytest.raises(kind, match=word) as caught:
        by_hand(rows, **given)
    assert caught.value.hint


def test_one_class_is_refused() -> None:
    with pytest.raises(UsageError, match="two classes"):
        Outcome.of("a", CLASSES[:1], partitions=["p"], seeds=[0], samples=["s"], units=["s"], truth=[0], predicted=[0])


@pytest.mark.parametrize(
    ("rows", "given", "word"),
    [
        (
            ROWS[:-1],
            {},
            "not tested on the same images: 1 rows are in one of them only, the first is h2 of partition p2",
        ),
        ([*ROWS[:-1], ("p2", 0, "h2", "u3", 2, 0)], {}, "truth of h2"),
        ([*ROWS[:-1], ("p2", 0, "h2", "u4", 1, 0)], {}, "unit of h2"),
        ([(p, s + 1, *rest) for p, s, *rest in ROWS], {}, "not tested on the same images"),
        (ROWS, {"pooled": True}, "how they are pooled"),
    ],
)
def test_unlike_tables_are_not_compared(rows: list[Any], given: dict[str, Any], word: str) -> None:
    with pytest.raises(CarpetDataError, match=word):
        by_hand(ROWS).refuse_unlike(by_hand(rows, "b", **given))


def test_tables_of_other_classes_are_not_compared() -> None:
    with pytest.raises(UsageError, match="classes"):
        by_hand(ROWS).refuse_unlike(
            Outcome.of(
                "b", ("good", "cut"), partitions=["p"], seeds=[0], samples=["s"], units=["s"], truth=[0], predicted=[0]
            )
        )
