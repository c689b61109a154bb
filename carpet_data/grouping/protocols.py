"""Splits by fixed rules: the first third, few shots, rotations, leave one out.

As in `partition`, every function takes `class_of` and `group_of` and keeps groups whole. `side_of` (sample id -> side)
says on which side the source folder has an image; good images follow it (unknown: train). Each raises a DataError where
there are no samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Side, Split
from carpet_data.errors import UsageError
from carpet_data.grouping.partition import Pool, generator, pool_of


def first_third(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str] | None = None,
    *,
    side_of: Mapping[str, Side | None] | None = None,
    name_of: Mapping[str, str] | None = None,
    name: str = "main",
) -> Split:
    """The protocol of AnomalyDiffusion (Hu et al. 2024): the first third of each defect class is in train.

    Of each defect class, sorted by name (`name_of`, or the ids), the first n // 3 images are train and the rest are
    test. Good images stay on the side they come from. Where a group has images on both sides, its train images are left
    out of the split and a note says so: the published test side stays exact, and no test image is trained on.
    """
    pool = pool_of(class_of, group_of)
    placed: dict[str, Side] = {}
    for class_name in pool.classes:
        ids = [sample_id for sample_id, its_class in pool.class_of.items() if its_class == class_name]
        ids.sort(key=lambda sample_id: (sample_id if name_of is None else name_of[sample_id], sample_id))
        for place, sample_id in enumerate(ids):
            at_source = _source_side(sample_id, side_of)
            placed[sample_id] = at_source if class_name == GOOD else "train" if place < len(ids) // 3 else "test"
    left_out = sorted(
        sample_id
        for ids in pool.groups
        if len({placed[sample_id] for sample_id in ids}) > 1
        for sample_id in ids
        if placed[sample_id] == "train"
    )
    notes = _not_in_training(pool, placed, left_out)
    if left_out:
        notes.insert(0, f"{len(left_out)} train images are left out: images of their groups are in test")
    kept = {sample_id: side for sample_id, side in sorted(placed.items()) if sample_id not in set(left_out)}
    made = {"protocol": "first-third", "groups": len(pool.groups), "left_out": left_out, "notices": notes}
    return Split(name, kept, made)


def _not_in_training(pool: Pool, placed: Mapping[str, Side], left_out: Iterable[str]) -> list[str]:
    in_train = {pool.class_of[i] for i, side in placed.items() if side == "train" and i not in set(left_out)}
    return [f"{class_name} has no training image" for class_name in pool.defect_classes if class_name not in in_train]


def k_shot(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str] | None = None,
    *,
    k: int,
    seed: int = 0,
    side_of: Mapping[str, Side | None] | None = None,
    name: str = "main",
) -> Split:
    """k groups of each defect class are in train, drawn by `seed`; the rest is test.

    A class with k groups or fewer keeps one of them for test, and a note says so. Good images follow their source side;
    a group that also holds a chosen defect is train, and one that holds another defect or a good test image is test.

    Raises:
        UsageError: k is below 1.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1 (got {k})")
    pool = pool_of(class_of, group_of)
    notes: list[str] = []
    train: set[int] = set()
    kept: set[int] = set()
    # Rare classes choose first: a group of several classes counts for all of them.
    for class_name in sorted(pool.defect_classes, key=lambda c: (len(pool.groups_of(c)), c)):
        groups = pool.groups_of(class_name)
        shuffled = [groups[int(place)] for place in generator(seed, "shot", class_name).permutation(len(groups))]
        have = [number for number in shuffled if number in train]
        free = [number for number in shuffled if number not in train and number not in kept]
        spare = len(groups) - 1 if len(groups) > 1 else 1
        if k > spare:
            has = f"{class_name} has {counted(len(groups), 'group')}"
            notes.append(f"{has}, so {min(k, spare)} instead of {k} are in train")
        train.update(free[: max(0, min(k, spare) - len(have))])
        # One group stays for test, whatever the classes after this one choose.
        kept.update([number for number in shuffled if number not in train][:1])
    for class_name in pool.defect_classes:
        groups = pool.groups_of(class_name)
        if set(groups) <= train:
            notes.append(f"{class_name} has no test image: all of its {counted(len(groups), 'group')} are in train")
    made = {"protocol": "k-shot", "k": k, "seed": seed, "groups": len(pool.groups), "notices": notes}
    return _split_at(pool, train, side_of, name, made)


def rotations(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str] | None = None,
    *,
    count: int | None = None,
    side_of: Mapping[str, Side | None] | None = None,
    name: str = "rotation",
) -> list[Split]:
    """1-shot splits name0, name1 …: in split r the r-th group of each defect class is in train, and the rest is test.

    Groups are in order of their smallest id; nothing is random. There are `count` splits; None for as many as the
    smallest defect class has groups. Beyond that, smaller classes start again with their first group.

    Raises:
        UsageError: There is no defect class, one has a single group, or `count` is out of range.
    """
    return _in_turn(class_of, group_of, count, side_of, name, one_in_train=True)


def leave_one_out(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str] | None = None,
    *,
    count: int | None = None,
    side_of: Mapping[str, Side | None] | None = None,
    name: str = "out",
) -> list[Split]:
    """The reverse of `rotations`: split r tests the r-th group of each defect class, and all other groups are train.

    Arguments and errors as in `rotations`.
    """
    return _in_turn(class_of, group_of, count, side_of, name, one_in_train=False)


def _in_turn(
    class_of: Mapping[str, str],
    group_of: Mapping[str, str] | None,
    count: int | None,
    side_of: Mapping[str, Side | None] | None,
    name: str,
    *,
    one_in_train: bool,
) -> list[Split]:
    pool = pool_of(class_of, group_of)
    groups = {class_name: pool.groups_of(class_name) for class_name in pool.defect_classes}
    if not groups:
        raise UsageError("there is no defect class to rotate", hint="choose folders that contain defects")
    smallest = min(groups, key=lambda class_name: (len(groups[class_name]), class_name))
    if len(groups[smallest]) < 2:
        raise UsageError(
            f"{smallest} has a single group, which cannot be in train and in test",
            hint="leave that class out, or add images",
        )
    most = max(len(numbers) for numbers in groups.values())
    rounds = len(groups[smallest]) if count is None else count
    if not 1 <= rounds <= most:
        raise UsageError(f"the number of rotations must be 1 to {most} (got {rounds})")
    defects = {number for numbers in groups.values() for number in numbers}
    splits = []
    for turn in range(rounds):
        chosen = {numbers[turn % len(numbers)] for numbers in groups.values()}
        train = chosen if one_in_train else defects - chosen
        notes = [
            f"{class_name} has no group left for {'test' if one_in_train else 'train'}"
            for class_name, numbers in groups.items()
            if set(numbers) <= chosen
        ]
        protocol = "rotation" if one_in_train else "leave-one-out"
        made = {"protocol": protocol, "turn": turn, "groups": len(pool.groups), "notices": notes}
        splits.append(_split_at(pool, train, side_of, f"{name}{turn}", made))
    return splits


def _split_at(
    pool: Pool, train: set[int], side_of: Mapping[str, Side | None] | None, name: str, made: dict[str, Any]
) -> Split:
    placed: dict[str, Side] = {}
    for number, ids in enumerate(pool.groups):
        only_good = all(pool.class_of[sample_id] == GOOD for sample_id in ids)
        # A good group from both sides is test: what the source tests must not be trained on.
        from_train = only_good and all(_source_side(sample_id, side_of) == "train" for sample_id in ids)
        side: Side = "train" if number in train or from_train else "test"
        placed.update(dict.fromkeys(ids, side))
    return Split(name, dict(sorted(placed.items())), made)


def _source_side(sample_id: str, side_of: Mapping[str, Side | None] | None) -> Side:
    return (None if side_of is None else side_of.get(sample_id)) or "train"
