"""`carpet-data unpack` as a user meets it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from helpers.command import exit_code

FILES = {
    "carpet/train/good/000.png": b"good",
    "carpet/test/hole/000.png": b"hole",
    "carpet/ground_truth/hole/000_mask.png": b"mask",
}


def make(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_text_names_the_data_set_and_the_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make(tmp_path / "carpet.tar.xz", FILES)
    assert exit_code("unpack", archive, "-o", tmp_path / "mvtec") == 0
    shown = capsys.readouterr().out
    assert "unpacked 3 files, 12 bytes" in shown
    assert f"next: carpet-data doctor {tmp_path / 'mvtec' / 'carpet'}" in shown
    assert archive.exists()


def test_several_data_sets_and_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = FILES | {name.replace("carpet", "screw"): data for name, data in FILES.items()}
    assert exit_code("unpack", make(tmp_path / "all.tar.xz", more), "-o", tmp_path / "all") == 0
    assert "2 data sets:" in capsys.readouterr().out
    assert exit_code("unpack", make(tmp_path / "other.tar.xz", {"readme.txt": b"hi"}), "-o", tmp_path / "other") == 0
    assert "no folder in MVTec's layout" in capsys.readouterr().out


def test_json_and_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make(tmp_path / "carpet.tar.xz", FILES)
    assert exit_code("unpack", archive, "-o", tmp_path / "a", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values == {
        "archive": str(archive),
        "kind": "tar.xz",
        "out": str(tmp_path / "a"),
        "files": 3,
        "bytes": 12,
        "roots": [str(tmp_path / "a" / "carpet")],
    }
    assert exit_code("unpack", archive, "-o", tmp_path / "b", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_faults_are_exit_code_1_with_their_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make(tmp_path / "carpet.tar.xz", FILES)
    archive.write_bytes(archive.read_bytes()[:-40])
    assert exit_code("unpack", archive, "-o", tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert "damaged" in shown.err
    assert "hint:" in shown.err
    assert "Traceback" not in shown.err
    assert exit_code("unpack", archive, "-o", tmp_path / "out", "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"] == "FetchError"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--max-bytes", "11"), "--max-bytes"),
        (("--max-files", "2"), "--max-files"),
    ],
)
def test_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str], words: str) -> None:
    archive = make(tmp_path / "carpet.tar.xz", FILES)
    assert exit_code("unpack", archive, "-o", tmp_path / "out", *option) == 1
    assert words in capsys.readouterr().err
    assert exit_code("unpack", archive, "-o", tmp_path / "out", "--max-bytes", "1536") == 0


@pytest.mark.parametrize(
    "wrong", [("--max-bytes", "many"), ("--max-bytes", "0"), ("--max-files", "i"), ("--nope",), ()]
)
def test_wrong_use_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, ...]) -> None:
    archive = make(tmp_path / "carpet.tar.xz", FILES)
    out = ("-o", str(tmp_path / "out")) if wrong else ()
    assert exit_code("unpack", archive, *out, *wrong) == 2
    assert "Error" in capsys.readouterr().err


def test_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make(tmp_path / "carpet.tar.xz", FILES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert exit_code("unpack", archive, "-o", tmp_path / "out") == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "out" / "mine.txt").exists()
    assert exit_code("unpack", archive, "-o", tmp_path / "out", "--overwrite") == 1
    assert "holds something else" in capsys.readouterr().err
    (tmp_path / "out" / "mine.txt").unlink()
    for again in ((), ("--overwrite",)):
        assert exit_code("unpack", archive, "-o", tmp_path / "out", *again) == 0
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["carpet"]


def test_interrupted_by_the_keyboard_it_leaves_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "large.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for k in range(40):
            member = tarfile.TarInfo(f"carpet/train/good/{k:03}.png")
            member.size = 10 * 2**20
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    code = "from carpet_data.cli import main; main()"
    command = [sys.executable, "-c", code, "unpack", str(archive), "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "100"})
    deadline = time.monotonic() + 20
    while not any(tmp_path.glob(".out.*/carpet/train/good/002.png")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=20)
    assert process.returncode == 130, shown
    assert b"Traceback" not in shown
    assert [path.name for path in tmp_path.iterdir()] == ["large.tar.gz"]


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("unpack", "--help") == 0
    assert "Example:" in capsys.readouterr().out
