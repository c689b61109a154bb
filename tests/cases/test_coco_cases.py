"""COCO as annotation tools write it: what is meant is read exactly, with a note; the rest is one clear error.

Each test stands for a kind of file that public issues report trouble with; the issues are named beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.coco_sets import (
    HEIGHT,
    SKIP,
    WIDTH,
    changed,
    errors_of,
    pixels_of,
    plain,
    square,
)
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

import carpet_data as cd
from carpet_data.dataset import Dataset


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where to export: outside the data set, which fills tmp_path."""
    return tmp_path_factory.mktemp("exports") / "out"


def masks(dataset: Dataset) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """(image, class) -> pixels."""
    found: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for sample in dataset:
        for instance in sample.instances():
            key = (sample.image_path.rpartition("/")[2], instance.class_name)
            found[key] = found.get(key, np.zeros((HEIGHT, WIDTH), np.bool_)) | instance.mask()
    return found


def is_exact(dataset: Dataset, path: Path) -> None:
    """Every pixel is of the class that pycocotools finds in the JSON file."""
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    names = {each["id"]: each["name"] for each in document["categories"]}
    files = {each["id"]: each["file_name"].replace("\\", "/").rpartition("/")[2] for each in document["images"]}
    expected: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for each in document["annotations"]:
        key = (files[each["image_id"]], names[each["category_id"]])
        expected[key] = expected.get(key, np.zeros((HEIGHT, WIDTH), np.bool_)) | pixels_of(each["segmentation"])
    found = masks(dataset)
    assert found.keys() == expected.keys()
    for key, pixels in expected.items():
        assert np.array_equal(found[key], pixels), key


def encoded(pixels: NDArray[Any], *, compressed: bool) -> dict[str, Any]:
    """Run-length counts of a mask, compressed or as a list."""
    found: Any = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    if compressed:
        return {"size": [HEIGHT, WIDTH], "counts": found["counts"].decode("ascii")}
    flat = pixels.reshape(-1, order="F").astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [1 - flat[-1]]))))
    counts = np.diff(np.concatenate(([0], edges)))
    return {"size": [HEIGHT, WIDTH], "counts": counts.tolist()}


# --- read exactly


def test_01_brush_masks_of_cvat_with_iscrowd(tmp_path: Path, out: Path) -> None:
    """cvat #7030, #8470, darwin-py #1178: brush masks arrive as uncompressed counts with iscrowd 1."""
    path = plain(tmp_path)
    ring = pixels_of(square(4, 4, 12)) & ~pixels_of(square(8, 8, 4))
    root = changed(path, lambda d: d["annotations"][0].update(segmentation=encoded(ring, compressed=False), iscrowd=1))
    dataset = cd.read(root)
    is_exact(dataset, path)
    cd.to_coco(dataset, out, workers=1)
    is_exact(cd.read(out), path)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ["text", "list", "floats", "leading zero", "empty run"])
def test_13c_run_lengths_of_every_kind(kind: str, compressed: bool, tmp_path: Path) -> None:
    """sleap-io PR #487, supervision #1952, mmdetection PR #9000; whole floats are whole numbers."""
    path = plain(tmp_path)
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[: 5 if kind == "leading zero" else 4, :6] = True
    mask[:2] &= kind == "leading zero"
    segmentation = encoded(mask, compressed=compressed)
    if isinstance(segmentation["counts"], list):
        if kind == "floats":
            segmentation["counts"] = [float(count) for count in segmentation["counts"]]
        if kind == "empty run":
            first, *rest = segmentation["counts"]
            segmentation["counts"] = [first, 0, 0, *rest]
    root = changed(path, lambda d: d["annotations"][0].update(segmentation=segmentation))
    found = masks(cd.read(root))["im_1.png", "scratch"]
    assert np.array_equal(found, mask)


def test_15_holes_and_far_parts(tmp_path: Path, out: Path) -> None:
    """cocoapi #153, supervision #373, ultralytics #1106: holes and far parts get lost."""
    path = plain(tmp_path)
    parts = [*square(2, 2, 5), *square(20, 15, 3), *square(20, 2, 2)]
    ring = pixels_of(square(2, 2, 14)) & ~pixels_of(square(5, 5, 6)) | pixels_of(square(7, 7, 2))

    def change(document: dict[str, Any]) -> None:
        document["annotations"][0]["segmentation"] = parts
        document["annotations"][1]["segmentation"] = encoded(ring, compressed=True)

    root = changed(path, change)
    is_exact(cd.read(root), path)
    for number, export in enumerate((cd.to_coco, cd.to_yolo, cd.to_mvtec)):
        place = out.with_name(f"out {number}")
        export(root, place, workers=1)
        assert {name for _, name in masks(cd.read(place))} == {"scratch"}
        total = sum(int(mask.sum()) for mask in masks(cd.read(place)).values())
        assert total == sum(int(mask.sum()) for mask in masks(cd.read(root)).values())


def test_09a_slightly_outside_is_clipped_as_pycocotools_does(tmp_path: Path) -> None:
    """yolov5 #10632."""
    path = plain(tmp_path)
    root = changed(path, lambda d: d["annotations"][0].update(segmentation=[[-3, -2, 9.5, -2, 9.5, 7, -3, 7]]))
    is_exact(cd.read(root), path)


@pytest.mark.parametrize("value", [None, -1, 0])
def test_10_sizes_that_are_not_stated(value: int | None, tmp_path: Path) -> None:
    """Mask_RCNN #1922, FiftyOne #1629: null, -1, and missing fields."""

    def change(document: dict[str, Any]) -> None:
        document["info"] = document["licenses"] = None
        for image in document["images"]:
            image.update(width=value, height=value)
        for each in document["annotations"]:
            del each["iscrowd"]

    path = plain(tmp_path)
    is_exact(cd.read(changed(path, change)), path)


def test_11_ids_as_text_or_whole_floats(tmp_path: Path) -> None:
    """globox PR #13, tensorpack #1041."""
    path = plain(tmp_path)

    def floats(document: dict[str, Any]) -> None:
        for kind, key in (("images", "id"), ("annotations", "id"), ("annotations", "image_id"), ("categories", "id")):
            for each in document[kind]:
                each[key] = float(each[key])

    is_exact(cd.read(changed(path, floats)), path)

    def texts(document: dict[str, Any]) -> None:
        for image in document["images"]:
            image["id"] = f"im_{int(image['id'])}"
        for each in document["annotations"]:
            each.update(id=f"a-{each['id']}", image_id=f"im_{int(each['image_id'])}")

    is_exact(cd.read(changed(path, texts)), path)


def test_11_fractions_are_no_ids(tmp_path: Path) -> None:
    root = changed(plain(tmp_path), lambda d: d["annotations"][0].update(id=1.5))
    assert errors_of(root) == ["the annotation's id is 1.5, which is not a whole number"]
    assert [sample.id for sample in cd.read(root, SKIP)] == ["im_2", "im_3"]


def test_05_via_files_with_ids_as_text_flat_polygons_and_no_sizes(tmp_path: Path) -> None:
    """Mask_RCNN #1922, detectron2 #1966: VIA's export."""
    path = plain(tmp_path)

    def change(document: dict[str, Any]) -> None:
        for image in document["images"]:
            image.update(width=-1, height=-1)
        for each in document["annotations"]:
            each.update(image_id=str(each["image_id"]), segmentation=each["segmentation"][0])

    before = masks(cd.read(tmp_path))
    dataset = cd.read(changed(path, change))
    found = masks(dataset)
    assert found.keys() == before.keys()
    assert all(np.array_equal(found[key], before[key]) for key in before)
    text, flat = dataset.notes
    assert text.startswith("3 references to an id as text")
    assert (
        flat == "3 segmentations are one flat list of numbers, read as one polygon (instances_train.json, annotation 1)"
    )


def test_06_flat_segmentations_are_read_with_a_note(tmp_path: Path) -> None:
    """supervision #205, myvision #17, imantics #62."""
    path = plain(tmp_path)
    before = masks(cd.read(tmp_path))
    dataset = cd.read(changed(path, lambda d: d["annotations"][0].update(segmentation=square(3, 2)[0])))
    assert np.array_equal(masks(dataset)["im_1.png", "scratch"], before["im_1.png", "scratch"])
    assert len(dataset.notes) == 1
    short = errors_of(changed(path, lambda d: d["annotations"][0].update(segmentation=[1, 2, 3])))
    assert short == [
        "its segmentation is one flat list of numbers; wrap it: [[x, y, …]]; "
        "besides, a polygon has 3 numbers; it needs x, y pairs of at least three points"
    ]


@pytest.mark.parametrize("point", [[1, 2], {"x": 1, "y": 2}])
@pytest.mark.parametrize("depth", [1, 2])
def test_06_lists_of_points_are_called_so(point: Any, depth: int, tmp_path: Path) -> None:
    points = [point, point, point]
    segmentation = points if depth == 1 else [points]
    root = changed(plain(tmp_path), lambda d: d["annotations"][0].update(segmentation=segmentation))
    assert errors_of(root) == ["a polygon is a list of points [x, y], not a flat list of numbers"]


def test_16a_a_byte_order_mark_and_escaped_slashes(tmp_path: Path) -> None:
    """label-studio #4473."""
    path = plain(tmp_path)
    changed(path, lambda d: d["categories"][0].update(name="Kratzer längs"))
    text = path.read_text().replace("im_1.png", "..\\/images\\/im_1.png")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    is_exact(cd.read(tmp_path), path)


def test_17_gaps_in_category_ids_keep_their_order(tmp_path: Path) -> None:
    """mmdetection #4053, detectron2 #5097."""
    path = plain(tmp_path)

    def change(document: dict[str, Any]) -> None:
        document["categories"] = [{"id": i, "name": n} for i, n in ((90, "dent"), (7, "unused"), (3, "scratch"))]
        for each in document["annotations"]:
            each["category_id"] = 3 if each["id"] < 3 else 90

    dataset = cd.read(changed(path, change))
    assert dataset.categories == ("scratch", "unused", "dent")
    is_exact(dataset, path)


def test_63_hostile_category_names(tmp_path: Path, out: Path) -> None:
    path = plain(tmp_path)
    names = ("../up", "a/b", "x" * 300)

    def change(document: dict[str, Any]) -> None:
        document["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
        for number, each in enumerate(document["annotations"], start=1):
            each["category_id"] = number

    root = changed(path, change)
    is_exact(cd.read(root), path)
    cd.to_mvtec(root, out, workers=1)
    assert len(list(out.rglob("*.png"))) == 6
    assert [each.name for each in out.parent.iterdir()] == ["out"]


def test_65_polygons_of_no_pixel_are_counted(tmp_path: Path, out: Path) -> None:
    """albumentations PR #384."""
    root = changed(plain(tmp_path), lambda d: d["annotations"][0].update(segmentation=[[5, 5, 9, 5, 5, 5]]))
    [found] = cd.doctor(root, workers=1).of("mask-empty")
    assert found.where == "images/im_1.png"
    result = cd.to_coco(root, out, workers=1)
    assert (result.images, result.instances) == (3, 2)
    assert any("1 defect image with an empty mask" in note for note in result.notes)
