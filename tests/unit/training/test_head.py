"""Heads on cached features: the same as the plain loop's, resumable to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pixel_tables import equal_weights
from numpy.typing import NDArray

from carpet_data.core.progress import Step
from carpet_data.errors import DataError, UsageError
from carpet_data.networks.checkpoints import Keeper
from carpet_data.networks.network import fresh_head
from carpet_data.training.features import FeatureTable
from carpet_data.training.head import fit_head
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import batches, order

SETTINGS = TrainOptions(epochs=12, batch_size=8, learning_rate=0.01)


def table(values: NDArray[np.float32], labels: NDArray[np.int64]) -> FeatureTable:
    ids = tuple(f"image_{number}" for number in range(len(labels)))
    return FeatureTable(values, labels, ids, ("a", "b", "c"), ("real",) * len(labels))


def features(count: int = 30, views: int = 1, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centers = np.random.default_rng(9).normal(0, 1, (3, 10))
    return (centers[labels] + rng.normal(0, 0.5, (views, count, 10))).astype(np.float32), labels


def fit(settings: TrainOptions = SETTINGS, **changes: Any) -> Any:
    train = table(*features(views=changes.pop("views", 1)))
    val = table(*features(12, seed=1)) if changes.pop("val", True) else None
    return fit_head(train, val, settings, **changes)


def test_the_head_is_that_of_a_plain_loop() -> None:
    values, labels = features()
    head = fresh_head(10, 3, seed=SETTINGS.seed)
    optimizer = torch.optim.Adam(head.parameters(), lr=SETTINGS.learning_rate)
    for epoch in range(SETTINGS.epochs):
        for rows in batches(order(labels, "instance", seed=0, epoch=epoch), 8):
            loss = torch.nn.functional.cross_entropy(
                head(torch.from_numpy(values[0, rows])), torch.from_numpy(labels[rows])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = fit(val=False)
    assert torch.allclose(found.head.weight, head.weight, atol=1e-6)
    assert torch.allclose(found.head.bias, head.bias, atol=1e-6)
    assert (found.best_epoch, found.steps) == (12, 48)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mix": "mixup", "augment": "light", "sampling": "balanced"},
        {"lmr": True},
        {"standardize": True, "optimizer": "sgd", "schedule": "cosine"},
        {"steps": 41, "loss": "logit-adjusted", "label_smoothing": 0.1, "optimizer": "adamw"},
    ],
)
def test_an_interrupted_training_ends_as_one_that_was_not(changes: dict[str, Any], tmp_path: Path) -> None:
    settings = SETTINGS.but(**changes)
    whole = fit(settings, views=2)

    def stop(step: Step) -> None:
        if step.done == 5:
            raise KeyboardInterrupt

    identity = {"settings": settings.to_json()}
    keeper = Keeper(tmp_path / "c.safetensors", identity, every_s=60)
    with pytest.raises(KeyboardInterrupt):
        fit(settings, views=2, keeper=keeper, progress=stop)
    seen: list[Step] = []
    again = fit(
        settings, views=2, keeper=Keeper(tmp_path / "c.safetensors", identity), resume=True, progress=seen.append
    )
    assert seen[0].done == 6
    assert equal_weights(again.head, whole.head)
    assert [(e.train_loss, e.val_loss) for e in again.history] == [(e.train_loss, e.val_loss) for e in whole.history]
    assert (again.best_epoch, again.steps) == (whole.best_epoch, whole.steps)
    # Going on from a finished training changes nothing either.
    final = fit(settings, views=2, keeper=Keeper(tmp_path / "c.safetensors", identity), resume=True)
    assert equal_weights(final.head, whole.head)


def test_the_best_epoch_is_chosen_by_val_and_patience_ends_the_training() -> None:
    # Validation labels that contradict train: the more is learned, the worse.
    values, labels = features()
    held_out, truth = features(12, seed=1)
    found = fit_head(table(values, labels), table(held_out, (truth + 1) % 3), SETTINGS.but(patience=3))
    losses = [epoch.val_loss for epoch in found.history]
    assert found.best_epoch == 1 + losses.index(min(losses))
    assert len(found.history) == found.best_epoch + 3
    first = fit_head(table(values, labels), None, SETTINGS.but(epochs=found.best_epoch))
    assert equal_weights(found.head, first.head)


def test_the_monitor_may_be_balanced_accuracy() -> None:
    found = fit(SETTINGS.but(monitor="balanced-accuracy"))
    scores = [epoch.val_balanced_accuracy for epoch in found.history]
    assert found.best_epoch == 1 + scores.index(max(scores))


def test_standardizing_is_folded_into_the_head() -> None:
    values, labels = features()
    scale, shift = np.float32([1e3] * 5 + [1e-2] * 5), np.float32(7)
    settings = SETTINGS.but(standardize=True)
    plain = fit_head(table(values, labels), None, settings)
    moved = fit_head(table(values * scale + shift, labels), None, settings)
    one = plain.head(torch.from_numpy(values[0]))
    other = moved.head(torch.from_numpy(values[0] * scale + shift))
    assert torch.allclose(one, other, atol=2e-2)
    assert torch.equal(one.argmax(dim=1), other.argmax(dim=1))


def test_a_constant_feature_harms_no_standardizing() -> None:
    values, labels = features()
    values[:, :, 0] = 3.0
    found = fit_head(table(values, labels), None, SETTINGS.but(standardize=True))
    assert torch.isfinite(found.head.weight).all()


def test_crt_is_the_second_stage_whatever_the_first_was_told() -> None:
    again = fit(SETTINGS.but(retrain_head=True, loss="effective-number", sampling="sqrt", mix="mixup"))
    plain = fit(SETTINGS.but(retrain_head=True))
    assert equal_weights(again.head, plain.head)
    assert not equal_weights(plain.head, fit(SETTINGS.but(sampling="instance")).head)
    assert not equal_weights(plain.head, fit(SETTINGS.but(lmr=True)).head)


def test_a_head_may_be_given_and_is_not_changed() -> None:
    start = fresh_head(10, 3, seed=77)
    before = start.weight.detach().clone()
    found = fit(head=start)
    assert torch.equal(start.weight, before)
    assert not equal_weights(found.head, fit().head)


def test_bad_input_is_named() -> None:
    values, labels = features()
    with pytest.raises(UsageError, match="no features"):
        fit_head(table(values[:, :0], labels[:0]), None, SETTINGS)
    with pytest.raises(UsageError, match="10 numbers for training, but 9 for validation"):
        fit_head(table(values, labels), table(values[:, :, 1:], labels), SETTINGS)
    with pytest.raises(DataError, match="diverged"):
        fit_head(table(values * 1e30, labels), None, SETTINGS.but(optimizer="sgd", learning_rate=1000))
