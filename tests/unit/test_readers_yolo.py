"""The reader of YOLO segments."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.trees import files, image

from carpet_data.core.masks import find, load
from carpet_data.dataset import Dataset, Shapes
from carpet_data.errors import DataError, ProblemsError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.yolo import reader as yolo_reader

# Columns 2..4 of 12 and rows 1..3 of 8.
SQUARE = " ".join(f"{x / 12:.6f} {y / 8:.6f}" for x, y in ((2, 1), (5, 1), (5, 4), (2, 4)))


def _label(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _read(root: Path) -> Dataset:
    return yolo_reader.read(root, ReadOptions())


def _one(root: Path, text: str, yaml: str | None = "names: [cut, hole]\n") -> Path:
    image(root / "images/train/a.png")
    _label(root / "labels/train/a.txt", text)
    if yaml is not None:
        _label(root / "data.yaml", yaml)
    return root


@pytest.mark.parametrize("names", ["names: [cut, hole]", "names: {0: cut, 1: hole}", "names:\n  '1': hole\n  '0': cut"])
def test_segments(names: str, tmp_path: Path) -> None:
    root = _one(tmp_path / "ein Ordner", f"1 {SQUARE}\n\n", names)
    files(root, ["images/train/b.png", "images/val/c.png"])
    _label(root / "labels/train/b.txt", "")
    _label(root / "labels/val/c.txt", "")
    dataset = read(root)
    assert (dataset.format, dataset.categories) == ("yolo", ("cut", "hole"))
    assert {sample.id: (sample.class_name, sample.side) for sample in dataset} == {
        "a": ("hole", "train"),
        "b": ("good", "train"),
        "c": ("good", "val"),
    }
    regions = find(load(root, dataset.by_id()["a"]))
    assert (regions.bbox.tolist(), regions.area.tolist(), regions.class_names) == ([[2, 1, 3, 3]], [9], ("hole",))
    annotation = dataset.by_id()["a"].annotation
    assert isinstance(annotation, Shapes)
    assert annotation.shapes[0].label == "line 1 of labels/train/a.txt"
    assert _read(root / "data.yaml") == dataset


@pytest.mark.parametrize(
    "text",
    [
        "train: images/train\nval: images/val\ntest:\nnames: [hole]",
        "path: .\ntrain: [images/train]\nval: ./images/val\nnames: [hole]",
        "path: /from/another/machine\ntrain: ../images/train\nval: images/val/\nnames: [hole]",
        "train: train.txt\nval: lists/val.txt\nnames: [hole]",
        "names: [hole]",
    ],
)
def test_entries(text: str, tmp_path: Path) -> None:
    files(tmp_path, ["images/train/a.png", "images/val/b.png"])
    _label(tmp_path / "labels/train/a.txt", "")
    _label(tmp_path / "labels/val/b.txt", f"0 {SQUARE}")
    _label(tmp_path / "data.yaml", text)
    _label(tmp_path / "train.txt", "./images/train/a.png\n")
    _label(tmp_path / "lists/val.txt", "images/val/b.png\n\n")
    assert {sample.id: (sample.side, sample.class_name) for sample in _read(tmp_path)} == {
        "a": ("train", "good"),
        "b": ("val", "hole"),
    }


def test_absolute_paths_inside(tmp_path: Path) -> None:
    _one(tmp_path, f"0 {SQUARE}", f"path: {tmp_path}\ntrain: {tmp_path}/images/train\nnames: [hole]")
    assert _read(tmp_path).samples[0].image_path == "images/train/a.png"


def test_the_folder_that_path_names(tmp_path: Path) -> None:
    _one(tmp_path / "data", f"0 {SQUARE}", None)
    config = _label(tmp_path / "configs/carpet.yaml", "path: ../data\ntrain: images/train\nnames: [hole]")
    dataset = _read(config)
    assert dataset.root.resolve() == (tmp_path / "data").resolve()
    assert dataset.samples[0].class_name == "hole"


def test_train_named_again_as_val_is_no_val(tmp_path: Path) -> None:
    _one(tmp_path, f"0 {SQUARE}", "train: images/train\nval: images/train\nnames: [hole]")
    assert _read(tmp_path).splits["source"].counts() == {"train": 1}
    (tmp_path / "images/train").rename(tmp_path / "images/all")
    (tmp_path / "labels/train").rename(tmp_path / "labels/all")
    _label(tmp_path / "data.yaml", "train: images/all\nval: images/all\nnames: [hole]")
    assert _read(tmp_path).splits == {}


def test_the_layout_of_roboflow(tmp_path: Path) -> None:
    image(tmp_path / "valid/images/a.png")
    _label(tmp_path / "valid/labels/a.txt", f"0 {SQUARE}")
    image(tmp_path / "train/images/b.png")
    _label(tmp_path / "train/labels/b.txt", "")
    _label(tmp_path / "data.yaml", "train: ../train/images\nval: ../valid/images\nnames: [hole]")
    assert {sample.id: sample.side for sample in read(tmp_path)} == {"a": "val", "b": "train"}


def test_without_data_yaml(tmp_path: Path) -> None:
    root = _one(tmp_path, f"10 {SQUARE}\n2 0.9 0.1 1.0 0.1 1.0 0.3", None)
    assert read(root).categories == ("class_2", "class_10")
    assert read(root).samples[0].class_name == "combined"
    _label(root / "labels/classes.txt", "\n".join(f"type {n}" for n in range(11)))
    assert read(root).samples[0].defect_classes == ("type 10", "type 2")


LINES: dict[str, tuple[str, str]] = {
    "box": ("0 0.5 0.5 0.2 0.2", "a box does not tell which pixels"),
    "text": ("0 a b c d e f", "something other than numbers"),
    "nan": ("0 nan 0 1 0 1 1", "finite numbers"),
    "unknown class": (f"7 {SQUARE}", "class 7 has no name"),
    "negative class": (f"-1 {SQUARE}", "invalid class number"),
    "half a class": (f"0.5 {SQUARE}", "invalid class number"),
    "pixels": ("0 2 1 5 1 5 4 2 4", "not a fraction of the image"),
    "odd": ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "a polygon has 7 numbers"),
    "short": ("0 0.1 0.1", "a polygon has 2 numbers"),
    "class alone": ("0", "a polygon has 0 numbers"),
}


@pytest.mark.parametrize("name", LINES)
def test_faulty_lines(name: str, tmp_path: Path) -> None:
    line, message = LINES[name]
    _one(tmp_path, f"0 {SQUARE}\r\n{line}\r\n")
    with pytest.raises(ProblemsError, match=message) as caught:
        _read(tmp_path)
    (fault,) = caught.value.problems
    assert str(fault.where).endswith("a.txt (line 2)")
    assert fault.hint


CONFIGS: dict[str, tuple[str, str]] = {
    "no yaml": ("names: [cut\ntrain: x", "not YAML .*line 2, column"),
    "a list": ("- cut", "the top level is not a mapping"),
    "names a number": ("names: 3", "neither a list nor a mapping"),
    "a truth value": ("names: [no]", "called False, which is not text"),
    "a name twice": ("names: [cut, cut]", "duplicate entry"),
    "a number that is none": ("names: {x: cut}", "not a class number"),
    "missing folder": ("names: [cut]\ntrain: images/absent", "does not exist"),
    "outside": ("names: [cut]\ntrain: ../../x", "leaves the data set"),
    "absolute outside": ("names: [cut]\ntrain: /etc", "leaves the data set"),
    "an entry of numbers": ("names: [cut]\ntrain: 3", "not a folder"),
    "a path of numbers": ("names: [cut]\npath: 3", "not a folder"),
    "an object": ("names: !!python/object/apply:os.system ['true']", "not YAML"),
    "good": ("names: [good]", "the class without defects"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_faulty_configurations(name: str, tmp_path: Path) -> None:
    text, message = CONFIGS[name]
    _one(tmp_path, f"0 {SQUARE}", text)
    with pytest.raises(DataError, match=message) as caught:
        _read(tmp_path)
    assert caught.value.hint or isinstance(caught.value, ProblemsError)


def test_labels_without_image(tmp_path: Path) -> None:
    _one(tmp_path, f"0 {SQUARE}")
    _label(tmp_path / "labels/train/gone.txt", f"0 {SQUARE}")
    with pytest.raises(ProblemsError, match=r"gone\.txt: no image uses this label file"):
        _read(tmp_path)


def test_labels_of_two_images(tmp_path: Path) -> None:
    _one(tmp_path, f"0 {SQUARE}")
    image(tmp_path / "images/train/a.bmp")
    with pytest.raises(ProblemsError, match="belong to several images"):
        _read(tmp_path)


def test_an_image_on_two_sides(tmp_path: Path) -> None:
    _one(tmp_path, f"0 {SQUARE}", "train: images/train\nval: val.txt\nnames: [cut]")
    _label(tmp_path / "val.txt", "images/train/a.png\n")
    image(tmp_path / "images/train/b.png")
    with pytest.raises(ProblemsError, match="on two sides: train and val"):
        _read(tmp_path)


def test_lists_with_missing_images(tmp_path: Path) -> None:
    _one(tmp_path, f"0 {SQUARE}", "train: train.txt\nnames: [cut]")
    _label(tmp_path / "train.txt", "images/train/a.png\nimages/train/b.png\n/etc/hostname\n")
    with pytest.raises(ProblemsError) as caught:
        _read(tmp_path)
    assert [fault.where.rpartition(" (")[2] for fault in caught.value.problems if fault.where] == ["line 2)", "line 3)"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images were found"):
        _read(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        _read(tmp_path / "absent")
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no images were found"):
        _read(tmp_path)
    _label(tmp_path / "a.yaml", "names: [x]")
    _label(tmp_path / "b.yaml", "names: [x]")
    with pytest.raises(DataError, match="several YAML files"):
        _read(tmp_path)
