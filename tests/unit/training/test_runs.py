"""Run folders: numbered, read back, continued by an equal command only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carpet_data.errors import DataError, OutputError
from carpet_data.store import lock, runs
from carpet_data.store.runs import Prediction

DATASET = {"root": "/data/x", "name": "x", "fingerprint": "abc", "split": "main"}
SETTINGS = {"epochs": 3, "tuple": (1, 2)}


def create(root: Path, command: str = "train", **changes: Any) -> tuple[runs.RunInfo, bool]:
    return runs.create(root, command, **{"dataset": DATASET, "settings": SETTINGS, **changes})


def test_runs_are_numbered_by_command_and_listed_in_order(tmp_path: Path) -> None:
    names = []
    for command in ("train", "validate", "train"):
        run, resumed = create(tmp_path, command, facts={"classes": ["good", "ß"]})
        assert not resumed
        assert runs.last(tmp_path, command) != run
        runs.finish(run, 1.5)
        names.append(run.folder.name)
    assert names == ["train-001", "validate-001", "train-002"]
    assert [run.folder.name for run in runs.listing(tmp_path, "train")] == ["train-001", "train-002"]
    last = runs.last(tmp_path, "train")
    assert last is not None
    assert (last.folder.name, last.finished, last.seconds) == ("train-002", True, 1.5)
    assert last.facts["classes"] == ["good", "ß"]
    assert last.settings == {"epochs": 3, "tuple": [1, 2]}
    assert "carpet-data" in last.versions
    assert runs.listing(tmp_path / "elsewhere") == ()
    assert runs.last(tmp_path, "sweep") is None


def test_an_interrupted_run_is_continued_by_an_equal_command_only(tmp_path: Path) -> None:
    first, _ = create(tmp_path)
    again, resumed = create(tmp_path)
    assert (again.folder, resumed) == (first.folder, True)
    for changes in ({"settings": {"epochs": 4}}, {"dataset": {**DATASET, "fingerprint": "abd"}}, {"command": "sweep"}):
        other, resumed = create(tmp_path, **changes)
        assert not resumed
        assert other.folder != first.folder
    anew, resumed = create(tmp_path, overwrite=True)
    assert (resumed, anew.folder.name) == (False, "train-004")


def test_a_run_in_use_is_left_alone(tmp_path: Path) -> None:
    first, _ = create(tmp_path)
    with lock.locked(first.folder, "train"):
        other, resumed = create(tmp_path)
    assert (resumed, other.folder.name) == (False, "train-002")


def test_a_place_of_ones_own(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    run, resumed = create(tmp_path, out=out)
    assert (run.folder, resumed) == (out, False)
    assert create(tmp_path, out=out)[1] is True
    with pytest.raises(OutputError, match=r"interrupted run of other settings \(epochs 3, not 4\)"):
        create(tmp_path, out=out, settings={**SETTINGS, "epochs": 4})
    with pytest.raises(OutputError, match="other data"):
        create(tmp_path, out=out, dataset={**DATASET, "split": "fold1"})
    runs.finish(run, 1)
    with pytest.raises(OutputError, match="finished run"):
        create(tmp_path, out=out)
    (out / "old.txt").write_text("x")
    assert create(tmp_path, out=out, overwrite=True)[1] is False
    assert not (out / "old.txt").exists()


def test_a_folder_that_is_no_run_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="holds something else" if overwrite else "not empty"):
            create(tmp_path, out=tmp_path / "precious", overwrite=overwrite)
    assert (tmp_path / "precious" / "thesis.tex").exists()


def prediction(sample_id: str = "a") -> Prediction:
    return Prediction(sample_id, "train", "main", 0, "test", "löch", "good", (0.75, 0.25), 1.386)


def test_predictions_and_history_come_back(tmp_path: Path) -> None:
    rows = [prediction("a"), prediction("b\udce9")]
    runs.write_predictions(tmp_path, rows)
    assert runs.predictions(tmp_path) == tuple(rows)
    runs.write_history(tmp_path, [{"epoch": 1, "val_loss": None}])
    assert runs.history(tmp_path) == ({"epoch": 1, "val_loss": None},)
    assert runs.predictions(tmp_path / "none") == ()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 9}', '{"schema": 1}'])
def test_a_damaged_run_json_is_named(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "train-001"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(text)
    with pytest.raises(DataError) as refused:
        runs.listing(tmp_path)
    assert refused.value.where == str(folder / "run.json")


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    runs.write_predictions(tmp_path, [prediction()])
    path = tmp_path / "predictions.jsonl"
    whole = path.read_text(encoding="utf-8")
    for bad in ("{", "[1]", '{"id": "x"}', json.dumps({**json.loads(whole), "more": 1})):
        path.write_text(whole + bad + "\n", encoding="utf-8")
        with pytest.raises(DataError, match="line 2"):
            runs.predictions(tmp_path)
