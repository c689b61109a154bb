"""The export commands beside to-coco: output, exit codes, help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command import exit_code
from helpers.shapes import SHAPES, write_mvtec

COMMANDS = ("to-yolo", "to-voc", "to-folder", "to-mvtec", "to-masks")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    masks = {"a": ("hole", SHAPES["ring"]), "b": ("cut", SHAPES["border blobs"])}
    return write_mvtec(tmp_path / "data", masks, good=2)


@pytest.mark.parametrize("command", COMMANDS)
def test_exports_beside_the_root(command: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, source) == 0
    out = source.parent / f"data-{command.removeprefix('to-')}"
    assert out.is_dir()
    text = capsys.readouterr().out
    assert str(out) in text
    assert "train" in text
    assert exit_code(command, source) == 1
    assert "not empty" in capsys.readouterr().err
    assert exit_code(command, source, "--overwrite", "-q") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_json_and_the_current_folder(
    command: str, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    assert exit_code(command, "-o", "../out", "--json", "--workers", "1") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["images"] == 4
    assert values["instances"] == (0 if command == "to-folder" else 4)
    assert values["parts"]["train"]["images"] == 2
    assert values["files"] == sum(path.is_file() for path in (source.parent / "out").rglob("[!.]*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_faults_and_wrong_use(command: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, source.parent / "absent") == 1
    assert exit_code(command, source, "--workers", "0") == 2
    assert exit_code(command, source, "--split", "fold9") == 2
    assert exit_code(command, source, "-o", source / "inside") == 2
    assert exit_code(command, source, "--images", "move") == 2
    if command != "to-folder":
        (source / "ground_truth/hole/a_mask.png").write_bytes(b"no image")
        capsys.readouterr()
        assert exit_code(command, source, "--json") == 1
        fault = json.loads(capsys.readouterr().out)["problems"][0]
        assert fault["where"].endswith("a_mask.png")
        assert fault["hint"]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, "--help") == 0
    text = capsys.readouterr().out
    assert f"Example:\n    carpet-data {command} " in text


def test_options_reach_their_verbs(source: Path) -> None:
    out = source.parent / "out"
    quiet = ("-o", out, "-q", "--overwrite")
    assert exit_code("to-yolo", source, *quiet, "--task", "boxes", "--merge") == 0
    assert len((out / "labels/test/test_cut_b.txt").read_text().split()) == 5
    assert exit_code("to-voc", source, *quiet, "--no-objects", "--jpg-names") == 0
    assert not (out / "SegmentationObject").exists()
    assert (out / "JPEGImages" / "test_hole_a.jpg").is_file()
    assert exit_code("to-folder", source, *quiet, "--empty-classes") == 0
    assert (out / "train" / "hole").is_dir()
    assert exit_code("to-mvtec", source, *quiet, "--sides", "keep") == 0
    assert exit_code("to-masks", source, *quiet, "--instances", "--images", "none", "--min-area", "2") == 0
    assert (out / "instances/test/test_cut_b.png").is_file()
    assert not (out / "images").exists()
