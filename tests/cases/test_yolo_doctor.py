"""doctor on YOLO data sets: one run shows the faults of labels and those of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.trees import HEIGHT, WIDTH
from helpers.yolo_sets import CUT, HOLE, outline, text, yolo_set

import carpet_data as cd
from carpet_data.core.images import write_png
from carpet_data.errors import CarpetDataError

NAMES = "names: [hole, cut]\n"


def _set(root: Path) -> Path:
    """Six images that differ, of which one is truncated, two are equal, and two have faulty labels."""
    content: dict[str, tuple[str | None, str]] = {
        f"images/{number}.png": (f"labels/{number}.txt", outline((HOLE, CUT)[number % 2], number % 2))
        for number in range(6)
    }
    yolo_set(root, content, data__yaml=NAMES)
    random = np.random.default_rng(1)
    for number in range(6):
        pixels = random.integers(0, 255, (HEIGHT * 8, WIDTH * 8)).astype(np.uint8)
        write_png(root / f"images/{number}.png", pixels)
    (root / "images/1.png").write_bytes((root / "images/0.png").read_bytes())
    whole = (root / "images/2.png").read_bytes()
    (root / "images/2.png").write_bytes(whole[: len(whole) // 2])
    text(root / "labels/3.txt", "0 0.5 0.5 0.2 0.2\n")
    text(root / "labels/4.txt", outline(HOLE, 9))
    return root


def _codes(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in cd.doctor(root, workers=1).problems:
        if problem.severity == "error" or problem.code.startswith("duplicate"):
            found.setdefault(problem.code, []).append(problem.where)
    return found


def test_images_are_examined_in_spite_of_faulty_labels(tmp_path: Path) -> None:
    root = _set(tmp_path)
    found = _codes(root)
    assert found.pop("annotation") == ["images/3.png", "images/4.png"]
    assert found.pop("duplicate-file") == ["images/0.png"]
    ((damage, where),) = found.items()
    assert (damage, where) == ("truncated", ["images/2.png"])
    diagnosis = cd.doctor(root, workers=1)
    assert diagnosis.classes == {"cut": 2, "hole": 2}
    assert [problem.where for problem in diagnosis.of("class-conflict")] == ["images/0.png"]
    assert diagnosis.source is not None
    assert diagnosis.source.count("annotations") == 6


def test_a_label_file_without_image_is_an_error_of_the_same_run(tmp_path: Path) -> None:
    root = _set(tmp_path)
    text(root / "labels/gone.txt", outline(HOLE))
    text(root / "labels/gone.cache", b"\x93")
    found = _codes(root)
    assert found["labels-not-read"] == ["labels/gone.txt"]
    assert found["annotation"] == ["images/3.png", "images/4.png"]
    assert not cd.doctor(root, workers=1).of("unknown-file")


@pytest.mark.parametrize("yaml", [f"kpt_shape: [1, 2]\n{NAMES}", "names: [hole, hole]\n", "names: [hole"])
def test_images_are_examined_though_the_set_is_refused(yaml: str, tmp_path: Path) -> None:
    root = _set(tmp_path)
    text(root / "data.yaml", yaml)
    text(root / "labels/0.txt", "0 0.4 0.4 0.2 0.2 0.4 0.4\n")
    with pytest.raises(CarpetDataError):
        cd.read(root, cd.ReadOptions(skip_faulty=True))
    diagnosis = cd.doctor(root, workers=1)
    assert (diagnosis.images, diagnosis.classes) == (6, {})
    assert len(diagnosis.of("unreadable-data-set")) == 1
    assert [problem.where for problem in diagnosis.of("truncated")] == ["images/2.png"]
    assert [problem.where for problem in diagnosis.of("duplicate-file")] == ["images/0.png"]
    assert not diagnosis.of("class-conflict")
    assert not diagnosis.of("no-good")
