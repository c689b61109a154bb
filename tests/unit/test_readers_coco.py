"""The reader of COCO instances: what it finds, and everything that may be wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.trees import coco, files, image

from carpet_data.core.masks import find, load, rle
from carpet_data.dataset import Dataset, Shape, Shapes
from carpet_data.errors import DataError, OverlapError, ProblemsError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.coco import reader as coco_reader

SQUARE = [[2, 1, 5, 1, 5, 4, 2, 4]]
RUNS = {"size": [8, 12], "counts": [17, 3, 5, 3, 5, 3, 60]}


def _annotation(**changes: Any) -> dict[str, Any]:
    return {"id": 17, "image_id": 1, "category_id": 3, "segmentation": SQUARE, "iscrowd": 0, **changes}


def _image(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "file_name": "a.png", "width": 12, "height": 8, **changes}


def _read(root: Path) -> Dataset:
    return coco_reader.read(root, ReadOptions())


def _area(dataset: Dataset) -> list[int]:
    return [int(area) for area in find(load(dataset.root, dataset.samples[0])).area]


@pytest.mark.parametrize(
    ("json_name", "image_name"),
    [
        ("annotations/instances_all.json", "images/a.png"),
        ("annotations/set.json", "a.png"),
        ("set.json", "a.png"),
        ("set.json", "images/a.png"),
        ("annotations/instances_train2017.json", "train2017/a.png"),
        ("annotations/instances_val.json", "images/val/a.png"),
        ("annotations/set.json", "annotations/a.png"),
        ("train/_annotations.coco.json", "train/a.png"),
    ],
)
def test_where_images_lie(json_name: str, image_name: str, tmp_path: Path) -> None:
    root = tmp_path / "dätä set"
    image(root / image_name)
    path = coco(root / json_name)
    by_folder = read(root)
    assert [sample.image_path for sample in by_folder] == [image_name]
    by_file = _read(path)
    assert by_file.path(by_file.samples[0].image_path).resolve() == (root / image_name).resolve()
    assert by_folder.categories == by_file.categories == ("hole",)
    assert by_folder.samples[0].annotation == Shapes(
        (Shape("hole", polygons=(tuple(map(float, SQUARE[0])),), label="annotation 17"),)
    )
    assert (by_folder.samples[0].id, by_folder.samples[0].class_name) == ("a", "hole")
    assert _area(by_folder) == [9]


@pytest.mark.parametrize(
    "segmentation", [SQUARE, RUNS, {**RUNS, "counts": rle.compress([17, 3, 5, 3, 5, 3, 60], 8, 12)}]
)
@pytest.mark.parametrize("crowd", [0, 1])
def test_segmentations(segmentation: Any, crowd: int, tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    coco(tmp_path / "set.json", annotations=[_annotation(segmentation=segmentation, iscrowd=crowd)])
    dataset = _read(tmp_path)
    regions = find(load(tmp_path, dataset.samples[0]))
    assert regions.bbox.tolist() == [[2, 1, 3, 3]]
    assert regions.area.tolist() == [9]


def test_sides_and_classes(tmp_path: Path) -> None:
    files(tmp_path / "images", ["a.png", "b.png", "c.png", "d.png"])
    categories = [{"id": 9, "name": "cut"}, {"id": 4, "name": "hole"}, {"id": 5, "name": "unused"}]
    right = [[7, 1, 9, 1, 9, 3, 7, 3]]
    coco(
        tmp_path / "annotations/instances_train.json",
        images=[_image(id=n, file_name=f"{name}.png") for n, name in enumerate("abc")],
        annotations=[
            _annotation(id=1, image_id=0, category_id=4),
            _annotation(id=2, image_id=0, category_id=9, segmentation=right),
            _annotation(id=3, image_id=1, category_id=9),
            _annotation(id=4, image_id=1, category_id=9, segmentation=right),
        ],
        categories=categories,
        licenses=[{"id": 1, "name": "CC BY 4.0"}],
    )
    coco(
        tmp_path / "annotations/instances_val.json",
        images=[_image(file_name="d.png")],
        categories=[*categories, {"id": 3, "name": "stain"}],
        licenses=[{"id": 1, "name": "CC BY 4.0"}],
    )
    (tmp_path / "annotations/captions_train.json").write_text("{}")
    dataset = _read(tmp_path)
    assert {sample.id: (sample.class_name, sample.side) for sample in dataset} == {
        "a": ("combined", "train"),
        "b": ("cut", "train"),
        "c": ("good", "train"),
        "d": ("stain", "val"),
    }
    assert dataset.categories == ("hole", "unused", "cut", "stain")
    assert dataset.license == "CC BY 4.0"
    assert dataset.by_id()["c"].annotation is None


def test_ids_where_stems_repeat(tmp_path: Path) -> None:
    files(tmp_path, ["x/0.png", "y/0.png", "z.png"])
    coco(
        tmp_path / "set.json",
        images=[_image(id=n, file_name=name) for n, name in enumerate(["x/0.png", "y/0.png", "z.png"])],
        annotations=[],
    )
    ids = [sample.id for sample in _read(tmp_path)]
    assert len(set(ids)) == 3
    assert "z" in ids
    assert sum(sample_id.startswith("0-") for sample_id in ids) == 2


def test_what_our_exports_say_of_the_image(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    coco(tmp_path / "set.json", images=[_image(class_name="hole", origin="synthetic")], annotations=[])
    sample = _read(tmp_path).samples[0]
    assert (sample.class_name, sample.origin, sample.annotation) == ("hole", "synthetic", Shapes(()))
    coco(tmp_path / "set.json", images=[_image(class_name="good", origin="invented")])
    sample = _read(tmp_path).samples[0]
    assert (sample.class_name, sample.origin) == ("hole", "real")


def test_backslashes_of_windows(tmp_path: Path) -> None:
    image(tmp_path / "images/sub/a.png")
    coco(tmp_path / "annotations/set.json", images=[_image(file_name="sub\\a.png")])
    assert _read(tmp_path).samples[0].image_path == "images/sub/a.png"


@pytest.mark.parametrize(("of_image", "of_annotation"), [("1", "1"), (1, "1"), ("1", 1), (1.0, 1), (1, 1.0)])
def test_ids_of_images_as_text_or_with_a_point(of_image: Any, of_annotation: Any, tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    annotations = [_annotation(image_id=of_annotation, id="x")]
    coco(tmp_path / "set.json", images=[_image(id=of_image)], annotations=annotations)
    assert _area(_read(tmp_path)) == [9]


def test_an_id_as_text_beside_the_number_is_another_id(tmp_path: Path) -> None:
    files(tmp_path, ["a.png", "b.png"])
    images = [_image(id=1), _image(id="1", file_name="b.png")]
    coco(tmp_path / "set.json", images=images, annotations=[_annotation(image_id="1")])
    assert {sample.id: sample.class_name for sample in _read(tmp_path)} == {"a": "good", "b": "hole"}


def test_an_image_without_size_takes_that_of_its_file(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    coco(tmp_path / "set.json", images=[{"id": 1, "file_name": "a.png"}])
    assert (_read(tmp_path).samples[0].width, _read(tmp_path).samples[0].height) == (12, 8)


def test_overlapping_instances_of_two_classes_are_refused_when_loaded(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    categories = [{"id": 3, "name": "hole"}, {"id": 4, "name": "cut"}]
    beside = [[4, 1, 7, 1, 7, 4, 4, 4]]
    annotations = [_annotation(), _annotation(id=18, category_id=4, segmentation=beside)]
    coco(tmp_path / "set.json", categories=categories, annotations=annotations)
    dataset = _read(tmp_path)
    with pytest.raises(
        OverlapError, match=r"annotation 17 \(hole\) and annotation 18 \(cut\) share 3 pixels"
    ) as caught:
        load(dataset.root, dataset.samples[0])
    assert caught.value.where == str(dataset.root / "a.png")
    assert "--overlap first" in str(caught.value.hint)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown category": ({"annotations": [_annotation(category_id=4)]}, "category_id 4 is not among"),
    "category as text": ({"annotations": [_annotation(category_id="4")]}, "category_id '4' is not among"),
    "category as list": ({"annotations": [_annotation(category_id=[3])]}, r"category_id \[3\] is not among"),
    "unknown image": ({"annotations": [_annotation(image_id=2)]}, "image_id 2 is not among"),
    "no image id": ({"annotations": [{"id": 17}]}, "image_id is missing"),
    "no annotation id": ({"annotations": [{"image_id": 1}]}, "at position 0.*id is missing"),
    "annotation id twice": ({"annotations": [_annotation(), _annotation()]}, "2 annotations have the id 17"),
    "no image's id": ({"images": [{"file_name": "a.png"}], "annotations": []}, "the image's id is missing"),
    "image id twice": ({"images": [_image(), _image(file_name="b.png")]}, "2 images have the id 1"),
    "image twice": ({"images": [_image(), _image(id=2)]}, r"listed twice, in set\.json$|listed twice, in set\.json\n"),
    "category id twice": ({"categories": [{"id": 3, "name": "a"}, {"id": 3, "name": "b"}]}, "have the id 3: a and b"),
    "category name twice": (
        {
            "categories": [{"id": 3, "name": "a"}, {"id": 4, "name": "a"}],
            "annotations": [_annotation(), _annotation(id=18, category_id=4)],
        },
        "two categories have the name a, and both have annotations: ids 3 and 4",
    ),
    "category without name": ({"categories": [{"id": 3}]}, "has no name"),
    "category id as text": ({"categories": [{"id": "3", "name": "hole"}]}, "not a whole number"),
    "category good": ({"categories": [{"id": 3, "name": "good"}]}, "the class without defects"),
    "no file name": ({"images": [{"id": 1}]}, "has no file_name"),
    "file name a number": ({"images": [_image(file_name=7)]}, "has no file_name"),
    "missing image": ({"images": [_image(file_name="b.png")]}, r"'b\.png' was not found"),
    "outside": ({"images": [_image(file_name="../../../b.png")]}, "leaves the data set"),
    "outside in windows": ({"images": [_image(file_name="..\\..\\..\\b.png")]}, "leaves the data set"),
    "absolute": ({"images": [_image(file_name="/etc/hostname")]}, "leaves the data set"),
    "drive": ({"images": [_image(file_name="C:\\b.png")]}, "leaves the data set"),
    "nul": ({"images": [_image(file_name="a\0.png")]}, "leaves the data set"),
    "other size": ({"images": [_image(width=13)]}, "13x8 pixels, the file has 12x8"),
    "size as text": ({"images": [_image(width="12")]}, "'12' and 8, not numbers"),
    "a box": ({"annotations": [_annotation(segmentation=[], bbox=[1, 1, 3, 3])]}, "a box but no segmentation"),
    "nothing": ({"annotations": [_annotation(segmentation=None)]}, "no segmentation"),
    "flat and short": ({"annotations": [_annotation(segmentation=[1, 1, 2, 2])]}, r"wrap it: \[\[x, y, …\]\]"),
    "short polygon": ({"annotations": [_annotation(segmentation=[[1, 1, 2, 2]])]}, "a polygon has 4 numbers"),
    "odd polygon": ({"annotations": [_annotation(segmentation=[[1] * 7])]}, "a polygon has 7 numbers"),
    "text in polygon": ({"annotations": [_annotation(segmentation=[["1"] * 6])]}, "that are not numbers"),
    "nan in polygon": ({"annotations": [_annotation(segmentation=[[float("nan")] * 6])]}, "not a finite number"),
    "huge polygon": ({"annotations": [_annotation(segmentation=[[0, 0, 1e9, 0, 1e9, 1e9]])]}, "far outside"),
    "size of runs": ({"annotations": [_annotation(segmentation={**RUNS, "size": [12, 8]})]}, r"size is \[12, 8\]"),
    "no counts": ({"annotations": [_annotation(segmentation={"size": [8, 12]})]}, "no run-length counts"),
    "text in counts": ({"annotations": [_annotation(segmentation={**RUNS, "counts": ["96"]})]}, "something other than"),
    "few counts": ({"annotations": [_annotation(segmentation={**RUNS, "counts": [1, 2]})]}, "do not fill the image"),
    "half a character": ({"categories": [{"id": 3, "name": "\ud800"}]}, "which is not text"),
    "negative count": (
        {"annotations": [_annotation(segmentation={**RUNS, "counts": [97, -1]})]},
        "something other than",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str, tmp_path: Path) -> None:
    changes, message = FAULTS[name]
    files(tmp_path / "data", ["a.png"])
    coco(tmp_path / "data" / "set.json", **changes)
    with pytest.raises(ProblemsError, match=f"(?s){message}") as caught:
        _read(tmp_path / "data")
    assert all(fault.where and fault.hint for fault in caught.value.problems)


@pytest.mark.parametrize("counts", ["\u00e9", "zzzz", "1", "o" * 100_000])
def test_damaged_run_lengths(counts: str, tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    coco(tmp_path / "set.json", annotations=[_annotation(segmentation={"size": [8, 12], "counts": counts})])
    with pytest.raises(ProblemsError, match="run-length counts"):
        _read(tmp_path)


def test_faults_are_collected_up_to_a_bound(tmp_path: Path) -> None:
    image(tmp_path / "0.png")
    coco(tmp_path / "set.json", images=[_image(id=n, file_name=f"{n}.png") for n in range(300)], annotations=[])
    with pytest.raises(ProblemsError) as caught:
        _read(tmp_path)
    assert len(caught.value.problems) == 100


def test_that_no_image_is_there_is_one_problem(tmp_path: Path) -> None:
    coco(tmp_path / "set.json", images=[_image(id=n, file_name=f"{n}.png") for n in range(300)])
    with pytest.raises(
        ProblemsError, match=r"none of its 300 images can be used; the first: the image '0\.png'"
    ) as caught:
        _read(tmp_path)
    assert len(caught.value.problems) == 1


def test_an_image_on_two_sides(tmp_path: Path) -> None:
    image(tmp_path / "images/a.png")
    coco(tmp_path / "annotations/instances_train.json")
    coco(tmp_path / "annotations/instances_test.json")
    with pytest.raises(ProblemsError, match="on two sides: test and train"):
        _read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [\n  {"id": }]}', "line 2, column 10"),
        ("[1, 2]", "not a COCO file"),
        ('{"images": []}', "it has no list 'annotations'"),
        ('{"images": [1], "annotations": [], "categories": []}', "'images' is not a list of objects"),
        ("[" * 100_000, "not a COCO file|not JSON"),
        ("", "not JSON"),
    ],
)
def test_files_that_are_no_coco(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(text)
    with pytest.raises(DataError, match=message):
        _read(tmp_path)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    path = coco(tmp_path / "set.json")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert _area(_read(tmp_path)) == [9]
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    with pytest.raises(DataError, match="not UTF-8"):
        _read(tmp_path)


def test_absent_and_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no COCO file was found"):
        _read(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        _read(tmp_path / "absent")
    coco(tmp_path / "set.json", images=[], annotations=[])
    with pytest.raises(DataError, match="lists no images"):
        _read(tmp_path)


def test_a_json_file_read_twice_is_the_same(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    path = coco(tmp_path / "set.json")
    before = json.loads(path.read_text())
    assert _read(tmp_path) == _read(tmp_path)
    assert json.loads(path.read_text()) == before
