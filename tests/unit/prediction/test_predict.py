"""`predict`: what it writes, for images of every kind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import painted_model
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import carpet_data as cd
from carpet_data.core import images
from carpet_data.errors import DataError, DeviceMemoryError, OutputError, UsageError, WeightsError
from carpet_data.prediction.engine import decided
from carpet_data.prediction.predict import predict
from carpet_data.prediction.records import records
from carpet_data.training.contract import Detection, ImagePrediction


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_image_has_a_line_that_says_what_the_model_says(model: Path, photos: Path, tmp_path: Path) -> None:
    done = predict(model, photos, tmp_path / "out", device="cpu")
    assert (done.images, dict(done.predicted), done.detections) == (4, {"good": 1, "hole": 1, "thread": 2}, 5)
    assert (done.errors, done.exit_code, done.task, done.classes) == ((), 0, "dense", painted_model.CLASSES)
    found = lines(done.out)
    assert [each["name"] for each in found] == ["a hole.png", "b thread.png", "c both.png", "good ones/d.png"]
    for line in found:
        image = images.read(line["image"])
        truth = painted_model.predicted(image)
        assert (line["height"], line["width"]) == image.shape[:2]
        assert line["class"] == truth.class_name
        assert line["anomaly"] == pytest.approx(truth.anomaly, abs=1e-6)
        assert line["probabilities"] == pytest.approx(truth.probabilities, abs=1e-6)
        assert len(line["detections"]) == len(truth.detections)
        for each, detection in zip(line["detections"], truth.detections, strict=True):
            x, y, w, h = detection.bbox
            whole = np.zeros(image.shape[:2], bool)
            whole[y : y + h, x : x + w] = detection.mask
            assert (coco_mask.decode(each["mask"]).astype(bool) == whole).all()
            assert (each["class"], each["bbox"], each["area"]) == (detection.class_name, [x, y, w, h], whole.sum())
    assert {path.name for path in done.out.iterdir()} == {
        ".carpet-data", "coco_instances.json", "coco_results.json", "predict.json", "predictions.jsonl"
    }  # fmt: skip


def test_coco_results_load_and_score_by_pycocotools(model: Path, photos: Path, tmp_path: Path) -> None:
    out = predict(model, photos, tmp_path / "out", copy_images=True, device="cpu").out
    truth = COCO(str(out / "coco_instances.json"))
    found = truth.loadRes(str(out / "coco_results.json"))
    assert {each["id"] for each in truth.dataset["images"]} == {1, 2, 3, 4}
    assert [each["name"] for each in truth.dataset["categories"]] == ["hole", "thread"]
    # The detections scored against themselves are perfect: ids, boxes and masks are those of the images.
    for kind in ("bbox", "segm"):
        judge = COCOeval(truth, found, kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        assert judge.stats[0] == pytest.approx(1.0)
    assert not cd.check(out / "coco_instances.json").problems
    dataset = cd.read(out / "coco_instances.json")
    assert len(dataset) == 4
    assert sum(len(sample.instances()) for sample in dataset) == 5


def test_pictures_are_written_when_asked_for(model: Path, photos: Path, tmp_path: Path) -> None:
    done = predict(model, photos, tmp_path / "out", overlays=True, heat_maps=True, heat_bits=16, masks=True)
    for record in records(done.out):
        image = images.read(record.image)
        truth = painted_model.predicted(image)
        heat = images.read_deep(done.out / record.files["heat_map"])
        assert heat.dtype == np.uint16
        assert truth.heat is not None
        assert np.abs(heat / 65535 - truth.heat).max() < 1e-5
        assert (images.read_values(done.out / record.files["mask"]) == truth.labels).all()
        assert images.read(done.out / record.files["overlay"]).ndim == 3
    eight = predict(model, photos / "a hole.png", tmp_path / "8", heat_maps=True)
    (record,) = records(eight.out)
    assert images.read_deep(eight.out / record.files["heat_map"]).dtype == np.uint8


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_bytes_do_not_depend_on_the_batch_size(model: Path, photos: Path, tmp_path: Path) -> None:
    more = {"overlays": True, "heat_maps": True, "masks": True}
    outs = [predict(model, photos, tmp_path / f"{n}", batch_size=n, **more).out for n in (1, 3, 64)]
    first, *others = (_tree(out) for out in outs)
    assert len(first) == 5 + 3 * 4
    assert all(other == first for other in others)


def test_a_gpu_takes_images_together(model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from carpet_data.prediction import engine
    from carpet_data.prediction.inputs import find
    from carpet_data.prediction.options import PredictOptions

    sizes: list[int] = []
    plain = painted_model.Painted.predict
    monkeypatch.setattr(
        painted_model.Painted, "predict", lambda self, shown: sizes.append(len(shown)) or plain(self, shown)
    )
    files = find([photos]).images
    found = list(engine.predictions(painted_model.Painted(), files, PredictOptions(batch_size=3), on_cpu=False))
    assert sizes == [3, 1]
    assert [each.file.name for each in found] == [file.name for file in files]


def test_images_of_every_kind(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    base = painted_model.picture((10, 20, 30, 12, 250), size=(60, 90))
    Image.fromarray(base).save(folder / "rgb.bmp")
    Image.fromarray(base[:, :, 0]).save(folder / "gray.png")
    Image.fromarray(base).quantize(8).save(folder / "palette.png")
    alpha = np.dstack((base, np.full(base.shape[:2], 40, np.uint8)))
    Image.fromarray(alpha).save(folder / "alpha.png")
    cv2.imwrite(str(folder / "deep.tif"), base[:, :, 0].astype(np.uint16) * 257)
    turned = Image.fromarray(base)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    Image.fromarray(base[20:21, 10:11]).save(folder / "one pixel.png")
    done = predict(model, folder, tmp_path / "out", overlays=True)
    found = {line["name"]: line for line in lines(done.out)}
    assert done.errors == ()
    assert len(found) == 7
    for name, line in found.items():
        assert (line["class"], line["files"]["overlay"] != "") == ("hole", True), name
        if name not in ("turned.jpg", "one pixel.png"):
            assert line["detections"][0]["bbox"] == [10, 20, 30, 12], name
    assert (found["turned.jpg"]["width"], found["turned.jpg"]["height"]) == (60, 90)
    # Turned clockwise, the columns of the picture are the rows of the file from its end.
    assert found["turned.jpg"]["detections"][0]["bbox"] == pytest.approx([28, 10, 12, 30], abs=1)


def test_files_that_cannot_be_read_are_listed_and_the_rest_goes_on(model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "empty.png").touch()
    whole = (photos / "a hole.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "text.jpg").write_text("no image")
    os.mkfifo(tmp_path / "pipe.png")
    arguments = [photos, tmp_path / "pipe.png", "/dev/zero"]
    done = predict(model, arguments, tmp_path / "out")
    assert (done.images, done.exit_code) == (4, 1)
    wrong = {Path(str(error.where)).name: error.what for error in done.errors}
    assert set(wrong) == {"empty.png", "cut.png", "text.jpg", "pipe.png", "zero"}
    assert "truncated" in wrong["cut.png"]
    assert wrong["pipe.png"] == wrong["zero"] == "not a regular file"
    kept = [json.loads(line) for line in (done.out / "errors.jsonl").read_text().splitlines()]
    assert {Path(each["image"]).name for each in kept} == set(wrong)
    assert all(each["hint"] for each in kept)
    assert "5 files could not be read" in done.text()


def test_only_images_that_cannot_be_read(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    done = predict(model, tmp_path / "empty.png", tmp_path / "out")
    assert (done.images, done.exit_code, lines(done.out)) == (0, 1, [])
    assert json.loads((done.out / "coco_results.json").read_text()) == []


def test_tiles_are_stitched(model: Path, tmp_path: Path) -> None:
    image = painted_model.picture((60, 30, 80, 20, 250), (5, 100, 9, 9, 0), size=(150, 200))
    images.write_png(tmp_path / "large.png", image)
    options = {"heat_maps": True, "heat_bits": 16, "masks": True}
    whole = predict(model, tmp_path / "large.png", tmp_path / "whole", **options)
    tiled = predict(model, tmp_path / "large.png", tmp_path / "tiled", tile=64, overlap=16, **options)
    (one,), (other,) = lines(whole.out), lines(tiled.out)
    assert [each["mask"] for each in one["detections"]] == [each["mask"] for each in other["detections"]]
    assert one["class"] == other["class"] == "hole"
    for kind in ("heat_map", "mask"):
        a, b = (images.read_deep(done.out / line["files"][kind]) for done, line in ((whole, one), (tiled, other)))
        assert np.abs(a.astype(int) - b.astype(int)).max() <= (1 if kind == "heat_map" else 0)


def test_the_threshold_decides_class_and_detections() -> None:
    hole, thread = (Detection(name, score, (0, 0, 1, 1)) for name, score in (("hole", 0.8), ("thread", 0.4)))
    found = ImagePrediction("hole", {"good": 0.3, "hole": 0.5, "thread": 0.2}, 0.7, detections=(hole, thread))
    assert decided(found, None) is found
    assert (decided(found, 0.5).class_name, decided(found, 0.5).detections) == ("hole", (hole,))
    assert (decided(found, 0.9).class_name, decided(found, 0.9).detections) == ("good", ())
    good = ImagePrediction("good", {"good": 0.9, "hole": 0.02, "thread": 0.08}, 0.1)
    assert decided(good, 0.05).class_name == "thread"
    assert decided(ImagePrediction("good", None, 0.1, detections=(thread,)), 0.05).class_name == "thread"
    assert decided(ImagePrediction("good", None, 0.1), 0.05).class_name == "defect"


def test_the_output_folder(model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(model, photos, out)
    with pytest.raises(OutputError, match="not empty"):
        predict(model, photos, out)
    assert predict(model, photos / "a hole.png", out, overwrite=True).images == 1
    assert len(lines(out)) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(OutputError, match="holds something else"):
        predict(model, photos, tmp_path / "mine", overwrite=True)
    with pytest.raises(UsageError, match="overlaps"):
        predict(model, photos, photos / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="not a folder"):
        predict(model, photos, tmp_path / "file")
    with pytest.raises(OutputError, match="cannot write"):
        predict(model, photos, tmp_path / "file" / "out")
    assert [path.name for path in tmp_path.glob(".*partial")] == []


def test_models_that_are_none(photos: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for model in (tmp_path, tmp_path / "pipe", tmp_path / "nowhere"):
        with pytest.raises(WeightsError, match="no model"):
            predict(model, photos, tmp_path / "out")
    (tmp_path / "m" / "model").mkdir(parents=True)
    os.mkfifo(tmp_path / "m" / "model" / "model.json")
    with pytest.raises(WeightsError, match="no model"):
        predict(tmp_path / "m", photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_out_of_memory_says_what_to_do(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, shown: object) -> None:
        raise DeviceMemoryError("out of memory on cpu")

    monkeypatch.setattr(painted_model.Painted, "predict", full)
    for more, hint in (({}, "--tile 512"), ({"tile": 128}, "--tile 64")):
        with pytest.raises(DeviceMemoryError) as told:
            predict(model, photos, tmp_path / "out", device="cpu", **more)
        assert hint in (told.value.hint or "")
    assert not (tmp_path / "out").exists()


def test_a_model_that_gives_no_numbers(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = ImagePrediction("good", None, float("nan"))
    monkeypatch.setattr(painted_model.Painted, "predict", lambda self, shown: [nan for _ in shown])
    with pytest.raises(WeightsError, match="NaN"):
        predict(model, photos, tmp_path / "out")
    other = ImagePrediction("dent", None, 1.0, detections=(Detection("dent", 1.0, (0, 0, 2, 2)),))
    monkeypatch.setattr(painted_model.Painted, "predict", lambda self, shown: [other for _ in shown])
    with pytest.raises(WeightsError, match="'dent'"):
        predict(model, photos, tmp_path / "out")


def test_boxes_without_masks(model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxed = ImagePrediction("hole", None, 0.9, detections=(Detection("hole", 0.9, (3, 4, 10, 20)),))
    monkeypatch.setattr(painted_model.Painted, "predict", lambda self, shown: [boxed for _ in shown])
    out = predict(model, photos / "a hole.png", tmp_path / "out", overlays=True, copy_images=True).out
    found = COCO(str(out / "coco_instances.json")).loadRes(str(out / "coco_results.json"))
    assert found.dataset["annotations"][0]["bbox"] == [3, 4, 10, 20]
    assert not cd.check(out / "coco_instances.json").problems


def test_images_of_a_prepared_folder_keep_their_ids(synthesized_carpet: Path, model: Path, tmp_path: Path) -> None:
    done = predict(model, synthesized_carpet, tmp_path / "out")
    dataset = cd.read(synthesized_carpet)
    assert {record.sample for record in records(done.out)} == {sample.id for sample in dataset}
    assert done.images == len(dataset)
    unknown = [name for name in dataset.classes if name not in painted_model.CLASSES]
    assert bool(unknown) == any("was not trained on" in note for note in done.notes)


def test_a_data_set_with_other_classes_is_said(
    synthesized_carpet: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painted_model.Painted, "classes", ("good", "scratch"))
    monkeypatch.setattr(
        painted_model.Painted, "predict", lambda self, shown: [ImagePrediction("good", None, 0.0) for _ in shown]
    )
    done = predict(model, synthesized_carpet, tmp_path / "out")
    assert any("the model was not trained on" in note and "hole" in note for note in done.notes)


def test_nothing_to_predict(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images found"):
        predict(model, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match="no such file"):
        predict(model, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(DataError, match="the pattern matches nothing"):
        predict(model, tmp_path / "*.png", tmp_path / "out")
    with pytest.raises(UsageError, match="no effect without --tile"):
        predict(model, tmp_path, tmp_path / "out", overlap=3)
    shutil.rmtree(tmp_path / "empty")
