"""Scores from the evidence kept of each image: against scikit-learn and pycocotools, and under the bootstrap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import Outcome
from carpet_data.metrics.image_evidence import ImageEvidence, areas_of, matches, pixel_counts
from carpet_data.metrics.resampled import (
    ANOMALY,
    DETECT,
    SEGMENT,
    Evidence,
    Replicate,
    per_class,
    resampled,
)

CLASSES = ("good", "hole", "thread")
Maps = list[tuple[NDArray[np.float32], NDArray[np.bool_]]]


def maps(count: int = 6, *, sharp: float = 2.0, seed: int = 0) -> Maps:
    """Heat maps that separate defects more or less, every third image without a defect."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        mask = np.zeros((160, 120), np.bool_)
        if number % 3:
            y, x = random.integers(2, 90, 2)
            mask[y : y + 18, x : x + 9 * (number % 3)] = True
            mask[150:156, 1:12] = True
        odds = random.normal(-4 + sharp * mask, 1.5).astype(np.float32)
        found.append(((1 / (1 + np.exp(-odds))).astype(np.float32), mask))
    return found


def evidence(
    pictures: Maps, *, anomaly: Sequence[float] | None = None, repeats: int = 1, name: str = "model"
) -> Evidence:
    truth = [number % 3 for number in range(len(pictures))]
    rows: dict[tuple[str, int, str], ImageEvidence] = {}
    for number, (heat, mask) in enumerate(pictures):
        pixels, pieces = pixel_counts(heat, mask)
        score = float(heat.max()) if anomaly is None else anomaly[number]
        rows["p", 0, f"i{number:02d}"] = ImageEvidence(score, pixels, pieces)
    keys = list(rows) * repeats
    outcome = Outcome.of(
        name, CLASSES, partitions=["p"] * len(keys), seeds=[0] * len(keys), samples=[k[2] for k in keys],
        units=[k[2] for k in keys], truth=truth, predicted=truth,
    )  # fmt: skip
    return Evidence.of(outcome, rows, 0)


@pytest.mark.parametrize("sharp", [0.0, 1.0, 4.0])
def test_pixel_scores_are_those_of_the_exact_ranking(sharp: float) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    pictures = maps(sharp=sharp)
    found = evidence(pictures).values(SEGMENT)
    heat, mask = (np.concatenate([each[part].ravel() for each in pictures]) for part in (0, 1))
    assert found["pixel AP"] == pytest.approx(metrics.average_precision_score(mask, heat), abs=1e-3)
    assert found["pixel AUROC"] == pytest.approx(metrics.roc_auc_score(mask, heat), abs=1e-3)
    precision, recall, _ = metrics.precision_recall_curve(mask, heat)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    assert found["F1-max"] == pytest.approx(best, abs=1e-3)
    assert found["PRO"] == pytest.approx(slow_pro(pictures), abs=2e-3)


def slow_pro(pictures: Maps) -> float:
    """By every threshold, as the definition says."""
    from scipy import ndimage

    regions = []
    for heat, mask in pictures:
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        regions += [heat[labels == number] for number in range(1, count + 1)]
    clean = np.concatenate([heat[~mask] for heat, mask in pictures])
    thresholds = np.concatenate([[2.0], np.sort(np.unique(np.concatenate([clean, *regions])))[::-1][::40]])
    rate = np.array([(clean >= t).mean() for t in thresholds])
    overlap = np.array([np.mean([(region >= t).mean() for region in regions]) for t in thresholds])
    grid = np.linspace(0, 0.3, 3001)
    return float(np.interp(grid, rate, overlap).mean())


def test_constant_and_extreme_scores() -> None:
    mask = np.zeros((8, 8), np.bool_)
    mask[:2] = True
    same = [(np.full((8, 8), 0.5, np.float32), mask)] * 3
    values = evidence(same).values(SEGMENT)
    assert values["pixel AP"] == pytest.approx(0.25)
    assert values["pixel AUROC"] == pytest.approx(0.5)
    perfect = [(mask.astype(np.float32), mask)] * 3
    values = evidence(perfect).values(SEGMENT)
    assert values["pixel AP"] == values["pixel AUROC"] == values["F1-max"] == values["PRO"] == pytest.approx(1)
    empty = [(np.zeros((8, 8), np.float32), np.zeros((8, 8), np.bool_))] * 3
    values = evidence(empty).values(SEGMENT)
    assert values["pixel AP"] is None
    assert values["F1-max"] is None
    with pytest.raises(DataError, match="NaN"):
        pixel_counts(np.full((8, 8), np.nan, np.float32), mask)
    with pytest.raises(UsageError, match="heat map of"):
        pixel_counts(np.zeros((4, 8), np.float32), mask)


def test_a_class_alone_is_scored_on_its_own_images() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    pictures = maps()
    found = evidence(pictures).values(per_class(SEGMENT, 2, 1))
    mine = [each for number, each in enumerate(pictures) if number % 3 == 2]
    heat, mask = (np.concatenate([each[part].ravel() for each in mine]) for part in (0, 1))
    assert found["pixel AP"] == pytest.approx(metrics.average_precision_score(mask, heat), abs=2e-3)


def test_image_scores() -> None:
    scores = [0.1, 0.9, 0.3, 0.3, 0.8, 0.7]
    found = evidence(maps(), anomaly=scores).values(ANOMALY)
    # Good: 0.1 and 0.3; defects 0.9, 0.3, 0.8, 0.7: one tie in eight pairs.
    assert found["image AUROC"] == pytest.approx(7.5 / 8)
    assert found["false alarms at full recall"] == pytest.approx(0.5)


def test_label_maps_give_the_pooled_overlap() -> None:
    truth = np.zeros((4, 4), np.uint8)
    truth[:2] = 1
    said = np.zeros((4, 4), np.uint8)
    said[1:3] = 1
    said[3] = 2
    assert areas_of(said, truth, 3) == ((4, 8, 8), (0, 4, 0))
    one = replace(evidence(maps()).replicates[0].images[0], areas=areas_of(said, truth, 3))
    replicate = Replicate((one,), np.array([0]), np.array([1]), 0)
    # The second class is nowhere true, so it does not count.
    assert SEGMENT.of(replicate, np.ones((1, 1)))[0, 1] == pytest.approx(4 / 12)


def test_detections_are_scored_as_pycocotools_does() -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    random = np.random.default_rng(3)
    annotations, results, images = [], [], []
    for image in range(12):
        objects = [
            (int(random.integers(2)), tuple(map(int, (*random.integers(0, 60, 2), *random.integers(8, 30, 2)))))
            for _ in range(4)
        ]
        found = []
        for label, (x, y, w, h) in objects:
            if random.random() < 0.8:
                shift = random.integers(-4, 5, 2)
                found.append((label, float(random.random()), (x + int(shift[0]), y + int(shift[1]), w, h)))
        found += [(int(random.integers(2)), float(random.random()), (5, 5, 20, 20)) for _ in range(2)]
        annotations += [
            {"id": 10 * image + k + 1, "image_id": image, "category_id": c, "bbox": list(b), "area": 9, "iscrowd": 0}
            for k, (c, b) in enumerate(objects)
        ]
        results += [{"image_id": image, "category_id": c, "score": s, "bbox": list(b)} for c, s, b in found]
        counts = tuple(sum(label == c for label, _ in objects) for c in range(2))
        images.append(ImageEvidence(0.5, found=matches(found, objects), objects=counts))
    truth = coco_module.COCO()
    truth.dataset = {
        "images": [{"id": n, "width": 100, "height": 100} for n in range(12)],
        "annotations": annotations,
        "categories": [{"id": c, "name": str(c)} for c in range(2)],
    }
    truth.createIndex()
    evaluated = evaluation.COCOeval(truth, truth.loadRes(results), "bbox")
    evaluated.evaluate()
    evaluated.accumulate()
    evaluated.summarize()
    replicate = Replicate(tuple(images), np.arange(12), np.ones(12, np.int64), 0)
    ap50, ap = DETECT.of(replicate, np.ones((1, 12)))[0]
    assert ap50 == pytest.approx(evaluated.stats[1], abs=1e-6)
    # COCO reads the precision at recalls such as 0.7, which a sum of floats may just miss.
    assert ap == pytest.approx(evaluated.stats[0], abs=1e-4)
    twice = Replicate(tuple(images) * 2, np.arange(24) % 12, np.ones(24, np.int64), 0)
    doubled = DETECT.of(replicate, np.full((1, 12), 2.0))
    assert doubled == pytest.approx(DETECT.of(twice, np.ones((1, 24))), abs=0.02), "a weight of two is an image twice"
    none = Replicate(tuple(replace(each, found=()) for each in images), np.arange(12), np.ones(12, np.int64), 0)
    assert DETECT.of(none, np.ones((1, 12))).tolist() == [[0.0, 0.0]]


def test_evidence_comes_back_from_json() -> None:
    heat, mask = maps()[1]
    pixels, pieces = pixel_counts(heat, mask)
    one = ImageEvidence(0.25, pixels, pieces, ((1, 2, 3),), ((0, 0.5, 7),), (2,))
    assert ImageEvidence.from_json(json.loads(json.dumps(asdict(one)))) == one
    bare = ImageEvidence(0.25)
    assert ImageEvidence.from_json(json.loads(json.dumps(asdict(bare)))) == bare
    table = one.table()
    assert table[0].sum() == (~mask).sum()
    assert table[1].sum() == mask.sum()
    assert table[2].sum() == pytest.approx(pieces)
    with pytest.raises(UsageError, match="no heat map"):
        bare.table()


def test_a_clear_difference_is_found_and_equal_conditions_differ_by_nothing() -> None:
    weak, strong = (evidence(maps(24, sharp=sharp), name=str(sharp)) for sharp in (1.0, 4.0))
    found = resampled({"weak": weak, "strong": strong, "again": weak}, SEGMENT, resamples=500)
    paired = found.paired("weak", "strong", "pixel AP", fewest_units=8)
    assert paired is not None
    assert paired.p_value < 0.01
    assert paired.difference > 0.3
    assert paired.difference in paired.interval
    estimate = found.estimate("strong", "pixel AP")
    assert estimate.value is not None
    assert estimate.interval is not None
    assert estimate.value in estimate.interval
    same = found.paired("weak", "again", "pixel AP", fewest_units=8)
    assert same is not None
    assert (same.difference, same.p_value) == (0.0, 1.0)
    assert found.estimate("weak", "mIoU").value is None, "no label maps"


def test_the_interval_of_the_image_auroc_is_that_of_the_literature() -> None:
    # Hanley & McNeil (1982): the standard error of an area of 0.8 over 60 + 30 images is about 0.05.
    random = np.random.default_rng(5)
    heat = (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.bool_))
    scores = [float(random.normal(1.19 * (number % 3 > 0))) for number in range(90)]
    found = resampled({"x": evidence([heat] * 90, anomaly=scores)}, ANOMALY, resamples=1000)
    interval = found.estimate("x", "image AUROC").interval
    assert interval is not None
    assert (interval.high - interval.low) / 3.92 == pytest.approx(0.05, abs=0.015)


def test_what_cannot_be_scored_has_no_interval() -> None:
    one = evidence(maps(3)[1:2] * 1)
    found = resampled({"x": one}, SEGMENT)
    assert found.estimate("x", "pixel AP").interval is None
    assert found.paired("x", "x", "pixel AP", fewest_units=1) is None
    outcome = evidence(maps(3)).outcome
    with pytest.raises(DataError, match="no evidence of i00"):
        Evidence.of(outcome, {}, 0)
