"""Manifest, journal, lock, splits, description, links: the parts of a prepared folder."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from carpet_data.dataset import IndexFile, MaskFile, MaskStack, Sample, Split
from carpet_data.errors import DataError, LockedError, OutputError, UsageError
from carpet_data.store import description, manifest, names, splits
from carpet_data.store.description import Description
from carpet_data.store.files import place, replacing, sha256
from carpet_data.store.journal import Journal, refuse_unfinished, unfinished
from carpet_data.store.lock import locked
from carpet_data.store.manifest import Tombstone


def made(sample_id: str, **fields: object) -> Sample:
    return Sample(sample_id, f"images/hole/{sample_id}.png", "hole", 8, 6, **fields)  # type: ignore[arg-type]


ENTRIES = [
    made("a"),
    made("b", annotation=MaskFile("masks/hole/b.png"), side="test", source="test/hole/b.png", group="a"),
    Tombstone(made("c", annotation=IndexFile("masks/hole/c.png", ((1, "hole"), (3, "cut")))), "blurred"),
    made("ü", origin="synthetic", provenance={"host": "a", "donors": ["b"], "parameters": {"x": 0.1}}),
]


def test_a_manifest_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest.write(path, ENTRIES)
    assert list(manifest.stream(path)) == ENTRIES
    first = path.read_bytes()
    manifest.write(path, manifest.stream(path))
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_not_utf8_survives(tmp_path: Path) -> None:
    sample = made("a", source=b"test/\xff.png".decode(errors="surrogateescape"))
    manifest.write(tmp_path / "m", [sample])
    assert list(manifest.stream(tmp_path / "m")) == [sample]


def test_unsorted_entries_leave_the_old_manifest_whole(tmp_path: Path) -> None:
    path = tmp_path / "m"
    manifest.write(path, ENTRIES)
    with pytest.raises(ValueError, match="not sorted"):
        manifest.write(path, [made("b"), made("a")])
    assert list(manifest.stream(path)) == ENTRIES
    assert list(tmp_path.iterdir()) == [path]


def test_an_annotation_that_is_no_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        manifest.write(tmp_path / "m", [made("a", annotation=MaskStack((("x.png", "hole"),)))])


GOOD_LINE = {"id": "z", "image": "images/z.png", "class": "hole", "width": 8, "height": 6, "origin": "real"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"width": "8"}, "width is '8', expected int"),
        ({"width": True}, "expected int"),
        ({"height": 0}, "size is 8x0"),
        ({"id": ""}, "id or class is empty"),
        ({"origin": "made"}, "expected real or synthetic"),
        ({"side": "left"}, "expected train, val or test"),
        ({"image": "../z.png"}, "leaves the data set"),
        ({"image": "/etc/passwd"}, "leaves the data set"),
        ({"mask": "a/../../m.png"}, "leaves the data set"),
        ({"image_sha256": "abc"}, "not the hex digest"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"mask": "m.png", "instances": [[1]]}, r"expected \[index, class\]"),
        ({"mask": "m.png", "instances": [[2, "a"], [1, "a"]]}, "must rise"),
        ({"mask": "m.png", "instances": [[0, "a"]]}, "must rise"),
        ({"instances": []}, "no mask"),
        ({"provenance": []}, "expected dict"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest.write(path, [made("a")])
    with path.open("a") as file:
        file.write(json.dumps({**GOOD_LINE, **change}) + "\n")
    with pytest.raises(DataError, match=told) as caught:
        list(manifest.stream(path))
    assert caught.value.where == f"{path}, line 2"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b"{\n", "not JSON"),
        (b"[]\n", "not a JSON object"),
        (b"\xff\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (json.dumps({k: v for k, v in GOOD_LINE.items() if k != "image"}).encode() + b"\n", "image is missing"),
        (2 * (json.dumps(GOOD_LINE).encode() + b"\n"), "repeated id"),
        (json.dumps(GOOD_LINE).encode() + b"\n" + json.dumps({**GOOD_LINE, "id": "a"}).encode(), "unsorted"),
    ],
)
def test_a_damaged_manifest_is_told(tmp_path: Path, lines: bytes, told: str) -> None:
    (tmp_path / "m").write_bytes(lines)
    with pytest.raises(DataError, match=told):
        list(manifest.stream(tmp_path / "m"))


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        list(manifest.stream(tmp_path / "m"))


def test_a_long_manifest_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    count = 20_000
    digest = "0" * 64
    tracemalloc.start()
    try:
        rows = (made(f"{n:07d}", annotation=MaskFile("m.png"), image_sha256=digest) for n in range(count))
        manifest.write(path, rows)
        manifest.write(path, manifest.stream(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 3_900_000
    assert peak < 200_000


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_placing_keeps_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    source.write_bytes(b"pixels")
    target = tmp_path / "out" / "target.png"
    for _ in range(2):  # again onto itself: what a completed command does
        place(source, target)
        assert target.read_bytes() == b"pixels"
        assert list(target.parent.iterdir()) == [target]
    assert sha256(target) == sha256(source)


# --- journal -----------------------------------------------------------------------------------------------------


def test_a_journal_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = Journal.open(tmp_path, "make", "x")
    first.commit([made("c"), made("a")])
    first.close()
    second = Journal.open(tmp_path, "make", "x")
    assert second.ids == {"a", "c"}
    second.commit([made("b")])
    second.close()
    third = Journal.open(tmp_path, "make", "x")
    third.forget("c")
    assert [sample.id for sample in third.entries()] == ["a", "b"]
    third.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_was_cut_short_is_as_if_never_written(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "make", "x")
    journal.commit([made("a"), made("b")])
    journal.close()
    shard = next((tmp_path / names.JOURNAL).glob("*.jsonl"))
    shard.write_bytes(shard.read_bytes()[:-5])
    again = Journal.open(tmp_path, "make", "x")
    assert again.ids == {"a"}
    again.commit([made("b")])
    assert list(again.entries()) == [made("a"), made("b")]
    again.close()


def test_another_command_is_refused(tmp_path: Path) -> None:
    Journal.open(tmp_path, "make the first", "x").close()
    for attempt in (lambda: Journal.open(tmp_path, "make", "y"), lambda: refuse_unfinished(tmp_path)):
        with pytest.raises(OutputError, match="make the first") as caught:
            attempt()
        assert "again" in str(caught.value.hint)


def test_a_damaged_journal_is_told(tmp_path: Path) -> None:
    Journal.open(tmp_path, "make", "x").close()
    (tmp_path / names.JOURNAL / "command.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        unfinished(tmp_path)


def test_shards_without_a_command_are_rubbish(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "make", "x")
    journal.commit([made("a")])
    journal.close()
    (tmp_path / names.JOURNAL / "command.json").unlink()
    assert len(Journal.open(tmp_path, "other", "y")) == 0


# --- lock --------------------------------------------------------------------------------------------------------

_HOLD = """
import sys
from pathlib import Path
from carpet_data.store.lock import locked
with locked(Path(sys.argv[1]), "weave the carpet"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError) as caught, locked(tmp_path, "mine"):
            pass
        assert "weave the carpet" in caught.value.what
        assert str(holder.pid) in caught.value.what
        holder.kill()
    # A killed holder holds nothing.
    with locked(tmp_path, "mine"):
        assert json.loads((tmp_path / names.HOLDER).read_text())["command"] == "mine"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_changed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("carpet_data.store.lock.os.open", refuse)
    with pytest.raises(OutputError, match="no permission to change") as caught, locked(tmp_path, "mine"):
        pass
    assert caught.value.where == str(tmp_path)


def test_a_locked_folder_may_be_renamed(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with locked(old, "mine") as lock:
        old.rename(new)
        lock.moved(new)
        with pytest.raises(LockedError), locked(new, "other"):
            pass
    assert list(new.iterdir()) == []


# --- splits, description -----------------------------------------------------------------------------------------


def test_a_split_reads_back_what_was_written(tmp_path: Path) -> None:
    split = Split("main", {"b": "test", "a": "train"}, {"seed": 3})
    splits.write(tmp_path, split)
    assert splits.read(tmp_path, "main") == Split("main", {"a": "train", "b": "test"}, {"seed": 3})
    assert (tmp_path / "splits" / "main.jsonl").read_text().splitlines()[1] == '{"id":"a","side":"train"}'
    with pytest.raises(OutputError, match="'main' exists"):
        splits.write(tmp_path, split)
    splits.write(tmp_path, split, overwrite=True)
    assert splits.names(tmp_path) == ("main",)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-x", "a b", "ü", "x" * 101])
def test_a_split_needs_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="invalid split name"):
        splits.write(tmp_path, Split(name, {}))


HEAD = '{"split":"main","made":{}}\n'


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", "", "empty"),
        ('{"id":"a","side":"train"}\n', ", line 1", "header"),
        ('{"split":"other","made":{}}\n', ", line 1", "header"),
        (HEAD + '{"id":"a"}\n', ", line 2", "id and a side"),
        (HEAD + '{"id":"a","side":"left"}\n', ", line 2", "id and a side"),
        (HEAD + '{"id":"a","side":["train"]}\n', ", line 2", "id and a side"),
        (HEAD + '{"id":"b","side":"train"}\n{"id":"a","side":"train"}\n', ", line 3", "unsorted"),
        (HEAD + "{\n", ", line 2", "not JSON"),
    ],
)
def test_a_damaged_split_is_told(tmp_path: Path, text: str, line: str, told: str) -> None:
    path = tmp_path / "splits" / "main.jsonl"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(DataError, match=told) as caught:
        splits.read(tmp_path, "main")
    assert caught.value.where == f"{path}{line}"


def test_a_description_reads_back_what_was_written(tmp_path: Path) -> None:
    about = Description("carpet", ("good", "hole"), ("hole",), "CC0", 4, {"reader": "mvtec"})
    description.write(tmp_path, about)
    assert description.read(tmp_path) == about
    assert description.is_prepared(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"format": "other"}', "not written by carpet-data"),
        ('{"format": "carpet-data", "version": 99}', "format version 99"),
        ('{"format": "carpet-data", "version": 1}', "missing or invalid"),
    ],
)
def test_a_damaged_description_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=told):
        description.read(tmp_path)


def test_another_folder_is_not_prepared(tmp_path: Path) -> None:
    assert not description.is_prepared(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    assert not description.is_prepared(tmp_path)
    with pytest.raises(DataError, match="not written by"):
        description.read(tmp_path)
