"""Annotations that overlap or repeat each other: united within a class, ruled between classes, exact in every export.

Public reports: mmdetection #1546, mmsegmentation #1422, coco2voc #8, cvat #718, cocoapi #305, ultralytics #14858.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.coco_sets import HEIGHT, WIDTH, annotation, entry, picture, pixels_of, square, write
from helpers.command import exit_code
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO

import carpet_data as cd
from carpet_data.dataset import Overlap
from carpet_data.errors import DataError
from carpet_data.formats.coco.check import check

NAMES = {1: "scratch", 2: "dent"}


def two_classes(root: Path) -> Path:
    """A scratch (1, 36 pixels), a dent (2, 16 pixels) over its corner, and a small scratch (3) inside the dent."""
    picture(root / "images/im_1.png")
    shapes = [square(2, 2, 6), square(6, 6, 4), square(8, 8, 2)]
    categories = [1, 2, 1]
    annotations = [
        annotation(number, 1, shape, category_id=category)
        for number, (shape, category) in enumerate(zip(shapes, categories, strict=True), start=1)
    ]
    return write(root / "annotations/instances_all.json", [entry(1)], annotations)


def truth(path: Path, rule: Overlap) -> dict[str, NDArray[np.bool_]]:
    """class name -> its pixels: the annotations painted one over the other, straight from the words of the rule."""
    document = json.loads(path.read_text())
    masks = [(pixels_of(each["segmentation"]), each["category_id"]) for each in document["annotations"]]
    numbers = range(len(masks))
    order = {
        "first": list(reversed(masks)),
        "last": masks,
        "smaller-on-top": [masks[n] for n in sorted(numbers, key=lambda n: (-int(masks[n][0].sum()), -n))],
    }
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for mask, category in order[rule] if rule != "error" else masks:
        labels[mask] = category
    return {name: labels == category for category, name in NAMES.items()}


def classes_of(root: Path) -> dict[str, NDArray[np.bool_]]:
    """class name -> pixels of the one image of a data set, from its instances."""
    found = {name: np.zeros((HEIGHT, WIDTH), np.bool_) for name in NAMES.values()}
    for instance in cd.read(root)[0].instances():
        assert not (found[instance.class_name] & instance.mask()).any()
        found[instance.class_name] |= instance.mask()
    return found


def test_overlapping_classes_are_an_error_that_names_both_and_the_option(tmp_path: Path) -> None:
    two_classes(tmp_path / "set")
    with pytest.raises(DataError) as caught:
        cd.to_coco(tmp_path / "set", tmp_path / "out", workers=1)
    text = str(caught.value)
    for part in ("annotation 1 (scratch)", "annotation 2 (dent)", "share 4 pixels", "--overlap", "im_1.png"):
        assert part in text
    assert not (tmp_path / "out").exists()
    [found] = cd.doctor(tmp_path / "set", workers=1).of("mask-overlap")
    assert (found.severity, found.where) == ("error", "images/im_1.png")


@pytest.mark.parametrize("rule", ["first", "last", "smaller-on-top"])
@pytest.mark.parametrize("form", ["coco-polygon", "coco-rle", "yolo", "voc", "masks", "prepared"])
def test_every_export_is_exact_under_the_rule(form: str, rule: Overlap, tmp_path: Path) -> None:
    path = two_classes(tmp_path / "set")
    options = cd.ReadOptions(overlap=rule)
    out = tmp_path / "out"
    if form.startswith("coco"):
        cd.to_coco(tmp_path / "set", out, read_options=options, segmentation=form.removeprefix("coco-"), workers=1)
        found = check(out, tmp_path / "set", read_options=options, workers=1)
        assert (found.passed, found.differing_pixels, found.compared) == (True, 0, 1), found.problems
    elif form == "yolo":
        cd.to_yolo(tmp_path / "set", out, read_options=options, workers=1)
    elif form == "voc":
        cd.to_voc(tmp_path / "set", out, read_options=options, workers=1)
    elif form == "masks":
        cd.to_masks(tmp_path / "set", out, read_options=options, workers=1)
    else:
        prepared = cd.prepare(tmp_path / "set", out, read_options=options, workers=1)
        assert any(note.startswith("1 image has annotations that overlap") for note in prepared.notes)
    expected = truth(path, rule)
    if form in ("masks", "voc"):
        [mask] = (out / ("masks" if form == "masks" else "SegmentationClass")).rglob("*.png")
        # Both hold class numbers: in the order of the categories, as the JSON file has them.
        values = np.array(Image.open(mask))
        found_classes = {name: values == number for number, name in NAMES.items()}
    else:
        found_classes = classes_of(out)
    for name in NAMES.values():
        assert np.array_equal(found_classes[name], expected[name]), name


@pytest.mark.parametrize("rule", ["error", "first", "last", "smaller-on-top"])
def test_within_a_class_no_pixel_and_no_instance_is_lost(rule: Overlap, tmp_path: Path) -> None:
    picture(tmp_path / "set/images/im_1.png")
    shapes = [square(2, 2, 8), square(4, 4, 2), square(9, 9, 4)]
    path = write(
        tmp_path / "set/annotations/instances_all.json",
        [entry(1)],
        [annotation(number, 1, shape) for number, shape in enumerate(shapes, start=1)],
    )
    options = cd.ReadOptions(overlap=rule)
    result = cd.to_coco(tmp_path / "set", tmp_path / "out", read_options=options, segmentation="rle", workers=1)
    assert result.instances == 3
    assert "1 image has annotations that overlap (5 pixels, each written once)" in result.notes
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "out/annotations/instances_all.json"))
    masks = [coco.annToMask(each) for each in coco.dataset["annotations"]]
    assert [int(mask.sum()) for mask in masks] == [64 - 4 - 1, 4, 16]
    assert np.array_equal(np.sum(masks, axis=0), truth(path, "last")["scratch"])


def test_an_annotation_that_repeats_another_is_kept_once_and_counted(tmp_path: Path) -> None:
    picture(tmp_path / "set/images/im_1.png")
    annotations: list[dict[str, Any]] = [annotation(number, 1, square(2, 2)) for number in (1, 6)]
    write(tmp_path / "set/annotations/instances_all.json", [entry(1)], annotations)
    result = cd.to_yolo(tmp_path / "set", tmp_path / "out", workers=1)
    assert result.instances == 1
    assert result.source is not None
    assert result.source.notes == ("instances_all.json: annotation 6 repeats annotation 1, and is read once",)


def test_the_option_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_classes(tmp_path / "set")
    out = tmp_path / "out"
    assert exit_code("to-coco", tmp_path / "set", "-o", out) == 1
    assert "--overlap first, last or smaller-on-top" in capsys.readouterr().err
    assert exit_code("to-coco", tmp_path / "set", "-o", out, "--overlap", "smaller-on-top") == 0
    assert exit_code("check", out, "--against", tmp_path / "set", "--overlap", "smaller-on-top") == 0
    assert "0 differing pixels" in capsys.readouterr().out
    assert exit_code("check", out, "--against", tmp_path / "set", "--overlap", "first") == 1
