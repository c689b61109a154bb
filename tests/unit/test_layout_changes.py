"""Appending to a prepared folder, dropping from it, verifying it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.appending import append
from helpers.sources import write_source

from carpet_data import store
from carpet_data.core import masks
from carpet_data.core.images import encode_png
from carpet_data.errors import DataError, LeakError, LockedError, OutputError, UsageError
from carpet_data.preparation.prepare import prepare
from carpet_data.store import Addition, recipes
from carpet_data.store.lock import locked

IMAGE = encode_png(np.full((6, 8, 3), 90, np.uint8))
MASK = encode_png(np.eye(6, 8) > 0)
INDEX = encode_png(np.eye(6, 8, dtype=np.uint8) * np.arange(8, dtype=np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return prepare(write_source(tmp_path / "source"), tmp_path / "data", workers=1).out


def test_added_samples_are_read_back(root: Path) -> None:
    before = store.read(root)
    teachers = before.splits["main"].ids("train")
    provenance = {"recipe": "abc", "host": teachers[0], "donors": [teachers[1]], "k": 3}
    table = tuple((number, "hole" if number % 2 else "thread") for number in range(1, 6))
    added = append(
        root,
        Addition("zz", "hole", IMAGE, MASK, provenance=provenance),
        Addition("aa", "thread", IMAGE, INDEX, table, group=teachers[0]),
        Addition("good-one", "good", IMAGE),
    )
    after = store.read(root)
    assert added == 3
    assert len(after) == len(before) + 3
    assert [sample.id for sample in after] == sorted(sample.id for sample in after)
    sample = after.by_id()["zz"]
    assert (sample.origin, sample.width, sample.height, sample.provenance) == ("synthetic", 8, 6, provenance)
    assert masks.load(root, sample).runs.area == 6
    assert len(masks.find(masks.load(root, after.by_id()["aa"]))) == 5
    assert set(after.splits["main"].ids("train")) == {*teachers, "zz", "aa", "good-one"}
    assert after.splits["main"].ids("test") == before.splits["main"].ids("test")
    assert list(store.verify(root)) == []
    assert after.fingerprint("main") != before.fingerprint("main")


def test_an_error_leaves_the_data_set_as_it_was(root: Path) -> None:
    before = store.read(root)
    held_out = before.splits["main"].ids("test")[0]
    for provenance in ({"host": held_out}, {"donors": [before.samples[0].id, held_out, "nobody"]}):
        with pytest.raises(LeakError, match="not on the train side"):
            append(root, Addition("a", "hole", IMAGE, MASK, provenance=provenance))
    bad = [
        (Addition(held_out, "hole", IMAGE), "exists already"),
        (Addition("a/b", "hole", IMAGE), "file name"),
        (Addition("a", "stain", IMAGE), "unknown class 'stain'"),
        (Addition("a", "hole", IMAGE, INDEX, ((1, "stain"),)), "unknown class 'stain'"),
    ]
    for addition, told in bad:
        with pytest.raises(DataError, match=told):
            append(root, addition)
    assert store.read(root) == before
    # Nothing was recorded, so nothing is unfinished: another command may go on.
    assert list(store.verify(root)) == []
    assert append(root, Addition("a", "hole", IMAGE, MASK)) == 1
    with pytest.raises(DataError, match="exists already"):
        append(root, Addition("a", "hole", IMAGE, MASK))


def test_an_id_twice_in_one_appending_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match="exists already"):
        append(root, Addition("a", "hole", IMAGE), Addition("a", "hole", IMAGE))
    assert len(store.read(root)) == 17


def test_a_split_that_is_not_there(root: Path) -> None:
    with pytest.raises(DataError, match="split is missing"):
        append(root, Addition("a", "hole", IMAGE), split="other")


def test_dropped_samples_are_tombstones(root: Path) -> None:
    before = store.read(root)
    ids = ["test_hole_000", "train_good_003"]
    assert store.drop(root, ids, "blurred") == 2
    assert store.drop(root, ids, "again") == 0
    after = store.read(root)
    assert {sample.id for sample in before} - {sample.id for sample in after} == set(ids)
    assert not set(ids) & set(after.splits["main"].sides)
    line = next(line for line in (root / "manifest.jsonl").read_text().splitlines() if ids[0] in line)
    assert (json.loads(line)["dropped"], json.loads(line)["reason"]) == (True, "blurred")
    assert list(store.verify(root)) == []
    # Its id is not given away again.
    with pytest.raises(DataError, match="exists already"):
        append(root, Addition(ids[0], "hole", IMAGE))


def test_an_unknown_id_drops_nothing(root: Path) -> None:
    before = (root / "manifest.jsonl").read_bytes()
    with pytest.raises(UsageError, match="'nobody'"):
        store.drop(root, ["test_hole_000", "nobody"], "blurred")
    assert (root / "manifest.jsonl").read_bytes() == before


def test_changes_wait_for_one_another(root: Path) -> None:
    with locked(root, "weave"):
        attempts: list[Callable[[], Any]] = [
            lambda: store.drop(root, ["test_hole_000"], "x"),
            lambda: store.abandon(root),
            lambda: append(root, Addition("a", "hole", IMAGE)),
        ]
        for attempt in attempts:
            with pytest.raises(LockedError, match="weave"):
                attempt()


def test_a_folder_that_is_not_prepared_stays_as_it_is(tmp_path: Path) -> None:
    for attempt in (
        lambda: store.drop(tmp_path, [], "x"),
        lambda: append(tmp_path),
    ):
        with pytest.raises(DataError, match="not a prepared data set"):
            attempt()
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_kept_once(root: Path) -> None:
    digest = "ab" * 32
    path = recipes.save(root, digest, {"method": "paste", "scale": 0.5})
    assert path.name == f"{digest}.json"
    assert recipes.save(root, digest, {"scale": 0.5, "method": "paste"}) == path
    assert recipes.load(root, digest) == {"method": "paste", "scale": 0.5}
    with pytest.raises(DataError, match="another recipe"):
        recipes.save(root, digest, {"method": "augment"})
    with pytest.raises(DataError, match="missing"):
        recipes.load(root, "00" * 32)
    with pytest.raises(ValueError, match="hex"):
        recipes.save(root, "../up", {})


# --- verify ------------------------------------------------------------------------------------------------------


def replace(path: Path, data: bytes) -> None:
    path.unlink()  # it shares its bytes with the source
    path.write_bytes(data)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def straddle(root: Path) -> None:
    """Put one sample of each side into one group."""
    split = store.read(root).splits["main"]
    path = root / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["id"] in (split.ids("train")[0], split.ids("test")[0]):
            row["group"] = "g"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def weave(root: Path, **fields: Any) -> None:
    append(root, Addition("s", "hole", IMAGE, MASK, provenance=fields), split=None)


DAMAGES: list[tuple[str, Callable[[Path], object]]] = [
    ("file-missing", lambda root: (root / "images/hole/test_hole_000.png").unlink()),
    ("file-missing", lambda root: (root / "masks/hole/test_hole_000.png").unlink()),
    ("hash-mismatch", lambda root: replace(root / "images/hole/test_hole_000.png", IMAGE)),
    ("hash-mismatch", lambda root: replace(root / "masks/hole/test_hole_000.png", MASK)),
    ("file-unknown", lambda root: (root / "masks/hole/other.png").write_bytes(MASK)),
    ("file-unknown", lambda root: (root / "images/note.txt").write_text("")),
    ("manifest-damaged", lambda root: (root / "manifest.jsonl").write_text("{\n")),
    ("manifest-damaged", lambda root: (root / "manifest.jsonl").unlink()),
    ("split-damaged", lambda root: (root / "splits/main.jsonl").write_text("{\n")),
    ("split-id-unknown", lambda root: edit(root / "splits/main.jsonl", "test_hole_000", "test_hole_0000")),
    ("description-damaged", lambda root: (root / "dataset.json").write_text("{")),
    ("class-unknown", lambda root: edit(root / "dataset.json", '"hole"', '"stain"')),
    ("group-straddles", straddle),
    ("ancestor-unknown", lambda root: weave(root, host="nobody")),
]


@pytest.mark.parametrize(("code", "damage"), DAMAGES)
def test_each_problem_is_found_alone(root: Path, code: str, damage: Callable[[Path], object]) -> None:
    assert list(store.verify(root)) == []
    damage(root)
    problems = list(store.verify(root))
    assert {problem.code for problem in problems} == {code}
    for problem in problems:
        assert problem.severity == ("warning" if code == "file-unknown" else "error")
        assert problem.what
        assert problem.hint
        assert not Path(problem.where).is_absolute()


def test_a_held_out_ancestor_is_found(root: Path) -> None:
    split = store.read(root).splits["main"]
    weave(root, host=split.ids("train")[0], donors=[split.ids("test")[0]])
    assert list(store.verify(root)) == []  # it is in no split yet
    lines = (root / "splits/main.jsonl").read_text().splitlines()
    for side, codes in (("train", {"ancestor-held-out"}), ("test", {"ancestor-held-out", "synthetic-held-out"})):
        rows = sorted([*lines[1:], json.dumps({"id": "s", "side": side})], key=lambda line: json.loads(line)["id"])
        (root / "splits/main.jsonl").write_text("\n".join([lines[0], *rows]) + "\n")
        assert {problem.code for problem in store.verify(root)} == codes


def test_hashes_can_be_left_out(root: Path) -> None:
    replace(root / "images/hole/test_hole_000.png", IMAGE)
    assert list(store.verify(root, hashes=False)) == []


def test_a_split_with_unknown_ids_is_not_read(root: Path) -> None:
    edit(root / "splits/main.jsonl", "test_hole_000", "test_hole_0000")
    with pytest.raises(DataError, match="not in the manifest"):
        store.read(root)


def test_a_later_version_is_not_guessed_at(root: Path) -> None:
    edit(root / "dataset.json", '"version": 1', '"version": 2')
    with pytest.raises(DataError, match="version 2"):
        store.read(root)


def test_an_unfinished_command_refuses_splits(root: Path) -> None:
    from carpet_data.preparation.split import split
    from carpet_data.store.journal import Journal

    Journal.open(root, "weave it", "1").close()
    with pytest.raises(OutputError, match="weave it"):
        split(root, "other")
