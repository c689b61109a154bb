"""to-voc before torchvision's and datumaro's readers, and its masks before Pillow."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from carpet_data.core.masks import find, load
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Dataset
from carpet_data.formats import ReadOptions
from carpet_data.formats.exports import to_voc
from carpet_data.formats.mvtec import ad

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def dataset(hostile_shapes: Path) -> Dataset:
    """All shapes but the one of 2,000 instances, which a palette cannot hold."""
    whole = ad.read(hostile_shapes, ReadOptions())
    samples = tuple(sample for sample in whole.samples if "specks" not in sample.id)
    return Dataset(whole.root, whole.name, samples, whole.categories, whole.splits)


@pytest.fixture(scope="module")
def voc(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_voc(dataset, tmp_path_factory.mktemp("voc") / "VOCdevkit" / "VOC2007", jpg_names=True, workers=1).out


def test_torchvision_reads_boxes(dataset: Dataset, voc: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    seen = 0
    for part in ("train", "test"):
        for image, target in datasets.VOCDetection(voc.parents[1], year="2007", image_set=part):
            annotation = target["annotation"]
            sample = dataset.by_id()[Path(annotation["filename"]).stem]
            assert image.size == (sample.width, sample.height)
            size = annotation["size"]
            assert (int(size["width"]), int(size["height"]), int(size["depth"])) == (sample.width, sample.height, 1)
            regions = find(load(dataset.root, sample))
            assert [entry["name"] for entry in annotation["object"]] == list(regions.class_names)
            for entry, (_, runs) in zip(annotation["object"], regions, strict=True):
                box = {key: int(value) for key, value in entry["bndbox"].items()}
                rows, columns = np.nonzero(to_binary(runs))
                # One-based and inclusive: 1 is the first column, the last one is inside.
                assert box == {
                    "xmin": columns.min() + 1,
                    "ymin": rows.min() + 1,
                    "xmax": columns.max() + 1,
                    "ymax": rows.max() + 1,
                }
                at_border = (
                    rows.min() == 0
                    or columns.min() == 0
                    or rows.max() == sample.height - 1
                    or columns.max() == sample.width - 1
                )
                assert entry["truncated"] == str(int(at_border))
                seen += 1
    assert seen > 20


def test_torchvision_reads_class_masks(dataset: Dataset, voc: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    for part in ("train", "test"):
        reader = datasets.VOCSegmentation(voc.parents[1], year="2007", image_set=part)
        assert len(reader) == len(dataset.on_side(part, "source"))  # type: ignore[arg-type]
        for path, (_, target) in zip(reader.masks, reader, strict=True):
            sample = dataset.by_id()[Path(path).stem]
            index = 0 if sample.class_name == "good" else dataset.categories.index(sample.class_name) + 1
            expected = to_binary(load(dataset.root, sample).runs) * index
            assert target.mode == "P"
            np.testing.assert_array_equal(np.asarray(target), expected, sample.id)


def test_object_masks_number_the_instances(dataset: Dataset, voc: Path) -> None:
    for sample in dataset:
        with Image.open(voc / "SegmentationObject" / f"{sample.id}.png") as image:
            values = np.asarray(image)
            palette = image.getpalette()
        assert palette is not None
        assert palette[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
        regions = find(load(dataset.root, sample))
        assert int(values.max()) == len(regions)
        for number, (_, runs) in enumerate(regions, start=1):
            np.testing.assert_array_equal(values == number, to_binary(runs), sample.id)


@pytest.fixture(scope="module")
def datumaro() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what another project's import says is not our fault
        return pytest.importorskip("datumaro")


def test_datumaro_reads_masks_and_boxes(
    dataset: Dataset, datumaro: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = to_voc(dataset, tmp_path / "voc", images="copy", workers=1).out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = datumaro.Dataset.import_from(str(out.rename(tmp_path / "moved")), "voc", coordinate_mode="voc-one-based")
        items = {(item.subset, item.id): item for item in read}
    names = [label.name for label in read.categories()[datumaro.AnnotationType.label]]
    assert names == ["background", *dataset.categories]
    assert len(items) == len(dataset)
    for sample in dataset:
        item = items[str(sample.side), sample.id]
        regions = find(load(dataset.root, sample))
        boxes = [a for a in item.annotations if a.type == datumaro.AnnotationType.bbox]
        assert [tuple(int(v) for v in box.get_bbox()) for box in boxes] == [tuple(b) for b in regions.bbox.tolist()]
        assert [names[box.label] for box in boxes] == list(regions.class_names)
        masks = [a for a in item.annotations if a.type == datumaro.AnnotationType.mask and a.label != 0]
        assert len(masks) == len(regions)
        by_number = {mask.group: mask for mask in masks}
        for number, (name, runs) in enumerate(regions, start=1):
            np.testing.assert_array_equal(by_number[number].image.astype(bool), to_binary(runs), sample.id)
            assert names[by_number[number].label] == name


def test_jpeg_bytes_are_kept(tmp_path: Path) -> None:
    image, mask = np.full((40, 60), 90, np.uint8), np.zeros((40, 60), np.uint8)
    mask[3:9, 5:20] = 255
    for path, pixels in (("test/hole/a.jpg", image), ("ground_truth/hole/a_mask.png", mask)):
        (tmp_path / "data" / path).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "data" / path), pixels)
    out = to_voc(ad.read(tmp_path / "data", ReadOptions()), tmp_path / "voc", images="copy").out
    (written,) = (out / "JPEGImages").iterdir()
    assert written.name == "test_hole_a.jpg"
    assert written.read_bytes() == (tmp_path / "data/test/hole/a.jpg").read_bytes()
