"""`carpet-data curate`: what it takes, prints and refuses."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import synthesis
from helpers.command import Called
from helpers.sources import hashes

from carpet_data import store

Run = Callable[..., Called]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return synthesis.dataset(tmp_path / "set")


def _choices(root: Path, **more: object) -> Path:
    path = root.parent / "choices.json"
    fingerprint = store.read(root).fingerprint("main")
    path.write_text(json.dumps({"schema": 1, "fingerprint": fingerprint, "split": "main", **more}))
    return path


def test_a_file_of_choices_there_and_back(run: Run, root: Path) -> None:
    whole = hashes(root)
    choices = _choices(root, reject=["test_hole_001"], relabel={"test_thread_000": "hole"})
    planned = run("curate", root, "--choices", choices, "--dry-run")
    assert planned.code == 0
    assert "1 image would be dropped (real hole 1), 1 would be relabelled" in planned.out
    assert "drop     test_hole_001: rejected" in planned.out
    assert "relabel  test_thread_000: thread -> hole" in planned.out
    assert hashes(root) == whole
    done = run("curate", root, "--choices", choices)
    assert done.code == 0
    assert "1 image dropped (real hole 1), 1 relabelled" in done.out
    assert f"carpet-data curate {root} --undo" in done.out
    assert run("curate", root, "--choices", choices).code == 1, "the data set has changed since"
    undone = run("curate", root, "--undo", "--json")
    assert undone.code == 0
    assert undone.json["undone"]
    assert undone.json["dropped"] == [{"id": "test_hole_001", "class": "hole", "origin": "real", "reason": "rejected"}]
    assert hashes(root) == whole
    assert run("curate", root, "--choices", choices, "-q").out == ""


def test_a_reason_of_the_choices_is_that_of_the_manifest(run: Run, root: Path) -> None:
    choices = _choices(root, reject=["test_hole_000", "test_hole_001"], reasons={"test_hole_001": "view blurred"})
    assert "drop     test_hole_001: view blurred" in run("curate", root, "--choices", choices, "--dry-run").out
    assert run("curate", root, "--choices", choices).code == 0
    rows = [json.loads(line) for line in (root / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["id"]: row["reason"] for row in rows if row.get("dropped")} == {
        "test_hole_000": "rejected",
        "test_hole_001": "view blurred",
    }


def test_json_lists_everything(run: Run, root: Path) -> None:
    choices = _choices(root, reject=["test_hole_001"], relabel={"train_good_000": "hole"})
    values = run("curate", root, "--choices", choices, "--json").json
    assert set(values) == {
        "root",
        "curation",
        "dropped",
        "relabelled",
        "unmasked",
        "children",
        "undo",
        "dry_run",
        "undone",
        "completed",
    }
    assert values["relabelled"] == [{"id": "train_good_000", "from": "good", "to": "hole"}]
    assert values["unmasked"] == ["train_good_000"]
    assert Path(values["undo"]).is_dir()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--undo", "--dry-run"),
        ("--undo", "--tag", "bad"),
        ("--undo", "--choices", "choices.json"),
        ("--choices", "choices.json", "--tag", "bad"),
        ("--choices", "choices.json", "--export-choices", "other.json"),
        ("--export-choices", "other.json", "--dry-run"),
    ],
)
def test_options_that_make_no_sense_together(run: Run, root: Path, arguments: tuple[str, ...]) -> None:
    whole = hashes(root.parent)
    called = run("curate", root, *arguments)
    assert called.code == 2, called.err
    assert "hint:" in called.err
    assert hashes(root.parent) == whole


def test_bad_input_is_told(run: Run, root: Path, tmp_path: Path) -> None:
    raw = tmp_path / "my source"
    raw.mkdir()
    for arguments in ((), ("--undo",), ("--export-choices", tmp_path / "out.json")):
        failed = run("curate", raw, *arguments, "--json")
        assert (failed.code, failed.json["what"]) == (1, "not a prepared data set: it has no dataset.json")
        assert failed.json["hint"] == f"prepare it first: carpet-data prepare '{raw}' -o 'my source-prepared'"
    (tmp_path / "file").write_text("no folder")
    assert "not a prepared data set" in run("curate", tmp_path / "file").err
    assert "no such file or folder" in run("curate", tmp_path / "nowhere").err
    assert "is missing" in run("curate", root, "--choices", tmp_path / "none.json").err
    (tmp_path / "bad.json").write_text("{")
    failed = run("curate", root, "--choices", tmp_path / "bad.json", "--json")
    assert (failed.code, failed.json["error"]) == (1, "DataError")
    assert "no curation to undo" in run("curate", root, "--undo").err
    (tmp_path / "there.json").write_text("mine")
    refused = run("curate", root, "--export-choices", tmp_path / "there.json")
    assert (refused.code, (tmp_path / "there.json").read_text()) == (1, "mine")
    assert "--overwrite" in refused.err


def test_without_fiftyone_it_names_the_extra(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "fiftyone" else found(name, *rest)
    )
    monkeypatch.delitem(sys.modules, "fiftyone", raising=False)
    failed = run("curate", root)
    assert failed.code == 1
    assert "carpet-data[browse]" in failed.err


def test_choices_need_no_fiftyone(run: Run, root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from carpet_data import curate\n"
        f"curate(Path({str(root)!r}), Path({str(_choices(root, reject=['test_hole_001']))!r}))\n"
        "print(' '.join(sorted({'fiftyone', 'torch'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
