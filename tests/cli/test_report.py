"""carpet-data report: one page with what is there, whatever is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.command import Called
from helpers.run_pages import add_training, add_validation, prepared
from helpers.sources import hashes, write_source

from carpet_data import read

Run = Callable[..., Called]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("report") / "set")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def text(page: Path) -> str:
    """What a reader sees of a page, spaces drawn together."""
    body = re.sub(r"<(style|title)>.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_a_prepared_folder_without_runs(root: Path, run: Run) -> None:
    before = hashes(root)
    called = run("report", root, "--workers", 1)
    out = root.parent / "set-report.html"
    assert called.code == 0, called.err
    assert str(out) in called.out
    assert "17 real, 2 synthetic; no validation" in called.out
    shown = text(out)
    assert "Not validated yet" in shown
    found = read(root)
    for name in found.classes:
        assert name in shown
    train = sum(each.class_name == "hole" and each.origin == "real" for each in found.on_side("train", "main"))
    assert f"hole {train} 2 {train + 2}" in shown, "the long tail, before and after"
    assert "donor-disc" in shown
    assert found.fingerprint("main") in shown
    assert hashes(root) == before


def test_a_validation_and_a_training_are_shown(root: Path, run: Run) -> None:
    add_validation(root)
    add_training(root)
    called = run("report", root, "--json", "--workers", 1)
    assert called.code == 0, called.out
    assert called.json["verdict"] == "helps"
    assert called.json["notes"] == []
    shown = text(Path(called.json["out"]))
    for expected in ("Helps", "p = 0.004", "validate-001", "train-001", "train-002", "interrupted", "Learning curves"):
        assert expected in shown, expected
    tests = read(root).on_side("test", "main")
    good = sum(each.class_name == "good" for each in tests)
    assert f"accuracy {good / len(tests):.3f}" in shown
    assert "changed since" not in shown


def test_a_verdict_on_data_that_changed_says_so(root: Path, run: Run) -> None:
    add_validation(root)
    assert run("drop", root, "--where", "origin=synthetic").code == 0
    called = run("report", root, "-o", root / "report.html", "--workers", 1)
    assert called.code == 0, called.err
    assert "The data set has changed since this validation" in text(root / "report.html")


def test_a_raw_folder_has_a_page_too(tmp_path: Path, run: Run) -> None:
    source = write_source(tmp_path / "raw")
    called = run("report", source, "--json", "--workers", 1)
    assert called.code == 0, called.out
    assert (called.json["real"], called.json["synthetic"]) == (17, 0)
    shown = text(Path(called.json["out"]))
    assert "There are no synthetic images" in shown
    # Its own train side holds good images alone, which is no tail.
    assert "The largest class has 2× as many images as the smallest." in shown
    assert "good 8 hole 5 thread 4" in shown


def test_a_score_file_is_found_and_named(root: Path, run: Run) -> None:
    scored = run("score", root, "--backbone", "none", "--workers", 1, "--json")
    assert scored.code == 0, scored.out
    other = root.parent / "other.json"
    other.write_text(scored.out, encoding="utf-8")
    assert "Score of the synthetic defects" not in text(Path(run("report", root, "--json", "--workers", 1).json["out"]))
    called = run("report", root, "--score", other, "--overwrite", "--json", "--workers", 1)
    assert "Score of the synthetic defects" in text(Path(called.json["out"]))
    shutil.move(other, root / "score.json")
    called = run("report", root, "--overwrite", "--json", "--workers", 1)
    assert "Score of the synthetic defects" in text(Path(called.json["out"]))
    (root / "score.json").write_text(json.dumps({"groups": [1]}), encoding="utf-8")
    called = run("report", root, "--overwrite", "--json", "--workers", 1)
    assert called.code == 1
    assert called.json["where"] == str(root / "score.json")


def test_damage_is_a_notice_and_the_page_is_written(root: Path, run: Run) -> None:
    folder = add_validation(root)
    (folder / "metrics.json").write_text("{", encoding="utf-8")
    (sample,) = read(root).of_class("thread")[:1]
    (root / sample.image_path).unlink()
    (root / sample.image_path).write_bytes(b"no picture")
    called = run("report", root, "--json", "--workers", 1)
    assert called.code == 0, called.out
    notes = "\n".join(called.json["notes"])
    assert "metrics.json" in notes
    assert Path(sample.image_path).name in notes
    assert called.json["verdict"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["-o", "page.pdf"], 2, "HTML"),
        (["-o", "set/images/page.html"], 2, "among the data"),
        (["--split", "none-such"], 2, "none-such"),
        (["--score", "none.json"], 1, "none.json"),
        (["-o", "there.html"], 1, "exists"),
        (["-o", "folder.html", "--overwrite"], 1, "folder"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], code: int, named: str, root: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    Path("there.html").write_text("mine", encoding="utf-8")
    Path("folder.html").mkdir()
    called = run("report", "set", *arguments, "--workers", 1)
    assert called.code == code
    assert named in called.err
    assert "Traceback" not in called.err
    assert Path("there.html").read_text(encoding="utf-8") == "mine"


def test_a_raw_folder_is_never_written_into(tmp_path: Path, run: Run) -> None:
    source = write_source(tmp_path / "raw")
    before = hashes(source)
    assert run("report", source, "-o", source / "page.html", "--workers", 1).code == 2
    assert hashes(source) == before


def test_no_data_set_is_said(tmp_path: Path, run: Run) -> None:
    called = run("report", tmp_path / "none")
    assert called.code == 1
    assert "none" in called.err


@pytest.mark.parametrize("starts", [True, False])
def test_open_asks_for_the_browser(starts: bool, root: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: asked.append(address) or starts)
    called = run("report", root, "--open", "--workers", 1)
    assert asked == [(root.parent / "set-report.html").as_uri()]
    assert ("no browser" in called.err) is not starts


def test_equal_data_give_equal_pages_and_quiet_says_nothing(root: Path, run: Run) -> None:
    called = run("report", root, "-q", "--workers", 1)
    assert (called.code, called.out, called.err) == (0, "", "")
    out = root.parent / "set-report.html"
    first = out.read_bytes()
    assert run("report", root, "-q", "--overwrite", "--workers", 1).code == 0
    assert out.read_bytes() == first


def test_names_are_text_and_never_markup(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "a <i>b"
    name = "<script>alert(1)"
    (source / "test" / name).mkdir(parents=True)
    (source / "test" / "good").mkdir()
    for folder in (name, "good"):
        cv2.imwrite(str(source / "test" / folder / "0.png"), np.zeros((20, 20), np.uint8))
    called = run("report", source, "-o", tmp_path / "page.html", "--workers", 1)
    assert called.code == 0, called.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<i>b" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_no_network_and_no_torch_are_needed(root: Path) -> None:
    code = (
        "import sys; from carpet_data.reporting.report import report; "
        f"report({str(root)!r}, workers=1); "
        "print([name for name in ('torch', 'matplotlib', 'fiftyone') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
