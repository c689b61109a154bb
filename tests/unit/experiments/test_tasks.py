"""Metrics, tests and verdicts of maps, detections and image scores, of training runs that are written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carpet_data.core.results import plain
from carpet_data.dataset import Instance
from carpet_data.errors import DataError
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.conditions import BASELINE, standard
from carpet_data.experiments.journal import CLASSIFIER, DENSE, Training, append, read
from carpet_data.experiments.verdict import judge, judged
from carpet_data.store.runs import Prediction
from carpet_data.training.contract import Detection, ImagePrediction
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.evidence import KeptEvidence
from carpet_data.training.truth import Truth

CLASSES = ("good", "hole", "thread")
CONDITIONS = standard(dense=DenseOptions())
NAMES = [condition.name for condition in CONDITIONS]
BOTH = "real + synthetic"


def add_shown(kept: KeptEvidence, class_name: str, sharp: float, random: np.random.Generator) -> None:
    """What a model shows of an image with one defect, if any: the sharper, the better."""
    labels = np.zeros((40, 40), np.uint8)
    label = CLASSES.index(class_name)
    if label:
        labels[10:20, 5 : 9 + 6 * label] = label
    odds = random.normal(-3 + sharp * (labels > 0), 1.5)
    heat = (1 / (1 + np.exp(-odds))).astype(np.float32)
    box = (5, 10, 4 + 6 * label, 10)
    there = (Instance(class_name, box, box[2] * box[3], 40, 40, ""),) if label else ()
    truth = Truth.of("x", class_name, labels=labels, instances=there)
    hit = label and random.random() < sharp / 5
    found = (Detection(class_name, float(random.random()), box),) if hit else ()
    said = np.where(heat > 0.5, labels, 0).astype(np.uint8)
    score = float(1 / (1 + np.exp(-random.normal(sharp if label else 0))))
    kept.add(truth, ImagePrediction(class_name, None, score, heat, said, found))


def training(
    condition: str, sharp: float, *, of: dict[str, int], partition: str = "p0", seed: int = 0, learner: str = DENSE
) -> Training:
    random = np.random.default_rng([seed, len(partition), round(10 * sharp)])
    names = [(name, number) for name, count in of.items() for number in range(count)]
    rows = tuple(
        Prediction(f"{partition}-{n}-{k}", condition, partition, seed, "test", n, n, (0.2, 0.4, 0.4), 0.7)
        for n, k in names
    )
    kept = KeptEvidence(CLASSES)
    for name, _ in names:
        add_shown(kept, name, sharp, random)
    evidence = kept.images() if learner == DENSE else None
    units = tuple(row.id for row in rows)
    return Training(condition, partition, seed, 20, 8, 100, rows, units, learner=learner, evidence=evidence)


def compared(
    sharp: dict[str, float], of: dict[str, int] | None = None, *, partitions: tuple[str, ...] = ("p0",)
) -> Comparison:
    counts = {"good": 8, "hole": 6, "thread": 6} if of is None else of
    everything = [
        training(name, sharp.get(name, 2.0), of=counts, partition=partition, seed=seed, learner=learner)
        for learner in (DENSE, CLASSIFIER)
        for name in NAMES
        for partition in partitions
        for seed in (0, 1)
    ]
    return Comparison(CLASSES, CONDITIONS, BASELINE, tuple(everything), learner=DENSE)


@pytest.mark.parametrize(
    ("task", "measure", "units"),
    [
        ("segment", "pixel AP", {"defect": 12}),
        ("detect", "AP50", {"hole": 6, "thread": 6}),
        ("anomaly", "image AUROC", {"good": 8, "defect": 12}),
    ],
)
def test_a_clear_gain_is_found_in_each_task(task: str, measure: str, units: dict[str, int]) -> None:
    view = compared({BASELINE: 1.0, BOTH: 5.0}).of(DENSE, task)
    metrics = view.metrics
    assert metrics.measure == measure
    assert metrics.test_units == units
    row = metrics.conditions[BOTH]
    assert row.first.value is not None
    assert row.first.interval is not None
    assert row.first.value in row.first.interval
    assert row.first.value > 0.8
    assert len(row.by_training) == 2
    assert row.by_partition["p0"] == pytest.approx(np.mean([value for _, _, value in row.by_training]))
    assert row.first.value == pytest.approx(row.by_partition["p0"])
    assert set(row.by_class) == (set() if task == "anomaly" else {"hole", "thread"})
    (verdict,) = judge(view, [BOTH])
    assert (verdict.verdict, verdict.task, verdict.learner) == ("helps", task, DENSE)
    assert verdict.sentence.startswith(f"real + synthetic helps: {measure} went from 0.")
    (verdict,) = judge(view, ["synthetic-only"])
    assert verdict.p_value is not None
    assert "NaN" not in str(plain(metrics))


def test_equal_conditions_differ_by_nothing() -> None:
    view = compared({}).of(DENSE, "segment")
    (verdict,) = judge(view, [BOTH])
    assert verdict.verdict == "no evidence"
    assert view.contrast(BOTH).difference == 0
    assert verdict.p_value == 1.0


def test_what_was_asked_for_is_adjusted_by_itself() -> None:
    found = compared({BASELINE: 1.5, BOTH: 3.0})
    tasks = ("segment", "detect", "anomaly")
    views = [found.of(DENSE, task) for task in tasks] + [found.of(CLASSIFIER, "classify")]
    every = judged(views, [BOTH], asked=3)
    alone = judged(views, [BOTH], asked=1)
    assert [each.adjusted_over for each in every] == [3, 3, 3, 1]
    assert [each.adjusted_over for each in alone] == [1, 2, 2, 1]
    assert "(Holm, 3 comparisons)" in every[0].sentence
    assert every[0].p_value is not None
    assert alone[0].p_value is not None
    assert alone[0].p_value <= every[0].p_value


def test_one_group_gives_no_test() -> None:
    view = compared({BOTH: 5.0}, {"good": 4, "hole": 1}).of(DENSE, "anomaly")
    (verdict,) = judge(view, [BOTH])
    assert (verdict.verdict, verdict.p_value) == ("no evidence", None)
    assert "one side has a single group of test images. Image AUROC went from" in verdict.sentence
    assert view.metrics.conditions[BOTH].first.interval is None
    few = compared({BOTH: 5.0}, {"good": 4, "hole": 2}).of(DENSE, "anomaly")
    assert "fewer than 3 groups" in judge(few, [BOTH])[0].sentence


def test_partitions_give_their_spread_and_unlike_ones_are_pooled() -> None:
    view = compared({BASELINE: 1.0, BOTH: 5.0}, partitions=("p0", "p10")).of(DENSE, "segment")
    contrast = view.contrast(BOTH)
    assert set(contrast.by_partition) == {"p0", "p10"}
    assert min(contrast.by_partition.values()) > 0.2
    assert contrast.corrected_t is not None
    first = [training(n, 2.0, of={"good": 3, "hole": 4}, partition="a") for n in NAMES]
    second = [training(n, 2.0, of={"good": 3, "thread": 4}, partition="b") for n in NAMES]
    pooled = Comparison(CLASSES, CONDITIONS, BASELINE, (*first, *second), learner=DENSE, task="segment")
    assert pooled.pooled
    assert {partition for partition, _, _ in pooled.metrics.conditions[BOTH].by_training} == {"a", "b"}
    assert pooled.contrast(BOTH).corrected_t is None


def test_a_model_without_maps_has_no_segmentation() -> None:
    with pytest.raises(DataError, match="says nothing on segment"):
        _ = compared({}).of(CLASSIFIER, "segment").metrics


def test_evidence_survives_the_journal(tmp_path) -> None:
    kept = training(BASELINE, 2.0, of={"good": 1, "hole": 1})
    append(tmp_path, replace(kept, notes=("a note",)))
    assert read(tmp_path) == (replace(kept, notes=("a note",)),)
