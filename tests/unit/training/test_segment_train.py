"""`train --task segment`: it learns, resumes, and comes back from disk as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import marked

from carpet_data import networks, store
from carpet_data.core.progress import Step
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, DeviceMemoryError, MissingExtraError, UsageError, WeightsError
from carpet_data.networks.checkpoints import FILE
from carpet_data.store import runs
from carpet_data.training.contract import load_predictor
from carpet_data.training.segment.model import probability_maps
from carpet_data.training.segment.networks import build
from carpet_data.training.segment.options import SegmentOptions
from carpet_data.training.task_train import TrainSides
from carpet_data.training.tasks import train
from carpet_data.training.tuning.train import masked

TINY = SegmentOptions(
    model="lraspp",
    architecture="efficientnet_lite0",
    crop=32,
    epochs=2,
    epoch_steps=6,
    batch_size=4,
    augment="light",
    learning_rate=0.003,
    device="cpu",
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marked.prepared(tmp_path_factory.mktemp("segment"))


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(prepared, tmp_path_factory.mktemp("run") / "one", TINY, worst=2, heatmaps=2)


def _weights(name: str) -> networks.Weights:
    return networks.find_weights(name, "none")


def test_it_learns(trained: Any, prepared: Path) -> None:
    history = runs.history(trained.run)
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    untrained = build("lraspp", _weights("efficientnet_lite0"), classes=3, seed=0)
    dataset = store.read(prepared)
    image = dataset.on_side("test").of_class("hole")[0]
    (before,) = probability_maps(
        untrained.eval(), [image.image()], size=None, side=32, batch_size=4, device=torch.device("cpu")
    )
    after = load_predictor(trained.run, device="cpu").predict([image.image()])[0]
    assert after.heat is not None
    mask = image.mask()
    gain_before = (1 - before[0])[mask].mean() - (1 - before[0])[~mask].mean()
    gain_after = after.heat[mask].mean() - after.heat[~mask].mean()
    assert gain_after > gain_before + 0.1
    assert trained.scores["test"].segment is not None


def test_the_run_folder_holds_what_others_read(trained: Any) -> None:
    folder = trained.run
    info = runs.read(folder)
    assert (info.finished, info.settings["task"], info.settings["model"]) == (True, "segment", "lraspp")
    assert not (folder / FILE).exists()
    predictions = runs.predictions(folder)
    assert {each.side for each in predictions} == {"val", "test"}
    assert all(sum(each.probabilities) == pytest.approx(1, abs=1e-4) for each in predictions)
    assert len(list((folder / runs.HEATMAPS).glob("*.png"))) == 2
    assert len(list((folder / "worst").glob("*.png"))) == 2
    assert {"worst.png", "best.png", "curves.png"} <= {path.name for path in (folder / "plots").iterdir()}
    assert "lraspp on efficientnet_lite0" in trained.text()
    assert json.dumps(trained.to_json())


def test_a_model_comes_back_as_it_was(trained: Any, prepared: Path) -> None:
    images = [sample.image() for sample in store.read(prepared).on_side("test")]
    model = load_predictor(trained.model, device="cpu")
    assert (model.task, model.classes) == ("segment", ("good", "hole", "thread"))
    together, alone = model.predict(images), [model.predict([image])[0] for image in images]
    stored = {each.id: each for each in runs.predictions(trained.run) if each.side == "test"}
    for sample, one, other in zip(store.read(prepared).on_side("test"), together, alone, strict=True):
        assert one.heat is not None
        assert other.heat is not None
        np.testing.assert_allclose(one.heat, other.heat, atol=1e-5)
        found = dict(zip(model.classes, stored[sample.id].probabilities, strict=True))
        assert one.probabilities == pytest.approx(found, abs=1e-4)


def test_an_interrupted_training_resumes_to_the_same_bits(prepared: Path, tmp_path: Path, trained: Any) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop(step: Step) -> None:
        if step.what == "training" and step.done == 1:
            raise Stop

    with pytest.raises(Stop):
        train(prepared, tmp_path / "run", TINY, worst=0, heatmaps=0, progress=stop)
    assert (tmp_path / "run" / FILE).is_file()
    done = train(prepared, tmp_path / "run", TINY, worst=0, heatmaps=0)
    one, two = (networks.state_dicts.read(each / "model" / "weights.safetensors") for each in (trained.run, done.run))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_united_defects_are_one_class(prepared: Path, tmp_path: Path) -> None:
    shorter = TINY.but(united=True, epochs=1, epoch_steps=1, batch_size=2)
    done = train(prepared, tmp_path / "run", shorter, worst=0, heatmaps=0)
    assert done.classes == ("good", "defect")
    assert load_predictor(done.run, device="cpu").classes == ("good", "defect")
    assert done.scores["test"].segment is not None


def _damaged(trained: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.model, tmp_path / "model"))


def test_damaged_models_are_named(trained: Any, tmp_path: Path) -> None:
    folder = _damaged(trained, tmp_path)
    weights = folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="weights are damaged"):
        load_predictor(folder, device="cpu")
    weights.unlink()
    with pytest.raises(WeightsError, match="is missing"):
        load_predictor(folder, device="cpu")
    known = json.loads((folder / "model.json").read_text())
    for change, words in (
        ({"crop": "x"}, "crop"),
        ({"model": "vnet"}, "cannot be built"),
        ({"architecture": "resnot"}, "cannot be built"),
        ({"classes": ["good", "hole"]}, "missing"),
    ):
        (folder / "model.json").write_text(json.dumps({**known, **change}))
        with pytest.raises(WeightsError, match=words):
            load_predictor(folder, device="cpu")


def test_what_cannot_be_trained_is_refused(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unet cannot stand on convnext_tiny"):
        train(prepared, tmp_path / "a", TINY, model="unet", architecture="convnext_tiny", weights="none")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UsageError, match="invalid --model value 'vnet'"):
        train(prepared, tmp_path / "a", TINY, model="vnet")
    with pytest.raises(UsageError, match="unknown option 'epoch'"):
        train(prepared, tmp_path / "a", TINY, epoch=1)
    require = MissingExtraError.require

    def missing(packages: Any, extra: str, purpose: str) -> None:
        if "segmentation_models_pytorch" in packages:
            raise MissingExtraError.of("segmentation_models_pytorch", extra, purpose)
        require(packages, extra, purpose)

    monkeypatch.setattr(MissingExtraError, "require", missing)
    with pytest.raises(MissingExtraError, match="segmentation_models_pytorch") as caught:
        train(prepared, tmp_path / "a", TINY, model="unet")
    assert "carpet-data[finetune]" in str(caught.value.hint)


def test_out_of_memory_suggests_a_smaller_batch(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("carpet_data.training.segment.fit.loss", full)
    with pytest.raises(DeviceMemoryError) as caught:
        train(prepared, tmp_path / "a", TINY)
    assert "--batch-size 2" in str(caught.value.hint)


def test_without_masks_it_says_what_works(tmp_path: Path) -> None:
    prepared = marked.prepared(tmp_path, count=4, masks=False)
    with pytest.raises(DataError, match="has a mask, and this task learns from masks") as caught:
        train(prepared, tmp_path / "a", TINY)
    assert "--task classify" in str(caught.value.hint)


def test_masks_that_are_missing_in_part_are_noted(prepared: Path) -> None:
    dataset = store.read(prepared)
    train_side = set(dataset.on_side("train").by_id())
    first = next(sample.id for sample in dataset if sample.id in train_side and sample.class_name == "hole")
    samples = tuple(replace(each, annotation=None) if each.id == first else each for each in dataset)
    bare: Dataset = replace(dataset, samples=samples)
    of_side: Any = {side: bare.on_side(side).samples for side in ("train", "val", "test")}
    sides, notes = masked(TrainSides(bare, marked.KINDS, of_side))
    assert first not in {each.id for each in sides["train"]}
    assert notes == ("1 image of train without a mask left out",)
