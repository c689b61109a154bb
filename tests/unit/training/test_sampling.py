"""The order of images: pure, complete, and balanced as asked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carpet_data.errors import UsageError
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import Shares, batches, draws, order, total_steps, view_of

LABELS = np.array([0] * 16 + [1] * 4 + [3], np.int64)


def test_draws_by_hand() -> None:
    assert draws(LABELS, "instance").tolist() == pytest.approx([16 / 21, 4 / 21, 0, 1 / 21])
    assert draws(LABELS, "balanced").tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
    assert draws(LABELS, "sqrt").tolist() == pytest.approx([4 / 7, 2 / 7, 0, 1 / 7])


def test_an_instance_epoch_is_a_shuffle_of_its_own() -> None:
    first, second = (order(LABELS, "instance", seed=3, epoch=epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(21))
    assert first.tolist() != second.tolist()
    assert first.tolist() == order(LABELS, "instance", seed=3, epoch=0).tolist()
    assert first.tolist() != order(LABELS, "instance", seed=3, epoch=0, stage=1).tolist()


@pytest.mark.parametrize("sampling", ["balanced", "sqrt"])
def test_classes_come_as_often_as_specified(sampling: str) -> None:
    shown = Counter[int]()
    for epoch in range(400):
        chosen = order(LABELS, sampling, seed=0, epoch=epoch)  # type: ignore[arg-type]
        assert len(chosen) == 21
        shown.update(LABELS[chosen].tolist())
    expected = draws(LABELS, sampling) * 8400  # type: ignore[arg-type]
    # Five standard deviations of a binomial draw.
    assert all(abs(shown[k] - expected[k]) < 5 * (8400 * 0.25) ** 0.5 for k in range(4))


def test_images_of_a_class_come_in_rounds() -> None:
    chosen = order(LABELS, "balanced", seed=1, epoch=0)
    times = Counter(place for place in chosen.tolist() if LABELS[place] == 1)
    assert max(times.values()) - min(times.get(place, 0) for place in range(16, 20)) <= 1


@given(st.integers(1, 40), st.integers(1, 40))
def test_batches_hold_every_image_once_and_no_batch_has_one(count: int, size: int) -> None:
    cut = batches(np.arange(count), size)
    assert np.concatenate(cut).tolist() == list(range(count))
    assert all(len(batch) <= size + 1 for batch in cut)
    if size > 1 and count > 1:
        assert min(len(batch) for batch in cut) > 1


def test_steps_override_epochs() -> None:
    settings = TrainOptions(batch_size=10, epochs=3)
    assert total_steps(25, settings) == (9, 3)
    assert total_steps(21, settings) == (6, 3)  # 10 + 11
    assert total_steps(25, settings.but(steps=10)) == (10, 4)


def test_every_image_goes_through_all_its_views() -> None:
    shown = np.stack([view_of(6, 4, seed=5, epoch=epoch) for epoch in range(4)])
    assert all(sorted(column) == [0, 1, 2, 3] for column in shown.T.tolist())
    assert len({tuple(column) for column in shown.T.tolist()}) > 1
    assert view_of(6, 4, seed=5, epoch=4).tolist() == shown[0].tolist()
    assert view_of(3, 1, seed=5, epoch=9).tolist() == [0, 0, 0]


def test_shares_by_hand() -> None:
    """Half the draws are good, and of class 1 a quarter is synthetic; class 2 is all real."""
    labels = np.array([0] * 16 + [1] * 4 + [2] * 4, np.int64)
    synthetic = np.array([False] * 12 + [True] * 4 + [True] * 3 + [False] + [False] * 4)
    shares = Shares(good=0, good_share=0.5, synthetic=synthetic, synthetic_share=0.25)
    strata, wanted = shares.strata(labels, draws(labels, "balanced"))
    assert strata.tolist() == [0] * 12 + [1] * 4 + [3] * 3 + [2] + [4] * 4
    # Null samples are a quarter of the good images, and so of their half.
    assert wanted.tolist() == pytest.approx([0.375, 0.125, 0.25 * 0.75, 0.25 * 0.25, 0.25, 0])


def test_without_shares_strata_are_drawn_as_their_images() -> None:
    labels = np.array([0] * 6 + [1] * 4, np.int64)
    synthetic = np.array([False] * 6 + [True] * 3 + [False])
    _, wanted = Shares(None, None, synthetic, None).strata(labels, draws(labels, "balanced"))
    assert wanted.tolist() == pytest.approx([0.5, 0, 0.125, 0.375])


def test_an_epoch_keeps_to_its_shares() -> None:
    labels = np.array([0] * 90 + [1] * 10, np.int64)
    synthetic = np.array([False] * 95 + [True] * 5)
    shares = Shares(good=0, good_share=0.75, synthetic=synthetic, synthetic_share=0.9)
    shown = np.concatenate([order(labels, "balanced", seed=0, epoch=epoch, shares=shares) for epoch in range(100)])
    # Five standard deviations of 10,000 draws are 0.022.
    assert (labels[shown] == 0).mean() == pytest.approx(0.75, abs=0.022)
    assert synthetic[shown].mean() == pytest.approx(0.25 * 0.9, abs=0.022)


def test_a_share_of_good_needs_good_and_something_else() -> None:
    settings = TrainOptions(sampling="balanced", good_share=0.5)
    only_good = np.zeros(3, np.int64)
    shares = Shares.of(settings, ("good", "hole"), ("real",) * 3)
    assert shares.strata(only_good, draws(only_good, "balanced"))[1].sum() == pytest.approx(1)
    without = Shares.of(settings, ("cut", "hole"), ("real",) * 2)
    assert without.strata(np.array([0, 1]), np.array([0.5, 0.5]))[1].tolist() == pytest.approx([0.5, 0, 0.5, 0])


def test_shares_of_images_drawn_once_are_refused() -> None:
    with pytest.raises(UsageError, match="--good-share"):
        TrainOptions(good_share=0.5)
