"""Recognising formats, and saying where the data set is when it is not here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.sources import write_source
from helpers.trees import coco, files, image

from carpet_data.errors import DataError
from carpet_data.formats import read
from carpet_data.formats.exports import to_masks
from carpet_data.formats.reading import detect, looks_like_dataset
from carpet_data.preparation.prepare import prepare

MVTEC = (["train/good/0.png", "test/hole/0.png"], ["ground_truth/hole/0_mask.png"])


@pytest.mark.parametrize(
    ("expected", "images", "masks"),
    [
        ("mvtec", *MVTEC),
        ("mvtec", ["test/hole/0.png"], ["ground_truth/hole/0_mask.png"]),
        ("mvtec", ["train/good/0.png"], []),
        ("mvtec", ["Train/OK/0.PNG", "Test/hole/0.png"], ["Ground_Truth/hole/0_mask.png"]),
        (
            "mvtec-loco",
            ["train/good/0.png", "test/logical_anomalies/0.png"],
            ["ground_truth/logical_anomalies/0/0.png"],
        ),
        ("mvtec-ad2", ["train/good/0.png", "test_public/bad/0.png"], ["test_public/ground_truth/bad/0_mask.png"]),
        ("folder", ["images/0.png"], ["masks/0.png"]),
        ("folder", ["images/hole/0.png"], ["masks/hole/0.png"]),
        ("folder", ["hole/images/0.png"], ["hole/masks/0.png"]),
        ("folder", ["train/images/0.png"], ["train/masks/0.png"]),
        ("folder", ["hole/0.png", "cut/0.png"], []),
        ("folder", ["train/hole/0.png", "train/cut/0.png", "val/hole/1.png"], []),
    ],
)
def test_folders(expected: str, images: list[str], masks: list[str], tmp_path: Path) -> None:
    root = files(tmp_path / "data", images, masks)
    assert detect(root) == expected
    assert looks_like_dataset(root)


@pytest.mark.parametrize("name", ["annotations/instances_train.json", "set.json", "train/_annotations.coco.json"])
def test_coco(name: str, tmp_path: Path) -> None:
    assert (
        detect(coco(image(tmp_path / "data" / "images" / "a.png").parents[1] / name).parents[name.count("/")]) == "coco"
    )
    assert detect(tmp_path / "data" / name) == "coco"


def test_a_json_file_that_is_no_coco_does_not_hide_mvtec(tmp_path: Path) -> None:
    root = files(tmp_path, *MVTEC)
    (root / "notes.json").write_text("{}")
    assert detect(root) == "mvtec"


@pytest.mark.parametrize("with_yaml", [True, False])
def test_yolo(with_yaml: bool, tmp_path: Path) -> None:
    image(tmp_path / "images" / "train" / "a.png")
    (tmp_path / "labels" / "train").mkdir(parents=True)
    if with_yaml:
        (tmp_path / "data.yaml").write_text("names: [hole]\n")
        assert detect(tmp_path / "data.yaml") == "yolo"
    else:
        (tmp_path / "labels" / "train" / "a.txt").write_text("")
    assert detect(tmp_path) == "yolo"


def test_the_parent_of_categories_lists_them(tmp_path: Path) -> None:
    files(tmp_path / "carpet", *MVTEC)
    files(tmp_path / "screw", *MVTEC)
    with pytest.raises(DataError) as caught:
        detect(tmp_path)
    assert caught.value.hint is not None
    assert str(tmp_path / "carpet") in caught.value.hint
    assert "contains 2 data sets: carpet, screw" in caught.value.what


@pytest.mark.parametrize("part", ["train", "test", "test/hole", "ground_truth", "ground_truth/hole"])
def test_a_part_names_the_whole(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path / "carpet", *MVTEC)
    with pytest.raises(DataError, match="part of a data set") as caught:
        detect(tmp_path / "carpet" / part)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(str(tmp_path / "carpet"))
    monkeypatch.chdir(tmp_path / "carpet" / part)
    assert not looks_like_dataset(Path())


def test_a_data_set_may_be_called_test(tmp_path: Path) -> None:
    assert detect(files(tmp_path / "carpet" / "test", *MVTEC)) == "mvtec"
    assert detect(files(tmp_path / "images", ["hole/0.png", "cut/0.png"])) == "folder"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("carpet.tar.xz", "carpet-data unpack"), ("test/hole/0.png", "name the folder"), ("x.txt", "name")],
)
def test_files(name: str, hint: str, tmp_path: Path) -> None:
    files(tmp_path, *MVTEC)
    (tmp_path / name).touch()
    with pytest.raises(DataError) as caught:
        detect(tmp_path / name)
    assert hint in str(caught.value.hint)


def test_an_image_of_a_data_set_names_the_data_set(tmp_path: Path) -> None:
    files(tmp_path / "carpet", *MVTEC)
    with pytest.raises(DataError) as caught:
        detect(tmp_path / "carpet/test/hole/0.png")
    assert str(caught.value.hint).endswith(str(tmp_path / "carpet"))


def test_strays_above_make_no_whole(tmp_path: Path) -> None:
    coco(tmp_path / "notes.json")
    (tmp_path / "data.yaml").write_text("names: [x]")
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    assert detect(files(tmp_path / "mine" / "classes", ["hole/0.png", "cut/0.png"])) == "folder"
    with pytest.raises(DataError) as caught:
        detect(tmp_path / "mine" / "empty")
    assert "carpet-data sample" in str(caught.value.hint)


def test_nothing_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        detect(tmp_path / "absent")
    with pytest.raises(DataError) as empty:
        detect(tmp_path)
    assert "carpet-data sample" in str(empty.value.hint)
    image(tmp_path / "0.png")
    with pytest.raises(DataError) as flat:
        detect(tmp_path)
    assert "--from folder" in str(flat.value.hint)
    assert not looks_like_dataset(tmp_path)
    assert not looks_like_dataset(tmp_path / "absent")


def test_a_home_folder_with_pictures_is_no_data_set(tmp_path: Path) -> None:
    files(tmp_path, ["Pictures/a.png", "Desktop/b.png"])
    (tmp_path / "Documents").mkdir()
    assert not looks_like_dataset(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o000)
    try:
        with pytest.raises(DataError, match="may not be read"):
            detect(tmp_path)
        assert not looks_like_dataset(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_refused_scan_becomes_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError) as caught:
        detect(tmp_path)
    assert "permissions" in str(caught.value.hint)
    assert not looks_like_dataset(tmp_path)


def test_links_in_a_circle(tmp_path: Path) -> None:
    files(tmp_path, *MVTEC)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "self").symlink_to(".")
    assert detect(tmp_path) == "mvtec"


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, carpet_data.formats.reading; print([m for m in ('cv2', 'numpy', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_commands_wrote_is_no_class_of_the_folder_around_it(tmp_path: Path) -> None:
    write_source(tmp_path / "weave")
    prepare(tmp_path / "weave", tmp_path / "ready", workers=1)
    to_masks(tmp_path / "ready", tmp_path / "index-masks", workers=1)
    with pytest.raises(DataError) as caught:
        detect(tmp_path)
    assert "contains 3 data sets: index-masks, ready, weave" in caught.value.what
    assert str(tmp_path / "index-masks") in str(caught.value.hint)
    assert not looks_like_dataset(tmp_path)


def test_a_side_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "train" / "good").mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        detect(tmp_path)
    assert caught.value.hint == "put images into class folders such as train/good: there are none"


@pytest.mark.parametrize("text", [None, "", '{"format": "carpet-da', "{}", "[]"])
def test_a_prepared_folder_with_a_damaged_description_is_no_mere_folder(text: str | None, tmp_path: Path) -> None:
    write_source(tmp_path / "weave")
    ready = prepare(tmp_path / "weave", tmp_path / "ready", workers=1).out
    description = ready / "dataset.json"
    if text is None:
        description.unlink()
    else:
        description.write_text(text)
    assert detect(ready) == "prepared"
    with pytest.raises(DataError) as caught:
        read(ready)
    assert str(caught.value.where).startswith(str(ready))
    assert caught.value.hint
