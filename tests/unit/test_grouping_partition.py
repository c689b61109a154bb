from __future__ import annotations

import json
from collections import Counter

import pytest

from carpet_data.dataset import Side, Split
from carpet_data.errors import DataError, UsageError
from carpet_data.grouping import partition, protocols
from carpet_data.grouping.partition import by_folds, by_fractions, held_out_targets, limit_per_class

CARPET = {"good": 308, "color": 19, "cut": 17, "hole": 17, "metal_contamination": 17, "thread": 19}


def samples(counts: dict[str, int]) -> dict[str, str]:
    return {f"{name}/{n:03}": name for name, count in counts.items() for n in range(count)}


def per_class(split: Split, class_of: dict[str, str], side: Side) -> dict[str, int]:
    return dict(Counter(class_of[sample_id] for sample_id in split.ids(side)))


def test_the_homework_split_of_carpet() -> None:
    chosen, notes = limit_per_class(samples(CARPET), 17, seed=3)
    split = by_fractions(chosen, fractions=(0.8, 0.2), seed=3)
    assert notes == []
    assert split.counts() == {"train": 78, "test": 24}
    assert per_class(split, chosen, "train") == dict.fromkeys(CARPET, 13)
    assert per_class(split, chosen, "test") == dict.fromkeys(CARPET, 4)
    assert split.made["notices"] == []
    json.dumps(split.made)


@pytest.mark.parametrize(
    ("count", "fractions", "targets"),
    [
        (17, (0.8, 0.2), (13, 4)),
        (20, (0.8, 0.2), (16, 4)),
        (10, (0.7, 0.1, 0.2), (7, 1, 2)),
        (1, (0.8, 0.2), (1, 0)),
        (2, (0.1, 0.9), (1, 1)),
        (2, (0.6, 0.2, 0.2), (1, 0, 1)),
        (3, (0.6, 0.2, 0.2), (1, 1, 1)),
        (10, (0.05, 0.05, 0.9), (1, 1, 8)),
        (5, (1.0, 0.0), (5, 0)),
        (0, (0.8, 0.2), (0, 0)),
    ],
)
def test_held_out_sides_are_rounded_up(count: int, fractions: tuple[float, ...], targets: tuple[int, ...]) -> None:
    assert held_out_targets(count, fractions) == targets


def test_limit_is_stable_when_other_classes_change() -> None:
    once, _ = limit_per_class(samples({"a": 30, "b": 5}), 4, seed=1)
    again, _ = limit_per_class(samples({"a": 30, "b": 90, "c": 2}), 4, seed=1)
    assert [i for i in once if i.startswith("a")] == [i for i in again if i.startswith("a")]
    other, notes = limit_per_class(samples({"a": 30, "c": 2}), 4, seed=2)
    assert [i for i in once if i.startswith("a")] != [i for i in other if i.startswith("a")]
    assert notes == ["c has 2 images, fewer than the 4 asked for"]
    with pytest.raises(UsageError):
        limit_per_class({"a": "a"}, 0)


def test_groups_stay_whole_and_targets_are_met_where_groups_allow() -> None:
    class_of = samples({"good": 60, "cut": 30})
    group_of = {sample_id: sample_id[:-1] for sample_id in class_of}  # tens
    split = by_fractions(class_of, group_of, fractions=(0.5, 0.5), seed=0)
    assert per_class(split, class_of, "train") == {"good": 30, "cut": 10} or per_class(split, class_of, "train") == {
        "good": 30,
        "cut": 20,
    }
    for group in set(group_of.values()):
        assert len({split.sides[i] for i in class_of if group_of[i] == group}) == 1
    assert any("cut" in note and "groups stay whole" in note for note in split.made["notices"])


def test_every_class_with_two_groups_is_on_both_sides() -> None:
    class_of = samples({"good": 100, "rare": 12})
    group_of = {i: ("big" if int(i[-2:]) < 11 else "small") for i in class_of if i.startswith("rare")}
    for seed in range(10):
        split = by_fractions(class_of, group_of, fractions=(0.8, 0.2), seed=seed)
        assert per_class(split, class_of, "train")["rare"] == 11
        assert (
            per_class(split, class_of, "test") == {"rare": 1, "good": 20}
            or abs(per_class(split, class_of, "test")["good"] - 20) <= 2
        )


def test_a_class_of_one_group_is_told() -> None:
    class_of = samples({"good": 10, "rare": 5})
    split = by_fractions(class_of, dict.fromkeys([i for i in class_of if "rare" in i], "one"), seed=0)
    assert "rare" in per_class(split, class_of, "train")
    assert split.made["notices"] == ["rare: no image in test; it has 1 group"]


def test_a_group_of_several_classes_counts_for_all_of_them() -> None:
    class_of = samples({"good": 40, "cut": 20})
    group_of = {i: i[-2:] for i in class_of}  # good/007 with cut/007
    split = by_fractions(class_of, group_of, fractions=(0.75, 0.25), seed=5)
    assert per_class(split, class_of, "test") == {"good": 10, "cut": 5}
    assert split.made["groups"] == 40


def test_seeds_differ_and_repeat() -> None:
    class_of = samples(CARPET)
    splits = [by_fractions(class_of, seed=seed).sides for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


def test_uneven_groups_also_differ_by_seed() -> None:
    class_of = samples({"good": 55})
    group_of, start = {}, 0
    for size in range(1, 11):
        group_of.update({f"good/{n:03}": str(size) for n in range(start, start + size)})
        start += size
    found = {by_fractions(class_of, group_of, seed=seed).ids("test") for seed in range(8)}
    assert len(found) > 2
    assert {len(ids) for ids in found} == {11}


def test_other_sides() -> None:
    split = by_fractions(samples({"a": 10}), fractions=(0.5, 0.5), sides=("train", "val"))
    assert split.counts() == {"train": 5, "val": 5}


@pytest.mark.parametrize("wrong", [(1.0,), (0.5, 0.6), (0.0, 1.0), (1.2, -0.2), (0.25,) * 4, (float("nan"), 0.5), ()])
def test_wrong_fractions(wrong: tuple[float, ...]) -> None:
    with pytest.raises(UsageError):
        by_fractions(samples({"a": 4}), fractions=wrong)


def test_wrong_sides_and_pool() -> None:
    with pytest.raises(UsageError):
        by_fractions(samples({"a": 4}), sides=("test", "train"))
    with pytest.raises(DataError):
        by_fractions({})


def test_folds_test_every_image_once_and_are_even() -> None:
    class_of = samples(CARPET)
    folds = by_folds(class_of, k=5, seed=1)
    assert [fold.name for fold in folds] == [f"fold{n}" for n in range(5)]
    tested = [sample_id for fold in folds for sample_id in fold.ids("test")]
    assert sorted(tested) == sorted(class_of)
    for fold in folds:
        for name, count in CARPET.items():
            assert count // 5 <= per_class(fold, class_of, "test")[name] <= count // 5 + 1
    sizes = [len(fold.ids("test")) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_folds_of_few_groups() -> None:
    class_of = samples({"good": 10, "rare": 2})
    folds = by_folds(class_of, k=3)
    assert "rare has 2 groups" in folds[0].made["notices"][0]
    for k in (1, 13):
        with pytest.raises(UsageError):
            by_folds(class_of, k=k)


def test_first_third() -> None:
    class_of = samples({"good": 4, "cut": 17, "hole": 2})
    side_of: dict[str, Side | None] = {"good/000": "test", "good/001": "train", "good/002": None}
    split = protocols.first_third(class_of, side_of=side_of)
    assert split.ids("train") == (*[f"cut/{n:03}" for n in range(5)], "good/001", "good/002", "good/003")
    assert set(split.sides) == set(class_of)
    assert split.made["notices"] == ["hole has no training image"]


def test_first_third_sorts_by_file_name_and_leaves_leaks_out() -> None:
    class_of = dict.fromkeys("abcdef", "cut")
    name_of = {i: str(9 - n) for n, i in enumerate("abcdef")}
    split = protocols.first_third(class_of, name_of=name_of)
    assert split.ids("train") == ("e", "f")
    leaky = protocols.first_third(class_of, {"f": "g", "a": "g"}, name_of=name_of)
    assert leaky.ids("train") == ("e",)
    assert leaky.ids("test") == split.ids("test")
    assert leaky.made["left_out"] == ["f"]
    assert "left out" in leaky.made["notices"][0]


def test_k_shot() -> None:
    class_of = samples({"good": 6, "cut": 9, "hole": 2})
    group_of = {i: i[:-1] + str(int(i[-1]) // 3) for i in class_of if i.startswith("cut")}
    split = protocols.k_shot(class_of, group_of, k=2, seed=4, side_of={"good/000": "test"})
    assert per_class(split, class_of, "train") == {"good": 5, "cut": 6, "hole": 1}
    assert per_class(split, class_of, "test") == {"good": 1, "cut": 3, "hole": 1}
    assert split.made["notices"] == ["hole has 2 groups, so 1 instead of 2 are in train"]
    others = {protocols.k_shot(class_of, group_of, k=2, seed=seed).ids("train") for seed in range(6)}
    assert len(others) > 1
    with pytest.raises(UsageError):
        protocols.k_shot(class_of, k=0)


def test_k_shot_counts_a_group_for_all_its_classes() -> None:
    class_of = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b", "g": "good"}
    split = protocols.k_shot(class_of, {"a1": "x", "b1": "x", "g": "x"}, k=1, seed=0)
    assert per_class(split, class_of, "train")["b"] == 1
    assert split.sides["g"] == split.sides["a1"] == split.sides["b1"]
    assert {class_of[i] for i in split.ids("test")} >= {"a", "b"}


def test_a_good_group_from_both_source_sides_is_test() -> None:
    class_of = {"c1": "c", "c2": "c", "g1": "good", "g2": "good"}
    split = protocols.k_shot(class_of, {"g1": "g", "g2": "g"}, k=1, side_of={"g1": "train", "g2": "test"})
    assert split.sides["g1"] == split.sides["g2"] == "test"


def test_rotations_teach_each_group_in_turn() -> None:
    class_of = samples({"good": 2, "cut": 3, "hole": 4})
    splits = protocols.rotations(class_of)
    assert [split.name for split in splits] == ["rotation0", "rotation1", "rotation2"]
    for turn, split in enumerate(splits):
        assert split.ids("train") == (f"cut/00{turn}", "good/000", "good/001", f"hole/00{turn}")
    assert protocols.rotations(class_of, count=4)[3].ids("train")[0] == "cut/000"
    out = protocols.leave_one_out(class_of)
    assert out[1].ids("test") == ("cut/001", "hole/001")
    assert len(out) == 3
    for wrong in (0, 5):
        with pytest.raises(UsageError):
            protocols.rotations(class_of, count=wrong)


def test_rotations_need_two_groups_a_class() -> None:
    with pytest.raises(UsageError, match="hole"):
        protocols.rotations(samples({"cut": 3, "hole": 1}))
    with pytest.raises(UsageError, match="no defect"):
        protocols.rotations(samples({"good": 3}))


def test_an_id_alone_is_not_in_a_group_of_its_name() -> None:
    pool = partition.pool_of({"a": "x", "b": "x", "c": "x"}, {"b": "a", "c": "a"})
    assert pool.groups == (("a",), ("b", "c"))
