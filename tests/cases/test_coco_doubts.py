"""COCO files that leave open what is defect: annotations of unlisted images, keys twice, files nobody has labeled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.coco_sets import (
    SKIP,
    annotation,
    changed,
    entry,
    errors_of,
    pictures,
    plain,
    square,
    write,
)
from helpers.command import exit_code

import carpet_data as cd
from carpet_data.formats.coco.check import check


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported") / "out"


def left_out(dataset: cd.Dataset) -> list[str]:
    return sorted(str(error.where).rpartition("/")[2] for error in dataset.skipped)


def test_images_that_may_have_lost_their_annotations_do_not_become_good(tmp_path: Path) -> None:
    """A reference with a typing error: its image has no annotation then, as good images have."""
    root = changed(plain(tmp_path, 5), lambda d: d["annotations"][0].update(image_id=101))
    assert errors_of(root) == ["its image_id 101 is not among the images"]
    left = cd.read(root, SKIP)
    assert {sample.id: sample.class_name for sample in left} == dict.fromkeys(
        ["im_2", "im_3", "im_4", "im_5"], "scratch"
    )
    assert left_out(left) == ["im_1.png", "instances_train.json (image 101, not listed)"]
    # Following the hint leaves an image without a defect, which the user has said.
    mended = changed(tmp_path / "annotations/instances_train.json", lambda d: d["annotations"].pop(0))
    assert {sample.class_name for sample in cd.read(mended)} == {"good", "scratch"}


def test_prepare_and_exports_leave_out_the_same(tmp_path: Path, out: Path) -> None:
    root = changed(plain(tmp_path, 5), lambda d: d["annotations"][0].update(image_id=101))
    assert exit_code("to-coco", root, "-o", out, "--workers", 1) == 1
    assert exit_code("to-coco", root, "-o", out, "--skip-faulty", "--workers", 1) == 0
    listed = json.loads((out / "annotations/instances_train.json").read_text())["images"]
    assert len(listed) == 4


def test_annotations_in_the_file_of_another_side(tmp_path: Path) -> None:
    """The annotations of image 4 went to train with its images, image 4 to val; image 5 of val is good."""
    pictures(tmp_path / "images", *(f"im_{number}.png" for number in range(1, 6)))
    shapes = [annotation(number, number, square(2 * number, 3)) for number in range(1, 5)]
    folder = tmp_path / "annotations"
    write(folder / "instances_train.json", [entry(number) for number in range(1, 4)], shapes)
    write(folder / "instances_val.json", [entry(4), entry(5)], [])
    left = cd.read(tmp_path, SKIP)
    assert {sample.id: sample.class_name for sample in left} == {
        "im_1": "scratch",
        "im_2": "scratch",
        "im_3": "scratch",
        "im_5": "good",
    }
    assert left_out(left) == ["im_4.png", "instances_train.json (image 4, not listed)"]


def test_references_that_are_all_lost_are_one_error(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for image in document["images"]:
            image["id"] = f"{image['id']:012d}"

    root = changed(plain(tmp_path, 6), change)
    assert errors_of(root) == ["its image_id 1 is not among the images (5 more alike)"] == errors_of(root, SKIP)


@pytest.mark.parametrize(
    ("before", "more"), [("]}", '], "annotations": []}'), ('"segmentation"', '"segmentation": [], "segmentation"')]
)
def test_a_key_that_is_there_twice_loses_nothing_in_silence(before: str, more: str, tmp_path: Path) -> None:
    """JSON readers keep the last of equal keys: here an empty list."""
    file = plain(tmp_path)
    head, _, tail = file.read_text().rpartition(before)
    file.write_text(head + more + tail)
    (what,) = errors_of(tmp_path)
    assert what.endswith("twice in one object, and only one of the two would be read")
    assert exit_code("check", tmp_path, "--workers", 1) == 1


def test_a_file_without_a_single_annotation_is_named(tmp_path: Path, out: Path) -> None:
    """Tools write such a file before anybody has labeled."""
    root = changed(plain(tmp_path), lambda d: d["annotations"].clear())
    note = "annotations/instances_train.json has no annotations: its 3 images count as good"
    assert note in cd.read(root).notes
    # Our own files say of each image what it is.
    assert exit_code("to-coco", root, "-o", out, "--workers", 1) == 0
    assert not any("no annotations" in each for each in cd.read(out).notes)


def test_names_longer_than_a_file_can_have(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["images"][0]["file_name"] = "a" * 5000 + ".png"

    root = changed(plain(tmp_path), change)
    (what,) = errors_of(root)
    assert "was not found" in what
    assert len(what) < 500
    left = cd.read(root, SKIP)
    assert [sample.id for sample in left] == ["im_2", "im_3"]
    (problem,) = [each for each in check(root, workers=1).problems if each.severity == "error"]
    assert "was not found" in problem.what


@pytest.mark.parametrize("folder", ["data", "Data", "JPEGImages"])
def test_images_beside_labels_json(folder: str, tmp_path: Path) -> None:
    """FiftyOne's COCODetectionDataset: data/ and labels.json."""
    pictures(tmp_path / folder, "im_1.png", "im_2.png")
    write(tmp_path / "labels.json", [entry(1), entry(2)], [annotation(1, 1, square(3, 3))])
    assert {sample.image_path: sample.class_name for sample in cd.read(tmp_path)} == {
        f"{folder}/im_1.png": "scratch",
        f"{folder}/im_2.png": "good",
    }
    assert exit_code("check", tmp_path, "--workers", 1) == 0
    assert exit_code("doctor", tmp_path, "--workers", 1) == 0
