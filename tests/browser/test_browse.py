"""browse, on a real MongoDB: FiftyOne holds what the data set holds, exactly, and keeps what people add."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import synthesis
from helpers.command import Called
from helpers.run_folders import line, write_run
from helpers.shapes import SHAPES
from helpers.sources import write_source

from carpet_data import browse, store
from carpet_data.errors import DataError
from carpet_data.fiftyone.connection import INFO
from carpet_data.formats.exports import to_coco
from carpet_data.preparation.drop import drop
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.training.train import train
from carpet_data.weave.sample import sample as make_sample

pytestmark = [
    pytest.mark.xdist_group("fiftyone"),
    # Looked for, not imported: FiftyOne takes its database when it is imported.
    pytest.mark.skipif(importlib.util.find_spec("fiftyone") is None, reason="the extra browse is not installed"),
    pytest.mark.usefixtures("fiftyone"),
]

Run = Callable[..., Called]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set with three synthetic holes."""
    synthesis.register()
    folder = tmp_path_factory.mktemp("made")
    root = synthesis.dataset(folder / "set")
    synthesize(root, ["hole"], 3, recipe=synthesis.recipe(folder / "recipes"), workers=1)
    return root


@pytest.fixture(autouse=True)
def empty(fiftyone: Any) -> Iterator[None]:
    """The data sets of these tests are alike, and one whose folder vanished would be taken for the next one, moved."""
    yield
    for name in fiftyone.list_datasets():
        fiftyone.delete_dataset(name)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def opened(fiftyone: Any, root: Path, **options: Any) -> Any:
    return fiftyone.load_dataset(browse(root, workers=1, **options).dataset)


def by_id(dataset: Any) -> dict[str, Any]:
    return {sample["carpet_id"]: sample for sample in dataset}


def pixels_of(sample: Any) -> np.ndarray[Any, Any]:
    """All detections painted back onto the image."""
    height, width = sample.metadata.height, sample.metadata.width
    painted = np.zeros((height, width), np.int64)
    for detection in sample.ground_truth.detections:
        x, y, w, h = detection.bounding_box
        x0, y0, w0, h0 = round(x * width), round(y * height), round(w * width), round(h * height)
        assert detection.mask.shape == (h0, w0)
        painted[y0 : y0 + h0, x0 : x0 + w0] += np.asarray(detection.mask).astype(bool)
    return painted


@pytest.mark.parametrize("kind", ["raw", "prepared"])
def test_every_mask_is_exact(kind: str, fiftyone: Any, hostile_shapes: Path, tmp_path: Path) -> None:
    folder = hostile_shapes
    if kind == "prepared":
        folder = tmp_path / "prepared"
        prepare(hostile_shapes, folder, group_options=GroupOptions(near_duplicates=False), workers=1)
    found = [sample for sample in opened(fiftyone, folder) if sample["class"].label != "good"]
    assert len(found) == len(SHAPES)
    for sample in found:
        stem = Path(sample.segmentation.mask_path).stem
        source = next(mask for name, mask in SHAPES.items() if name.replace(" ", "_") in stem.replace(" ", "_"))
        painted = pixels_of(sample)
        assert painted.max() <= 1, "no pixel belongs to two components"
        file = cv2.imread(sample.segmentation.mask_path, cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(painted.astype(bool), file >= 128)
        assert source.shape == file.shape
        assert sample.area == int((file >= 128).sum())
        assert sample.area_frac == pytest.approx(sample.area / file.size)
        assert {detection.label for detection in sample.ground_truth.detections} <= {sample["class"].label}


def test_what_is_known_of_a_sample_is_shown(fiftyone: Any, root: Path) -> None:
    dataset = opened(fiftyone, root)
    source = store.read(root)
    shown = by_id(dataset)
    assert shown.keys() == source.by_id().keys()
    for sample in source:
        one = shown[sample.id]
        assert one.filepath == str(root / sample.image_path)
        assert one["class"].label == sample.class_name
        assert one.origin == sample.origin
        assert one.split == source.splits["main"].sides.get(sample.id)
        assert one.group == sample.group
        provenance = dict(sample.provenance or {})
        assert one.method == provenance.get("method")
        assert one.recipe == provenance.get("recipe")
        assert one.host == provenance.get("host")
        assert one.donors == provenance.get("donors")
        assert one.seed == provenance.get("seed")
        assert one.family == provenance.get("host", sample.id)
        for name, score in provenance.get("gates", {}).items():
            assert one[f"gate_{name.replace('-', '_')}"] == score
    recipe = next(sample.provenance["recipe"] for sample in source if sample.provenance)
    assert dataset.info[INFO]["recipes"][recipe]["method"] == "donor-disc"
    assert dataset.persistent


def test_opening_again_changes_nothing_and_keeps_what_people_added(fiftyone: Any, root: Path) -> None:
    first = browse(root, workers=1)
    assert (first.added, first.updated, first.removed, first.unchanged) == (first.samples, 0, 0, 0)
    dataset = fiftyone.load_dataset(first.dataset)
    sample = dataset.match(fiftyone.ViewField("origin") == "synthetic").first()
    sample.tags.append("reject")
    sample["class"].label = "thread"
    sample["note"] = "look at this"
    sample.ground_truth.detections[0].tags.append("ragged")
    sample.save()
    dataset.save_view("mine", dataset.limit(1))
    again = browse(root, workers=1)
    assert again.dataset == first.dataset
    assert (again.added, again.updated, again.removed, again.unchanged) == (0, 0, 0, first.samples)
    dataset.reload()
    assert len(dataset) == first.samples
    kept = dataset[sample.id]
    assert kept.tags == ["reject"]
    assert kept["class"].label == "thread"
    assert kept["note"] == "look at this"
    assert kept.ground_truth.detections[0].tags == ["ragged"]
    assert "mine" in dataset.list_saved_views()


def test_what_changed_is_written_again_and_nothing_else(fiftyone: Any, root: Path) -> None:
    dataset = opened(fiftyone, root)
    source = store.read(root)
    gone, changed = (sample.id for sample in source.of_class("hole")[:2])
    edited = next(sample.id for sample in source.of_class("thread"))
    for sample in dataset:
        sample.tags.append(sample["carpet_id"])
        if sample["carpet_id"] == edited:
            sample["class"].label = "hole"
        sample.save()
    drop(root, [f"id={gone}"])
    test_ids = source.splits["main"].ids("test")
    write_run(root, [line(changed, "hole", {"good": 0.1, "hole": 0.7, "thread": 0.2})])
    result = browse(root, workers=1)
    assert (result.added, result.updated, result.removed) == (0, 1, 1)
    dataset.reload()
    shown = by_id(dataset)
    assert gone not in shown
    assert shown[changed].prediction.label == "hole"
    assert shown[changed].prediction.confidence == pytest.approx(0.7)
    assert shown[changed].tags == [changed]
    assert shown[edited]["class"].label == "hole"
    assert test_ids
    # A run that is gone takes its predictions along.
    shutil.rmtree(root / "runs")
    assert browse(root, workers=1).updated == 1
    dataset.reload()
    assert by_id(dataset)[changed].prediction is None
    assert by_id(dataset)[changed].correct is None


def test_the_last_run_is_shown_by_condition(fiftyone: Any, root: Path) -> None:
    source = store.read(root)
    one, two = source.splits["main"].ids("test")[:2]
    names = {sample.id: sample.class_name for sample in source}
    classes = dict.fromkeys(source.classes, 0.0)

    def guess(name: str, share: float) -> dict[str, float]:
        rest = (1 - share) / (len(classes) - 1)
        return {each: share if each == name else rest for each in classes}

    wrong = next(name for name in classes if name != names[two])
    lines = [
        line(one, names[one], guess(names[one], 0.9), loss=0.1),
        line(one, names[one], guess(names[one], 0.5), seed=1, loss=0.7),
        line(two, names[two], guess(wrong, 0.8), loss=2.5),
        line(one, names[one], guess(wrong, 0.6), condition="real-only"),
    ]
    write_run(root, lines, heatmaps=[one])
    write_run(root, [], name="validate-002", finished=False)
    result = browse(root, workers=1)
    assert result.run == root / "runs" / "validate-001"
    assert "test mistakes" in result.views
    dataset = fiftyone.load_dataset(result.dataset)
    shown = by_id(dataset)
    assert shown[one].prediction.confidence == pytest.approx(0.7)
    assert shown[one].loss == pytest.approx(0.4)
    assert shown[one].correct is True
    assert shown[one].heatmap.map_path == str(root / "runs" / "validate-001" / "heatmaps" / f"{one}.png")
    assert shown[one]["prediction_real_only"].label == wrong
    assert shown[two].correct is False
    assert dataset.load_saved_view("test mistakes").values("carpet_id") == [two]


def test_saved_views_hold_what_they_say(fiftyone: Any, root: Path) -> None:
    dataset = opened(fiftyone, root)
    source = store.read(root)
    assert dataset.list_saved_views() == ["synthetic hole", "real beside its synthetic children", "smallest defects"]
    made = [sample.id for sample in source if sample.origin == "synthetic"]
    assert sorted(dataset.load_saved_view("synthetic hole").values("carpet_id")) == made
    families = dataset.load_saved_view("real beside its synthetic children")
    rows = list(zip(*families.values(["family", "origin", "carpet_id"]), strict=True))
    assert {name for _, origin, name in rows if origin == "synthetic"} == set(made)
    for family in {family for family, _, _ in rows}:
        members = [(origin, name) for its, origin, name in rows if its == family]
        assert members[0] == ("real", family)
        assert len(members) > 1
    areas = dataset.load_saved_view("smallest defects").values("area_frac")
    assert areas == sorted(areas)
    assert len(areas) == sum(sample.class_name != "good" for sample in source)


def test_colors_stay_when_a_class_is_added(fiftyone: Any, tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    before = dict(opened(fiftyone, source).info[INFO]["colors"])
    shutil.copytree(source / "test" / "hole", source / "test" / "dent")
    shutil.copytree(source / "ground_truth" / "hole", source / "ground_truth" / "dent")
    dataset = opened(fiftyone, source)
    after = dataset.info[INFO]["colors"]
    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == len(before) + 1
    values = dataset.app_config.color_scheme.fields[0]
    assert values["path"] == "ground_truth"
    assert {each["value"]: each["color"] for each in values["valueColors"]} == after


def test_a_moved_data_set_is_known_again(fiftyone: Any, root: Path) -> None:
    dataset = opened(fiftyone, root)
    sample = dataset.first()
    sample.tags.append("reject")
    sample.save()
    number = len(dataset)
    moved = root.rename(root.with_name("another name"))
    result = browse(moved, workers=1)
    assert (result.added, result.removed) == (0, 0)
    again = fiftyone.load_dataset(result.dataset)
    assert len(again) == number
    assert all(Path(path).is_file() for path in again.values("filepath"))
    assert all(Path(path).is_file() for path in again.values("segmentation.mask_path") if path)
    assert again[sample.id].tags == ["reject"]
    assert len(again[sample.id].ground_truth.detections) == sample.instances


def test_a_copy_is_another_data_set(fiftyone: Any, root: Path, tmp_path: Path) -> None:
    first = browse(root, workers=1)
    copy = Path(shutil.copytree(root, tmp_path / "copy" / "set"))
    second = browse(copy, workers=1)
    assert second.dataset != first.dataset
    assert second.added == first.samples


def test_an_image_that_was_deleted_and_a_mask_that_cannot_be_read_are_named(fiftyone: Any, root: Path) -> None:
    dataset = opened(fiftyone, root)
    holes = [sample for sample in store.read(root).of_class("hole") if sample.origin == "real"]
    image, mask = root / holes[0].image_path, root / str(holes[1].mask_path)
    image.unlink()
    result = browse(root, workers=1)
    assert [note.where for note in result.notes] == [str(image)]
    assert len(fiftyone.load_dataset(result.dataset)) == len(dataset)
    # A copy that was never opened before, with a broken mask, which is repaired later.
    other = Path(shutil.copytree(root, root.with_name("other")))
    good = (other / mask.relative_to(root)).read_bytes()
    (other / mask.relative_to(root)).write_bytes(b"no picture")
    result = browse(other, workers=1)
    assert {str(note.where) for note in result.notes} == {
        str(other / image.relative_to(root)),
        str(other / mask.relative_to(root)),
    }
    broken = by_id(fiftyone.load_dataset(result.dataset))[holes[1].id]
    assert broken.ground_truth is None
    (other / mask.relative_to(root)).write_bytes(good)
    browse(other, workers=1)
    broken.reload()
    assert len(broken.ground_truth.detections) == 2


def test_a_coco_file_of_ours(fiftyone: Any, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "coco"
    to_coco(root, out, workers=1)
    file = next((out / "annotations").glob("*train*.json"))
    document = json.loads(file.read_text(encoding="utf-8"))
    result = browse(coco=file, workers=1)
    assert result.notes == ()
    dataset = fiftyone.load_dataset(result.dataset)
    assert len(dataset) == len(document["images"])
    assert dataset.count("ground_truth.detections") == len(document["annotations"])
    assert sum(dataset.values("area")) == sum(each["area"] for each in document["annotations"])


def test_any_coco_file_overlaps_and_boxes_and_what_is_wrong_in_it(fiftyone: Any, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        assert cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
    square = [2.0, 2.0, 12.0, 2.0, 12.0, 12.0, 2.0, 12.0]
    shifted = [value + 4 for value in square]
    document = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 30, "height": 20},
            {"id": 2, "file_name": "b.png", "width": 30, "height": 20},
            {"id": 3, "file_name": "gone.png", "width": 30, "height": 20},
            {"id": 4, "file_name": "../../etc/passwd", "width": 30, "height": 20},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [square], "bbox": [2, 2, 10, 10]},
            {"id": 2, "image_id": 1, "category_id": 8, "segmentation": [shifted], "bbox": [6, 6, 10, 10]},
            {"id": 3, "image_id": 2, "category_id": 7, "bbox": [3, 4, 15, 10]},
            {"id": 4, "image_id": 2, "category_id": 7},
        ],
        "categories": [{"id": 7, "name": "hole"}, {"id": 8, "name": "cut"}],
    }
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    result = browse(coco=file, workers=1)
    notes = "\n".join(map(str, result.notes))
    assert len(result.notes) == 3
    assert "gone.png" in notes
    assert "passwd" in notes
    assert "annotation 4" in notes
    shown = by_id(fiftyone.load_dataset(result.dataset))
    both = shown["a.png"]
    assert [each.label for each in both.ground_truth.detections] == ["hole", "cut"]
    assert both["class"].label == "combined"
    assert both.area == int((pixels_of(both) > 0).sum()) < int(pixels_of(both).sum())
    box = shown["b.png"].ground_truth.detections[0]
    assert box.mask is None
    assert box.bounding_box == pytest.approx([3 / 30, 4 / 20, 15 / 30, 10 / 20])


def test_a_coco_file_that_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"images": [], "annotations": [], "categories": []}', encoding="utf-8")
    with pytest.raises(DataError, match="none of its images"):
        browse(coco=tmp_path / "x.json")
    assert run("browse", "--coco", tmp_path / "absent.json", "--no-launch").code == 1
    assert run("browse", "--coco", tmp_path, "--no-launch").code == 1
    assert run("browse", tmp_path, "--coco", tmp_path / "x.json", "--no-launch").code == 2


def test_the_command_loads_and_says_so(run: Run, root: Path) -> None:
    called = run("browse", root, "--no-launch", "--json", "--workers", 1)
    assert called.code == 0, called.err
    assert called.json["added"] == called.json["samples"] == len(store.read(root))
    assert called.json["url"] is None
    text = run("browse", root, "--no-launch", "--workers", 1)
    assert "nothing changed" in text.out
    assert run("browse", root, "--no-launch", "-q").out == ""
    assert run("browse", root, "--split", "nosuch", "--no-launch").code == 2
    (root / store.read(root).of_class("hole")[0].image_path).unlink()
    warned = run("browse", root, "--no-launch")
    assert warned.code == 0
    assert "warning:" in warned.err
    assert "the image is missing" in warned.err


def test_a_damaged_prediction_names_its_line(run: Run, root: Path) -> None:
    folder = write_run(root, [line("x", "hole", {"hole": 1.0})])
    called = run("browse", root, "--no-launch")
    assert called.code == 1
    assert f"{folder / 'predictions.jsonl'}, line 1: the line is not a prediction" in called.err
    assert "1 probabilities for 3 classes" in called.err


TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the extra train is not installed")


@TORCH
def test_embeddings_name_the_nearest_real_image(fiftyone: Any, root: Path) -> None:
    result = browse(root, workers=1, embeddings=True)
    assert result.network is not None
    assert {"looks memorized", "most unusual"} <= set(result.views)
    dataset = fiftyone.load_dataset(result.dataset)
    assert "map" in dataset.list_brain_runs()
    assert dataset.load_brain_results("map").points.shape == (len(dataset), 2)
    shown = by_id(dataset)
    for sample in shown.values():
        assert shown[sample.nearest_real].origin == "real"
        assert sample.nearest_real not in (sample["carpet_id"], sample.host)
        assert 0 <= sample.nearest_distance <= 2
        assert 0 <= sample.uniqueness <= 1


@TORCH
def test_what_a_training_looked_at_lies_over_its_test_images(fiftyone: Any, tmp_path: Path) -> None:
    from carpet_data.training.options import TrainOptions

    make_sample(tmp_path / "carpet", size=96, counts={"good": 3, "hole": 3}, workers=1)
    root = tmp_path / "carpet-prepared"
    prepare(tmp_path / "carpet", root, group_options=GroupOptions(near_duplicates=False), workers=1)
    settings = TrainOptions(
        architecture="shufflenet_v2_x0_5", weights="none", resize=64, epochs=1, views=1, device="cpu"
    )
    trained = train(root, options=settings, worst=0, heatmaps=2, workers=1)
    result = browse(root, workers=1)
    assert result.run == result.heatmaps == trained.run
    assert "heat maps: train-001" in result.text()
    dataset = fiftyone.load_dataset(result.dataset)
    warm = [one for one in dataset if one["heatmap"] is not None]
    assert len(warm) == 2
    for one in warm:
        assert one.split == "test"
        heat = cv2.imread(one.heatmap.map_path, cv2.IMREAD_UNCHANGED)
        assert heat.dtype == np.uint8
        assert heat.shape == (64, 64)
    # Mistakes come first.
    wrong = [one["carpet_id"] for one in dataset if one.correct is False]
    assert {one["carpet_id"] for one in warm} <= set(wrong) or len(wrong) < 2


def stored(dataset: Any) -> list[Any]:
    """What the database holds of a dataset, without what differs from time to time."""

    def lasting(value: Any) -> Any:
        if isinstance(value, dict):
            passing = {"_id", "_rand", "_dataset_id", "created_at", "last_modified_at"}
            return {key: lasting(each) for key, each in value.items() if key not in passing}
        return [lasting(each) for each in value] if isinstance(value, list) else value

    found = list(dataset._sample_collection.find())
    assert all(type(each["created_at"]) is type(dataset.created_at) for each in found)
    return sorted((lasting(each) for each in found), key=lambda each: str(each["carpet_id"]))


def test_samples_are_written_as_fiftyone_writes_them(fiftyone: Any, root: Path) -> None:
    write_run(root, [line(store.read(root).samples[0].id, "good", {"good": 0.5, "hole": 0.3, "thread": 0.2})])
    dataset = opened(fiftyone, root)
    other = dataset.limit(0).clone()
    other.add_samples([sample.copy() for sample in dataset], progress=False)
    assert len(stored(dataset)) == len(dataset) > 0
    assert stored(dataset) == stored(other)
    assert dataset.media_type == other.media_type == "image"
