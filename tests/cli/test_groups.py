"""`carpet-data groups`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command import exit_code, printed
from helpers.sources import write_source

from carpet_data import store
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare


@pytest.fixture
def data(tmp_path: Path) -> Path:
    source = write_source(tmp_path / "source")
    (source / "test" / "good" / "900.png").write_bytes((source / "train" / "good" / "000.png").read_bytes())
    return prepare(
        source, tmp_path / "data", group_options=GroupOptions(group_by=r"test/thread/00([01])"), workers=1
    ).out


def test_groups_and_why(data: Path) -> None:
    lines = printed("groups", data).splitlines()
    assert lines[0] == "test_good_900: 2 images (2 good)"
    assert lines[1].startswith("  same file: test/good/900.png – train/good/000.png")
    assert lines[-1] == ("18 images are in 17 groups; 1 of them contain 2 or more, 2 images in all (1 by same file)")


def test_json(data: Path) -> None:
    values = json.loads(printed("groups", data, "--json"))
    assert (values["samples"], values["total"], values["grouped"]) == (18, 17, 2)
    assert values["by_reason"] == {"file": 1}
    assert values["made"] == {"group_by": "test/thread/00([01])", "near_duplicates": True}
    group = values["groups"][0]
    assert group["members"] == {"test_good_900": "test/good/900.png", "train_good_000": "train/good/000.png"}
    assert group["links"][0]["reason"] == "file"


def test_dropped_samples_leave_their_group(data: Path) -> None:
    store.drop(data, ["train_good_000"], "a copy")
    values = json.loads(printed("groups", data, "--json"))
    assert (values["samples"], values["groups"]) == (17, [])


def test_what_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "groups.jsonl").write_text('{"made":{}}\n{"a":1}\n')
    for words, told in (([str(tmp_path / "source")], "not a prepared data set"), ([str(data)], "groups.jsonl")):
        assert exit_code("groups", *words) == 1
        error = capsys.readouterr().err
        assert told in error
        assert "hint: " in error
