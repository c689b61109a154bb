from __future__ import annotations

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from carpet_data.dataset import Split
from carpet_data.errors import UsageError
from carpet_data.grouping import protocols
from carpet_data.grouping.groups import groups_from_json, join, link
from carpet_data.grouping.partition import by_folds, by_fractions, held_out_targets, limit_per_class

CLASSES = ("good", "cut", "hole", "thread")
pools = st.lists(st.tuples(st.sampled_from(CLASSES), st.one_of(st.none(), st.integers(0, 8))), min_size=1, max_size=50)
fractions = st.sampled_from([(0.8, 0.2), (0.5, 0.5), (0.7, 0.1, 0.2), (0.34, 0.33, 0.33), (0.1, 0.9)])
seeds = st.integers(0, 2**40)


def unpack(rows: list[tuple[str, int | None]]) -> tuple[dict[str, str], dict[str, str]]:
    class_of = {f"{n:03}": name for n, (name, _) in enumerate(rows)}
    return class_of, {f"{n:03}": f"g{group}" for n, (_, group) in enumerate(rows) if group is not None}


def whole(split: Split, group_of: dict[str, str]) -> bool:
    sides: dict[str, set[str]] = {}
    for sample_id, side in split.sides.items():
        if sample_id in group_of:
            sides.setdefault(group_of[sample_id], set()).add(side)
    return all(len(found) == 1 for found in sides.values())


def backwards(values: dict[str, str]) -> dict[str, str]:
    return dict(reversed(values.items()))


@given(pools, fractions, seeds)
def test_fractions(rows: list[tuple[str, int | None]], shares: tuple[float, ...], seed: int) -> None:
    class_of, group_of = unpack(rows)
    split = by_fractions(class_of, group_of, fractions=shares, seed=seed)
    assert set(split.sides) == set(class_of)
    assert whole(split, group_of)
    renamed = {sample_id: f"other {group}" for sample_id, group in backwards(group_of).items()}
    assert by_fractions(backwards(class_of), renamed, fractions=shares, seed=seed) == split
    assert split.ids("train")


@given(pools, fractions, seeds)
def test_fractions_of_images_that_are_alone_meet_their_targets(
    rows: list[tuple[str, int | None]], shares: tuple[float, ...], seed: int
) -> None:
    class_of, _ = unpack(rows)
    split = by_fractions(class_of, fractions=shares, seed=seed)
    for name, count in Counter(class_of.values()).items():
        sides = [split.sides[sample_id] for sample_id, its_class in class_of.items() if its_class == name]
        got = tuple(sides.count(side) for side in split.made["sides"])
        assert got == held_out_targets(count, shares)
        # The rounding itself stays within one image a held-out side, but for classes too small to fill every side.
        if count >= 10:
            assert all(abs(n - count * share) < len(shares) for n, share in zip(got, shares, strict=True))


@given(st.integers(0, 3000), fractions)
def test_targets_sum_up_and_leave_train_something(count: int, shares: tuple[float, ...]) -> None:
    targets = held_out_targets(count, shares)
    assert sum(targets) == count
    assert min(targets) >= 0
    assert targets[0] >= min(count, 1)
    if count >= len(shares):
        assert min(targets) >= 1


@given(pools, seeds)
def test_a_class_of_two_groups_or_more_is_on_both_sides(rows: list[tuple[str, int | None]], seed: int) -> None:
    # One class a group, so that what one class needs never stands in the way of another.
    class_of, group_of = unpack(rows)
    group_of = {sample_id: f"{group} {class_of[sample_id]}" for sample_id, group in group_of.items()}
    split = by_fractions(class_of, group_of, seed=seed)
    for name in set(class_of.values()):
        ids = [sample_id for sample_id in class_of if class_of[sample_id] == name]
        if len({group_of.get(sample_id, sample_id) for sample_id in ids}) > 1:
            assert {split.sides[sample_id] for sample_id in ids} == {"train", "test"}


@given(pools, st.integers(2, 6), seeds)
def test_folds(rows: list[tuple[str, int | None]], k: int, seed: int) -> None:
    class_of, group_of = unpack(rows)
    assume(len({group_of.get(sample_id, sample_id) for sample_id in class_of}) >= k)
    folds = by_folds(class_of, group_of, k=k, seed=seed)
    assert sorted(sample_id for fold in folds for sample_id in fold.ids("test")) == sorted(class_of)
    for fold in folds:
        assert set(fold.sides) == set(class_of)
        assert whole(fold, group_of)
    assert by_folds(backwards(class_of), backwards(group_of), k=k, seed=seed) == folds


@given(pools, st.integers(1, 4), seeds)
def test_protocols_keep_groups_whole(rows: list[tuple[str, int | None]], k: int, seed: int) -> None:
    class_of, group_of = unpack(rows)
    shot = protocols.k_shot(class_of, group_of, k=k, seed=seed)
    assert set(shot.sides) == set(class_of)
    assert whole(shot, group_of)
    assert protocols.k_shot(backwards(class_of), backwards(group_of), k=k, seed=seed) == shot
    third = protocols.first_third(class_of, group_of)
    assert whole(third, group_of)
    assert set(third.sides) | set(third.made["left_out"]) == set(class_of)
    try:
        turns = protocols.rotations(class_of, group_of) + protocols.leave_one_out(class_of, group_of)
    except UsageError:
        return
    for split in turns:
        assert set(split.sides) == set(class_of)
        assert whole(split, group_of)


@given(pools, st.integers(1, 9), seeds)
def test_limit(rows: list[tuple[str, int | None]], count: int, seed: int) -> None:
    class_of, _ = unpack(rows)
    chosen, _ = limit_per_class(class_of, count, seed)
    assert limit_per_class(backwards(class_of), count, seed)[0] == chosen
    for name, have in Counter(class_of.values()).items():
        assert Counter(chosen.values())[name] == min(have, count)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=25), st.randoms())
def test_groups_do_not_depend_on_the_order_of_links(pairs: list[tuple[int, int]], random: object) -> None:
    ids = [f"{n:02}" for n in range(21)]
    links = [link(ids[a], ids[b], "given") for a, b in pairs if a != b]
    found = join(ids, links)
    assert join(reversed(ids), list(reversed(links))) == found
    assert all(found.of[one.a] == found.of[one.b] for one in links)
    assert all(group == members[0] for group, members in found.members().items())
    assert groups_from_json(found.to_json()) == found
    # As many groups as samples less the links that were needed.
    assert len(found) >= len(ids) - len(links)
