"""COCO with faults: each cause is one clear error, and --skip-faulty leaves out exactly the images that it concerns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.coco_sets import (
    CATEGORIES,
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
from helpers.command import exit_code

import carpet_data as cd
from carpet_data.errors import DataError
from carpet_data.fiftyone.coco import of_coco
from carpet_data.formats.coco.check import check

Change = Callable[[dict[str, Any]], object]


def of_first(**values: Any) -> Change:
    return lambda document: document["annotations"][0].update(values)


FAULTS: dict[str, tuple[Change, str]] = {
    "07 a box and segmentation []": (of_first(segmentation=[], bbox=[1, 1, 4, 4]), "it has a box but no segmentation"),
    "07 a box and no segmentation": (
        of_first(segmentation=None, bbox=[1, 1, 4, 4]),
        "it has a box but no segmentation",
    ),
    "07 nothing": (of_first(segmentation=None), "it has no segmentation"),
    "08 a polygon of 4 numbers": (of_first(segmentation=[[1, 1, 5, 5]]), "a polygon has 4 numbers"),
    "08 an empty polygon": (of_first(segmentation=[[]]), "a polygon has 0 numbers"),
    "08 one short polygon of two": (of_first(segmentation=[*square(1, 1), [1, 1, 5, 5]]), "a polygon has 4 numbers"),
    "text for a segmentation": (of_first(segmentation="1,1,5,5"), "its segmentation is '1,1,5,5'"),
    "05b no category": (of_first(category_id=None), "its category_id None is not among the categories"),
    "an unknown category": (of_first(category_id=99), "its category_id 99 is not among the categories"),
    "13b a size turned round": (
        of_first(segmentation={"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}),
        f"its run-length size is [{WIDTH}, {HEIGHT}], the image's is [{HEIGHT}, {WIDTH}] (height comes first)",
    ),
    "18 counts that are too long": (
        of_first(segmentation={"size": [HEIGHT, WIDTH], "counts": [0, WIDTH * HEIGHT + 7]}),
        f"they sum to {WIDTH * HEIGHT + 7}, not {WIDTH * HEIGHT}",
    ),
    "18 garbage for counts": (
        of_first(segmentation={"size": [HEIGHT, WIDTH], "counts": "~~"}),
        "'~' is not a character",
    ),
    "half a number in counts": (of_first(segmentation={"size": [HEIGHT, WIDTH], "counts": [0.5]}), "0.5"),
    "an annotation without id": (of_first(id=None), "the annotation's id is missing"),
    "an image that is not there": (lambda d: d["images"][0].update(file_name="lost.png"), "was not found"),
    "no file name": (lambda d: d["images"][0].pop("file_name"), "the image has no file_name"),
    "a width as text": (lambda d: d["images"][0].update(width="32"), "not numbers of pixels"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_error_and_one_image_left_out(name: str, tmp_path: Path) -> None:
    change, words = FAULTS[name]
    root = changed(plain(tmp_path), change)
    [what] = errors_of(root)
    assert words in what
    left = cd.read(root, SKIP)
    assert [sample.id for sample in left] == ["im_2", "im_3"]
    assert {sample.class_name for sample in left} == {"scratch"}
    [skipped] = left.skipped
    assert words in skipped.what
    [found] = cd.doctor(root, workers=1).of("annotation")
    assert (found.severity, words in found.what) == ("error", True)


def test_all_faults_of_one_run_are_named(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for each, (damage, _) in zip(
            document["annotations"],
            [FAULTS[name] for name in FAULTS if name.startswith("18") or "07 a" in name],
            strict=False,
        ):
            damage({"annotations": [each]})

    assert len(errors_of(changed(plain(tmp_path, 5), change))) == 3


def test_one_cause_is_one_error_and_doctor_names_every_image(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for each in document["annotations"][:-1]:
            each["category_id"] = 5

    root = changed(plain(tmp_path, 150), change)
    assert errors_of(root) == ["its category_id 5 is not among the categories (148 more alike)"]
    left = cd.read(root, SKIP)
    assert (len(left), len(left.skipped)) == (1, 149)
    found = cd.doctor(root, near_duplicates=False, workers=1).of("annotation")
    assert len({each.where for each in found}) == 149


def test_several_faults_of_one_image_are_counted(tmp_path: Path) -> None:
    root = changed(plain(tmp_path), lambda d: d["annotations"].append(annotation(7, 1, [[1, 1, 2, 2]], category_id=9)))
    [skipped] = cd.read(root, SKIP).skipped
    assert skipped.where == str(root / "images/im_1.png")
    assert skipped.what.endswith("(and 1 more problem of this image)")


def test_17b_annotations_of_images_that_are_not_listed(tmp_path: Path) -> None:
    """mmdetection #4053: annotations of removed images."""
    root = changed(plain(tmp_path, 5), lambda d: d["images"].pop(0))
    assert errors_of(root) == ["its image_id 1 is not among the images"]
    left = cd.read(root, SKIP)
    assert [sample.id for sample in left] == ["im_2", "im_3", "im_4", "im_5"]
    assert [str(error.where).rpartition("/")[2] for error in left.skipped] == [
        "instances_train.json (image 1, not listed)"
    ]


def test_references_that_are_mostly_lost_never_make_images_good(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for image in document["images"]:
            image["id"] += 2  # only one annotation still finds an image

    root = changed(plain(tmp_path), change)
    assert errors_of(root) == errors_of(root, SKIP)


def test_annotations_without_an_image_id_end_the_run(tmp_path: Path) -> None:
    root = changed(plain(tmp_path), of_first(image_id=None))
    assert errors_of(root, SKIP) == ["the annotation's image_id is missing, so its image is unknown"]


def test_the_entries_at_fault_do_not_hide_the_images(tmp_path: Path) -> None:
    """doctor continues: a box without a mask, a broken image, an empty mask and a copy in one run."""
    path = plain(tmp_path, 8)
    (tmp_path / "images/im_2.png").write_bytes((tmp_path / "images/im_2.png").read_bytes()[:200])
    (tmp_path / "images/im_3.png").write_bytes(b"")
    (tmp_path / "images/im_5.png").write_bytes((tmp_path / "images/im_6.png").read_bytes())

    def change(document: dict[str, Any]) -> None:
        document["annotations"][0].update(segmentation=[], bbox=[1, 1, 4, 4])
        document["annotations"][3].update(segmentation=[[5, 5, 9, 5, 5, 5]])

    diagnosis = cd.doctor(changed(path, change), workers=1)
    by_code = {code: [each.where for each in diagnosis.of(code)] for code in {each.code for each in diagnosis.problems}}
    assert by_code["annotation"] == ["images/im_1.png"]
    assert by_code["truncated"] == ["images/im_2.png"]
    assert by_code["empty-file"] == ["images/im_3.png"]
    assert by_code["mask-empty"] == ["images/im_4.png"]
    assert by_code["duplicate-file"] == ["images/im_5.png"]
    assert (diagnosis.images, diagnosis.masks) == (6, 6)


# --- categories


def roboflow(root: Path, categories: list[dict[str, Any]], used: tuple[int, ...] = (1, 2)) -> Path:
    pictures(root / "train", *(f"im_{number}.png" for number in used))
    annotations = [annotation(n, n, square(2, 2), category_id=n) for n in used]
    return write(root / "train/_annotations.coco.json", [entry(n) for n in used], annotations, categories)


@pytest.mark.parametrize(
    "group", [{"supercategory": "none"}, {}, {"supercategory": "metal-parts"}, {"supercategory": "x"}]
)
def test_03a_the_root_category_of_roboflow_is_dropped(group: dict[str, str], tmp_path: Path) -> None:
    """rf-detr PR #1303, #85, roboflow-100-benchmark #45."""
    root = {"id": 0, "name": "metal-parts", **group}
    roboflow(tmp_path, [root, *({**each, "supercategory": "metal-parts"} for each in CATEGORIES)])
    dataset = cd.read(tmp_path)
    assert dataset.categories == ("scratch", "dent")
    assert dataset.notes == (
        "dropped the category metal-parts: it has no annotations and is only the supercategory of others",
    )


def test_03a_a_root_with_annotations_stays(tmp_path: Path) -> None:
    root = {"id": 3, "name": "metal-parts", "supercategory": "none"}
    categories = [root, *({**each, "supercategory": "metal-parts"} for each in CATEGORIES)]
    roboflow(tmp_path, categories, used=(1, 3))
    assert cd.read(tmp_path).categories == ("scratch", "dent", "metal-parts")


def test_03a_an_unused_class_called_defect_survives_our_own_export(tmp_path: Path) -> None:
    roboflow(tmp_path / "set", [*CATEGORIES, {"id": 3, "name": "defect"}])
    cd.to_coco(tmp_path / "set", tmp_path / "out", workers=1)
    assert cd.read(tmp_path / "out").categories == ("scratch", "dent", "defect")


def test_03a_unused_categories_that_group_nothing_stay(tmp_path: Path) -> None:
    roboflow(tmp_path, [*CATEGORIES, {"id": 3, "name": "rare", "supercategory": "none"}])
    assert cd.read(tmp_path).categories == ("scratch", "dent", "rare")


@pytest.mark.parametrize("root_first", [True, False])
def test_03b_a_root_with_the_name_of_a_class(root_first: bool, tmp_path: Path) -> None:
    root = {"id": 0, "name": "scratch", "supercategory": "none"}
    classes = [{"id": 1, "name": "scratch", "supercategory": "scratch"}]
    path = roboflow(tmp_path, [root, *classes] if root_first else [*classes, root], used=(1,))
    dataset = cd.read(tmp_path)
    assert dataset.categories == ("scratch",)
    assert dataset.notes == (
        "dropped the category of id 0: it has no annotations, and another one is called scratch too",
    )
    both = json.loads(path.read_text())
    both["annotations"].append(annotation(9, 1, square(9, 9), category_id=0))
    path.write_text(json.dumps(both))
    [what] = errors_of(tmp_path)
    assert what == "two categories have the name scratch, and both have annotations: ids 0 and 1"


def test_64_a_background_category(tmp_path: Path) -> None:
    """labelme PR #377, detectron2 #585."""
    background = {"id": 3, "name": "_background_"}
    path = roboflow(tmp_path, [*CATEGORIES, background], used=(1, 2, 3))
    [found] = cd.doctor(tmp_path, workers=1).of("class-background")
    assert (found.severity, found.where) == ("warning", "_background_")
    assert cd.read(tmp_path).notes == ("the category _background_ has 1 annotation and is read as a defect class",)
    document = json.loads(path.read_text())
    document["annotations"].pop()
    path.write_text(json.dumps(document))
    assert cd.read(tmp_path).categories == ("scratch", "dent")
    assert cd.doctor(tmp_path, workers=1).of("class-background") == ()


# --- files


def test_16c_all_broken_files_are_named(tmp_path: Path) -> None:
    """biigle #1126, cocoapi #98, EfficientDet #72."""
    path = plain(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("}]", "},]", 1))
    path.with_name("instances_val.json").write_text(text[:300])
    path.with_name("instances_test.json").write_bytes(text.replace("im_1", "im_\xe9").encode("latin-1"))
    found = errors_of(tmp_path)
    assert [what.partition(" (")[0] for what in found] == ["it is not UTF-8 text", "it is not JSON", "it is not JSON"]
    assert all("line 1, column" in what for what in found[1:])


@pytest.mark.parametrize("place", ["annotations", "."])
def test_62_other_json_beside_is_passed_over(place: str, tmp_path: Path) -> None:
    path = plain(tmp_path)
    target = path.rename(tmp_path / place / "coco.json")
    (tmp_path / place / "metadata.json").write_text('{"camera": 3}')
    (tmp_path / place / "via_project.json").write_text('{"_via_settings": {}, "_via_img_metadata": {}}')
    (tmp_path / place / "results.json").write_text('[{"image_id": 1, "category_id": 1, "score": 0.5}]')
    captions = {"images": [entry(1)], "annotations": [{"id": 1, "image_id": 1, "caption": "a tile"}]}
    (tmp_path / place / "captions.json").write_text(json.dumps(captions))
    dataset = cd.read(tmp_path)
    assert len(dataset) == 3
    assert dataset.documents == (target.relative_to(tmp_path).as_posix(),)
    assert {Path(name).name: why for name, why in dataset.aside} == {
        "captions.json": "captions",
        "metadata.json": "not COCO",
        "results.json": "detection results",
        "via_project.json": "not COCO",
    }
    assert dataset.notes[0].startswith("passed over 4 JSON files: ")
    assert cd.doctor(tmp_path, workers=1).exit_code == 0
    assert check(tmp_path, workers=1).passed


def test_62_other_json_in_the_root_does_not_hide_the_sides(tmp_path: Path) -> None:
    roboflow(tmp_path, list(CATEGORIES))
    (tmp_path / "metadata.json").write_text('{"camera": 3}')
    assert {sample.side for sample in cd.read(tmp_path)} == {"train"}


def test_62b_captions_and_panoptic_beside_instances(tmp_path: Path) -> None:
    path = plain(tmp_path)
    path.with_name("captions_train.json").write_text("{}")
    path.with_name("panoptic_train.json").write_text("not even JSON")
    assert len(cd.read(tmp_path)) == 3


def test_62b_a_panoptic_file_alone_is_called_so(tmp_path: Path) -> None:
    segments = [{"image_id": 1, "file_name": "im_1.png", "segments_info": []}]
    write(tmp_path / "annotations/panoptic.json", [entry(1)], segments)
    assert errors_of(tmp_path) == ["it is JSON, but not a COCO file: its segments are PNG files (panoptic)"]


def test_62c_one_content_in_two_places_is_read_once(tmp_path: Path) -> None:
    """Real: DipanMondal/wagon_defect-2-coco."""
    roboflow(tmp_path, list(CATEGORIES))
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/train.json").write_bytes((tmp_path / "train/_annotations.coco.json").read_bytes())
    assert [sample.image_path for sample in cd.read(tmp_path)] == ["train/im_1.png", "train/im_2.png"]


@pytest.mark.parametrize("value", ["absent", None])
def test_73_a_file_without_annotations(value: str | None, tmp_path: Path) -> None:
    path = plain(tmp_path)
    root = changed(path, lambda d: d.pop("annotations") if value == "absent" else d.update(annotations=None))
    with pytest.raises(DataError) as caught:
        cd.read(root)
    assert "'annotations'" in caught.value.what
    assert 'add "annotations": [] if all of its images are good' in str(caught.value.hint)
    changed(path, lambda d: d.update(annotations=[]))
    assert {sample.class_name for sample in cd.read(root)} == {"good"}


def test_61_images_that_no_file_lists_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """labelme2yolo #71."""
    plain(tmp_path / "set")
    pictures(tmp_path / "set/images", "later_1.png", "later_2.png")
    found = cd.doctor(tmp_path / "set", workers=1)
    [unlisted] = found.of("images-not-listed")
    assert (unlisted.severity, unlisted.what) == ("info", "2 image files not listed")
    assert exit_code("to-coco", tmp_path / "set", "-o", tmp_path / "out") == 0
    assert "2 images were not listed" in capsys.readouterr().out


def test_the_headline_of_doctor_counts_annotated_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(plain(tmp_path), lambda d: d["annotations"].pop())
    exit_code("doctor", tmp_path, "--workers", "1")
    assert "3 images, 2 annotated images; good 1, scratch 2" in capsys.readouterr().out


# --- browse


def test_browse_names_every_annotation_that_it_does_not_show(tmp_path: Path) -> None:
    picture(tmp_path / "images/im_1.png")
    annotations = [
        annotation(1, 1, square(2, 2)),
        annotation(2, 1, square(4, 4)[0]),
        annotation(3, 1, [], bbox=[1, 1, 4, 4]),
        annotation(4, 1, [[1, 1, 2e8, 1, 2e8, 2]], bbox=[1, 1, 4, 4]),
        annotation(5, 1, [[5, 5, 5, 5, 5, 5]]),
        annotation(6, 7, square(2, 2)),
        annotation(7, 2, square(2, 2)),
        annotation(8, 1, None, bbox=[1, 1, float("inf"), 4]),
        annotation(9, "1", square(8, 8)),
    ]
    path = write(tmp_path / "annotations/instances_all.json", [entry(1), entry(2), entry(3, "im_1.png")], annotations)
    shown = of_coco(path)
    [job] = shown.jobs
    assert [shape.label for shape in job.sample.annotation.shapes] == ["annotation 1", "annotation 2", "annotation 9"]
    assert len(job.boxes) == 2
    said = {str(error.where).rpartition(" (")[2].rstrip(")"): error.what for error in shown.problems}
    assert "only its box is shown" in said["annotation 4"]
    assert said["annotation 5"] == "its segmentation has no pixel; it is not shown"
    assert "so it is not shown" in said["annotation 6"]
    assert "its 1 annotation cannot be shown" in said["image 2"]
    assert "it is not shown" in said["annotation 8"]
    assert "listed twice" in said["image 3"]
    assert set(said) == {"annotation 4", "annotation 5", "annotation 6", "annotation 8", "image 2", "image 3"}


def test_a_truncated_image_is_refused_as_by_doctor(tmp_path: Path) -> None:
    path = plain(tmp_path / "set")
    target = path.parent.parent / "images/im_1.png"
    assert cv2.imwrite(str(target), np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    target.write_bytes(target.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"im_1\.png"):
        cd.to_coco(tmp_path / "set", tmp_path / "out", workers=1)
    result = cd.to_coco(tmp_path / "set", tmp_path / "out", read_options=SKIP, workers=1)
    assert [Path(str(error.where)).name for error in result.skipped] == ["im_1.png"]
