"""YOLO labels that no image uses, and images without labels: no defect becomes good in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.trees import image
from helpers.yolo_sets import CUT, HOLE, classes_by_name, outline, text, yolo_set

from carpet_data.errors import DataError
from carpet_data.formats import ReadOptions, read

NAMES = "names: [hole, cut]\n"


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
        "labels/train/",
    ),
    "another side": (
        {"images/train/a.png": "labels/val/a.txt", "images/train/b.png": "labels/train/b.txt"},
        "labels/val/a.txt: no image uses this label file; the nearest image is images/train/a.png",
        "labels/train/",
    ),
    "one level lost": (
        {"images/train/line1/a.png": "labels/train/a.txt", "images/train/b.png": "labels/train/b.txt"},
        "labels/train/a.txt: no image uses this label file",
        "move it to labels/train/line1/, or remove it",
    ),
    "no labels at all": (
        {"images/train/a.png": None, "images/train/b.png": None},
        "none of the 2 images has a label file (looked in labels/train, and beside the images)",
        "--from folder",
    ),
    "a side without labels": (
        {"images/train/a.png": "labels/train/a.txt", "images/val/b.png": None, "images/val/c.png": None},
        "images/val: none of the 2 images of val has a label file, while others have one",
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
    assert dataset.notes == ("4 of 5 images have no label file and count as good: 4 in images",)
    yolo_set(root, {f"images/line2/{n}.png": (None, "") for n in range(2)})
    assert read(root).notes == (
        "6 of 7 images have no label file and count as good: 4 in images, all 2 in images/line2",
    )
    for number in range(2):
        (root / f"images/line2/{number}.png").unlink()
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
    with pytest.raises(DataError, match=r"several label files that differ: labels/a\.txt, images/a\.txt") as caught:
        read(root)
    assert str(caught.value).count("hint:") == 1  # one cause, one error
    # Nobody else is in doubt.
    image(root / "images/b.png", 7)
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert (classes_by_name(dataset), len(dataset.skipped)) == ({"images/b.png": "good"}, 1)


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
    assert dataset.notes == ("images/test/c.png not read: data.yaml does not name it",)
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
    assert dataset.notes == ("masks/a.png not read: a mask, while labels are used",)


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


def test_projects_of_the_labeling_tool_beside_its_export(tmp_path: Path) -> None:
    """X-AnyLabeling and labelme leave a JSON beside each image; those of images with YOLO labels say it again."""
    shapes = '{"version": "5", "shapes": [%s], "imagePath": "a.png", "imageHeight": 8, "imageWidth": 12}'
    drawn = shapes % '{"label": "hole", "points": [[1, 1], [3, 1], [3, 4]]}'
    root = yolo_set(
        tmp_path,
        {
            "images/a.png": ("labels/a.txt", outline(HOLE)),
            "images/b.png": ("labels/b.txt", ""),
            "images/c.png": (None, ""),
            **{f"images/{name}.png": (f"labels/{name}.txt", outline(HOLE)) for name in "defg"},
        },
        classes__txt="hole\n",
    )
    text(root / "images/a.json", drawn)
    text(root / "images/b.json", shapes % "")
    text(root / "images/c.json", shapes % "")
    dataset = read(root)
    assert {path for path, _ in dataset.aside} == {f"images/{name}.json" for name in "abc"}
    assert any("another annotation" in note for note in dataset.notes)
    # What says that there is a defect must not be passed over.
    text(root / "images/c.json", drawn)
    with pytest.raises(DataError, match=r"c\.json"):
        read(root)
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert "images/c.png" not in classes_by_name(dataset)


def test_labels_in_a_folder_of_another_name_are_recognized_and_refused(tmp_path: Path) -> None:
    """As makesense.ai exports them: the hint says where they belong."""
    labels = {f"photos/{name}.png": (f"labels_my-project_2024-05-01/{name}.txt", outline(HOLE)) for name in "abc"}
    root = yolo_set(tmp_path, labels)
    text(root / "labels_my-project_2024-05-01/labels.txt", "hole\n")
    with pytest.raises(DataError, match=r"no image uses the 3 label files here, such as a\.txt") as caught:
        read(root)
    assert "nearest image is photos/a.png" in str(caught.value)


def test_folders_called_as_classes(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, {f"train/{name}/a.png": (None, "") for name in ("hole", "cut")}, data__yaml=NAMES)
    with pytest.raises(DataError, match="called as the classes: read them with --from folder"):
        read(root)


def test_names_in_a_folder_of_configurations(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, {"images/a.png": ("labels/a.txt", outline(HOLE))})
    text(root / "configs/metal.yaml", f"path: ..\ntrain: images\n{NAMES}")
    (note,) = read(root).notes
    assert note.endswith("name configs/metal.yaml instead of the folder")
    assert classes_by_name(read(root / "configs/metal.yaml")) == {"images/a.png": "hole"}


def test_a_copy_of_the_list_of_train_is_no_val(tmp_path: Path) -> None:
    labels = {f"images/{n}.png": (f"labels/{n}.txt", outline(HOLE)) for n in range(3)}
    root = yolo_set(tmp_path, labels, data__yaml=f"train: train.txt\nval: val.txt\n{NAMES}")
    for name in ("train.txt", "val.txt"):
        text(root / name, "".join(f"images/{n}.png\n" for n in range(3)))
    assert read(root).splits["source"].counts() == {"train": 3}


def test_many_images_of_one_fault_are_one_error(tmp_path: Path) -> None:
    labels = {f"images/val/{n}.png": (f"labels/val/{n}.txt", outline(HOLE)) for n in range(12)}
    labels["images/other.png"] = ("labels/other.txt", outline(HOLE))
    root = yolo_set(tmp_path, labels, data__yaml=f"train: images\nval: images/val\n{NAMES}")
    with pytest.raises(DataError, match="on two sides: train and val; 12 images in all") as caught:
        read(root)
    assert str(caught.value).count("hint:") == 1
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert (len(dataset), len(dataset.skipped)) == (1, 12)
    text(root / "data.yaml", f"train: images\n{NAMES}")
    for n in range(12):
        image(root / f"images/val/{n}.bmp")
    with pytest.raises(DataError, match=r"belong to several images.*; 12 images in all") as caught:
        read(root)
    assert str(caught.value).count("hint:") == 1
    assert len(read(root, ReadOptions(skip_faulty=True)).skipped) == 24


@pytest.mark.parametrize("name", ["a.txt.bak", "a.txt~", "a.text", "a", "A.TXT_"])
def test_label_files_of_another_suffix(name: str, tmp_path: Path) -> None:
    """The image had a label file once: it is not good because that has another name now."""
    labels = {f"images/train/{each}.png": (f"labels/train/{each}.txt", outline(HOLE)) for each in "abc"}
    labels["images/train/d.png"] = (None, "")
    root = yolo_set(tmp_path, labels, data__yaml=NAMES)
    folder = root / "labels/train"
    (folder / "a.txt").rename(folder / name)
    text(folder / "b.txt.bak", outline(CUT))  # an older one, beside that which is used
    with pytest.raises(
        DataError, match=r"a\.png: it has no label file, but labels/train/.* is called as one"
    ) as caught:
        read(root)
    assert str(caught.value).endswith("hint: name it a.txt, or remove it if the image has no defect")
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert classes_by_name(dataset) == {
        "images/train/b.png": "hole",
        "images/train/c.png": "hole",
        "images/train/d.png": "good",
    }
    assert len(dataset.skipped) == 1
    (folder / name).rename(folder / "a.txt")
    assert classes_by_name(read(root))["images/train/a.png"] == "hole"
