"""Metrics, tests and verdicts of trainings that are written by hand."""

from __future__ import annotations

import json

import pytest

from carpet_data.errors import DataError
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.conditions import BASELINE, standard
from carpet_data.experiments.journal import Training, append, read
from carpet_data.experiments.verdict import judge
from carpet_data.store.runs import Prediction

CLASSES = ("good", "hole")
NAMES = [condition.name for condition in standard()]


def training(
    condition: str, right: dict[str, int], *, of: int = 10, partition: str = "p0", seed: int = 0, alone: bool = True
) -> Training:
    """A training that gets the first `right[class]` of `of` images of each class right."""
    rows, units = [], []
    for name in right:
        other = next(each for each in CLASSES if each != name)
        for number in range(of):
            said = name if number < right[name] else other
            sample = f"{partition}-{name}-{number}"
            rows.append(Prediction(sample, condition, partition, seed, "test", name, said, (0.5, 0.5), 0.7))
            units.append(sample if alone else f"{partition}-{name}")
    return Training(condition, partition, seed, 20, 0, 100, tuple(rows), tuple(units))


def compared(right: dict[str, dict[str, int]], **given: object) -> Comparison:
    everything = [training(name, right.get(name, {"good": 5, "hole": 5}), **given) for name in NAMES]  # type: ignore[arg-type]
    return Comparison(CLASSES, standard(), BASELINE, tuple(everything))


def test_the_figures_are_those_of_the_counts() -> None:
    found = compared({BASELINE: {"good": 9, "hole": 4}})
    row = found.metrics.conditions[BASELINE]
    assert row.first.value == pytest.approx(0.65)
    assert row.by_class["good"].value == pytest.approx(0.9)
    assert row.by_class["hole"].value == pytest.approx(0.4)
    assert row.confusion == ((9, 1), (6, 4))
    assert row.by_training == (("p0", 0, pytest.approx(0.65)),)
    assert row.first.interval is not None
    assert row.first.value in row.first.interval
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ({"good": 10, "hole": 2}, {"good": 10, "hole": 9}, "helps"),
        ({"good": 10, "hole": 9}, {"good": 10, "hole": 2}, "hurts"),
        ({"good": 10, "hole": 5}, {"good": 10, "hole": 6}, "no evidence"),
        ({"good": 10, "hole": 5}, {"good": 10, "hole": 5}, "no evidence"),
    ],
)
def test_the_verdict(before: dict[str, int], after: dict[str, int], word: str) -> None:
    (verdict,) = judge(compared({BASELINE: before, "real + synthetic": after}), ["real + synthetic"])
    assert verdict.verdict == word
    assert verdict.p_value is not None
    assert (verdict.p_value < 0.05) == (word != "no evidence")
    assert not verdict.good_images_suffer
    assert "good images" not in verdict.sentence
    assert verdict.sentence.startswith(
        {
            "helps": "real + synthetic helps: balanced accuracy went from 0.600 to 0.950 (+0.350, 95 % interval +0.",
            "hurts": "real + synthetic hurts: balanced accuracy went from 0.950 to 0.600 (-0.350, 95 % interval -0.",
            "no evidence": "no evidence that real + synthetic helps or hurts: balanced accuracy went from 0.750 to 0.",
        }[word]
    )


def test_good_images_called_defect_are_told_beside_the_verdict() -> None:
    found = compared({BASELINE: {"good": 10, "hole": 1}, "real + synthetic": {"good": 8, "hole": 10}})
    (verdict,) = judge(found, ["real + synthetic"])
    assert verdict.verdict == "helps"
    assert verdict.good_images_suffer
    assert verdict.sentence.endswith(
        ", p < 0.001. But good images are called defective more often: the recall of good fell from 1.00 to 0.80."
    )


@pytest.mark.parametrize(
    ("before", "after", "alarm"),
    [(704, 696, False), (704, 694, True), (990, 970, False), (990, 930, True), (600, 700, False)],
)
def test_a_fall_of_good_that_cannot_be_shown_is_no_alarm(before: int, after: int, alarm: bool) -> None:
    found = compared(
        {BASELINE: {"good": before, "hole": 1}, "real + synthetic": {"good": after, "hole": 1}}, of=1000, alone=False
    )
    (verdict,) = judge(found, ["real + synthetic"])
    assert verdict.good_images_suffer == alarm
    assert (f"fell from {before / 1000:.2f} to {after / 1000:.2f}" in verdict.sentence) == alarm


def test_several_recipes_are_adjusted_for() -> None:
    same = {"good": 10, "hole": 5}
    found = compared({BASELINE: same, "synthetic-only": same, "real + synthetic": {"good": 10, "hole": 9}})
    (alone,) = judge(found, ["real + synthetic"])
    beside = judge(found, ["real + synthetic", "synthetic-only"])
    assert alone.p_value is not None
    assert beside[0].p_value == pytest.approx(2 * alone.p_value)
    assert "Holm, 2 comparisons" in beside[0].sentence


def test_one_group_a_class_gives_no_test_and_no_verdict() -> None:
    found = compared({BASELINE: {"good": 10, "hole": 0}, "real + synthetic": {"good": 10, "hole": 10}}, alone=False)
    assert found.metrics.conditions[BASELINE].first.interval is None
    (verdict,) = judge(found, ["real + synthetic"])
    assert (verdict.verdict, verdict.p_value) == ("no evidence", None)
    assert verdict.sentence == (
        "no evidence that real + synthetic helps or hurts: no test is possible, because a class has a single group "
        "of test images. Balanced accuracy went from 0.500 to 1.000 (+0.500)."
    )
    suffers = compared({BASELINE: {"good": 10, "hole": 0}, "real + synthetic": {"good": 8, "hole": 10}}, alone=False)
    (verdict,) = judge(suffers, ["real + synthetic"])
    assert verdict.good_images_suffer
    assert verdict.sentence.endswith(
        "(+0.400). Good images are called defective more often: the recall of good fell from 1.00 to 0.80."
    )
    assert any("a single group of test images" in note for note in found.notes)


def test_two_groups_a_class_carry_no_verdict() -> None:
    # The images of a class agree, so the bootstrap finds no spread at all and the smallest p-value there is.
    before, after = {"good": 2, "hole": 0}, {"good": 2, "hole": 2}
    (verdict,) = judge(compared({BASELINE: before, "real + synthetic": after}, of=2), ["real + synthetic"])
    assert verdict.p_value is not None
    assert verdict.p_value < 0.01
    assert verdict.verdict == "no evidence"
    assert verdict.sentence.endswith("p-values are unreliable, so no verdict is given.")
    three = {BASELINE: {"good": 3, "hole": 0}, "real + synthetic": {"good": 3, "hole": 3}}
    (verdict,) = judge(compared(three, of=3), ["real + synthetic"])
    assert verdict.verdict == "helps"


def test_few_groups_are_warned_of() -> None:
    assert any("few groups" in note for note in compared({}, of=3).notes)
    assert not any("few groups" in note for note in compared({}, of=6).notes)


def several(shown: list[dict[str, int]]) -> Comparison:
    everything = [
        training(name, right, partition=f"p{place}", seed=seed)
        for name in NAMES
        for place, right in enumerate(shown)
        for seed in (0, 1)
    ]
    return Comparison(CLASSES, standard(), BASELINE, tuple(everything))


def test_partitions_are_compared_by_their_spread() -> None:
    found = several([{"good": 8, "hole": 5}, {"good": 9, "hole": 6}])
    assert not found.pooled
    contrast = found.contrast("real + synthetic")
    assert contrast.by_partition == {"p0": 0.0, "p1": 0.0}
    assert contrast.corrected_t is not None
    assert found.metrics.conditions[BASELINE].by_partition == pytest.approx({"p0": 0.65, "p1": 0.75})


def test_partitions_that_test_different_classes_are_pooled() -> None:
    found = several([{"good": 8}, {"hole": 6}])
    assert found.pooled
    assert found.metrics.conditions[BASELINE].first.value == pytest.approx(0.7)
    assert found.contrast("real + synthetic").corrected_t is None
    assert any("pooled" in note for note in found.notes)


def test_a_condition_that_was_not_trained_is_no_zero() -> None:
    found = Comparison(CLASSES, standard(), BASELINE, (training(BASELINE, {"good": 5, "hole": 5}),))
    with pytest.raises(DataError, match="was not trained"):
        _ = found.metrics


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path) -> None:
    kept = [training(name, {"good": 1, "hole": 2}, of=3) for name in NAMES[:2]]
    for each in kept:
        append(tmp_path, each)
    path = tmp_path / "trainings.partial.jsonl"
    path.write_bytes(path.read_bytes() + b'{"condition": "real-o')
    assert read(tmp_path) == tuple(kept)
    append(tmp_path, kept[0])
    assert read(tmp_path) == (*kept, kept[0])
