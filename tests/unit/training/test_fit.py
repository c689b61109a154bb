"""Whole trainings on small images: equal to the plain loop, repeatable, resumable, and bad input in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pixel_tables import equal_weights, table

from carpet_data import networks
from carpet_data.core.progress import Step
from carpet_data.errors import DataError, DeviceMemoryError, UsageError
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.training import finetune
from carpet_data.training.evaluate import predict
from carpet_data.training.fit import FILE, Fit, fit, notes
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import batches, order

HEAD = TrainOptions(architecture="resnet18", weights="none", resize=32, epochs=6, batch_size=8, device="cpu")
# With dropout and batch normalisation, both of which a resumed training must take up again.
WHOLE = HEAD.but(architecture="mobilenet_v3_small", freeze="none", epochs=3, learning_rate=0.003)


def stop_after(epoch: int) -> Any:
    def progress(step: Step) -> None:
        if step.what == "training" and step.done == epoch:
            raise KeyboardInterrupt

    return progress


def test_the_cached_head_is_that_of_the_loop_most_people_write() -> None:
    train, held_out = table(20), table(12, seed=1)
    network = networks.build(networks.find_weights("resnet18", "none"), classes=3, seed=0)
    network.freeze("backbone")
    network.train()
    optimizer = torch.optim.Adam(network.head.parameters(), lr=0.001)
    for epoch in range(6):
        for rows in batches(order(train.labels, "instance", seed=0, epoch=epoch), 8):
            logits = network(network.prepare(train.pixels[rows]))
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(train.labels[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = fit(HEAD, train, None)
    assert torch.allclose(found.network.head.weight, network.head.weight, atol=1e-5)
    assert torch.allclose(found.network.head.bias, network.head.bias, atol=1e-5)
    mine, theirs = predict(found.network, held_out), predict(network, held_out)
    assert np.allclose(mine.probabilities, theirs.probabilities, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        HEAD.but(augment="light", views=2, mix="mixup"),
        WHOLE.but(augment="strong", mix="mask-cutmix", epochs=2),
        HEAD.but(freeze="until layer3", mix="cutmix", epochs=1, lmr=True),
    ],
)
def test_two_runs_with_one_seed_are_identical(settings: TrainOptions) -> None:
    first, second, other = (fit(settings.but(seed=seed), table(), table(9, seed=1)) for seed in (5, 5, 6))
    assert equal_weights(first.network, second.network)
    assert [epoch.train_loss for epoch in first.history] == [epoch.train_loss for epoch in second.history]
    assert not equal_weights(first.network, other.network)


@pytest.mark.parametrize(
    "settings", [WHOLE.but(augment="light"), WHOLE.but(optimizer="sgd", schedule="cosine", steps=8, retrain_head=True)]
)
def test_an_interrupted_training_ends_as_one_that_was_not(settings: TrainOptions, tmp_path: Path) -> None:
    train, val = table(), table(9, seed=1)
    whole = fit(settings, train, val)
    with pytest.raises(KeyboardInterrupt):
        fit(settings, train, val, folder=tmp_path, progress=stop_after(2))
    assert (tmp_path / FILE).is_file()
    seen: list[Step] = []
    again = fit(settings, train, val, folder=tmp_path, resume=True, progress=seen.append)
    assert next(step.done for step in seen if step.what == "training") == 3
    assert equal_weights(again.network, whole.network)
    assert [e.val_loss for e in again.history] == [e.val_loss for e in whole.history]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train = table()
    with pytest.raises(KeyboardInterrupt):
        fit(HEAD, train, None, folder=tmp_path, progress=stop_after(2))
    for settings, images, word in (
        (HEAD.but(architecture="resnet34"), train, "architecture"),
        (HEAD.but(learning_rate=0.5), train, "learning rate"),
        (HEAD, table(seed=7), "train images"),
    ):
        with pytest.raises(DataError, match=f"its {word} is"):
            fit(settings, images, None, folder=tmp_path, resume=True)
    assert len(fit(HEAD.but(learning_rate=0.5), train, None, folder=tmp_path, resume=False).history) == 6


def test_only_what_is_not_frozen_moves() -> None:
    found = fit(HEAD.but(freeze="until layer3", epochs=1), table(), None)
    start = networks.build(found.network.weights, classes=3, seed=0)
    moved = {
        name.split(".")[0]
        for name, value in start.body.state_dict().items()
        if not torch.equal(value, found.network.body.state_dict()[name])
    }
    assert moved == {"layer4"}


def test_the_second_stage_moves_the_head_only() -> None:
    settings = HEAD.but(freeze="until layer3", epochs=1)
    plain, again = (fit(settings.but(retrain_head=flag), table(), None) for flag in (False, True))
    assert equal_weights(plain.network.body, again.network.body)
    assert not equal_weights(plain.network.head, again.network.head)
    assert (len(plain.second), len(again.second)) == (0, 1)


def test_features_are_kept_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(HEAD, table(), table(9, seed=1), cache=FeatureCache(tmp_path))
    monkeypatch.setattr(networks.Network, "features", lambda *_: pytest.fail("computed again"))
    second = fit(HEAD.but(learning_rate=0.002), table(), table(9, seed=1), cache=FeatureCache(tmp_path))
    assert not equal_weights(first.network.head, second.network.head)


@pytest.mark.parametrize("settings", [HEAD, WHOLE])
def test_one_class_alone_is_refused(settings: TrainOptions) -> None:
    with pytest.raises(DataError, match=r"one class only \(hole\)"):
        fit(settings, table(labels=[1, 1, 1]), None)


@pytest.mark.parametrize("settings", [HEAD, WHOLE.but(epochs=1, mix="mask-cutmix", sampling="balanced", lmr=True)])
def test_a_class_with_one_image_and_one_with_none_work_and_are_noted(settings: TrainOptions) -> None:
    train = table(labels=[0] * 8 + [2])
    found = fit(settings, train, table(6, seed=1))
    assert all(torch.isfinite(value).all() for value in found.network.state_dict().values())
    assert [note.split(" has ")[0] for note in notes(train, HEAD)] == ["hole", "thread"]


def test_lmr_with_nothing_to_rebuild_from_is_noted() -> None:
    assert notes(table(), HEAD.but(lmr=True)) == (
        "every class has at most 20 training images, so LMR rebuilds none (--few-shot)",
    )
    assert notes(table(), HEAD.but(lmr=True, few_shot=7)) == ()


def test_a_full_memory_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Fit:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(finetune.mixing, "mixup", full)
    with pytest.raises(DeviceMemoryError, match="8 images of 32x32") as refused:
        fit(WHOLE.but(mix="mixup"), table(), None)
    assert refused.value.hint == "use --batch-size 4"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"freeze": "until layer9"}, "layer4"),
        ({"architecture": "resnet19"}, "resnet18"),
        ({"resize": 64}, "images are of 32 pixels"),
        ({"device": "cuda:99"}, "--device"),
        ({"augment": "strongly"}, "unknown augmentation"),
    ],
)
def test_wrong_use_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        fit(HEAD.but(**changes), table(), None)
    assert words in str(refused.value)


def test_augmentation_is_made_ahead_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    names = []
    real = finetune.augment

    def noted(*args: Any, **kwargs: Any) -> Any:
        names.append(threading.current_thread().name)
        return real(*args, **kwargs)

    monkeypatch.setattr(finetune, "augment", noted)
    made = finetune._prepared(table(), batches(np.arange(24), 4), WHOLE.but(augment="light"), epoch=0, pinned=False)
    next(made)
    assert len(names) >= 1
    assert all(name.startswith("batches") for name in names)
    made.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
