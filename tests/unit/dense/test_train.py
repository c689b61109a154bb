"""The choice of settings, and the run folder of a training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.carpets import copied

import carpet_data
from carpet_data import store
from carpet_data.cli.app import app
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, UsageError
from carpet_data.networks import build, find_weights
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store import runs
from carpet_data.training.contract import load_predictor
from carpet_data.training.dense import choose as choose_module
from carpet_data.training.dense.bank import MapBank, inner_layers
from carpet_data.training.dense.choose import choose
from carpet_data.training.dense.fit import fit_dense
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.options import TrainOptions
from carpet_data.training.task_train import TaskTrainResult

from .conftest import write_squares

CLASSES = ("good", "dark", "red")
QUICK = DenseOptions(architecture="shufflenet_v2_x0_5", weights="none", steps=40, batch_cells=256, folds=2, views=1)
FIXED = QUICK.but(scale=1.0, strides=(8, 16), background=1.0, smoothing=0.7, device="cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    write_squares(root / "raw", good=8, defects=6)
    prepare(root / "raw", root / "out", SplitOptions(fractions=(0.5, 0.5)), near_duplicates=False, workers=1)
    return root / "out"


def test_what_is_given_is_not_chosen(squares: Dataset, bank: MapBank) -> None:
    found = choose(bank, squares.samples, CLASSES, FIXED)
    assert found.options == FIXED
    assert found.compared == ()
    assert found.notes == ()


def test_the_scale_is_compared_on_the_training_images(squares: Dataset, bank: MapBank) -> None:
    found = choose(bank, squares.samples, CLASSES, FIXED.but(scale=None))
    plain, twice = found.compared
    assert (plain.scale, twice.scale) == (1.0, 2.0)
    assert found.options.scale == (2.0 if twice.score > plain.score + 0.01 else 1.0)
    assert found.notes[0].startswith(f"scale {found.options.scale:g} chosen on held-out training images: score ")
    # What was held out to choose serves the calibration.
    assert found.held is not None
    shared = fit_dense(bank, squares.samples, CLASSES, found.options, held=found.held)
    again = fit_dense(bank, squares.samples, CLASSES, found.options)
    assert shared.calibration.temperature == again.calibration.temperature
    assert shared.image.shift == again.image.shift


def test_the_better_scale_is_taken(squares: Dataset, bank: MapBank, monkeypatch: pytest.MonkeyPatch) -> None:
    for better, expected in ((0.02, 2.0), (0.005, 1.0)):
        scores = iter((0.5, 0.5 + better))
        monkeypatch.setattr(choose_module, "held_out_score", lambda *_, scores=scores: next(scores))
        assert choose(bank, squares.samples, CLASSES, FIXED.but(scale=None, steps=1)).options.scale == expected


@pytest.mark.parametrize(
    ("width", "height", "scale", "said"),
    [
        (1024, 1024, 1.0, "only for images of up to 768 pixels"),
        (2048, 2048, 1.0, "only for images of up to 768 pixels"),
        (5000, 3000, 0.5, "over 4.2 megapixels"),
    ],
)
def test_large_images_have_one_scale(
    squares: Dataset, bank: MapBank, width: int, height: int, scale: float, said: str
) -> None:
    large = [replace(sample, width=width, height=height) for sample in squares]
    found = choose(bank, large, CLASSES, FIXED.but(scale=None))
    assert found.options.scale == scale
    assert found.compared == ()
    assert said in found.notes[0]


def test_too_few_images_to_choose_by(squares: Dataset, bank: MapBank) -> None:
    one = [sample for sample in squares if sample.class_name == "red"][:1]
    found = choose(bank, one, ("good", "red"), FIXED.but(scale=None))
    assert found.options.scale == 1.0
    assert "too little is known" in found.notes[0]


def test_layers_of_a_dense_head() -> None:
    lite = build(find_weights("efficientnet_lite0", "none"), classes=2, seed=0)
    assert inner_layers(lite, (8, 16)) == ("blocks.2", "blocks.3", "blocks.4")
    assert inner_layers(lite, (16, 32)) == ("blocks.3", "blocks.4", "blocks.5")
    resnet = build(find_weights("resnet18", "none"), classes=2, seed=0)
    assert inner_layers(resnet, (8, 16)) is None


def test_a_training_leaves_all_that_others_read(prepared: Path) -> None:
    done = carpet_data.train(prepared, options=FIXED, worst=3, heatmaps=4, workers=1)
    assert isinstance(done, TaskTrainResult)
    assert done.task == "dense"
    assert {path.name for path in done.run.iterdir()} >= {"run.json", "metrics.json", "predictions.jsonl", "model"}
    metrics = json.loads((done.run / "metrics.json").read_text())
    assert set(metrics["test"]) >= {"classify", "segment", "detect", "anomaly"}
    rows = runs.predictions(done.run)
    test = store.read(prepared).on_side("test").samples
    assert {row.id for row in rows} == {sample.id for sample in test}
    assert any(row.detections for row in rows)
    assert all(len(row.probabilities) == 3 for row in rows)
    assert len(list((done.run / "heatmaps").iterdir())) == 4
    assert len(list((done.run / "worst").iterdir())) == 3
    assert {path.name for path in (done.run / "plots").iterdir()} == {
        "best.png",
        "confusion.png",
        "recall.png",
        "worst.png",
    }
    (found,) = load_predictor(done.run, device="cpu").predict([test[0].image()])
    row = next(row for row in rows if row.id == test[0].id)
    assert found.class_name == row.predicted
    assert found.anomaly == pytest.approx(row.anomaly, abs=1e-5)
    assert "chosen" not in done.text()
    run = runs.read(done.run)
    assert run.finished
    assert run.settings["task"] == "dense"


def test_the_command_line(prepared: Path, tmp_path: Path) -> None:
    flags = [
        "--arch",
        "shufflenet_v2_x0_5",
        "--weights",
        "none",
        "--steps",
        "5",
        "--folds",
        "2",
        "--views",
        "1",
        "--scale",
        "1",
        "--strides",
        "8,16",
    ]
    more = ["--background", "1", "--smoothing", "0", "--worst", "0", "--heatmaps", "0", "--json", "--workers", "1"]
    done = CliRunner().invoke(
        app, ["train", str(prepared), "--task", "dense", *flags, *more, "-o", str(tmp_path / "a")]
    )
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["task"] == "dense"
    assert json.loads((tmp_path / "a/run.json").read_text())["settings"]["strides"] == [8, 16]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--task", "dense", "--epochs", "3"], "--epochs has no effect with --task dense"),
        (["--scale", "2"], "--scale has no effect with --task classify"),
        (["--task", "dense", "--strides", "8,x"], "invalid --strides value"),
        (["--task", "dense", "--strides", "7"], "use different powers of 2"),
        (["--task", "dense", "--views", "9"], "views must be at most 8"),
    ],
)
def test_what_a_task_does_not_have_is_refused(prepared: Path, flags: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["train", str(prepared), *flags])
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_what_cannot_be_trained_leaves_no_run(prepared: Path, tmp_path: Path) -> None:
    before = list((prepared / "runs").iterdir()) if (prepared / "runs").is_dir() else []
    with pytest.raises(UsageError):
        carpet_data.train(prepared, options=FIXED.but(strides=(2, 64)), workers=1)
    with pytest.raises(UsageError, match="unknown task"):
        carpet_data.train(prepared, task="dens")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not the options of the task"):
        carpet_data.train(prepared, options=TrainOptions(), task="dense")
    assert [path for path in (prepared / "runs").iterdir() if path.name != ".cache"] == [
        path for path in before if path.name != ".cache"
    ]


def test_images_that_cannot_be_read_are_skipped_where_asked(prepared: Path, tmp_path: Path) -> None:
    root = copied(prepared, tmp_path / "copy")
    broken = next(iter(store.read(root).on_side("train")))
    (root / broken.image_path).unlink()
    (root / broken.image_path).write_bytes(b"no image")
    with pytest.raises(DataError):
        carpet_data.train(root, tmp_path / "run", options=FIXED, workers=1)
    assert not (tmp_path / "run").exists()
    done = carpet_data.train(root, tmp_path / "run", options=FIXED, skip_faulty=True, worst=0, heatmaps=0, workers=1)
    assert [error.where for error in done.skipped] == [str(root / broken.image_path)]
    assert done.images["train"] == len(store.read(root).on_side("train")) - 1


def test_good_images_alone_are_for_anomaly_models(tmp_path: Path) -> None:
    write_squares(tmp_path / "raw", good=8, defects=0)
    prepare(tmp_path / "raw", tmp_path / "out", SplitOptions(fractions=(0.5, 0.5)), near_duplicates=False, workers=1)
    with pytest.raises(DataError, match="no training image shows a defect"):
        carpet_data.train(tmp_path / "out", options=FIXED, workers=1)
