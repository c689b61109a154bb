"""What a comparison can show, said beforehand: by the same rule as the verdict, and about as often as promised."""

from __future__ import annotations

import numpy as np
import pytest

from carpet_data.metrics import Outcome, paired_bootstrap
from carpet_data.metrics.outlook import DISAGREEMENT, FEWEST_UNITS, outlook


def _set(**groups: tuple[int, int]) -> tuple[dict[str, str], list[str]]:
    """Classes of samples and the ids on the test side, from class -> (train, test)."""
    class_of, test = {}, []
    for name, (train, held_out) in groups.items():
        ids = [f"{name}{n}" for n in range(train + held_out)]
        class_of.update(dict.fromkeys(ids, name))
        test += ids[train:]
    return class_of, test


def test_a_class_with_too_few_groups_allows_no_verdict_and_the_way_out_is_named() -> None:
    class_of, test = _set(good=(20, 10), hole=(8, 2), cut=(1, 1))
    found = outlook(class_of, {}, test)
    assert (found.verdict, found.detectable) == (False, None)
    assert found.groups == {"good": 10, "cut": 1, "hole": 2}
    text = " ".join(found.text())
    assert "and cut, hole have fewer" in text
    assert "more images of cut" in text
    moved = outlook(*_with_groups(_set(good=(20, 10), hole=(8, 2)), {}))
    assert "--fractions 0.5 0.5" in " ".join(moved.text())


def _with_groups(
    made: tuple[dict[str, str], list[str]], groups: dict[str, str]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    return made[0], groups, made[1]


def test_images_of_one_group_count_once() -> None:
    class_of, test = _set(good=(4, 8), hole=(4, 8))
    groups = {each: "one piece" for each in test if each.startswith("hole")}
    assert outlook(class_of, groups, test).groups == {"good": 8, "hole": 1}
    assert outlook(class_of, {}, test).verdict


def test_a_single_class_is_no_comparison() -> None:
    class_of, test = _set(good=(4, 8))
    assert not outlook(class_of, {}, test).verdict


@pytest.mark.parametrize("groups", [8, 30])
def test_the_difference_named_is_found_about_as_often_as_promised(groups: int) -> None:
    """Two conditions that disagree on a fifth of the test groups, with the named difference between them."""
    class_of, test = _set(good=(2, groups), hole=(2, groups), cut=(2, groups))
    detectable = outlook(class_of, {}, test).detectable
    assert detectable is not None
    better = (DISAGREEMENT + min(detectable, DISAGREEMENT)) / 2
    random = np.random.default_rng(0)
    found, rounds = 0, 40
    for _ in range(rounds):
        truth = np.repeat([0, 1, 2], groups)
        draw = random.random(len(truth))
        # Right in both, only in the second, only in the first.
        first = np.where(draw < better, (truth + 1) % 3, truth)
        second = np.where((draw >= better) & (draw < DISAGREEMENT), (truth + 1) % 3, truth)
        before, after = (
            Outcome.of(
                name,
                ("good", "hole", "cut"),
                partitions=["p"] * len(truth),
                seeds=[0] * len(truth),
                samples=test,
                units=test,
                truth=truth,
                predicted=predicted,
            )
            for name, predicted in (("before", first), ("after", second))
        )
        paired = paired_bootstrap(before, after, resamples=500)
        assert paired.fewest_units == groups >= FEWEST_UNITS
        found += paired.p_value < 0.05 and paired.difference > 0
    if detectable <= DISAGREEMENT:
        assert 0.6 <= found / rounds <= 1.0
    else:
        assert found / rounds < 0.95, "where the classifiers disagree on less than that, it cannot be found so often"


def test_each_task_says_why_it_allows_no_verdict() -> None:
    class_of, test = _set(good=(20, 10), hole=(8, 4), cut=(3, 3))
    everything = list(class_of)
    found = outlook(class_of, {}, test, masked=everything)
    assert dict(found.tasks) == dict.fromkeys(("classify", "segment", "detect", "anomaly"))
    assert "verdicts that this split can carry: classify, segment, detect, anomaly" in found.text()
    bare = outlook(class_of, {}, test, masked=[])
    assert [task for task, why in bare.tasks.items() if why is None] == ["classify"]
    assert "not segment, detect, anomaly: no defect image has a mask" in bare.text()
    some = [each for each in everything if not each.startswith("cut")]
    assert outlook(class_of, {}, test, masked=some).tasks["detect"] is not None
    assert outlook(class_of, {}, test, masked=some).tasks["segment"] is None
    few = outlook(*_with_groups(_set(good=(20, 1), hole=(8, 4)), {}), masked=everything)
    assert few.tasks["anomaly"] == "it needs 3 groups of test images without a defect (got 1)"
    assert few.tasks["segment"] is None
    assert outlook(class_of, {}, test).tasks == {}
