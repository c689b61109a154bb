"""`train --task detect`: it learns, and comes back from disk as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import marked

from carpet_data import networks, store
from carpet_data.errors import DeviceMemoryError, UsageError, WeightsError
from carpet_data.metrics.detection import DetectionRanking
from carpet_data.store import runs
from carpet_data.training.contract import load_predictor
from carpet_data.training.detect.model import found_in
from carpet_data.training.detect.networks import build
from carpet_data.training.detect.options import DetectOptions
from carpet_data.training.tasks import train

TINY = DetectOptions(
    model="ssdlite",
    architecture="efficientnet_lite0",
    crop=48,
    epochs=3,
    epoch_steps=10,
    batch_size=4,
    augment="light",
    learning_rate=0.003,
    device="cpu",
)


CLASSES = ("good", "hole", "thread")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marked.prepared(tmp_path_factory.mktemp("detect"))


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(prepared, tmp_path_factory.mktemp("run") / "one", TINY, worst=1, heatmaps=2)


def _weights(name: str = "resnet18") -> networks.Weights:
    return networks.find_weights(name, "none")


def test_it_learns(trained: Any, prepared: Path) -> None:
    history = runs.history(trained.run)
    assert min(row["train_loss"] for row in history[1:]) < 0.85 * history[0]["train_loss"]
    untrained = build("ssdlite", _weights("efficientnet_lite0"), classes=3, crop=48, min_score=0.05, seed=0).eval()
    ranking = DetectionRanking(CLASSES[1:])
    for sample in store.read(prepared).on_side("val"):
        (found,) = found_in(
            untrained, [sample.image()], CLASSES, size=None, side=48, batch_size=1, device=torch.device("cpu")
        )
        ranking.add(found, sample.instances(), sample.height, sample.width)
    before = ranking.scores().ap50 or 0.0
    assert max(row["val_score"] for row in history) > before + 0.1
    assert trained.scores["test"].detect is not None
    assert trained.scores["test"].missing["segment"] == "the model gives no heat maps"
    assert json.dumps(trained.to_json())


def test_a_model_comes_back_as_it_was(trained: Any, prepared: Path) -> None:
    model = load_predictor(trained.run, device="cpu")
    assert (model.task, model.classes) == ("detect", CLASSES)
    stored = {each.id: each for each in runs.predictions(trained.run) if each.side == "test"}
    for sample in store.read(prepared).on_side("test"):
        (found,) = model.predict([sample.image()])
        row = stored[sample.id]
        assert found.class_name == row.predicted
        assert found.probabilities is not None
        assert list(found.probabilities.values()) == pytest.approx(list(row.probabilities), abs=1e-4)


def test_damaged_models_are_named(trained: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained.model, tmp_path / "model"))
    known = json.loads((folder / "model.json").read_text())
    for change in ({"model": "yolo"}, {"architecture": "resnot"}, {"min_score": "high"}, {"std": None}):
        (folder / "model.json").write_text(json.dumps({**known, **change}))
        with pytest.raises(WeightsError, match="cannot be built"):
            load_predictor(folder, device="cpu")


def test_what_cannot_be_trained_is_refused(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vit_b_16 has no feature maps"):
        train(prepared, tmp_path / "a", TINY, architecture="vit_b_16", weights="none")
    with pytest.raises(UsageError, match="invalid --model value 'yolo'"):
        train(prepared, tmp_path / "a", TINY, model="yolo")
    assert not (tmp_path / "a").exists()


def test_out_of_memory_suggests_a_smaller_batch(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("carpet_data.training.detect.fit._loss_of", full)
    with pytest.raises(DeviceMemoryError) as caught:
        train(prepared, tmp_path / "a", TINY)
    assert "--batch-size 2" in str(caught.value.hint)
