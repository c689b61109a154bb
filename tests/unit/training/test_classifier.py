"""The classifier of whole images through the interface that every model has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import networks
from numpy.typing import NDArray

from carpet_data.errors import UsageError, WeightsError
from carpet_data.networks import save_model
from carpet_data.training import tables
from carpet_data.training.classifier import Classifier
from carpet_data.training.contract import load_predictor
from carpet_data.training.evaluate import predict

CLASSES = ("good", "hole", "thread")


def images(*sizes: tuple[int, ...], seed: int = 0) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, size, dtype=np.uint8) for size in sizes]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    extra = {"kind": "classifier", "resize": 32}
    save_model(networks.network().eval(), run / "model", CLASSES, extra=extra)
    return run


def test_it_says_what_the_network_says_of_images_of_any_size(saved: Path) -> None:
    model = load_predictor(saved, device="cpu")
    assert isinstance(model, Classifier)
    assert (model.task, model.classes, model.size) == ("classify", CLASSES, 32)
    shown = images((32, 32, 3), (90, 41, 3), (7, 200), (1, 1, 3))
    found = model.predict(shown)
    pixels = np.stack([tables.resized(image, 32) for image in shown])
    table = networks.table(4)
    truth = predict(model.network, tables.ImageTable(**{**table.__dict__, "pixels": pixels}))
    for each, row in zip(found, truth.probabilities, strict=True):
        assert each.probabilities is not None
        assert tuple(each.probabilities) == CLASSES
        assert np.allclose(list(each.probabilities.values()), row, atol=1e-6)
        assert each.class_name == CLASSES[int(row.argmax())]
        assert each.anomaly == pytest.approx(1 - row[0], abs=1e-6)
        assert (each.heat, each.labels, each.detections) == (None, None, ())
    assert model.predict([]) == []


def test_heat_is_drawn_when_asked_for_at_the_size_of_the_image(saved: Path) -> None:
    model = load_predictor(saved, device="cpu")
    assert isinstance(model, Classifier)
    model.grad_cam = True
    for image, each in zip(images((48, 20, 3), (64, 64)), model.predict(images((48, 20, 3), (64, 64))), strict=True):
        assert each.heat is not None
        assert (each.heat.shape, each.heat.dtype) == (image.shape[:2], np.float32)
        assert 0 <= each.heat.min() <= each.heat.max() <= each.anomaly + 1e-6


def test_without_good_images_every_image_shows_a_defect() -> None:
    model = Classifier(networks.network(classes=2), ("hole", "thread"), 32, device="cpu")
    assert model.predict(images((40, 40, 3)))[0].anomaly == 1


def _damaged(model: Path) -> None:
    weights = model / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def _flipped(model: Path) -> None:
    weights = model / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-100] ^= 1
    weights.write_bytes(raw)


def _lost(model: Path) -> None:
    (model / "weights.safetensors").unlink()


def _sizeless(model: Path) -> None:
    known = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**known, "resize": "large"}))


def _unknown(model: Path) -> None:
    (model / "model.json").write_text('{"kind": "oracle"}')


def _list(model: Path) -> None:
    (model / "model.json").write_text("[1]")


def _cut(model: Path) -> None:
    (model / "model.json").write_text('{"kind": ')


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (_damaged, "the weights are damaged"),
        (_flipped, "the weights are damaged"),
        (_lost, "weights of the model are missing"),
        (_sizeless, "invalid size of images 'large'"),
        (_unknown, "unknown kind of model 'oracle'"),
        (_cut, "it cannot be read"),
        (_list, "not a JSON object"),
    ],
)
def test_a_damaged_model_says_which_file_is_wrong(tmp_path: Path, damage: Callable[[Path], None], what: str) -> None:
    model = tmp_path / "model"
    save_model(networks.network().eval(), model, CLASSES, extra={"resize": 32})
    damage(model)
    with pytest.raises(WeightsError, match=what) as told:
        load_predictor(tmp_path, device="cpu")
    assert str(model) in str(told.value.where)
    assert told.value.hint


def test_a_folder_without_a_model_and_an_unknown_device(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no model"):
        load_predictor(tmp_path)
    with pytest.raises(UsageError, match="unknown device"):
        load_predictor(saved, device="abacus")
