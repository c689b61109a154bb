"""YOLO data sets as annotation tools lay them out: read exactly, or refused; never good in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.trees import image
from helpers.yolo_sets import CUT, HOLE, box_mask, classes_by_name, outline, polygons_in, polygons_of, text, yolo_set

from carpet_data.errors import DataError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.reading import detect

NAMES = "names: [hole, cut]\n"
TRAIN = f"train: images/train\nval: images/train\n{NAMES}"

# name -> (image of a hole, its labels, image of a cut, its labels, other files, sides)
LAYOUTS: dict[str, tuple[str, str, str, str, dict[str, str], tuple[str | None, str | None]]] = {
    "ultralytics": (
        "images/train/a.png",
        "labels/train/a.txt",
        "images/val/b.png",
        "labels/val/b.txt",
        {"data__yaml": f"train: images/train\nval: images/val\n{NAMES}"},
        ("train", "val"),
    ),
    "beside the images": (
        "images/train/a.png",
        "images/train/a.txt",
        "images/train/b.png",
        "images/train/b.txt",
        {"data__yaml": TRAIN},
        ("train", "train"),
    ),
    "beside, no yaml": (
        "images/a.png",
        "images/a.txt",
        "images/b.png",
        "images/b.txt",
        {"images/classes__txt": "hole\ncut\n"},
        (None, None),
    ),
    "labelImg, one flat folder": ("a.png", "a.txt", "b.png", "b.txt", {"classes__txt": "hole\ncut\n"}, (None, None)),
    "a folder for each class, labels beside": (
        "one/a.png",
        "one/a.txt",
        "two/b.png",
        "two/b.txt",
        {"classes__txt": "hole\ncut\n"},
        (None, None),
    ),
    "capitals": (
        "Images/Train/a.PNG",
        "Labels/Train/a.txt",
        "Images/Val/b.png",
        "LABELS/Val/b.TXT",
        {"data__yaml": NAMES},
        ("train", "val"),
    ),
    "label and image without s": (
        "image/train/a.png",
        "label/train/a.txt",
        "image/train/b.png",
        "Label/train/b.txt",
        {"data__yaml": f"train: image/train\n{NAMES}"},
        ("train", "train"),
    ),
    "labels inside the side": (
        "train/a.png",
        "train/labels/a.txt",
        "valid/b.png",
        "valid/labels/b.txt",
        {"data__yaml": f"train: train\nval: valid\n{NAMES}"},
        ("train", "val"),
    ),
    "roboflow": (
        "train/images/a_png.rf.1f.png",
        "train/labels/a_png.rf.1f.txt",
        "valid/images/b_png.rf.2f.png",
        "valid/labels/b_png.rf.2f.txt",
        {
            "data__yaml": f"train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\n{NAMES}",
            "README__roboflow__txt": "metal - v3\n==========\n\nProvided by a user\n",
            "README__dataset__txt": "# metal\n",
            "test/images/__gitkeep": "",
        },
        ("train", "val"),
    ),
    "roboflow's darknet export": (
        "train/a.png",
        "train/a.txt",
        "valid/b.png",
        "valid/b.txt",
        {"train/_darknet__labels": "hole\ncut\n", "valid/_darknet__labels": "hole\ncut\n"},
        ("train", "val"),
    ),
    "sides spelled out": (
        "training/images/a.png",
        "training/labels/a.txt",
        "testing/images/b.png",
        "testing/labels/b.txt",
        {"classes__txt": "hole\ncut\n"},
        ("train", "test"),
    ),
    "darknet": (
        "data/obj/a.png",
        "data/obj/a.txt",
        "data/obj/b.png",
        "data/obj/b.txt",
        {
            "obj__data": "classes = 2\ntrain  = data/train.txt\nvalid  = data/test.txt\nnames = data/obj.names\n"
            "backup = backup/\n",
            "data/obj__names": "hole\ncut\n",
            "data/train__txt": "data/obj/a.png\n",
            "data/test__txt": "data/obj/b.png\n",
        },
        ("train", "val"),
    ),
    "darknet without obj.data": (
        "obj/a.png",
        "obj/a.txt",
        "obj/b.png",
        "obj/b.txt",
        {"obj__names": "hole\ncut", "train__txt": "obj/a.png\r\n", "test__txt": "obj\\b.png\r\n"},
        ("train", "test"),
    ),
    "JPEGImages and labels": (
        "JPEGImages/a.png",
        "labels/a.txt",
        "JPEGImages/b.png",
        "labels/b.txt",
        {"data__yaml": NAMES},
        (None, None),
    ),
    "CVAT YOLO 1.1": (
        "obj_train_data/a.png",
        "obj_train_data/a.txt",
        "obj_valid_data/b.png",
        "obj_valid_data/b.txt",
        {
            "obj__data": "classes = 2\nnames = data/obj.names\ntrain = data/train.txt\nvalid = data/valid.txt\n",
            "obj__names": "hole\ncut\n",
            "train__txt": "data/obj_train_data/a.png\n",
            "valid__txt": "data/obj_valid_data/b.png\n",
        },
        ("train", "val"),
    ),
    "CVAT Ultralytics": (
        "images/train/sub/a.png",
        "labels/train/sub/a.txt",
        "images/Validation/b.png",
        "labels/Validation/b.txt",
        {
            "data__yaml": "path: ./\ntrain: train.txt\nval: Validation.txt\nnames:\n  0: hole\n  1: cut\n",
            "train__txt": "images/train/sub/a.png\n",
            "Validation__txt": "images/Validation/b.png\n",
        },
        ("train", "val"),
    ),
    "Label Studio": (
        "images/3f2a-a.png",
        "labels/3f2a-a.txt",
        "images/77b0-b.png",
        "labels/77b0-b.txt",
        {
            "classes__txt": "hole\ncut\n",
            "notes__json": '{"categories": [{"id": 0, "name": "hole"}, {"id": 1, "name": "cut"}], "info": {}}',
        },
        (None, None),
    ),
    "yaml without train": (
        "images/train/a.png",
        "labels/train/a.txt",
        "images/valid/b.png",
        "labels/valid/b.txt",
        {"data__yaml": f"nc: 2\n{NAMES}"},
        ("train", "val"),
    ),
    "names in a file": (
        "images/a.png",
        "labels/a.txt",
        "images/b.png",
        "labels/b.txt",
        {"data__yaml": "train: images\nnames: obj.names\n", "obj__names": "hole\ncut\n"},
        ("train", "train"),
    ),
    "nc alone, obj.names beside": (
        "images/train/a.png",
        "labels/train/a.txt",
        "images/train/b.png",
        "labels/train/b.txt",
        {"data__yaml": "train: images/train\nval: images/train\nnc: 2\n", "obj__names": "hole\ncut\n"},
        ("train", "train"),
    ),
    "case of the names differs": (
        "images/IM_1.PNG",
        "labels/im_1.txt",
        "images/im_2.png",
        "labels/IM_2.txt",
        {"data__yaml": NAMES},
        (None, None),
    ),
    "args.yaml of a training beside": (
        "images/train/a.png",
        "labels/train/a.txt",
        "images/train/b.png",
        "labels/train/b.txt",
        {"args__yaml": "task: segment\nepochs: 3\n", "metal__yaml": TRAIN},
        ("train", "train"),
    ),
    "byte-order marks, CRLF, tabs": (
        "images/train/a.png",
        "labels/train/a.txt",
        "images/train/b.png",
        "labels/train/b.txt",
        {"data__yaml": "\ufeff" + TRAIN.replace("\n", "\r\n")},
        ("train", "train"),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_exactly(name: str, tmp_path: Path) -> None:
    hole, hole_labels, cut, cut_labels, more, sides = LAYOUTS[name]
    odd = "\ufeff%s  \r\n\r\n" if name.startswith("byte-order") else "%s\n"
    labels = {
        hole: (hole_labels, odd % outline(HOLE, 0)),
        cut: (cut_labels, odd % outline(CUT, 1).replace(" ", "\t" if "\r" in odd else " ")),
    }
    root = yolo_set(tmp_path / "set", labels, **more)
    assert detect(root) == "yolo"
    dataset = read(root)
    assert classes_by_name(dataset) == {hole: "hole", cut: "cut"}
    for path, label, box, side in ((hole, hole_labels, HOLE, sides[0]), (cut, cut_labels, CUT, sides[1])):
        sample = next(sample for sample in dataset if sample.image_path == path)
        assert sample.side == side
        assert polygons_in(sample) == [polygon for _, polygon in polygons_of(root / label)]
        assert np.array_equal(sample.mask(), box_mask(box))
        assert label in dataset.documents
    assert dataset.categories == ("hole", "cut")
    assert dataset.notes == ()


def test_the_configuration_file_stands_for_its_set(tmp_path: Path) -> None:
    for name, config in (("ultralytics", "data.yaml"), ("darknet", "obj.data")):
        hole, hole_labels, cut, cut_labels, more, _ = LAYOUTS[name]
        labels = {hole: (hole_labels, outline(HOLE)), cut: (cut_labels, outline(CUT, 1))}
        root = yolo_set(tmp_path / name, labels, **more)
        assert read(root / config) == read(root)


# name -> (label files as (image, label), what is said, what the hint says)
LOST: dict[str, tuple[dict[str, str | None], str, str]] = {
    "image suffix kept": (
        {"images/a.png": "labels/a.png.txt", "images/b.png": "labels/b.png.txt"},
        "labels: no image uses the 2 label files here, such as a.png.txt; the nearest image is images/a.png",
        "name labels after the image without its suffix: a.txt",
    ),
    "other separator": (
        {"images/im_1.png": "labels/im-1.txt", "images/im_2.png": "labels/im_2.txt"},
        "im-1.txt: no image uses this label file; the nearest image is images/im_1.png",
        "im_1.txt",
    ),
    "another folder": (
        {"images/train/a.png": "annotations/a.txt", "images/train/b.png": "annotations/b.txt"},
        "annotations: no image uses the 2 label files here",
        "move it to labels/train",
    ),
    "another side": (
        {"images/train/a.png": "labels/val/a.txt", "images/train/b.png": "labels/train/b.txt"},
        "labels/val/a.txt: no image uses this label file; the nearest image is images/train/a.png",
        "move it to labels/train",
    ),
    "one level lost": (
        {"images/train/line1/a.png": "labels/train/a.txt", "images/train/b.png": "labels/train/b.txt"},
        "labels/train/a.txt: no image uses this label file",
        "move it to labels/train/line1",
    ),
    "no labels at all": (
        {"images/train/a.png": None, "images/train/b.png": None},
        "none of the 2 images has a label file (looked in labels/train, and beside the images)",
        "--from folder",
    ),
    "a side without labels": (
        {"images/train/a.png": "labels/train/a.txt", "images/val/b.png": None, "images/val/c.png": None},
        "images/val: none of the 2 images of val has a label file, while others have",
        "labels/val",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_lost_labels_are_refused(name: str, tmp_path: Path) -> None:
    labels, what, hint = LOST[name]
    root = yolo_set(tmp_path, {path: (label, outline(HOLE)) for path, label in labels.items()}, data__yaml=NAMES)
    with pytest.raises(DataError) as caught:
        read(root)
    assert what in str(caught.value)
    assert hint in str(caught.value)
    assert str(caught.value).count("hint:") == 1  # one cause, one error


def test_only_images_that_a_lost_label_may_belong_to_are_left_out(tmp_path: Path) -> None:
    root = yolo_set(
        tmp_path,
        {
            "images/im_1.png": ("labels/IM-1.txt", outline(HOLE)),
            "images/im_2.png": ("labels/im_2.txt", outline(HOLE)),
            "images/im_3.png": (None, ""),
        },
        data__yaml=NAMES,
    )
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert classes_by_name(dataset) == {"images/im_2.png": "hole", "images/im_3.png": "good"}
    assert [Path(str(error.where)).name for error in dataset.skipped] == ["im_1.png"]
    # A label that may belong to any image makes all of them doubtful that have none.
    (root / "labels/IM-1.txt").rename(root / "labels/other.txt")
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert classes_by_name(dataset) == {"images/im_2.png": "hole"}
    assert len(dataset.skipped) == 2


def test_a_lost_label_harms_nobody_where_every_image_has_its_own(tmp_path: Path) -> None:
    labels = {f"images/{name}.png": (f"labels/{name}.txt", outline(HOLE)) for name in "ab"}
    root = yolo_set(tmp_path, labels, data__yaml=NAMES)
    text(root / "labels/gone.txt", outline(CUT, 1))
    with pytest.raises(DataError, match="no image uses this label file"):
        read(root)
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert (len(dataset), dataset.skipped) == (2, ())
    assert any("gone.txt" in note for note in dataset.notes)


def test_images_without_labels_are_counted(tmp_path: Path) -> None:
    labels: dict[str, tuple[str | None, str]] = {f"images/{n}.png": (None, "") for n in range(4)}
    labels["images/9.png"] = ("labels/9.txt", outline(HOLE))
    root = yolo_set(tmp_path, labels, data__yaml=NAMES)
    dataset = read(root)
    assert list(classes_by_name(dataset).values()).count("good") == 4
    assert dataset.notes == ("4 of 5 images have no label file and are taken for good: 4 in images",)
    # An empty label file, or a folder that says so, needs no note.
    for number in range(4):
        text(root / f"labels/{number}.txt", "\n")
    assert read(root).notes == ()
    good = yolo_set(
        tmp_path / "named",
        {"images/hole/a.png": ("labels/hole/a.txt", outline(HOLE)), "images/good/b.png": (None, "")},
        data__yaml=NAMES,
    )
    assert (classes_by_name(read(good))["images/good/b.png"], read(good).notes) == ("good", ())


def test_labels_in_two_places(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, {"images/a.png": ("labels/a.txt", outline(HOLE))}, data__yaml=NAMES)
    text(root / "images/a.txt", outline(HOLE))
    assert classes_by_name(read(root)) == {"images/a.png": "hole"}
    text(root / "images/a.txt", outline(CUT, 1))
    with pytest.raises(DataError, match=r"several label files that differ: labels/a\.txt, images/a\.txt"):
        read(root)


def test_labels_of_an_image_that_is_not_read(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, {"images/a.png": ("labels/a.txt", outline(HOLE))}, data__yaml=NAMES)
    text(root / "images/b.heic", b"ftypheic")
    text(root / "labels/b.txt", outline(HOLE))
    with pytest.raises(DataError, match=r"b\.heic is not an image that can be read"):
        read(root)
    (root / "images/b.heic").unlink()
    # data.yaml leaves a folder out: that is its right, and it is said.
    (root / "labels/b.txt").unlink()
    yolo_set(root, {"images/test/c.png": ("labels/test/c.txt", outline(CUT, 1))})
    text(root / "train.txt", "images/a.png\n")
    text(root / "data.yaml", f"train: train.txt\n{NAMES}")
    dataset = read(root)
    assert classes_by_name(dataset) == {"images/a.png": "hole"}
    assert dataset.notes == ("images/test/c.png not read: data.yaml does not name them",)
    assert {path for path, _ in dataset.aside} == {"images/test/c.png", "labels/test/c.txt"}


def test_labels_without_any_image(tmp_path: Path) -> None:
    text(tmp_path / "labels/a.txt", outline(HOLE))
    text(tmp_path / "data.yaml", NAMES)
    with pytest.raises(DataError, match=r"no images were found; there are 1 label file, such as labels/a\.txt"):
        read(tmp_path)


def test_images_on_no_side_while_others_are(tmp_path: Path) -> None:
    labels = {f"images/{side}/a{side}.png": (f"labels/{side}/a{side}.txt", outline(HOLE)) for side in ("train", "lab")}
    root = yolo_set(tmp_path, labels)
    with pytest.raises(DataError, match=r"lab: 1 image here is on no side"):
        read(root)
    text(root / "data.yaml", f"train: images\n{NAMES}")
    assert {sample.side for sample in read(root)} == {"train"}


def test_masks_beside_labels_are_no_images(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, {"a.png": ("a.txt", outline(HOLE))}, classes__txt="hole\n")
    image(root / "masks/a.png", 0)
    dataset = read(root)
    assert classes_by_name(dataset) == {"a.png": "hole"}
    assert dataset.notes == ("masks/a.png not read: masks, while labels are used",)


def test_images_called_as_lists_are(tmp_path: Path) -> None:
    """labels.png, classes.png, train.png and readme.png have labels like all others."""
    names = ("labels", "classes", "train", "readme", "names")
    root = yolo_set(tmp_path, {f"{name}.png": (f"{name}.txt", outline(HOLE)) for name in names}, data__yaml=NAMES)
    assert set(classes_by_name(read(root)).values()) == {"hole"}


def test_label_files_that_cannot_be_opened(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, {"images/a.png": ("labels/a.txt", outline(HOLE)), "images/b.png": (None, "")})
    (root / "labels/b.txt").symlink_to("gone.txt")
    with pytest.raises(DataError, match=r"labels/b\.txt: it cannot be read"):
        read(root)
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert (len(dataset), len(dataset.skipped)) == (1, 1)
