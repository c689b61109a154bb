"""`prepare` on bad sources and bad outputs: every fault named, the source untouched, nothing half written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.sources import hashes, write_source

from carpet_data import store
from carpet_data.errors import DataError, LockedError, OutputError, ProblemsError, UsageError
from carpet_data.preparation import prepare as verb
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store.lock import locked


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no image")


def shrink(path: Path) -> None:
    assert cv2.imwrite(str(path), np.full((7, 9), 255, np.uint8))


def dim(path: Path) -> None:
    assert cv2.imwrite(str(path), np.ones((40, 40), np.uint8))


HOLE = "test/hole/001.png"
MASK = "ground_truth/hole/001_mask.png"
FAULTS: list[tuple[str, Callable[[Path], None], str]] = [
    (HOLE, truncate, "truncated"),
    (HOLE, empty, "empty"),
    (HOLE, text, "not an image"),
    (MASK, truncate, "truncated"),
    (MASK, empty, "empty"),
    (MASK, shrink, "9x7"),
    (MASK, dim, "below the threshold"),
]


@pytest.mark.parametrize(("file", "damage", "message"), FAULTS)
def test_a_fault_is_named_and_nothing_written(
    source: Path, tmp_path: Path, file: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(source / file)
    with pytest.raises(ProblemsError, match=message) as caught:
        prepare(source, tmp_path / "out", workers=1)
    assert [fault.where for fault in caught.value.problems] == [str(source / file)]
    assert caught.value.problems[0].hint
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(("file", "damage", "message"), FAULTS)
def test_a_fault_can_be_left_out(
    source: Path, tmp_path: Path, file: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(source / file)
    result = prepare(source, tmp_path / "out", workers=1, skip_faulty=True)
    assert [fault.where for fault in result.skipped] == [str(source / HOLE)]
    assert message in str(result.skipped[0])
    assert file in str(result.skipped[0])
    assert (result.samples, result.classes["hole"]) == (16, 4)
    assert "test_hole_001" not in store.read(tmp_path / "out").by_id()
    assert "skipped 1 image with errors" in result.text()
    assert result.to_json()["skipped"][0]["where"] == str(source / HOLE)


def test_all_faults_are_named_at_once(source: Path, tmp_path: Path) -> None:
    truncate(source / HOLE)
    truncate(source / "train/good/000.png")
    shrink(source / "ground_truth/thread/003_mask.png")
    with pytest.raises(ProblemsError) as caught:
        prepare(source, tmp_path / "out", workers=1)
    assert len(caught.value.problems) == 3


def test_nothing_but_faults(source: Path, tmp_path: Path) -> None:
    for path in source.rglob("*.png"):
        empty(path)
    with pytest.raises(DataError):
        prepare(source, tmp_path / "out", workers=1, skip_faulty=True)
    assert not (tmp_path / "out").exists()


def test_a_full_output_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(source, out, workers=1)
    before = hashes(out)
    with pytest.raises(OutputError, match="not empty"):
        prepare(source, out, workers=1)
    assert hashes(out) == before
    prepare(source, out, workers=1, overwrite=True)
    assert hashes(out) == before


def test_overwrite_spares_what_is_no_data_set(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="something else"):
        prepare(source, out, workers=1, overwrite=True)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_empty_output_folder_is_used(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert prepare(source, tmp_path / "out", workers=1).samples == 17


@pytest.mark.parametrize("where", [".", "prepared", "..", "train"])
def test_an_output_inside_the_source_is_refused(source: Path, where: str) -> None:
    before = hashes(source)
    with pytest.raises(UsageError, match="overlaps the source"):
        prepare(source, source / where, workers=1, overwrite=True)
    assert hashes(source) == before


def test_a_file_in_the_way_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        prepare(source, tmp_path / "out", workers=1, overwrite=True)


def test_two_writers_do_not_meet(source: Path, tmp_path: Path) -> None:
    scratch = tmp_path / ".out.unfinished"
    scratch.mkdir()
    with locked(scratch, "prepare by another"), pytest.raises(LockedError, match="prepare by another"):
        prepare(source, tmp_path / "out", workers=1)


def test_the_slower_of_two_writers_replaces_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    original = verb.create

    def overtaken(*args: Any, **options: Any) -> int:
        monkeypatch.setattr(verb, "create", original)
        prepare(source, out, SplitOptions(seed=9), workers=1)
        return original(*args, **options)

    monkeypatch.setattr(verb, "create", overtaken)
    with pytest.raises(OutputError, match="not empty"):
        prepare(source, out, workers=1)
    assert store.read(out).splits["main"].made["seed"] == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_a_prepared_folder_is_not_prepared_again(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "out", workers=1)
    with pytest.raises(UsageError, match="prepared already"):
        prepare(tmp_path / "out", tmp_path / "again", workers=1)


def test_an_unwritable_source_is_enough_and_is_left_as_it_was(source: Path, tmp_path: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_mode, path.stat().st_size) for path in source.rglob("*")}
    digests = hashes(source)
    folders = [source, *(path for path in source.rglob("*") if path.is_dir())]
    files = [path for path in source.rglob("*") if path.is_file()]
    for path in (*files, *folders):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        out = prepare(source, tmp_path / "out", workers=1).out
        store.drop(out, ["test_hole_000"], "blurred")
        prepare(source, tmp_path / "out", SplitOptions(seed=3), workers=1, overwrite=True)
    finally:
        for path in (*folders, *files):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert hashes(source) == digests
    for path, (mtime, _, size) in before.items():
        assert (path.stat().st_mtime_ns, path.stat().st_size) == (mtime, size)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_output_is_told(source: Path, tmp_path: Path) -> None:
    locked_folder = tmp_path / "locked"
    locked_folder.mkdir(mode=0o555)
    with pytest.raises(OSError, match="Permission"):
        prepare(source, locked_folder / "out", workers=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fractions": (0.8, 0.3)}, "sum to 1.1"),
        ({"fractions": (1.0,)}, "two or three"),
        ({"fractions": (0.8, 0.2), "k_fold": 3}, "different ways"),
        ({"k_shot": 1, "protocol": "source"}, "different ways"),
        ({"k_fold": 1}, "--k-fold must be at least 2"),
        ({"per_class": 0}, "--per-class must be at least 1"),
        ({"seed": -1}, "--seed must be at least 0"),
        ({"protocol": "third"}, "invalid --protocol value 'third'"),
        ({"pool": "tset"}, "invalid --pool value 'tset'"),
        ({"k_fold": 3, "repeats": 2}, "needs a random split"),
    ],
)
def test_a_senseless_way_to_split_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SplitOptions(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gap": 3}, "--gap needs --group-runs"),
        ({"gap": -1, "group_runs": "(x)"}, "--gap must be at least 0"),
        ({"group_by": "("}, "invalid regular expression"),
        ({"group_runs": "x"}, "capture"),
    ],
)
def test_a_senseless_way_to_group_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        GroupOptions(**options)


def test_more_folds_than_groups_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="500 folds"):
        prepare(source, tmp_path / "out", SplitOptions(k_fold=500), workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_random_splits_are_repeated_and_the_first_is_main(source: Path, tmp_path: Path) -> None:
    splits = prepare(source, tmp_path / "out", SplitOptions(repeats=2, seed=4), workers=1).splits
    assert list(splits) == ["main", "repeat0", "repeat1"]
    read = store.read(tmp_path / "out").splits
    assert read["main"].sides == read["repeat0"].sides
    assert (read["repeat0"].made["seed"], read["repeat1"].made["seed"]) == (4, 5)


def test_an_empty_pool_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pool 'val'"):
        prepare(source, tmp_path / "out", SplitOptions(pool="val"), workers=1)
