"""The scores of a model of any task, from what it predicts of the images of a data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import trees

import carpet_data as cd
from carpet_data.core.images import write_png
from carpet_data.dataset import Dataset, Sample
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import alarm_scores, pixel_scores, segmentation_scores
from carpet_data.training.contract import Detection, ImagePrediction
from carpet_data.training.scoring import TaskScores, score_model
from carpet_data.training.truth import Truth, truth_of

CLASSES = ("good", "cut", "hole")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three good images, and four of each defect; each mask is one piece of 9 pixels, that of cut/3 two pieces."""
    root = tmp_path_factory.mktemp("scored")
    trees.files(root, [f"test/good/{n}.png" for n in range(3)])
    for name in ("cut", "hole"):
        trees.files(
            root, [f"test/{name}/{n}.png" for n in range(4)], [f"ground_truth/{name}/{n}_mask.png" for n in range(4)]
        )
    two = np.zeros((trees.HEIGHT, trees.WIDTH), np.uint8)
    two[1:3, 1:3], two[5:7, 8:11] = 255, 255
    write_png(root / "ground_truth/cut/3_mask.png", two)
    return cd.read(root)


def ideal(sample: Sample, classes: Sequence[str] = CLASSES, *, noise: float = 0.0, seed: int = 0) -> ImagePrediction:
    """What a model would say that is right but for noise."""
    random = np.random.default_rng([seed, sum(sample.id.encode())])
    truth = truth_of(sample, classes)
    assert truth.labels is not None
    assert truth.instances is not None
    heat = np.clip(0.8 * (truth.labels > 0) + noise * random.normal(size=truth.labels.shape) + 0.1, 0, 1)
    odds = np.array([name == truth.class_name for name in classes]) + noise * random.random(len(classes)) + 0.01
    found = []
    for each in truth.instances:
        x, y, w, h = each.bbox
        found.append(Detection(each.class_name, 0.9, each.bbox, each.mask()[y : y + h, x : x + w]))
    return ImagePrediction(
        class_name=classes[int(odds.argmax())],
        probabilities=dict(zip(classes, (odds / odds.sum()).tolist(), strict=True)),
        anomaly=float(heat.max()),
        heat=heat.astype(np.float32),
        labels=truth.labels,
        detections=tuple(found),
    )


def scored(dataset: Dataset, predict: Any = ideal, classes: Sequence[str] = CLASSES, **options: Any) -> TaskScores:
    scores = TaskScores(classes, **options)
    for sample in dataset:
        scores.add(sample, predict(sample))
    return scores


def test_a_perfect_model(dataset: Dataset) -> None:
    found = scored(dataset).result()
    assert found.images == 11
    assert (found.classify.scores.balanced_accuracy, found.types.value) == (1.0, 1.0)
    assert (found.segment.pixels.ap, found.segment.pixels.pro, found.segment.classes.mean_iou) == (1.0, 1.0, 1.0)
    assert (found.segment.by_type["cut"].components, found.segment.pixels.components) == (5, 9)
    assert (found.detect.boxes.ap, found.detect.masks.ap, found.anomaly.auroc.value) == (1.0, 1.0, 1.0)
    assert (dict(found.missing), found.notes) == ({}, ())


def test_the_figures_are_those_of_the_metrics(dataset: Dataset) -> None:
    scores = scored(dataset, lambda sample: ideal(sample, noise=0.6))
    found = scores.result()
    predictions = [ideal(sample, noise=0.6) for sample in dataset]
    truths = [truth_of(sample, CLASSES) for sample in dataset]
    pixels = pixel_scores([each.heat for each in predictions], [each.labels > 0 for each in truths])
    assert found.segment.pixels == pixels
    assert 0 < found.segment.pixels.ap < 1
    labels = segmentation_scores([each.labels for each in predictions], [each.labels for each in truths], CLASSES)
    assert found.segment.classes == labels
    defect = [each.class_name != "good" for each in truths]
    assert found.anomaly == alarm_scores([each.anomaly for each in predictions], defect)
    right = [p.class_name == t.class_name for p, t in zip(predictions, truths, strict=True)]
    assert found.classify.scores.accuracy == pytest.approx(np.mean(right))
    losses = [-np.log(p.probabilities[t.class_name]) for p, t in zip(predictions, truths, strict=True)]
    assert found.classify.loss == pytest.approx(np.mean(losses))
    interval = found.segment.intervals["pixel AP"]
    assert interval is not None
    assert interval.low < found.segment.pixels.ap < interval.high
    assert len(scores.evidence()) == 11
    quick = scores.result(intervals=False)
    assert quick.segment == replace(found.segment, intervals=dict.fromkeys(found.segment.intervals))


def test_the_type_is_the_likeliest_even_where_good_is_likelier(dataset: Dataset) -> None:
    def shy(sample: Sample) -> ImagePrediction:
        chances = {"good": 0.6, "cut": 0.3, "hole": 0.1}
        return ImagePrediction("good", chances, 0.4)

    found = scored(dataset, shy).result()
    assert found.types.value == 0.5
    assert found.classify.scores.recalls == (1.0, 0.0, 0.0)


def test_what_is_missing_is_said(dataset: Dataset) -> None:
    def plain(sample: Sample) -> ImagePrediction:
        return replace(ideal(sample), heat=None, labels=None, detections=(), probabilities=None)

    found = scored(dataset, plain, task="classify").result()
    assert found.missing == {
        "segment": "the model gives no heat maps",
        "detect": "the model finds no defects by themselves",
    }
    assert found.classify.loss is None
    assert "segment: not scored, the model gives no heat maps" in found.text()
    assert scored(dataset, plain, task="dense").result().detect.boxes.ap == 0
    bad = scored(dataset.where(lambda sample: sample.class_name != "good")).result()
    assert bad.missing == {"anomaly": "there are no good test images"}
    assert bad.segment.pixels.ap == 1.0
    good = scored(dataset.of_class("good")).result()
    assert set(good.missing) == {"segment", "detect", "anomaly"}
    assert good.types.value is None
    with pytest.raises(DataError, match="no images"):
        TaskScores(CLASSES).result()


def test_images_without_a_mask_are_left_out_of_the_pixels(tmp_path: Path) -> None:
    images = ["test/good/0.png", *(f"test/hole/{n}.png" for n in range(3))]
    root = trees.files(tmp_path, images, [f"ground_truth/hole/{n}_mask.png" for n in range(2)])
    trees.mask(root / "ground_truth/hole/1_mask.png", value=0)
    dataset = cd.read(root)
    blank = ImagePrediction("hole", None, 0.5, np.full((8, 12), 0.5, np.float32))
    found = scored(dataset, lambda sample: blank).result()
    assert found.notes[0].startswith("2 defect images without a mask, or with an empty one")
    assert (found.segment.pixels.images, found.images) == (2, 4)
    none = TaskScores(CLASSES)
    for sample in dataset:
        none.add(Truth.of(sample.id, sample.class_name), blank)
    assert none.result().missing["segment"] == "no test image has a mask"


def test_a_model_that_knows_no_types(dataset: Dataset) -> None:
    classes = ("good", "defect")
    found = scored(dataset, lambda sample: ideal(sample, classes), classes, task="anomaly").result()
    assert (found.types.value, found.segment.classes.iou, found.detect.boxes.ap) == (None, {"defect": 1.0}, 1.0)
    assert found.classify.scores.balanced_accuracy == 1.0
    assert found.text()[0].startswith("image AUROC 1.000")


def test_a_model_that_finds_boxes_only(dataset: Dataset) -> None:
    def boxes(sample: Sample) -> ImagePrediction:
        said = ideal(sample)
        return replace(said, detections=tuple(replace(each, mask=None) for each in said.detections))

    found = scored(dataset, boxes, task="detect").result()
    assert (found.detect.masks, found.detect.boxes.ap) == (None, 1.0)
    assert found.text()[0].startswith("defects: AP 1.000")


def test_components_are_those_of_the_data_set() -> None:
    corner = np.array([[1, 0], [0, 1]], np.uint8)
    for connectivity, count in ((8, 1), (4, 2)):
        scores = TaskScores(CLASSES)
        truth = Truth.of("a", "cut", labels=corner, instances=(), connectivity=connectivity)
        scores.add(truth, ImagePrediction("cut", None, 0.5, np.ones((2, 2), np.float32)))
        assert scores.result().segment.pixels.components == count


def test_values_for_json(dataset: Dataset) -> None:
    values = json.loads(json.dumps(scored(dataset).result().to_json(), allow_nan=False))
    assert values["segment"]["by_type"]["hole"]["ap"] == 1.0
    assert values["detect"]["boxes"]["by_class"]["cut"]["defects"] == 5
    assert values["classify"]["recalls"]["good"] == 1.0
    assert values["anomaly"]["recalls"][1]["needs"] == 100


def test_what_cannot_be_scored_is_refused(dataset: Dataset) -> None:
    sample = dataset.of_class("hole")[0]
    said = ideal(sample)
    with pytest.raises(UsageError, match="does not know the class 'hole'"):
        TaskScores(("good", "cut")).add(sample, said)
    with pytest.raises(UsageError, match="unknown class 'scratch'"):
        TaskScores(CLASSES).add(sample, replace(said, class_name="scratch"))
    with pytest.raises(DataError, match="NaN"):
        TaskScores(CLASSES).add(sample, replace(said, anomaly=float("nan")))
    with pytest.raises(DataError, match="NaN"):
        TaskScores(CLASSES).add(sample, replace(said, heat=np.full((8, 12), np.nan, np.float32)))
    with pytest.raises(UsageError):
        TaskScores(CLASSES).add(sample, replace(said, heat=np.zeros((4, 4), np.float32)))
    with pytest.raises(UsageError, match="unknown task"):
        TaskScores(CLASSES, task="guess")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no defect class"):
        TaskScores(("good",))
    twice = scored(dataset)
    twice.add(sample, said)
    with pytest.raises(DataError, match="twice"):
        twice.result()


@dataclass
class Recorder:
    """A model that is always right, and counts what it is given."""

    dataset: Dataset
    task: Any = "dense"
    classes: tuple[str, ...] = CLASSES
    given: int = 0

    def predict(self, images: Sequence[Any]) -> list[ImagePrediction]:
        samples = self.dataset[self.given : self.given + len(images)]
        self.given += len(images)
        return [ideal(sample) for sample in samples]


def test_a_model_is_scored_a_few_images_at_a_time(dataset: Dataset) -> None:
    kept, steps = [], []
    model = Recorder(dataset)
    found = score_model(
        model, list(dataset), batch_size=4, keep=lambda sample, image, said: kept.append(sample.id),
        progress=lambda step: steps.append((step.done, step.total)),
    )  # fmt: skip
    assert found.result().classify.scores.accuracy == 1.0
    assert kept == [sample.id for sample in dataset]
    assert steps == [(4, 11), (8, 11), (11, 11)]
