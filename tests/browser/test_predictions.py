"""What models predict, beside the truth, in FiftyOne: from a folder of `predict` and from a run folder."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import painted_model
from helpers.run_folders import line, write_run
from numpy.typing import NDArray

import carpet_data as cd
from carpet_data.core import images
from carpet_data.errors import DataError, UsageError
from carpet_data.preparation.options import GroupOptions
from carpet_data.training.contract import Detection, ImagePrediction
from carpet_data.training.detection_json import detection_json

pytestmark = [
    pytest.mark.xdist_group("fiftyone"),
    # Looked for, not imported: FiftyOne takes its database when it is imported.
    pytest.mark.skipif(importlib.util.find_spec("fiftyone") is None, reason="the extra browse is not installed"),
    pytest.mark.usefixtures("fiftyone"),
]

U8 = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def empty(fiftyone: Any) -> Iterator[None]:
    """Data sets whose folder vanished would be taken for the next one, moved."""
    yield
    for name in fiftyone.list_datasets():
        fiftyone.delete_dataset(name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared carpet of eight images."""
    folder = tmp_path_factory.mktemp("made")
    cd.sample(folder / "carpet", size=96, counts={"good": 3, "hole": 3, "cut": 2}, workers=1)
    grouping = GroupOptions(near_duplicates=False)
    cd.prepare(folder / "carpet", folder / "prepared", group_options=grouping, workers=1)
    return folder / "prepared"


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "carpet"))


class Dilated:
    """A model that finds each defect of a data set, a little too large."""

    task = "dense"

    def __init__(self, dataset: cd.Dataset) -> None:
        self.classes = ("good", *(name for name in dataset.classes if name != "good"))
        self._samples = {sample.image().tobytes(): sample for sample in dataset}

    def predict(self, shown: Sequence[U8]) -> list[ImagePrediction]:
        return [self._one(self._samples[image.tobytes()]) for image in shown]

    def _one(self, sample: cd.Sample) -> ImagePrediction:
        labels = np.zeros((sample.height, sample.width), np.uint8)
        for instance in sample.instances():
            wider = cv2.dilate(instance.mask().astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            labels[wider] = self.classes.index(instance.class_name)
        found = []
        for number in np.unique(labels[labels > 0]):
            rows, columns = np.nonzero(labels == number)
            x, y, w, h = columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
            mask = labels[y : y + h, x : x + w] == number
            found.append(Detection(self.classes[number], 0.75, (int(x), int(y), int(w), int(h)), mask))
        heat = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), 4)
        name = found[0].class_name if found else "good"
        chances = {each: 0.9 if each == name else 0.1 / (len(self.classes) - 1) for each in self.classes}
        return ImagePrediction(name, chances, float(heat.max()), heat, labels, tuple(found))


@pytest.fixture
def predictions(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    dataset = cd.read(root)
    model = Dilated(dataset)
    folder = painted_model.write(tmp_path / "model", monkeypatch)
    monkeypatch.setattr(painted_model, "load", lambda folder, device: model)
    return cd.predict(folder, dataset, tmp_path / "predictions", heat_maps=True, masks=True, device="cpu").out


def by_id(dataset: Any) -> dict[str, Any]:
    return {sample["carpet_id"]: sample for sample in dataset}


def painted(sample: Any, field: str) -> NDArray[np.bool_]:
    height, width = sample.metadata.height, sample.metadata.width
    whole = np.zeros((height, width), np.bool_)
    for detection in sample[field].detections:
        x, y, w, h = detection.bounding_box
        x0, y0, w0, h0 = round(x * width), round(y * height), round(w * width), round(h * height)
        whole[y0 : y0 + h0, x0 : x0 + w0] |= np.asarray(detection.mask).astype(bool)
    return whole


def test_a_folder_of_predictions_lies_beside_the_truth(fiftyone: Any, root: Path, predictions: Path) -> None:
    result = cd.browse(root, predictions=predictions, workers=1)
    assert (result.run, result.heatmaps) == (predictions, predictions)
    shown = fiftyone.load_dataset(result.dataset)
    dataset = cd.read(root)
    model = Dilated(dataset)
    for sample in dataset:
        one, truth = by_id(shown)[sample.id], model.predict([sample.image()])[0]
        assert (one.prediction.label, one.correct) == (truth.class_name, truth.class_name == sample.class_name)
        assert one.prediction.confidence == pytest.approx(0.9)
        assert one.anomaly == pytest.approx(truth.anomaly, abs=1e-5)
        assert truth.labels is not None
        assert (painted(one, "detections") == (truth.labels > 0)).all()
        assert [each.label for each in one.detections.detections] == [each.class_name for each in truth.detections]
        assert all(each.confidence == pytest.approx(0.75) for each in one.detections.detections)
        assert (painted(one, "ground_truth") == sample.mask()).all()
        assert (images.read_values(Path(one.predicted_mask.mask_path)) == truth.labels).all()
        assert images.read(one.heatmap.map_path).shape == (sample.height, sample.width)
    assert shown.mask_targets["predicted_mask"] == {at: name for at, name in enumerate(model.classes) if at}
    assert cd.browse(root, predictions=predictions, workers=1).unchanged == len(dataset)


def test_without_the_option_the_predictions_go_again(fiftyone: Any, root: Path, predictions: Path) -> None:
    cd.browse(root, predictions=predictions, workers=1)
    result = cd.browse(root, workers=1)
    assert (result.run, result.heatmaps) == (None, None)
    shown = fiftyone.load_dataset(result.dataset)
    for one in shown:
        assert (one.prediction, one.detections, one.heatmap, one.predicted_mask, one.anomaly) == (None,) * 5
        assert one.ground_truth is not None


def test_a_run_of_any_task_shows_what_it_found(fiftyone: Any, root: Path) -> None:
    dataset = cd.read(root)
    model = Dilated(dataset)
    rows = []
    for sample in dataset:
        found = model.predict([sample.image()])[0]
        chances = dict(found.probabilities or {})
        row = line(sample.id, sample.class_name, {name: chances[name] for name in dataset.classes}, condition="train")
        seen = [detection_json(each, sample.width, sample.height) for each in found.detections]
        boxes = [{key: each[key] for key in ("class", "score", "bbox")} for each in seen]
        # One run keeps masks, another only boxes.
        rows.append({**row, "anomaly": found.anomaly, "detections": seen if len(rows) % 2 else boxes})
    run = write_run(root, rows, name="train-001", command="train", heatmaps=[])
    result = cd.browse(root, workers=1)
    assert result.run == run
    shown = by_id(fiftyone.load_dataset(result.dataset))
    for number, sample in enumerate(dataset):
        one, truth = shown[sample.id], model.predict([sample.image()])[0]
        assert one.anomaly == pytest.approx(truth.anomaly, abs=1e-5)
        for seen, each in zip(one.detections.detections, truth.detections, strict=True):
            x, y, w, h = each.bbox
            assert seen.bounding_box == pytest.approx(
                [x / sample.width, y / sample.height, w / sample.width, h / sample.height]
            )
            assert (seen.mask is not None) == bool(number % 2)


def test_predictions_that_do_not_belong(root: Path, predictions: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        cd.browse(root, predictions=tmp_path, workers=1)
    with pytest.raises(UsageError, match="not over a COCO file"):
        cd.browse(coco=predictions / "coco_instances.json", predictions=predictions)
    text = (predictions / "predictions.jsonl").read_text()
    (predictions / "predictions.jsonl").write_text(
        text.replace('"image":"', '"image":"/elsewhere').replace('"sample":"', '"sample":"x')
    )
    with pytest.raises(DataError, match="none of its images is in the data set"):
        cd.browse(root, predictions=predictions, workers=1)
    (predictions / "predictions.jsonl").write_text(text.replace('"sample":', '"class":', 1) + '{"id": 1}\n')
    with pytest.raises(DataError, match="not a prediction"):
        cd.browse(root, predictions=predictions, workers=1)
