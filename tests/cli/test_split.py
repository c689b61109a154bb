"""`carpet-data split`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.appending import append
from helpers.command import exit_code, printed
from helpers.sources import write_source

from carpet_data import store
from carpet_data.formats import read
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare


@pytest.fixture
def data(tmp_path: Path) -> Path:
    source = write_source(tmp_path / "source")
    return prepare(
        source, tmp_path / "data", group_options=GroupOptions(group_by=r"(thread)/00[01]|good/00([0-2])"), workers=1
    ).out


def test_a_named_split_is_added(data: Path) -> None:
    text = printed("split", data, "--name", "val", "--fractions", "0.5", "0.25", "0.25", "--seed", 3)
    assert text.splitlines()[-1] == f"1 split added to {data}"
    splits = read(data).splits
    assert set(splits) == {"main", "val"}
    assert set(splits["val"].counts()) == {"train", "val", "test"}
    assert (splits["val"].made["seed"], splits["val"].made["pool"]) == (3, "all")
    assert list(store.verify(data)) == []


def test_the_same_request_gives_the_same_bytes(data: Path) -> None:
    printed("split", data, "--name", "a", "--seed", 5)
    first = (data / "splits" / "a.jsonl").read_bytes()
    printed("split", data, "--name", "a", "--seed", 5, "--overwrite")
    assert (data / "splits" / "a.jsonl").read_bytes() == first


def test_groups_stay_whole_in_every_split(data: Path) -> None:
    for words in (
        ("--name", "repeat", "--repeats", 6),
        ("--name", "fold", "--k-fold", 3),
        ("--name", "shot", "--k-shot", 1),
        ("--name", "third", "--protocol", "first-third"),
        ("--name", "turn", "--protocol", "rotations"),
        ("--name", "out", "--protocol", "leave-one-out"),
        ("--name", "source", "--protocol", "source"),
        ("--name", "few", "--per-class", 2, "--seed", 1),
    ):
        printed("split", data, *words)
    dataset = read(data)
    assert {"main", "repeat0", "repeat5", "fold0", "fold2", "shot", "third", "turn0", "out0", "few"} <= set(
        dataset.splits
    )
    group_of = {sample.id: sample.group for sample in dataset if sample.group is not None}
    assert len(set(group_of.values())) >= 3
    for split in dataset.splits.values():
        sides: dict[str, set[str]] = {}
        for sample_id, side in split.sides.items():
            sides.setdefault(group_of.get(sample_id, sample_id), set()).add(side)
        assert all(len(its) == 1 for its in sides.values()), split.name
    assert list(store.verify(data, hashes=False)) == []


def test_repeats_are_the_splits_of_their_seeds(data: Path) -> None:
    printed("split", data, "--name", "repeat", "--repeats", 3, "--seed", 4)
    printed("split", data, "--name", "six", "--seed", 6)
    splits = read(data).splits
    assert splits["repeat2"].sides == splits["six"].sides
    assert len({tuple(sorted(splits[f"repeat{n}"].sides.items())) for n in range(3)}) > 1


def test_the_source_protocol_keeps_groups_from_straddling(tmp_path: Path) -> None:
    data = prepare(
        write_source(tmp_path / "s"), tmp_path / "d", group_options=GroupOptions(group_by="good/00([01])"), workers=1
    ).out
    printed("split", data, "--name", "source", "--protocol", "source")
    split = read(data).splits["source"]
    # Two good images are on both sides: the held-out ones stay, their twins in train do not teach.
    assert split.counts() == {"train": 4, "test": 11}
    assert split.made["left_out"] == ["train_good_000", "train_good_001"]
    assert list(store.verify(data)) == []


def test_many_splits_are_told_in_a_line_each(data: Path) -> None:
    lines = printed("split", data, "--name", "fold", "--k-fold", 4).splitlines()
    assert lines[0].startswith("fold0: train ")
    assert lines[-1] == f"4 splits added to {data}"


def test_json_and_dry_run(data: Path) -> None:
    values = json.loads(printed("split", data, "--name", "x", "--dry-run", "--json"))
    assert values["dry_run"] is True
    assert set(values["splits"]["x"]) == {"good", "hole", "thread"}
    assert set(read(data).splits) == {"main"}


def test_what_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = str(tmp_path / "source")
    for words, code, told in (
        (["split", str(data), "--name", "main"], 1, "'main' exists"),
        (["split", str(data), "--name", "../x"], 2, "invalid split name"),
        (["split", str(data)], 2, "--name"),
        (["split", str(data), "--name", "x", "--k-fold", "3", "--repeats", "2"], 2, "needs a random split"),
        (["split", str(data), "--name", "x", "--k-fold", "99"], 2, "99 folds"),
        (["split", raw, "--name", "x"], 1, "not a prepared data set"),
    ):
        assert exit_code(*words) == code
        assert told in capsys.readouterr().err
    assert not (tmp_path / "source" / ".lock").exists()
    assert set(read(data).splits) == {"main"}


def test_one_existing_name_of_many_refuses_all(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed("split", data, "--name", "r2")
    assert exit_code("split", str(data), "--name", "r", "--repeats", "4") == 1
    assert "'r2' exists" in capsys.readouterr().err
    assert set(read(data).splits) == {"main", "r2"}


def test_synthetic_samples_refuse_another_split(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = (data / "images" / "hole" / "test_hole_000.png").read_bytes()
    append(data, store.Addition("s", "hole", pixels))
    assert exit_code("split", str(data), "--name", "x") == 1
    error = capsys.readouterr().err
    assert "1 synthetic samples belong to the train side" in error
    assert "hint: split before synthesizing" in error
    store.drop(data, ["s"], "not wanted")
    printed("split", data, "--name", "x")
