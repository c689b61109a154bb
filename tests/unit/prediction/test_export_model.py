"""Models in ONNX files: the same numbers as the model, from pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from helpers import networks, painted_model
from numpy.typing import NDArray

from carpet_data.core import images
from carpet_data.errors import CarpetDataError, OutputError, UsageError, WeightsError
from carpet_data.networks import save_model
from carpet_data.prediction import export_model as module
from carpet_data.prediction.export_model import ExportModelResult, export_model
from carpet_data.prediction.onnx_resize import Enlarge, Resize
from carpet_data.training.contract import load_predictor
from carpet_data.training.tables import resized

CLASSES = ("good", "hole", "thread")
SHAPES = [
    (48, 48),
    (96, 96),
    (144, 96),
    (150, 259),
    (25, 30),
    (45, 45),
    (20, 450),
    (450, 20),
    (1, 1),
    (50, 45),
    (1, 99),
]


def image(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_graph_resizes_as_training_does(shape: tuple[int, int]) -> None:
    pixels = image(*shape)
    found = Resize(48, 48)(torch.from_numpy(pixels[None]))[0].permute(1, 2, 0).numpy()
    assert (found == resized(pixels, 48)).mean() > 0.999
    assert np.abs(found - resized(pixels, 48)).max() <= 1


@pytest.mark.parametrize(("shape", "wanted"), [((40, 61), (60, 92)), ((50, 50), (100, 100)), ((1, 9), (2, 18))])
def test_the_graph_enlarges_as_the_dense_model_does(shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    pixels = image(*shape)
    found = Enlarge(*wanted)(torch.from_numpy(pixels[None]))[0].permute(1, 2, 0).numpy()
    truth = cv2.resize(pixels, wanted[::-1], interpolation=cv2.INTER_CUBIC)
    assert (found == truth).mean() > 0.999
    assert np.abs(found - truth).max() <= 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_model(
        networks.network("squeezenet1_1", seed=3).eval(),
        folder / "model",
        CLASSES,
        extra={"kind": "classifier", "resize": 48},
    )
    return folder


@pytest.fixture(scope="module")
def exported(model: Path) -> ExportModelResult:
    return export_model(model, model / "x.onnx")


def test_the_file_says_what_the_model_says_at_any_size(model: Path, exported: ExportModelResult) -> None:
    session = onnxruntime.InferenceSession(str(exported.out))
    predictor = load_predictor(model, device="cpu")
    for shape in SHAPES:
        shown = np.stack([image(*shape, seed=1), image(*shape, seed=2)])
        probabilities, anomaly = session.run(None, {"images": shown})
        for number, each in enumerate(predictor.predict(list(shown))):
            assert each.probabilities is not None
            assert np.abs(probabilities[number] - list(each.probabilities.values())).max() < 1e-4
            assert abs(anomaly[number] - each.anomaly) < 1e-4
    assert exported.difference < 1e-4
    assert exported.inputs == {"images": ("batch", "height", "width", 3)}
    assert exported.outputs == {"probabilities": ("batch", 3), "anomaly": ("batch",)}
    assert exported.size_bytes == exported.out.stat().st_size


def test_the_metadata_name_classes_task_and_size(exported: ExportModelResult) -> None:
    told = onnxruntime.InferenceSession(str(exported.out)).get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == list(CLASSES)
    assert (told["task"], told["size"], told["network"]) == ("classify", "48", "squeezenet1_1")
    assert [path.name for path in exported.out.parent.iterdir() if path.suffix == ".data"] == []


def test_the_script_of_the_docs_runs_without_this_package(
    model: Path, exported: ExportModelResult, tmp_path: Path
) -> None:
    images.write_png(tmp_path / "a b.png", image(70, 90))
    script = Path(__file__).parents[2] / "helpers" / "onnx_example.py"
    # In isolated mode nothing of this project can be imported by accident.
    command = [sys.executable, "-I", script, exported.out, tmp_path / "a b.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (found,) = load_predictor(model, device="cpu").predict([image(70, 90)])
    path, name, anomaly = done.stdout.rsplit(maxsplit=2)
    assert (path, name) == (str(tmp_path / "a b.png"), found.class_name)
    assert float(anomaly) == pytest.approx(found.anomaly, abs=2e-4)
    assert "carpet_data" not in script.read_text()


def test_what_is_refused(
    model: Path, exported: ExportModelResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="exists"):
        export_model(model, exported.out)
    with pytest.raises(UsageError, match=r"end in \.onnx"):
        export_model(model, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="no model"):
        export_model(tmp_path, tmp_path / "x.onnx")
    with pytest.raises(UsageError, match=r"Painted .* cannot be exported"):
        export_model(painted_model.write(tmp_path / "other", monkeypatch), tmp_path / "x.onnx")
    monkeypatch.setattr(module, "_TOLERANCE", -1.0)
    monkeypatch.setattr(module, "_exported", lambda parts: exported.out.read_bytes())
    with pytest.raises(CarpetDataError, match="differs from the model"):
        export_model(model, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
