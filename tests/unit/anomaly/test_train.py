"""`train --task anomaly`: the run folder, from good images of a prepared data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.textures import saved, texture, with_defect

import carpet_data
from carpet_data.errors import DataError, UsageError
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store import runs
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.contract import load_predictor
from carpet_data.training.task_train import TaskTrainResult

QUICK = AnomalyOptions(architecture="shufflenet_v2_x0_5", weights="none", folds=2, views=1, size=64, device="cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("anomaly")
    for number in range(10):
        saved(root / f"raw/test/good/{number:03}.png", texture(number, 64, 64))
    for number in range(6):
        image, mask = with_defect(texture(20 + number, 64, 64), top=20, left=10 + 4 * number)
        saved(root / f"raw/test/hole/{number:03}.png", image)
        saved(root / f"raw/ground_truth/hole/{number:03}_mask.png", mask.astype("uint8") * 255)
    prepare(root / "raw", root / "out", SplitOptions(fractions=(0.5, 0.5)), near_duplicates=False, workers=1)
    return root / "out"


def test_a_run_has_the_scores_of_pixels_and_images(prepared: Path) -> None:
    done = carpet_data.train(prepared, options=QUICK, workers=1, worst=2)
    assert isinstance(done, TaskTrainResult)
    assert done.task == "anomaly"
    assert done.settings["good_images"] == 5
    test = done.scores["test"]
    assert test.anomaly is not None
    assert test.anomaly.auroc.value == 1
    assert test.segment is not None
    assert test.segment.pixels.auroc is not None
    assert test.segment.pixels.auroc > 0.8
    assert any("extrapolated" in note for note in done.notes)
    run = runs.read(done.run)
    assert run.finished
    assert run.settings["task"] == "anomaly"
    assert {each.predicted for each in runs.predictions(done.run)} <= {"good", "defect"}
    assert load_predictor(done.run, device="cpu").task == "anomaly"
    assert "image AUROC" in done.text()


def test_too_few_good_images_are_said_and_none_are_refused(prepared: Path, tmp_path: Path) -> None:
    done = carpet_data.train(prepared, tmp_path / "run", QUICK.but(good=50, model="subspace"), workers=1, worst=0)
    assert any("there are 5 good training images only" in note for note in done.notes)
    with pytest.raises(UsageError, match="--false-alarms"):
        AnomalyOptions(false_alarms=0.0)


def test_a_set_without_good_training_images(tmp_path: Path) -> None:
    for number in range(4):
        image, mask = with_defect(texture(number, 64, 64))
        saved(tmp_path / f"raw/test/hole/{number:03}.png", image)
        saved(tmp_path / f"raw/ground_truth/hole/{number:03}_mask.png", mask.astype("uint8") * 255)
    prepare(tmp_path / "raw", tmp_path / "out", SplitOptions(fractions=(0.5, 0.5)), near_duplicates=False, workers=1)
    with pytest.raises(DataError, match="no good training images"):
        carpet_data.train(tmp_path / "out", options=QUICK, workers=1)
    assert not list((tmp_path / "out").glob("runs/train-*"))
