"""Options and outputs that make no sense: refused with words that name them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from helpers.command import Called
from helpers.sources import write_source
from PIL import Image

Run = Callable[..., Called]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "raw", {"train/good": 3, "test/hole": 3})


@pytest.mark.parametrize(
    ("name", "kind"), [("x.jpg", "JPEG"), ("x.JPEG", "JPEG"), ("x.png", "PNG"), ("x.webp", "WEBP")]
)
def test_a_preview_is_written_in_the_format_of_its_name(
    source: Path, tmp_path: Path, run: Run, name: str, kind: str
) -> None:
    assert run("preview", source, "-o", tmp_path / name).code == 0
    with Image.open(tmp_path / name) as picture:
        assert picture.format == kind
    assert cv2.imread(str(tmp_path / name)) is not None


@pytest.mark.parametrize("name", ["x.bmp", "x", "x.pdf"])
def test_another_suffix_of_a_preview_is_refused_with_the_list(
    source: Path, tmp_path: Path, run: Run, name: str
) -> None:
    refused = run("preview", source, "-o", tmp_path / name)
    assert refused.code == 2
    assert ".png, .jpg, .jpeg, .webp" in refused.err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "values", [("nan", "1"), ("-1", "2"), ("inf", "0"), ("1e400", "0"), ("0", "1"), ("0.5", "-0.5")]
)
def test_fractions_that_make_no_sense(source: Path, tmp_path: Path, run: Run, values: tuple[str, ...]) -> None:
    refused = run("prepare", source, "-o", tmp_path / "out", "--fractions", *values)
    assert refused.code == 2
    assert "fractions" in refused.err
    assert "unexpected extra argument" not in refused.err


def test_fractions_before_the_folder_are_still_told_from_it(source: Path, tmp_path: Path, run: Run) -> None:
    done = run("prepare", "--fractions", "0.5", "0.5", source, "-o", tmp_path / "out", "--dry-run", "--workers", 1)
    assert done.code == 0, done.err


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc")  # noqa: PTH112
@pytest.mark.parametrize("verb", [("prepare",), ("to-coco",), ("to-folder",)])
def test_an_output_that_cannot_be_made_is_a_problem_of_the_output(
    source: Path, run: Run, verb: tuple[str, ...]
) -> None:
    refused = run(*verb, source, "-o", "/proc/there", "--workers", 1, "--json")
    assert refused.code == 1
    assert refused.json["error"] == "OutputError"
    assert refused.json["where"] == "/proc/there"
    assert refused.json["hint"] == "choose another output folder"


def test_an_unknown_format_offers_what_can_be_written_or_read(source: Path, tmp_path: Path, run: Run) -> None:
    written = run("export", source, "--to", "cocoo", "-o", tmp_path / "out", "--json").json
    assert "did you mean 'coco'?" in written["hint"]
    assert "prepared" not in written["hint"]
    assert "voc" in written["hint"]
    read = run("stats", source, "--from", "yollo", "--json").json
    assert "did you mean 'yolo'?" in read["hint"]
    assert "prepared" in read["hint"]
