"""The parts of browsing that need no FiftyOne: ports, neighbors, predictions, hashes, names."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.run_folders import line, write_run
from hypothesis import given
from hypothesis import strategies as st

from carpet_data.dataset import MaskFile, Sample
from carpet_data.errors import DataError, MissingExtraError, UsageError
from carpet_data.fiftyone.app import AppError, check_port
from carpet_data.fiftyone.connection import DatabaseError, connect, name_of
from carpet_data.fiftyone.content import MaskJob, image_key, mask_key
from carpet_data.fiftyone.embeddings import nearest_real
from carpet_data.fiftyone.fields import gate_field, prediction_field
from carpet_data.fiftyone.outcomes import Outcomes, last_run, read_outcomes
from carpet_data.store import runs
from carpet_data.store.runs import RunInfo

CLASSES = ("good", "hole")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_the_hint(taken: int) -> None:
    with pytest.raises(AppError, match=f"port {taken} is taken") as found:
        check_port(taken)
    assert f"--port {taken + 1}" in str(found.value)


def test_a_free_port_is_free(taken: int) -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        free = trial.getsockname()[1]
    check_port(free)
    check_port(free, "0.0.0.0")


def test_an_address_of_another_machine_is_wrong_use() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.7"):
        check_port(5151, "192.0.2.7")


def test_without_fiftyone_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"carpet-data\[browse\]"):
        connect()


@pytest.mark.skipif(importlib.util.find_spec("fiftyone") is None, reason="the extra browse is not installed")
def test_a_database_that_does_not_answer_and_an_invalid_one() -> None:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        free = trial.getsockname()[1]
    with pytest.raises(DatabaseError, match="does not answer") as found:
        connect(f"mongodb://user:secret@127.0.0.1:{free}/x", wait_s=0.3)
    assert f"127.0.0.1:{free}" in str(found.value)
    assert "secret" not in str(found.value)
    with pytest.raises(DatabaseError, match="invalid MongoDB address"):
        connect("postgres://localhost", wait_s=0.3)


def sample(name: str, host: str | None = None) -> Sample:
    made = None if host is None else {"host": host}
    return Sample(name, f"{name}.png", "hole", 8, 8, origin="synthetic" if made else "real", provenance=made)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 12))
def test_the_nearest_real_image_is_the_nearest(seed: int, real: int, made: int) -> None:
    rng = np.random.default_rng(seed)
    samples = [sample(f"r{number}") for number in range(real)]
    samples += [sample(f"s{number}", host=f"r{rng.integers(real)}") for number in range(made)]
    values = rng.normal(size=(len(samples), 5)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    near, distance = nearest_real(values, samples)
    for number, one in enumerate(samples):
        banned = {one.id, (one.provenance or {}).get("host")}
        others = [other for other in range(real) if samples[other].id not in banned]
        if not others:
            assert near[number] == -1
            assert np.isnan(distance[number])
            continue
        apart = [1 - float(values[number] @ values[other]) for other in others]
        assert near[number] in others
        assert distance[number] == pytest.approx(max(min(apart), 0), abs=1e-5)


def outcomes(root: Path, lines: list[dict[str, Any]], **run: Any) -> Outcomes | None:
    return read_outcomes(root, runs.read(write_run(root, lines, **run)), CLASSES)


def test_predictions_are_averaged_over_seeds(tmp_path: Path) -> None:
    lines = [
        line("a", "hole", {"good": 0.9, "hole": 0.1}, loss=2.0),
        line("a", "hole", {"good": 0.2, "hole": 0.8}, seed=1, loss=1.0),
        line("a", "hole", {"good": 0.2, "hole": 0.8}, seed=2, loss=0.0),
        line("a", "hole", {"good": 1.0, "hole": 0.0}, condition="real-only"),
    ]
    found = outcomes(tmp_path, lines, heatmaps=["a"])
    assert found is not None
    assert found.main == "real+synthetic"
    assert found.others == ("real-only",)
    outcome = found.conditions["real+synthetic"]["a"]
    assert outcome.predicted == "hole"
    assert outcome.confidence == pytest.approx(1.7 / 3)
    assert outcome.loss == pytest.approx(1.0)
    assert outcome.correct
    assert not found.conditions["real-only"]["a"].correct
    assert found.heatmaps["a"].name == "a.png"


def test_predictions_for_test_images_count_before_validation(tmp_path: Path) -> None:
    right, wrong = {"good": 0.1, "hole": 0.9}, {"good": 0.9, "hole": 0.1}
    lines = [
        line("a", "hole", right, side="val"),
        line("a", "hole", wrong),
        line("a", "hole", right, seed=1, side="val"),
        line("b", "hole", right, side="val"),
    ]
    found = outcomes(tmp_path, lines)
    assert found is not None
    assert found.conditions[found.main]["a"].confidence == pytest.approx(0.9)
    assert not found.conditions[found.main]["a"].correct
    assert found.conditions[found.main]["b"].correct


def test_the_main_condition_is_real_and_synthetic_together(tmp_path: Path) -> None:
    names = ["real-only", "paste-only", "real + paste", "real + mixup"]
    lines = [line("a", "hole", {"good": 0.5, "hole": 0.5}, condition=name) for name in names]
    found = outcomes(tmp_path, lines)
    assert found is not None
    assert found.main == "real + paste"


def test_the_last_finished_validation_comes_before_a_training(tmp_path: Path) -> None:
    assert last_run(tmp_path) is None
    write_run(tmp_path, [], name="train-001", command="train")
    assert folder_of(last_run(tmp_path)) == "train-001"
    write_run(tmp_path, [], name="validate-001")
    write_run(tmp_path, [], name="validate-002", finished=False)
    (write_run(tmp_path, [], name="validate-003") / "predictions.jsonl").unlink()
    assert folder_of(last_run(tmp_path)) == "validate-001"


def folder_of(run: RunInfo | None) -> str | None:
    return None if run is None else run.folder.name


def test_heat_maps_of_the_last_training_are_shown_where_the_run_has_none(tmp_path: Path) -> None:
    lines = [line("a", "hole", {"good": 0.5, "hole": 0.5})]
    for number in (1, 2):
        write_run(tmp_path, lines, name=f"train-00{number}", command="train", heatmaps=["a"])
    write_run(tmp_path, lines, name="train-003", command="train", heatmaps=["a"], finished=False)
    found = outcomes(tmp_path, lines)
    assert found is not None
    assert found.run.name == "validate-001"
    assert found.heatmaps_run == tmp_path / "runs" / "train-002"
    assert found.heatmaps == {"a": tmp_path / "runs" / "train-002" / "heatmaps" / "a.png"}
    none = read_outcomes(tmp_path / "elsewhere", runs.read(found.run), CLASSES)
    assert none is not None
    assert none.heatmaps_run is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"id": "a"}', "not a prediction"),
        (json.dumps(line("a", "hole", {"hole": 1.0})), "1 probabilities for 2 classes"),
        (json.dumps({**line("a", "hole", {"good": 0.5, "hole": 0.5}), "loss": "much"}), "not a prediction"),
        (
            json.dumps({**line("a", "hole", {"good": 0.5, "hole": 0.5}), "probabilities": ["x", "y"]}),
            "not a prediction",
        ),
    ],
)
def test_a_damaged_prediction_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    folder = write_run(tmp_path, [line("a", "hole", {"good": 0.5, "hole": 0.5})])
    with (folder / "predictions.jsonl").open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    with pytest.raises(DataError, match=f"line 2: the line is .*{message}") as found:
        read_outcomes(tmp_path, runs.read(folder), CLASSES)
    assert found.value.where == f"{folder / 'predictions.jsonl'}, line 2"


def test_predictions_are_read_without_torch() -> None:
    code = "import sys, carpet_data.fiftyone.outcomes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_keys_of_a_sample_change_with_what_they_stand_for(tmp_path: Path) -> None:
    plain = Sample("a", "a.png", "hole", 8, 8, annotation=MaskFile("a_mask.png"), mask_sha256="1", image_sha256="2")
    key = mask_key(MaskJob(tmp_path, plain, 8))
    assert key == mask_key(MaskJob(tmp_path / "moved", plain, 8))
    others = [replace(plain, mask_sha256="3"), replace(plain, class_name="cut"), replace(plain, width=9)]
    assert len({key, *(mask_key(MaskJob(tmp_path, each, 8)) for each in others)}) == 4
    assert key != mask_key(MaskJob(tmp_path, plain, 4))
    other = MaskJob(tmp_path, replace(plain, image_sha256="4"), 8)
    assert image_key(MaskJob(tmp_path, plain, 8)) != image_key(other)
    raw = replace(plain, mask_sha256=None)
    before = mask_key(MaskJob(tmp_path, raw, 8))
    (tmp_path / "a_mask.png").write_bytes(b"12")
    assert mask_key(MaskJob(tmp_path, raw, 8)) != before


def test_names(tmp_path: Path) -> None:
    assert name_of(tmp_path, "carpet") == name_of(tmp_path / ".." / tmp_path.name, "carpet")
    assert name_of(tmp_path, "carpet") != name_of(tmp_path / "x", "carpet")
    assert name_of(tmp_path, "a/b\n").startswith("a-b- ")
    assert name_of(tmp_path, "").startswith("data ")
    assert gate_field("near-copy") == "gate_near_copy"
    assert prediction_field("real-only + strong") == "prediction_real_only_strong"
