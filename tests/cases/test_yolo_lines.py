"""Label lines and data.yaml as annotation tools write them: all but outlines is refused, one error for each cause."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.trees import HEIGHT, WIDTH, image
from helpers.yolo_sets import CUT, HOLE, box_mask, classes_by_name, outline, polygons_in, polygons_of, text, yolo_set

from carpet_data.core.masks import load
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError
from carpet_data.formats import ReadOptions, read

NAMES = "names: [hole, cut]\n"


def _set(root: Path, *labels: str, yaml: str = NAMES) -> Path:
    """Images 0.png, 1.png … with these labels."""
    return yolo_set(
        root, {f"images/{n}.png": (f"labels/{n}.txt", label) for n, label in enumerate(labels)}, data__yaml=yaml
    )


def _errors(root: Path) -> list[DataError]:
    with pytest.raises(DataError) as caught:
        read(root)
    return list(getattr(caught.value, "problems", [caught.value]))


# Center, width and height of a box, and points in it.
_BOXES = ("0.3 0.3 0.2 0.2", "0.6 0.4 0.3 0.5", "0.7 0.7 0.1 0.15", "0.25 0.8 0.4 0.1")
_POINTS = ("0.25 0.25 0.35 0.38", "0.5 0.3 0.7 0.6", "0.68 0.69 0.74 0.75", "0.1 0.8 0.4 0.82")


def _pose(flags: str, numbers: int = 2) -> list[str]:
    """Lines of a box and two points, each followed by its visibility where `flags` has any."""
    lines = []
    for box, points in zip(_BOXES, _POINTS, strict=True):
        x1, y1, x2, y2 = points.split()
        given = [f"{x} {y} {flag}".strip() for (x, y), flag in zip(((x1, y1), (x2, y2)), flags or "  ", strict=True)]
        lines.append(" ".join(["0", box, *given[:numbers]]))
    return lines


@pytest.mark.parametrize(
    ("yaml", "lines", "said"),
    [
        (f"kpt_shape: [2, 2]\n{NAMES}", _pose(""), r"`kpt_shape: \[2, 2\]` says that the lines are boxes with 2 key"),
        (f"kpt_shape: [2, 3]\n{NAMES}", _pose("20"), r"`kpt_shape: \[2, 3\]` says"),
        (f"kpt_shape: [1, 3]\n{NAMES}", _pose("21", 1), r"`kpt_shape: \[1, 3\]` says"),
        (NAMES, _pose("21"), "the lines are boxes with 2 key points"),
        (NAMES, _pose("12", 1), "the lines are boxes with 1 key point "),
        (NAMES, [*_pose(""), *_pose("")], "the lines are boxes with 2 key points"),
    ],
    ids=["stated", "stated, flags", "stated, one point", "flags", "flags, one point", "neither"],
)
def test_key_points_are_no_corners(yaml: str, lines: list[str], said: str, tmp_path: Path) -> None:
    root = _set(tmp_path, *lines, yaml=yaml)
    (error,) = _errors(root)
    assert __import__("re").search(said, error.what)
    assert "export segments" in str(error.hint)
    with pytest.raises(DataError, match="key point"):
        read(root, ReadOptions(skip_faulty=True))


def test_a_few_lines_that_may_be_key_points_are_read_with_a_note(tmp_path: Path) -> None:
    assert any("key points (pose) rather than outlines" in note for note in read(_set(tmp_path, *_pose(""))).notes)


def test_outlines_are_not_taken_for_key_points(tmp_path: Path) -> None:
    """Small, large and touching outlines of one length; and a data.yaml that states key points of another length."""
    random = np.random.default_rng(4)
    for corners in (4, 5, 7, 8):
        lines = []
        for size in (0.02, 0.1, 0.5, 1.0) * 5:
            angles = np.sort(random.uniform(0, 2 * np.pi, corners))
            center = random.uniform(size / 2, 1 - size / 2, 2)
            points = center + size / 2 * np.stack((np.cos(angles), np.sin(angles)), axis=1)
            lines.append("0 " + " ".join(f"{value:.6f}" for value in np.clip(points, 0, 1).ravel()))
        dataset = read(_set(tmp_path / str(corners), *lines))
        assert len(dataset) == 20
        assert not any("key points" in note for note in dataset.notes)
    whole = "0 0 0 1 0 1 1 0 1 0 0.5"
    assert len(read(_set(tmp_path / "whole", whole, whole, whole))) == 3
    assert len(read(_set(tmp_path / "other", outline(HOLE), yaml=f"kpt_shape: [17, 3]\n{NAMES}"))) == 1


def test_oriented_boxes_are_read_with_a_note(tmp_path: Path) -> None:
    turned = "0 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75"
    root = _set(tmp_path, turned, outline(HOLE, middle=False), "")
    dataset = read(root)
    assert [note for note in dataset.notes if "exactly four corners" in note]
    assert polygons_in(dataset.samples[0]) == [polygon for _, polygon in polygons_of(root / "labels/0.txt")]
    text(root / "labels/2.txt", outline(CUT, 1))
    assert read(root).notes == ()


# name -> (line, what is said, what the hint says)
LINES: dict[str, tuple[str, str, str]] = {
    "box": ("0 0.5 0.5 0.2 0.2", "this is a box", "export segments"),
    "box with confidence": ("0 0.3 0.3 0.1 0.1 0.912", "with a confidence at the end?", "export segments"),
    "outline with confidence": (f"{outline(HOLE)} 0.87", "a confidence at the end?", "save_conf=False"),
    "name of the class": (outline(HOLE).replace("0", "hole", 1), "its class is 'hole', not a class number", "write 0"),
    "name of no class": (outline(HOLE).replace("0", "dent", 1), "its class is 'dent'", "the number of the class"),
    "commas": (outline(HOLE).replace(" ", ","), "something other than numbers", "separate numbers by spaces"),
    "decimal commas": (outline(HOLE).replace(".", ","), "something other than numbers", "separate numbers by spaces"),
    "pixels": ("0 2 1 5 1 5 4 2 4", "the coordinate 2 is not a fraction", "divide x by the image's width"),
    "DOTA": ("2 1 5 1 5 4 2 4 hole 0", "a line of DOTA", "instead of oriented boxes"),
    "class out of range": (outline(HOLE, 7), "class 7 has no name (known: 0 to 1)", "correct the line"),
    "class -1": (outline(HOLE, -1), "invalid class number -1", "correct or remove"),
    "half a class": (outline(HOLE).replace("0", "0.5", 1), "invalid class number 0.5", "correct or remove"),
    "commented out": (f"#{outline(HOLE)}", "a label that was commented out", "restore the label"),
    "commented out, spaced": (f"# {outline(HOLE)}", "a label that was commented out", "restore the label"),
}


@pytest.mark.parametrize("name", LINES)
def test_wrong_lines(name: str, tmp_path: Path) -> None:
    line, what, hint = LINES[name]
    root = _set(tmp_path, outline(HOLE), f"{outline(CUT, 1)}\n{line}\n")
    (error,) = _errors(root)
    assert what in error.what
    assert hint in str(error.hint)
    assert str(error.where).endswith("1.txt (line 2)")
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert classes_by_name(dataset) == {"images/0.png": "hole"}
    (left,) = dataset.skipped
    assert Path(str(left.where)) == root / "images/1.png"
    assert "labels/1.txt (line 2)" in left.what


def test_one_cause_is_one_error(tmp_path: Path) -> None:
    boxes = "0 0.5 0.5 0.2 0.2\n1 0.2 0.2 0.1 0.1\n"
    (error,) = _errors(_set(tmp_path / "all", boxes, boxes))
    assert error.what.endswith("; 4 of the 4 lines are like this, of 2 images")
    (error,) = _errors(_set(tmp_path / "many", boxes * 6, outline(HOLE)))
    assert error.what.endswith("; 12 of the 13 lines are like this, of 1 image")
    assert len(_errors(_set(tmp_path / "few", boxes, outline(HOLE)))) == 2
    mixed = _errors(_set(tmp_path / "kinds", boxes * 6, f"{outline(HOLE, 9)}\n{outline(HOLE, 8)}"))
    assert len(mixed) == 3
    with pytest.raises(DataError) as caught:
        read(tmp_path / "all", ReadOptions(skip_faulty=True))
    assert len(getattr(caught.value, "problems", ())) == 2  # nothing would be left: each image is named


def test_classes_numbered_from_one(tmp_path: Path) -> None:
    """The first class would silently be called as the second."""
    root = _set(tmp_path, outline(HOLE, 1), outline(CUT, 2))
    (error,) = _errors(root)
    assert "number the classes from 1 to 2; YOLO begins with 0" in error.what
    with pytest.raises(DataError, match="from 1 to 2"):
        read(root, ReadOptions(skip_faulty=True))
    text(root / "labels/0.txt", outline(HOLE, 0))
    assert "class 2 has no name" in _errors(root)[0].what


def test_label_files_that_are_all_empty(tmp_path: Path) -> None:
    dataset = read(_set(tmp_path, "", "\n"))
    assert dataset.notes == ("all 2 label files are empty, so that every image is good",)


@pytest.mark.parametrize("remark", ["# drawn by hand", "#", "## 2024-01-05 10:00 checked 3 4 5"])
def test_remarks_and_empty_lines_are_passed_over(remark: str, tmp_path: Path) -> None:
    root = _set(tmp_path, f"{remark}\n\n \t\n{outline(HOLE)}\n\n")
    assert classes_by_name(read(root)) == {"images/0.png": "hole"}


def test_a_little_outside_is_clipped(tmp_path: Path) -> None:
    line = "0 0.5 0.5 1.0371 0.5 1.0021 1.03 0.5 1.02 0.5 0.7"
    sample = read(_set(tmp_path, line)).samples[0]
    assert np.array_equal(sample.mask(), box_mask((6, 4, 12, 8)))


def _pixels(dataset: Dataset, name: str) -> dict[str, int]:
    mask = load(dataset.root, next(sample for sample in dataset if sample.image_path.endswith(name)))
    counts: dict[str, int] = {}
    runs = mask.runs
    for value, length in zip(runs.value.tolist(), (runs.stop - runs.start).tolist(), strict=True):
        counts[mask.names[value - 1]] = counts.get(mask.names[value - 1], 0) + length
    return counts


def test_repeated_and_overlapping_lines(tmp_path: Path) -> None:
    """Within a class they are united; between classes the option rules."""
    other = (4, 2, 8, 6)  # shares two pixels with the hole
    root = _set(
        tmp_path,
        f"{outline(HOLE)}\n{outline(HOLE)}",
        f"{outline(HOLE)}\n{outline(other)}",
        f"{outline(HOLE)}\n{outline(other, 1)}",
    )
    dataset = read(root)
    assert dataset.notes == ("line 2 of labels/0.txt repeats line 1, and is read once",)
    assert len(dataset.samples[0].instances()) == 1
    assert _pixels(dataset, "0.png") == {"hole": 9}
    assert _pixels(dataset, "1.png") == {"hole": 9 + 16 - 2}
    with pytest.raises(DataError, match="2 pixels") as caught:
        _pixels(dataset, "2.png")
    assert "line 1 of labels/2.txt" in str(caught.value)
    assert "--overlap" in str(caught.value.hint)
    assert _pixels(read(root, ReadOptions(overlap="first")), "2.png") == {"hole": 9, "cut": 14}
    assert _pixels(read(root, ReadOptions(overlap="last")), "2.png") == {"hole": 7, "cut": 16}
    assert _pixels(read(root, ReadOptions(overlap="smaller-on-top")), "2.png") == {"hole": 9, "cut": 14}


def test_an_image_twice(tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE), outline(CUT, 1))
    image(root / "images/1.bmp")
    (error,) = _errors(root)
    assert "labels/1.txt belong to several images: images/1.bmp, images/1.png" in error.what
    dataset = read(root, ReadOptions(skip_faulty=True))
    assert classes_by_name(dataset) == {"images/0.png": "hole"}
    assert {Path(str(error.where)).name for error in dataset.skipped} == {"1.bmp", "1.png"}


def test_files_of_tools_are_passed_over(tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE), "")
    text(root / "labels.cache", b"\x93NUMPY")
    text(root / "labels/train.cache", b"\x93NUMPY")
    text(root / "labels/.DS_Store", b"\0")
    text(root / "labels/classes.txt", "hole\ncut\n")
    assert classes_by_name(read(root)) == {"images/0.png": "hole", "images/1.png": "good"}
    assert read(root).notes == ()


def test_equal_names_in_folders(tmp_path: Path) -> None:
    """Lines of a plant name their images alike; each keeps its own labels and an id of its own."""
    labels = {f"images/line{n}/0.png": (f"labels/line{n}/0.txt", outline(box, n)) for n, box in enumerate((HOLE, CUT))}
    dataset = read(yolo_set(tmp_path, labels, data__yaml=NAMES))
    assert classes_by_name(dataset) == {"images/line0/0.png": "hole", "images/line1/0.png": "cut"}
    assert len({sample.id for sample in dataset}) == 2


def test_turned_images(tmp_path: Path) -> None:
    """Fractions are of the upright image, as Ultralytics measures it."""
    from PIL import Image

    root = _set(tmp_path, "0 0.25 0.5 0.5 0.5 0.5 0.75 0.25 0.75 0.25 0.6")
    (root / "images/0.png").unlink()
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (WIDTH, HEIGHT), 90).save(root / "images/0.jpg", exif=exif)
    sample = read(root).samples[0]
    assert (sample.width, sample.height) == (HEIGHT, WIDTH)
    assert sample.mask()[6:9, 2:4].all()
    assert sample.mask().sum() == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (NAMES.replace("cut", "éclat").encode("latin-1"), r"not UTF-8 text \(byte 0xe9 in line 1\)"),
        (NAMES.encode("utf-16"), "UTF-16 text, not UTF-8"),
        (b"names: [no, cut]", "class 0 is called False"),
        (b"names: [hole]\nnc: many", "`nc` is 'many'"),
        (b"names: [hole]\nkpt_shape: 3", "`kpt_shape` is 3"),
        (b"train: /content/drive/set/images\nnames: [hole]", "leaves the data set"),
        (b"train: D:\\set\\images\nnames: [hole]", "does not exist"),
        (b"train: ../../other/images\nnames: [hole]", "leaves the data set"),
        (b"train: ../beside/images\nnames: [hole]", "leaves the data set"),
        (b"train: ../images\nval: ../valid/photos\nnames: [hole]", "'../valid/photos', which does not exist"),
    ],
)
def test_data_yaml_that_cannot_be_used(content: bytes, said: str, tmp_path: Path) -> None:
    root = _set(tmp_path / "set", outline(HOLE))
    image(tmp_path / "beside/images/0.png")
    text(root / "data.yaml", content)
    with pytest.raises(DataError, match=said) as caught:
        read(root)
    assert caught.value.hint
    if b"images" in content and b"valid" not in content:
        assert caught.value.hint == "write images"


@pytest.mark.parametrize("file", ["labels/0.txt", "train.txt", "classes.txt"])
def test_other_texts_that_are_not_utf8(file: str, tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE), yaml="train: train.txt\n")
    text(root / "train.txt", "images/0.png\n")
    text(root / file, "é\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read(root, ReadOptions(format="yolo"))


def test_lists_of_another_computer(tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE), outline(CUT, 1), yaml=f"train: train.txt\nval: train.txt\n{NAMES}")
    text(root / "train.txt", "/home/user/set/images/0.png\n/home/user/set/images/1.png\n")
    (error,) = _errors(root)
    assert "2 of the 2 images that it lists were not found" in error.what
    assert error.hint == "write paths relative to this file, such as images/0.png"


def test_several_descriptions(tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE))
    text(root / "dataset.yaml", "names: [cut, hole]\n")
    text(root / "classes.txt", "dog\nperson\n")
    dataset = read(root)
    assert classes_by_name(dataset) == {"images/0.png": "hole"}
    assert dataset.notes == (
        "dataset.yaml describes the data otherwise; data.yaml is used",
        "classes.txt names other classes than data.yaml, which is used",
    )
    (root / "data.yaml").unlink()
    (root / "dataset.yaml").unlink()
    text(root / "labels/classes.txt", "hole\n")
    with pytest.raises(DataError, match=r"names other classes than classes\.txt"):
        read(root)


def test_classes_without_names(tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE), outline(CUT, 1), yaml="nc: 2\n")
    dataset = read(root)
    assert dataset.categories == ("class_0", "class_1")
    assert dataset.notes == (
        "no file names the classes, so they are called by their numbers: write `names` in data.yaml",
    )
    text(root / "labels/1.txt", outline(CUT, 2))
    (error,) = _errors(root)
    assert "class 2 has no name (known: 0 to 1)" in error.what


def test_an_empty_line_among_names_leaves_numbers_open(tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE), yaml="nc: 2\n")
    text(root / "obj.names", "hole\n\ncut\n")
    with pytest.raises(DataError, match="line 2 is empty"):
        read(root)


def test_keys_of_sides(tmp_path: Path) -> None:
    """A key that YOLO does not know is a side where its folder is there, and a setting elsewhere."""
    labels = {f"images/{name}/{name}.png": (f"labels/{name}/{name}.txt", outline(HOLE)) for name in ("train", "extra")}
    yaml = f"train: images/train\nvalidation: images/extra\ntest: []\nval:\n{NAMES}"
    assert {sample.side for sample in read(yolo_set(tmp_path, labels, data__yaml=yaml))} == {"train", "val"}
    (tmp_path / "data.yaml").unlink()
    text(tmp_path / "obj.data", "train = train.txt\neval = coco\nnames = obj.names\nbackup = /tmp\n")
    text(tmp_path / "train.txt", "images/train/train.png\nimages/extra/extra.png\n")
    text(tmp_path / "obj.names", "hole\n")
    assert {sample.side for sample in read(tmp_path)} == {"train"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{NAMES}names: [cut, hole]\n", "the key names is there twice"),
        ("names:\n  0: hole\n  0: cut\n", "the key 0 is there twice"),
        ("names: {nc: 1, nc: 2}\n", "the key nc is there twice"),
        (
            "a: &a [l, l, l]\n"
            + "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghi"))
            + "names: *i\n",
            "too many aliases of lists or mappings",
        ),
    ],
)
def test_data_yaml_that_would_lose_or_multiply_what_it_holds(content: str, said: str, tmp_path: Path) -> None:
    """PyYAML keeps the last of equal keys, and nine aliases of nine aliases of … stand for 43 million values."""
    with pytest.raises(DataError, match=said):
        read(_set(tmp_path, outline(HOLE), yaml=content))


def test_a_few_aliases_are_read(tmp_path: Path) -> None:
    root = _set(tmp_path, outline(HOLE), yaml="all: &all [hole, cut]\nx: &x {nc: 2}\n<<: *x\nnames: *all\n")
    assert read(root).categories == ("hole", "cut")
