"""Where COCO files and their images lie: names that lead elsewhere, sides by name, sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from helpers.coco_sets import (
    HEIGHT,
    SKIP,
    WIDTH,
    annotation,
    changed,
    entry,
    errors_of,
    picture,
    pictures,
    plain,
    square,
    write,
)

import carpet_data as cd
from carpet_data.errors import ProblemsError


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where to export: outside the data set, which fills tmp_path."""
    return tmp_path_factory.mktemp("exports") / "out"


def test_04_names_with_a_number_of_the_project_name_the_file_that_is_meant(tmp_path: Path) -> None:
    """label-studio-converter #139, #188."""
    pictures(tmp_path / "images", "im_1.png", "im_2.png", "im_3.png")
    images = [entry(1, "images\\7/im_1.png"), entry(2, "images\\im_2.png"), entry(3, "IM_3.PNG")]
    write(tmp_path / "result.json", images, [annotation(n, n, square(3, 3)) for n in (1, 2, 3)])
    with pytest.raises(ProblemsError) as caught:
        cd.read(tmp_path)
    hints = [error.hint for error in caught.value.problems]
    assert hints == [f"correct file_name: the data set has images/im_{number}.png" for number in (1, 3)]
    left = cd.read(tmp_path, SKIP)
    assert [sample.image_path for sample in left] == ["images/im_2.png"]
    assert [str(error.where).rpartition("/")[2] for error in left.skipped] == [
        "result.json (image 1)",
        "result.json (image 3)",
    ]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("..\\..\\..\\..\\media\\im_9.png", "leaves the data set"),
        ("/home/annotator/im_9.png", "leaves the data set"),
        ("C:/Users/annotator/im_9.png", "leaves the data set"),
        ("file:///data/im_9.png", "nothing is downloaded"),
        ("https://example.org/im_9.png", "nothing is downloaded"),
        ("s3://bucket/im_9.png", "nothing is downloaded"),
    ],
)
def test_04_names_that_lead_elsewhere(name: str, what: str, tmp_path: Path) -> None:
    """label-studio #7294, #4473, #4903."""
    root = changed(plain(tmp_path), lambda d: d["images"][0].update(file_name=name))
    with pytest.raises(ProblemsError) as caught:
        cd.read(root)
    [error] = caught.value.problems
    assert what in error.what
    if "://" in name:
        assert "download the image" in str(error.hint)
    assert len(cd.read(root, SKIP)) == 2


def test_12_sizes_from_before_exif(tmp_path: Path) -> None:
    """label-studio #6608, FiftyOne #3778: see also the test of `check`."""
    root = changed(plain(tmp_path), lambda d: d["images"][0].update(width=HEIGHT, height=WIDTH))
    [what] = errors_of(root)
    assert what == f"the JSON says {HEIGHT}x{WIDTH} pixels, the file has {WIDTH}x{HEIGHT}"
    assert [sample.id for sample in cd.read(root, SKIP)] == ["im_2", "im_3"]


def test_02_accents_spelled_in_two_ways(tmp_path: Path) -> None:
    picture(tmp_path / "images/ne\u0301.png")
    write(tmp_path / "set.json", [entry(1, "n\u00e9.png")], [annotation(1, 1, square(2, 2))])
    assert cd.read(tmp_path)[0].image_path == "images/ne\u0301.png"


@pytest.mark.parametrize("place", ["Images", "imgs", "Annotations/../IMAGES"])
def test_folders_of_any_case(place: str, tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    picture(tmp_path / place / "im_1.png")
    write(tmp_path / "Annotations/instances_default.json", [entry(1)], [annotation(1, 1, square(2, 2))])
    assert len(cd.read(tmp_path)) == 1


def test_66_an_image_on_two_sides_is_an_error(tmp_path: Path) -> None:
    path = plain(tmp_path)
    write(path.with_name("instances_val.json"), [entry(2)], [annotation(1, 2, square(1, 1))])
    assert errors_of(tmp_path) == ["the image is listed on two sides: train and val"]
    left = cd.read(tmp_path, SKIP)
    assert [sample.id for sample in left] == ["im_1", "im_3"]
    assert [error.where for error in left.skipped] == [str(left.root / "images/im_2.png")]


def test_67_category_ids_that_differ_by_file_are_joined_by_name(tmp_path: Path) -> None:
    """darwin-py PR #471."""
    pictures(tmp_path / "images", "im_1.png", "im_2.png")
    for number, side in enumerate(("train", "val"), start=1):
        categories = [{"id": number, "name": "scratch"}, {"id": 3 - number, "name": "dent"}]
        annotations = [annotation(1, number, square(2, 2), category_id=number)]
        write(tmp_path / f"annotations/instances_{side}.json", [entry(number)], annotations, categories)
    dataset = cd.read(tmp_path)
    assert {sample.class_name for sample in dataset} == {"scratch"}
    assert dataset.categories == ("scratch", "dent")


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        (("instances_training", "instances_validation2017", "instances_holdout"), ("train", "val", "test")),
        (("instances_train2017", "instances_val2017", "instances_test-dev2017"), ("train", "val", "test")),
        (("training_set", "dev", "testing"), ("train", "val", "test")),
    ],
)
def test_68_names_of_sides(names: tuple[str, ...], sides: tuple[str, ...], tmp_path: Path, out: Path) -> None:
    for number, name in enumerate(names, start=1):
        picture(tmp_path / f"images/im_{number}.png", number)
        write(tmp_path / f"annotations/{name}.json", [entry(number)], [annotation(1, number, square(2, 2))])
    dataset = cd.read(tmp_path)
    assert tuple(sample.side for sample in dataset) == sides
    result = cd.to_coco(tmp_path, out, workers=1)
    assert result.images == 3


def test_68_a_file_of_no_side_beside_sides_is_an_error(tmp_path: Path) -> None:
    path = plain(tmp_path)
    picture(tmp_path / "images/im_9.png", 9)
    write(path.with_name("instances_extra.json"), [entry(9)], [annotation(1, 9, square(1, 1))])
    [what] = errors_of(tmp_path, SKIP)
    assert what.startswith(
        "its name says no side, as that of instances_train.json does: its 1 image would be on no side"
    )
    assert len(cd.read(path)) == 3


def test_images_of_a_side_are_not_taken_from_another(tmp_path: Path) -> None:
    for seed, side in enumerate(("training", "validation")):
        picture(tmp_path / f"images/{side}/0.png", seed)
    for short in ("train", "val"):
        write(tmp_path / f"annotations/instances_{short}.json", [entry(1, "0.png")], [annotation(1, 1, square(2, 2))])
    assert {sample.side: sample.image_path for sample in cd.read(tmp_path)} == {
        "train": "images/training/0.png",
        "val": "images/validation/0.png",
    }


@pytest.mark.parametrize(
    "name",
    [
        "https://example.org/upload/im_1.png?token=a/b",
        "https://example.org/upload/im%5F1.png",
        "/data/upload/3/1a2b3c4d-im_1.png",
        "gs://bucket/IM_1.PNG",
        "im_1.jpg",
        "im_1",
    ],
)
def test_04_addresses_and_uploads_name_the_file_that_is_meant(name: str, tmp_path: Path) -> None:
    """label-studio #4473, #4903: what the server adds to a name."""
    root = changed(plain(tmp_path), lambda d: d["images"][0].update(file_name=name))
    with pytest.raises(ProblemsError) as caught:
        cd.read(root)
    assert caught.value.problems[0].hint == "correct file_name: the data set has images/im_1.png"


def test_an_image_in_two_files_of_one_side_names_both(tmp_path: Path) -> None:
    """A JSON file for each class, or a copy of an older state: which of the two is meant is not known."""
    pictures(tmp_path / "images", "im_1.png", "im_2.png")
    for name in ("scratch", "dent"):
        write(tmp_path / f"annotations/{name}.json", [entry(1), entry(2)], [annotation(1, 1, square(2, 2))])
    assert errors_of(tmp_path) == ["the image is listed twice, in dent.json and scratch.json (1 more alike)"]


def test_predictions_are_called_so(tmp_path: Path) -> None:
    root = changed(plain(tmp_path), lambda d: [each.update(score=0.5) for each in d["annotations"]])
    assert cd.read(root).notes == ("3 annotations with a score: the file looks like predictions",)


def test_coordinates_that_are_fractions_are_refused(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for each in document["annotations"]:
            each["segmentation"] = [[0.1, 0.1, 0.6, 0.1, 0.6, 0.7, 0.1, 0.7]]

    root = changed(plain(tmp_path), change)
    assert errors_of(root, SKIP) == errors_of(root)
    assert errors_of(root)[0].startswith("no coordinate is larger than 1: these are fractions of the image")


def test_a_file_among_other_things_is_read_without_looking_into_these(tmp_path: Path) -> None:
    """A JSON file in a home folder: what lies below other folders is not listed, nor must it be readable."""
    plain(tmp_path)
    path = (tmp_path / "annotations/instances_train.json").rename(tmp_path / "labels.json")
    for name in ("private/deep/x.png", "images/later.png"):
        picture(tmp_path / name)
    (tmp_path / "private" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    dataset = cd.read(path)
    assert dataset.account is not None
    assert (len(dataset), dataset.account.not_read) == (3, ("images/later.png",))
