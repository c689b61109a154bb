"""What each condition may see of a partition, and partitions that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.carpets import copied, rewritten

from carpet_data.dataset import GOOD, Split
from carpet_data.errors import DataError, LeakError, UsageError
from carpet_data.experiments.conditions import standard
from carpet_data.experiments.partitions import DatasetSplit, Partition, classes_of, refuse_unfit

REAL, BASELINE, SYNTHETIC, BOTH = standard()


def with_sides(folder: DatasetSplit, change: dict[str, str | None]) -> DatasetSplit:
    sides = {key: side for key, side in folder.dataset.splits[folder.split].sides.items() if key not in change}
    sides |= {key: side for key, side in change.items() if side is not None}  # type: ignore[misc]
    split = Split(folder.split, sides, {})
    return DatasetSplit(replace(folder.dataset, splits={folder.split: split}), folder.split)


def test_who_teaches(carpet: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    assert classes_of([partition]) == (GOOD, "hole", "thread")
    seen = {
        condition.name: [sample for _, samples in partition.train(condition) for sample in samples]
        for condition in (REAL, BASELINE, SYNTHETIC, BOTH)
    }
    assert {s.origin for s in seen[REAL.name]} == {"real"}
    assert seen[REAL.name] == seen[BASELINE.name]
    made = [s for s in seen[BOTH.name] if s.origin == "synthetic"]
    assert sorted(seen[BOTH.name], key=lambda s: s.id) == sorted((*seen[BASELINE.name], *made), key=lambda s: s.id)
    only = seen[SYNTHETIC.name]
    assert {s.class_name for s in only if s.origin == "real"} == {GOOD}
    assert [s for s in only if s.origin == "synthetic"] == made
    assert partition.counts(BOTH) == (len(seen[REAL.name]), len(made))


def test_null_samples_teach_with_the_synthetic_defects_only(carpet: Path) -> None:
    folder = DatasetSplit.of(carpet, "main")
    null = folder.synthetic()[0].id
    samples = tuple(replace(s, class_name=GOOD) if s.id == null else s for s in folder.dataset)
    folder = DatasetSplit(replace(folder.dataset, samples=samples), "main")
    partition = Partition("main", folder, {"synthetic": folder})
    taught = {c.name: {s.id for _, found in partition.train(c) for s in found} for c in (BASELINE, SYNTHETIC, BOTH)}
    assert null not in taught[BASELINE.name]
    assert null in taught[SYNTHETIC.name] & taught[BOTH.name]


def test_explicit_samples(carpet: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    some = frozenset(s.id for s in partition.folder.real()[:5])
    assert partition.counts(replace(REAL, only={"main": some})) == (5, 0)
    assert partition.counts(replace(REAL, only={"another": some}))[0] > 5
    test = partition.folder.dataset.on_side("test", "main")[0].id
    with pytest.raises(UsageError, match="is not a training sample"):
        partition.train(replace(REAL, only={"main": frozenset([test])}))
    with pytest.raises(UsageError, match="unknown synthetic images 'nsa'"):
        partition.train(replace(BOTH, pool="nsa"))


def test_a_sound_partition_passes(carpet: Path) -> None:
    partition = Partition.of("main", carpet, "main")
    assert refuse_unfit(partition) == ()
    partition.refuse_leaks()


def test_an_unknown_split_is_named(carpet: Path) -> None:
    with pytest.raises(UsageError, match="known: main"):
        Partition.of("x", carpet, "fold7")


def test_partitions_that_test_nothing_are_refused(carpet: Path) -> None:
    folder = DatasetSplit.of(carpet, "main")
    real = [s for s in folder.dataset if s.origin == "real"]
    no_test = with_sides(folder, {s.id: None for s in folder.dataset.on_side("test", "main")})
    with pytest.raises(DataError, match="no image on the test side"):
        refuse_unfit(Partition("p", no_test))
    no_train = with_sides(folder, {s.id: None for s in folder.real()})
    with pytest.raises(DataError, match="no real image on the train side"):
        refuse_unfit(Partition("p", no_train))
    one_class = with_sides(folder, {s.id: None for s in real if s.class_name != GOOD})
    with pytest.raises(DataError, match="of good only"):
        refuse_unfit(Partition("p", one_class))
    apart = with_sides(folder, {s.id: "train" if s.class_name == GOOD else "test" for s in real})
    with pytest.raises(DataError, match="of no class only"):
        refuse_unfit(Partition("p", apart))


def test_a_class_that_is_not_trained_is_not_tested_and_noted(carpet: Path) -> None:
    folder = DatasetSplit.of(carpet, "main")
    untrained = Partition("p", with_sides(folder, {s.id: None for s in folder.real() if s.class_name == "hole"}))
    assert refuse_unfit(untrained) == ("hole has no real training image in p, so its 5 test images are left out",)
    assert {s.class_name for s in untrained.held_out("test")} == {GOOD, "thread"}
    assert {s.class_name for s in Partition("p", folder).held_out("test")} == {GOOD, "hole", "thread"}


def test_a_class_that_is_not_tested_is_noted(carpet: Path) -> None:
    folder = DatasetSplit.of(carpet, "main")
    untested = with_sides(
        folder, {s.id: None for s in folder.dataset.on_side("test", "main") if s.class_name == "hole"}
    )
    assert refuse_unfit(Partition("p", untested)) == (
        "hole has no test image in p: it is excluded from averages there",
    )


def test_a_synthetic_image_on_the_test_side_is_a_leak(carpet: Path, tmp_path: Path) -> None:
    root = copied(carpet, tmp_path / "copy")
    made = DatasetSplit.of(root, "main").synthetic()[0].id
    rewritten(root, "splits/main.jsonl", lambda row: row | {"side": "test"} if row.get("id") == made else row)
    with pytest.raises(LeakError, match=made):
        Partition.of("main", root, "main").refuse_leaks()


def test_a_host_on_the_test_side_is_a_leak(carpet: Path, tmp_path: Path) -> None:
    root = copied(carpet, tmp_path / "copy")
    host = DatasetSplit.of(root, "main").synthetic()[0].provenance["host"]  # type: ignore[index]
    rewritten(root, "splits/main.jsonl", lambda row: row | {"side": "test"} if row.get("id") == host else row)
    with pytest.raises(LeakError, match=str(host)):
        Partition.of("main", root, "main").refuse_leaks()


def test_a_pool_of_another_split_is_a_leak(carpet: Path, tmp_path: Path) -> None:
    elsewhere = copied(carpet, tmp_path / "copy")
    moved = DatasetSplit.of(carpet, "main").dataset.on_side("test", "main")[0].id
    rewritten(elsewhere, "splits/main.jsonl", lambda row: row | {"side": "train"} if row.get("id") == moved else row)
    partition = Partition("main", DatasetSplit.of(carpet, "main"), {"synthetic": DatasetSplit.of(elsewhere, "main")})
    with pytest.raises(LeakError, match=moved):
        partition.refuse_leaks()
