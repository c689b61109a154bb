"""YOLO data sets as annotation tools lay them out: read exactly, or refused; never good in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.yolo_sets import CUT, HOLE, box_mask, classes_by_name, outline, polygons_in, polygons_of, yolo_set

from carpet_data.formats import read
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
    "class folders, labels beside": (
        "hole/a.png",
        "hole/a.txt",
        "cut/b.png",
        "cut/b.txt",
        {"obj__names": "hole\ncut\n", "README__dataset__txt": "# metal\n"},
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
