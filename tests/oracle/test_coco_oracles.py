"""COCO exports before independent readers: each must see every pixel that the masks hold."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.mongo import own_database
from helpers.shapes import SHAPES
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from carpet_data.formats.coco.check import check
from carpet_data.formats.exports import to_coco

Mask = NDArray[np.bool_]
KINDS = ("polygon", "rle")
NOT_EMPTY = {name: mask for name, mask in SHAPES.items() if mask.any()}

pytestmark = pytest.mark.oracle


def shape_of(image: dict[str, Any]) -> str:
    """The name of the shape that an exported image shows."""
    return str(image["file_name"]).removesuffix(".png").split("_", 2)[2]


@pytest.fixture(scope="module", params=KINDS)
def export(request: pytest.FixtureRequest, hostile_shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("coco") / f"export {request.param}"
    to_coco(hostile_shapes, out, segmentation=request.param, workers=1)
    return out


@pytest.fixture(scope="module")
def polygon_export(hostile_shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For readers that take no compressed counts: labelformat reads them as numbers, ultralytics leaves them out."""
    out = tmp_path_factory.mktemp("coco") / "polygons"
    to_coco(hostile_shapes, out, workers=1)
    return out


@pytest.fixture(scope="module")
def test_json(export: Path) -> Path:
    return export / "annotations" / "instances_test.json"


@pytest.fixture(scope="module")
def coco(test_json: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(test_json))


def test_pycocotools_sees_every_component(coco: COCO) -> None:
    assert sorted(shape_of(image) for image in coco.dataset["images"]) == sorted(SHAPES)
    for image in coco.dataset["images"]:
        source = SHAPES[shape_of(image)]
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        encoded = [coco.annToRLE(annotation) for annotation in annotations]
        for annotation, code in zip(annotations, encoded, strict=True):
            assert coco_mask.area(code) == annotation["area"]
            assert coco_mask.toBbox(code).tolist() == annotation["bbox"]
            assert annotation["iscrowd"] == 0
        merged = coco_mask.decode(coco_mask.merge(encoded)) if encoded else np.zeros(source.shape)
        assert np.array_equal(merged.astype(np.bool_), source)
        if 1 < len(encoded) < 100:
            overlaps = coco_mask.iou(encoded, encoded, [0] * len(encoded))
            assert np.array_equal(overlaps, np.eye(len(encoded)))


def test_ids_and_names(coco: COCO) -> None:
    for kind in ("images", "annotations"):
        assert [entry["id"] for entry in coco.dataset[kind]] == list(range(1, len(coco.dataset[kind]) + 1))
    assert [(c["id"], c["name"]) for c in coco.dataset["categories"]] == [(1, "hole"), (2, "thread")]
    names = [image["file_name"] for image in coco.dataset["images"]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_truth_scores_one(coco: COCO, kind: str) -> None:
    detections = [{**annotation, "score": 1.0} for annotation in coco.dataset["annotations"]]
    most = max(len(coco.getAnnIds(imgIds=[image["id"]])) for image in coco.dataset["images"])
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(detections), kind)
        evaluation.params.maxDets = [1, 10, most]
        # All thresholds and sizes would take half a minute: the strictest threshold implies the others.
        evaluation.params.iouThrs = np.array([0.5, 0.95])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    assert precision[precision > -1].min() == 1.0
    assert evaluation.eval["recall"][:, :, 0, -1].min() == 1.0


def test_torchvision_reads_masks_of_the_right_size(export: Path, test_json: Path) -> None:
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2

    with contextlib.redirect_stdout(io.StringIO()):
        plain = CocoDetection(str(export / "images"), str(test_json))
        dataset = wrap_dataset_for_transforms_v2(plain, target_keys=("boxes", "labels", "masks"))
    seen = 0
    for number in range(len(dataset)):
        _, target = dataset[number]
        annotations = plain.coco.loadAnns(plain.coco.getAnnIds(imgIds=[plain.ids[number]]))
        if not annotations:
            continue
        seen += len(annotations)
        assert target["masks"].flatten(1).sum(1).tolist() == [a["area"] for a in annotations]
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in annotations)]
        assert target["boxes"].tolist() == boxes
    assert seen == len(plain.coco.dataset["annotations"]) > 2000


def test_supervision_reads_the_masks(export: Path, test_json: Path) -> None:
    supervision = pytest.importorskip("supervision", reason="the extra [oracles] is not installed")
    dataset = supervision.DetectionDataset.from_coco(str(export / "images"), str(test_json), force_masks=True)
    exact = json.loads(test_json.read_text(encoding="utf-8"))["annotations"][0]["segmentation"]
    assert len(dataset) == len(SHAPES)
    for path, _, detections in dataset:
        source = SHAPES[shape_of({"file_name": Path(path).name})]
        masks = detections.mask
        if not source.any():
            assert masks is None or len(masks) == 0
        elif isinstance(exact, dict):
            assert np.array_equal(np.asarray(masks).any(axis=0), source)
        else:
            # supervision draws polygons' outlines too, which widens them by a pixel and closes thin holes.
            assert len(masks) > 0
            assert not (source & ~np.asarray(masks).any(axis=0)).any()


def test_datumaro_reads_the_masks(export: Path) -> None:
    datumaro = pytest.importorskip("datumaro", reason="the extra [oracles] is not installed")
    from datumaro.plugins.validators import SegmentationValidator

    dataset = datumaro.Dataset.import_from(str(export), "coco_instances")
    items = {item.id: item for item in dataset if item.subset == "test"}
    polygons = json.loads((export / "annotations" / "instances_test.json").read_text(encoding="utf-8"))
    assert len(items) == len(SHAPES)
    exact = isinstance(polygons["annotations"][0]["segmentation"], dict)
    for name, item in items.items():
        source = SHAPES[shape_of({"file_name": name})]
        masks = [
            a for a in item.annotations if a.type in (datumaro.AnnotationType.mask, datumaro.AnnotationType.polygon)
        ]
        if not exact:
            assert bool(masks) == bool(source.any())
            continue
        union = np.zeros(source.shape, np.bool_)
        for annotation in masks:
            union |= np.asarray(annotation.image).astype(np.bool_)
        assert np.array_equal(union, source)
    reports = SegmentationValidator(
        few_samples_thr=1, imbalance_ratio_thr=50, far_from_mean_thr=5.0, dominance_ratio_thr=0.8, topk_bins=0.1
    ).validate(dataset)["validation_reports"]
    errors = [r for r in reports if r["severity"] == "error" and "is_crowd" not in json.dumps(r)]
    assert errors == []


def test_labelformat_reads_the_polygons(polygon_export: Path) -> None:
    labelformat = pytest.importorskip("labelformat.formats.coco", reason="the extra [oracles] is not installed")
    test_json = polygon_export / "annotations" / "instances_test.json"
    labels = list(labelformat.COCOInstanceSegmentationInput(input_file=test_json).get_labels())
    found = {shape_of({"file_name": label.image.filename}): len(label.objects) for label in labels}
    document = json.loads(test_json.read_text(encoding="utf-8"))
    expected: defaultdict[str, int] = defaultdict(int)
    by_id = {image["id"]: shape_of(image) for image in document["images"]}
    for annotation in document["annotations"]:
        expected[by_id[annotation["image_id"]]] += 1
    assert {name: count for name, count in found.items() if count} == dict(expected)


def test_ultralytics_converts_the_polygons(polygon_export: Path, tmp_path: Path, ultralytics: Any) -> None:
    from ultralytics.data import converter

    document = json.loads((polygon_export / "annotations" / "instances_test.json").read_text(encoding="utf-8"))
    out = tmp_path / "yolo"
    converter.convert_coco(str(polygon_export / "annotations"), str(out), use_segments=True, cls91to80=False)
    labels = {path.stem: path.read_text().splitlines() for path in out.rglob("*.txt")}
    sizes = {
        image["id"]: (Path(image["file_name"]).stem, image["width"], image["height"]) for image in document["images"]
    }
    written: defaultdict[str, list[list[float]]] = defaultdict(list)
    for annotation in document["annotations"]:
        stem, width, height = sizes[annotation["image_id"]]
        outline = np.array(annotation["segmentation"][0], float).reshape(-1, 2) / (width, height)
        written[stem].append(outline.ravel().tolist())
    for stem, outlines in written.items():
        read = [[float(number) for number in line.split()[1:]] for line in labels[stem]]
        # Its lines are rounded to six digits, and equal ones are written once.
        rounded = {tuple(np.round(outline, 5)) for outline in outlines}
        assert {tuple(np.round(outline, 5)) for outline in read} <= rounded
        assert len(read) == len(rounded)


@pytest.fixture(scope="module")
def fiftyone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """FiftyOne on its own MongoDB in a temporary folder."""
    if importlib.util.find_spec("fiftyone") is None:
        pytest.skip("the extra [browse] is not installed")
    return own_database(tmp_path_factory.mktemp("mongo"))


# One group, so that one worker starts one database for both kinds.
@pytest.mark.xdist_group("fiftyone")
@pytest.mark.filterwarnings("ignore")
def test_fiftyone_reads_the_masks(export: Path, test_json: Path, fiftyone: Any) -> None:
    dataset = fiftyone.Dataset.from_dir(
        dataset_type=fiftyone.types.COCODetectionDataset,
        data_path=str(export / "images"),
        labels_path=str(test_json),
        label_types=["detections", "segmentations"],
        include_id=True,
        progress=False,
    )
    try:
        document = json.loads(test_json.read_text(encoding="utf-8"))
        exact = isinstance(document["annotations"][0]["segmentation"], dict)
        assert len(dataset) == len(SHAPES)
        instances = 0
        for sample in dataset:
            source = SHAPES[shape_of({"file_name": Path(sample.filepath).name})]
            segments = next(
                (value for name, value in sample.iter_fields() if name.endswith("segmentations") and value), None
            )
            detections = segments.detections if segments is not None else []
            instances += len(detections)
            union = np.zeros(source.shape, np.bool_)
            for detection in detections:
                height, width = source.shape
                x, y = round(detection.bounding_box[0] * width), round(detection.bounding_box[1] * height)
                mask = np.asarray(detection.mask).astype(np.bool_)
                view = union[y : y + mask.shape[0], x : x + mask.shape[1]]
                view |= mask[: view.shape[0], : view.shape[1]]
            if exact:
                assert np.array_equal(union, source), sample.filepath
        assert instances == len(document["annotations"])
    finally:
        dataset.delete()


def test_our_own_check_agrees_with_itself(export: Path, hostile_shapes: Path) -> None:
    found = check(export, hostile_shapes, workers=1)
    assert found.passed
    assert found.problems == ()
    assert found.differing_pixels == 0
    assert found.compared == len(SHAPES) + 2
