"""`predict` as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers import networks, painted_model
from helpers.command import Called

from carpet_data.core.images import encode_png, write_png
from carpet_data.networks import save_model
from carpet_data.prediction import export_model as export
from carpet_data.prediction.export_model import ExportModelResult

Run = Callable[..., Called]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a small classifier of random weights."""
    run = tmp_path_factory.mktemp("run")
    save_model(networks.network().eval(), run / "model", painted_model.CLASSES, extra={"resize": 32})
    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        write_png(folder / f"{number}.png", painted_model.picture((10 * number, 20, 30, 12, 250)))
    return folder


def test_a_classifier_predicts_a_folder(trained: Path, photos: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    done = run("predict", trained, photos, "-o", out, "--overlays", "--heat-maps", "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.json["images"], done.json["task"], done.json["errors"]) == (3, "classify", [])
    assert "Grad-CAM" in done.json["notes"][0]
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    for line in lines:
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert line["anomaly"] == pytest.approx(1 - line["probabilities"]["good"], abs=2e-6)
        assert (out / line["files"]["heat_map"]).is_file()
        assert (out / line["files"]["overlay"]).is_file()
    text = run("predict", trained, photos, "-o", out, "--overwrite")
    assert text.out.startswith("3 images: ")
    assert run("predict", trained, photos, "-o", out, "--overwrite", "-q").out == ""


def test_the_bytes_do_not_depend_on_the_batch_size(trained: Path, photos: Path, tmp_path: Path, run: Run) -> None:
    for size in (1, 2, 16):
        assert run("predict", trained, photos, "-o", tmp_path / f"{size}", "--batch-size", size, "-q").code == 0
    first, *others = ((tmp_path / f"{size}" / "predictions.jsonl").read_bytes() for size in (1, 2, 16))
    assert all(each == first for each in others)


def test_exit_codes(trained: Path, photos: Path, tmp_path: Path, run: Run) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    done = run("predict", trained, photos, "-o", tmp_path / "out")
    assert done.code == 1
    assert "1 file could not be read" in done.out
    assert run("predict", trained, photos, "-o", tmp_path / "out").code == 1
    assert run("predict", trained, "-o", tmp_path / "other").code == 2
    assert run("predict", trained, photos).code == 2
    assert run("predict", tmp_path / "nowhere", photos, "-o", tmp_path / "other").code == 1
    assert run("predict", trained, photos, "-o", tmp_path / "other", "--overlap", 3).code == 2
    assert run("predict", trained, tmp_path / "nothing", "-o", tmp_path / "other").code == 1
    assert (
        run("predict", trained, photos / "0.png", "-o", tmp_path / "o", "--watch", "--json").json["error"]
        == "UsageError"
    )
    assert not (tmp_path / "other").exists()


def _until(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not done():
        assert process.poll() is None, process.communicate()


def test_watching_ends_by_ctrl_c(trained: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "carpet_data", "predict", str(trained), str(photos), "-o", str(out), "--watch"]
    command += ["--interval", "0.01", "--device", "cpu", "--json"]

    def count() -> int:
        file = out / "predictions.jsonl"
        return file.read_bytes().count(b"\n") if file.is_file() else 0

    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _until(lambda: count() == 3, process)
    (photos / "later.png").write_bytes(encode_png(painted_model.picture()))
    _until(lambda: count() == 4, process)
    process.send_signal(signal.SIGINT)
    text, errors = process.communicate()
    assert process.returncode == 130, errors
    assert json.loads(text)["images"] == 4
    assert (out / "coco_results.json").is_file()


MEMORY = """
import resource, sys
from carpet_data.prediction.predict import predict
peaks = []
for count in sys.argv[2:]:
    out = predict(sys.argv[1], count, "out " + count, device="cpu")
    peaks.append((out.images, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
print(*(number for pair in peaks for number in pair))
"""


def test_a_thousand_images_take_no_more_memory_than_a_few(trained: Path, tmp_path: Path) -> None:
    """Kept in memory, the thousand would be 480 MB."""
    picture = encode_png(painted_model.picture(size=(400, 400)))
    for count in (10, 1000):
        (tmp_path / f"{count}").mkdir()
        for number in range(count):
            (tmp_path / f"{count}" / f"{number}.png").write_bytes(picture)
    command = [sys.executable, "-c", MEMORY, str(trained), "10", "1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    few, low, many, high = map(float, done.stdout.split())
    assert (few, many) == (10, 1000)
    assert high < low + 60


def test_a_model_is_exported(trained: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The export itself takes its time, and is tested with what it gives; here are its command and its errors."""
    out = tmp_path / "x.onnx"
    assert run("export-model", trained, "-o", tmp_path / "x.pt").code == 2
    assert run("export-model", tmp_path, "-o", out, "--json").json["error"] == "WeightsError"
    out.touch()
    assert run("export-model", trained, "-o", out, "--json").json["error"] == "OutputError"
    found = ExportModelResult(out, trained, "classify", ("good",), {"images": ("n", 3)}, {"anomaly": ("n",)}, 1e-6, 9)
    asked: list[object] = []
    monkeypatch.setattr(export, "export_model", lambda *paths, **more: asked.append((*paths, more)) or found)
    done = run("export-model", trained, "-o", out, "--overwrite", "--json")
    assert asked == [(trained, out, {"height": None, "width": None, "overwrite": True})]
    assert done.json["inputs"] == {"images": ["n", 3]}
    assert "largest difference from the model: 1.0e-06" in run("export-model", trained, "-o", out).out
