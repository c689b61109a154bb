"""Options and outputs that make no sense: refused with words that name them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.command import Called
from helpers.sources import write_source
from PIL import Image

from carpet_data.core.images import write_png

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
    named = run("export", source, "--to", "prepared", "-o", tmp_path / "out", "--json").json
    assert "coco" in named["hint"]
    read = run("stats", source, "--from", "yollo", "--json").json
    assert "did you mean 'yolo'?" in read["hint"]
    assert "prepared" in read["hint"]


def _strips(root: Path) -> Path:
    """Images of one pixel, of a row, of a column and of a long strip, each with its whole defect."""
    for number, (width, height) in enumerate([(1, 1), (300, 1), (1, 300), (4096, 8), (8, 8)]):
        for folder, value in (("train/good", 90), ("test/hole", 120)):
            write_png_at(root / f"{folder}/{number}.png", np.full((height, width), value + number, np.uint8))
        write_png_at(root / f"ground_truth/hole/{number}_mask.png", np.full((height, width), 255, np.uint8))
    return root


def write_png_at(path: Path, pixels: np.ndarray) -> None:  # type: ignore[type-arg]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, pixels)


@pytest.mark.parametrize(
    "verb", ["to-coco", "to-yolo", "to-masks", "to-mvtec", "prepare", "preview", "stats", "doctor"]
)
def test_extreme_sizes_go_through_every_verb(tmp_path: Path, run: Run, verb: str) -> None:
    """Images of 1x1 pixel, of one row or column, and strips."""
    out = {"stats": (), "doctor": (), "preview": ("-o", tmp_path / "x.png")}.get(verb, ("-o", tmp_path / "out"))
    more = {"prepare": ("--no-near-duplicates", "--fractions", "0.5", "0.5"), "doctor": ("--no-near-duplicates",)}
    workers = () if verb == "preview" else ("--workers", 1)
    done = run(verb, _strips(tmp_path / "raw"), *out, *more.get(verb, ()), *workers, "--json")
    assert done.code == 0, done.out


def test_hostile_names_of_categories_stay_inside_the_output(tmp_path: Path, run: Run) -> None:
    """Categories called ../up, a/b and a name of 300 letters."""
    names = ["../up", "a/b", "x" * 300, "con"]
    root = tmp_path / "set"
    for number in range(len(names)):
        write_png_at(root / f"images/{number}.png", np.full((20, 20), 50 + number, np.uint8))
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 20, "height": 20} for n in range(len(names))],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": n + 1, "segmentation": [[2, 2, 9, 2, 9, 9, 2, 9]], "iscrowd": 0}
            for n in range(len(names))
        ],
    }
    (root / "annotations").mkdir()
    (root / "annotations/instances.json").write_text(json.dumps(document), encoding="utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    for verb in ("to-folder", "to-mvtec", "to-masks"):
        done = run(verb, root, "-o", tmp_path / verb, "--workers", 1)
        assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "to-folder", "to-mvtec", "to-masks"])
    classes = json.loads((tmp_path / "to-masks/classes.json").read_text(encoding="utf-8"))
    assert all(name in json.dumps(classes, ensure_ascii=False) for name in names)
