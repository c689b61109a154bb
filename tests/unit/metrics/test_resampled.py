"""Scores from the evidence kept of each image: against scikit-learn and pycocotools, and under the bootstrap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import DetectionRanking, Outcome, PixelRanking, class_pixels, pixel_scores
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.metrics.paired import paired_result
from carpet_data.metrics.resampled import (
    ANOMALY,
    DETECT,
    SEGMENT,
    Evidence,
    Replicate,
    per_class,
    resampled,
)
from carpet_data.samples import Instance
from carpet_data.training.contract import Detection

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
    ranking = PixelRanking()
    for heat, mask in pictures:
        ranking.add(heat, mask)
    for number, ((heat, _), counts) in enumerate(zip(pictures, ranking.summaries(), strict=True)):
        score = float(heat.max()) if anomaly is None else anomaly[number]
        rows["p", 0, f"i{number:02d}"] = ImageEvidence(score, counts.pack(), counts.components)
    keys = list(rows) * repeats
    outcome = Outcome.of(
        name, CLASSES, partitions=["p"] * len(keys), seeds=[0] * len(keys), samples=[k[2] for k in keys],
        units=[k[2] for k in keys], truth=truth, predicted=truth,
    )  # fmt: skip
    return Evidence.of(outcome, rows, 0)


def logistic(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-odds))


SCALES = {
    "probabilities": logistic,
    "a narrow range": lambda odds: 0.301 + 0.004 * logistic(odds),
    "almost nothing": lambda odds: 1e-6 * logistic(odds),
    "almost certain": lambda odds: logistic(8 * odds),
    "mostly zero": lambda odds: np.maximum(logistic(odds) - 0.02, 0),
    "256 steps": lambda odds: np.round(255 * logistic(odds)) / 255,
    "mostly one": lambda odds: np.clip(odds + 4, 0, 1),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("sharp", [1.0, 4.0])
def test_pixel_scores_are_those_of_the_exact_ranking(scale: str, sharp: float) -> None:
    random = np.random.default_rng(2)
    pictures = []
    for _, mask in maps():
        odds = random.normal(-4 + sharp * gaussian_filter(mask.astype(float), 1.5), 1.2)
        pictures.append((SCALES[scale](odds).astype(np.float32), mask))
    whole = evidence(pictures)
    compare(whole.values(SEGMENT), pictures)
    # A weight of n is an image n times.
    times = np.array([2, 0, 1, 3, 1, 1])
    repeated = [picture for picture, n in zip(pictures, times, strict=True) for _ in range(n)]
    drawn = SEGMENT.of(whole.replicates[0], times[None].astype(float))[0]
    compare(dict(zip(SEGMENT.names, drawn.tolist(), strict=True)), repeated)


def compare(found: dict[str, float | None], pictures: Maps) -> None:
    exact = pixel_scores(*zip(*pictures, strict=True))
    expected = {"pixel AP": exact.ap, "pixel AUROC": exact.auroc, "PRO": exact.pro}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert found["F1-max"] == pytest.approx(exact.f1_max, abs=2e-3)


def test_models_of_several_partitions_are_scored_together() -> None:
    pictures, summaries = [], []
    for part in range(4):
        ranking = PixelRanking()
        mine = [(heat, mask) for heat, mask in maps(seed=part, sharp=1 + part)]
        for heat, mask in mine:
            ranking.add(heat, mask)
        pictures += mine
        summaries += ranking.summaries()
    images = tuple(ImageEvidence(0.5, each.pack(), each.components) for each in summaries)
    replicate = Replicate(images, np.arange(24), np.arange(24) % 3, 0)
    assert replicate.counts.shape[2] > 1000, "the bins of four models"
    compare(dict(zip(SEGMENT.names, SEGMENT.of(replicate, np.ones((1, 24)))[0].tolist(), strict=True)), pictures)


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


def test_a_class_alone_is_scored_against_all_pixels_without_a_defect() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    pictures = maps()
    found = evidence(pictures).values(per_class(SEGMENT, 2, 1))
    rows = [
        (heat[kept], mask[kept]) for number, (heat, mask) in enumerate(pictures) for kept in [~mask | (number % 3 == 2)]
    ]
    heat, mask = (np.concatenate([each[part] for each in rows]) for part in (0, 1))
    assert found["pixel AP"] == pytest.approx(metrics.average_precision_score(mask, heat), abs=1e-3)


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
    areas = tuple(map(tuple, class_pixels(said, truth, 3)[:, 1:].T.tolist()))
    assert areas == ((4, 8, 8), (0, 0, 4))
    one = replace(evidence(maps()).replicates[0].images[0], areas=areas)
    replicate = Replicate((one,), np.array([0]), np.array([1]), 0)
    # The second class is nowhere true, so it does not count.
    assert SEGMENT.of(replicate, np.ones((1, 1)))[0, 1] == pytest.approx(4 / 12)


def detections(random: np.random.Generator) -> tuple[list[Detection], list[Instance]]:
    """Of one image: true defects, most of them found more or less exactly, and some false alarms."""
    true, found = [], []
    for _ in range(4):
        x, y, w, h = map(int, (*random.integers(0, 60, 2), *random.integers(8, 30, 2)))
        name = CLASSES[random.integers(1, 3)]
        true.append(Instance(name, (x, y, w, h), w * h, 100, 100, ""))
        if random.random() < 0.8:
            dx, dy = map(int, random.integers(-4, 5, 2))
            found.append(Detection(name, float(random.integers(1, 9)) / 10, (x + dx, y + dy, w, h)))
    found += [Detection(CLASSES[random.integers(1, 3)], float(random.random()), (5, 5, 20, 20)) for _ in range(3)]
    return found, true


def detected(images: list[tuple[list[Detection], list[Instance]]]) -> tuple[list[float | None], Replicate]:
    """The exact figures, and what is kept of the images."""
    ranking = DetectionRanking(CLASSES[1:])
    for found, true in images:
        ranking.add(found, true, 100, 100)
    scores = ranking.scores()
    kept = tuple(ImageEvidence(0.5, found=found, objects=objects) for found, objects in ranking.evidence())
    return [scores.ap50, scores.ap], Replicate(kept, np.arange(len(kept)), np.ones(len(kept), np.int64), 0)


@pytest.mark.parametrize("seed", range(4))
def test_detections_are_scored_as_they_are_all_together(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = [detections(random) for _ in range(12)]
    exact, replicate = detected(images)
    assert DETECT.of(replicate, np.ones((1, 12)))[0].tolist() == pytest.approx(exact, abs=1e-9)
    times = random.integers(0, 4, 12)
    again, _ = detected([image for image, n in zip(images, times, strict=True) for _ in range(n)])
    drawn = DETECT.of(replicate, np.stack([times, np.ones(12)]).astype(float))
    # Of detections with the same score, those of a repeated image may come in another order.
    assert drawn[0].tolist() == pytest.approx(again, abs=0.01)
    assert drawn[1].tolist() == pytest.approx(exact, abs=1e-9)
    none = Replicate(tuple(replace(each, found=()) for each in replicate.images), np.arange(12), np.ones(12, int), 0)
    assert DETECT.of(none, np.ones((1, 12))).tolist() == [[0.0, 0.0]]


def test_evidence_comes_back_from_json() -> None:
    heat, mask = maps()[1]
    ranking = PixelRanking()
    ranking.add(heat, mask)
    (counts,) = ranking.summaries()
    one = ImageEvidence(0.25, counts.pack(), counts.components, ((1, 2, 3),), ((0, 0.5, 7),), (2,))
    assert ImageEvidence.from_json(json.loads(json.dumps(asdict(one)))) == one
    bare = ImageEvidence(0.25)
    assert ImageEvidence.from_json(json.loads(json.dumps(asdict(bare)))) == bare
    table = one.counts().table
    assert table[0].sum() == (~mask).sum()
    assert table[1].sum() == mask.sum()
    assert table[2].sum() == pytest.approx(counts.components)
    with pytest.raises(UsageError, match="no heat map"):
        bare.counts()


def test_a_clear_difference_is_found_and_equal_conditions_differ_by_nothing() -> None:
    weak, strong = (evidence(maps(24, sharp=sharp), name=str(sharp)) for sharp in (1.0, 4.0))
    found = resampled({"weak": weak, "strong": strong, "again": weak}, SEGMENT)
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


def test_few_images_make_an_interval_wider_and_a_p_value_larger() -> None:
    moved = np.random.default_rng(0).normal(0.2, 0.1, 4000)
    plain, few, many = (
        paired_result("pixel AP", 0.2, moved, fewest_units=2, units=units) for units in (None, 10, 100_000)
    )
    # Two-sided, 2.0 standard deviations: 0.046 of the normal distribution, 0.077 of Student's t with 9 degrees.
    assert plain.p_value == pytest.approx(0.0455, abs=0.01)
    assert few.p_value == pytest.approx(0.0766, abs=0.012)
    assert many.p_value == pytest.approx(plain.p_value, abs=1e-4)
    width = few.interval.high - few.interval.low
    assert width / (plain.interval.high - plain.interval.low) == pytest.approx(2.262 / 1.960, abs=0.04)
    assert few.interval.level == 0.95
    same = paired_result("pixel AP", 0.0, np.zeros(200), fewest_units=2, units=2)
    assert (same.p_value, same.interval.low, same.interval.high) == (1.0, 0.0, 0.0)


def test_what_cannot_be_scored_has_no_interval() -> None:
    one = evidence(maps(3)[1:2] * 1)
    found = resampled({"x": one}, SEGMENT)
    assert found.estimate("x", "pixel AP").interval is None
    assert found.paired("x", "x", "pixel AP", fewest_units=1) is None
    unknown = Replicate((ImageEvidence(0.5),) * 3, np.arange(3), np.arange(3), 0)
    for measures in (SEGMENT, DETECT):
        assert np.isnan(measures.of(unknown, np.ones((2, 3)))).all(), "no masks"
    outcome = evidence(maps(3)).outcome
    with pytest.raises(DataError, match="no evidence of i00"):
        Evidence.of(outcome, {}, 0)
