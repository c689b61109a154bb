"""`carpet-data doctor`, as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from helpers.command import exit_code

from carpet_data.diagnosis.codes import CODES, TABLE
from carpet_data.weave.sample import sample

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/doctor.md"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "cloth"
    sample(out, size=64, workers=1)
    return out


@pytest.fixture
def root(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy, tmp_path / "cloth"))


def run(*arguments: object) -> int:
    return exit_code("doctor", *arguments, "--workers", 1)


def test_the_sample_data_set_is_healthy(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(root)) == 0
    out = capsys.readouterr().out
    assert out.startswith("cloth (mvtec): 41 images, 25 masks; good 16")
    assert out.rstrip().endswith("no problems found")


def damage(root: Path) -> list[str]:
    masks = sorted((root / "ground_truth/hole").iterdir())
    for mask in masks:
        mask.write_bytes(mask.read_bytes()[:-20])
    return [mask.relative_to(root).as_posix() for mask in masks]


def test_errors_are_summed_up_and_exit_with_1(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = damage(root)
    assert run(str(root)) == 1
    out = capsys.readouterr().out
    assert "ERROR truncated (5): The end of an image file is missing." in out
    assert [name in out for name in masks] == [True, True, True, False, False]
    assert "… and 2 more (--all shows them)" in out
    assert out.count("hint:") == 1
    assert "\x1b" not in out
    assert out.rstrip().endswith("\n5 errors")


def test_all_shows_every_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = damage(root)
    assert run(str(root), "--all") == 1
    out = capsys.readouterr().out
    assert all(name in out for name in masks)


def test_json_holds_every_fault(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = damage(root)
    assert run(str(root), "--json") == 1
    values = json.loads(capsys.readouterr().out)
    assert values["counts"] == {"error": 5, "warning": 0, "info": 0}
    assert [fault["where"] for fault in values["problems"]] == masks
    assert all(fault["hint"] and fault["what"] and fault["code"] == "truncated" for fault in values["problems"])


def test_quiet_says_it_by_the_exit_code_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(root)
    assert run(str(root), "-q") == 1
    assert capsys.readouterr() == ("", "")


def test_a_control_character_in_a_name_is_shown_escaped(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "no\x1b[31mtes.docx").write_text("x")
    assert run(str(root)) == 0
    out = capsys.readouterr().out
    assert r"no\x1b[31mtes.docx" in out
    assert "\x1b" not in out


def test_a_missing_folder_is_an_error_with_its_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "nowhere")) == 1
    assert "hint:" in capsys.readouterr().err


def test_the_page_names_every_code_as_the_program_does() -> None:
    """`python -m carpet_data.diagnosis` prints the rows of the page."""
    page = DOCUMENT.read_text()
    assert TABLE in page
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)) == set(CODES)
    assert set(re.findall(r'Problem\(\s*"\w+",\s*"([a-z-]+)"', _source_of_verify())) - {"file-missing"} <= set(CODES)


def _source_of_verify() -> str:
    from importlib import import_module

    return Path(str(import_module("carpet_data.store.verify").__file__)).read_text()
