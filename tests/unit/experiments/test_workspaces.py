"""Workspaces hold the real images of a data set, byte for byte, under another split."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.carpets import copied, rewritten

from carpet_data import store
from carpet_data.dataset import Split
from carpet_data.experiments import workspaces
from carpet_data.store.files import sha256


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): sha256(path) for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_workspace_is_a_sound_data_set_of_the_real_images(carpet: Path, tmp_path: Path) -> None:
    before = files(carpet)
    dataset = store.read(carpet)
    split = workspaces.redrawn(dataset, dataset.splits["main"], 3)
    workspaces.create(tmp_path / "work", dataset, split)
    made = store.read(tmp_path / "work")
    assert [s.id for s in made] == [s.id for s in dataset if s.origin == "real"]
    assert list(store.verify(made.root)) == []
    assert dict(made.splits["main"].sides) == dict(split.sides)
    assert files(carpet) == before
    workspaces.create(tmp_path / "work", dataset, dataset.splits["main"])
    assert store.read(tmp_path / "work").splits["main"].sides == split.sides, "one that is there stays"


def test_the_rest_of_a_killed_run_is_replaced(carpet: Path, tmp_path: Path) -> None:
    dataset = store.read(carpet)
    (tmp_path / "work" / "images").mkdir(parents=True)
    (tmp_path / "work" / "images" / "half.png").write_bytes(b"half")
    workspaces.create(tmp_path / "work", dataset, dataset.splits["main"])
    assert list(store.verify(tmp_path / "work")) == []


def test_partitions_keep_fractions_and_groups(carpet: Path, tmp_path: Path) -> None:
    root = copied(carpet, tmp_path / "copy")
    pair = [sample.id for sample in store.read(root) if sample.class_name == "hole" and sample.origin == "real"][:2]
    rewritten(root, "manifest.jsonl", lambda row: row | {"group": "pair"} if row["id"] in pair else row)
    dataset = store.read(root)
    base = dataset.splits["main"]
    drawn = [workspaces.redrawn(dataset, base, seed) for seed in range(5)]
    assert len({tuple(sorted(split.sides.items())) for split in drawn}) == 5
    for split in drawn:
        assert split.sides[pair[0]] == split.sides[pair[1]]
        assert set(split.sides) == set(workspaces.real_split(dataset, base).sides)
        counts = split.counts()
        assert abs(counts["train"] - counts["test"]) <= 4
    assert workspaces.redrawn(dataset, base, 2).sides == drawn[2].sides


def test_a_split_that_was_not_made_by_fractions_gives_its_shares(carpet: Path) -> None:
    dataset = store.read(carpet)
    real = [sample.id for sample in dataset if sample.origin == "real"]
    split = Split("x", {key: "train" if n < 11 else "test" for n, key in enumerate(real)}, {})
    sides, fractions = workspaces.fractions_of(dataset, split)
    assert sides == ("train", "test")
    assert fractions == pytest.approx((11 / len(real), 1 - 11 / len(real)))


def test_the_target_is_what_synthesis_reached(carpet: Path) -> None:
    dataset = store.read(carpet)
    assert workspaces.defect_target(dataset, dataset.splits["main"]) == 14
