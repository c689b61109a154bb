"""`carpet-data sample` as a user meets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command import Called

Run = Callable[..., Called]

SMALL = ("--size", "64", "--count", "good=1", "--count", "test-good=0", "--workers", "1")
DEFECTS = ("color", "cut", "hole", "metal_contamination", "thread")
TWO = (*SMALL, *(word for name in DEFECTS[1:] for word in ("--count", f"{name}=0")), "--count", "color=1")


def test_writes_the_counts_asked_for(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "carpet"
    done = run("sample", out, *SMALL, "--count", "hole=2", "--count", "cut=0", "--json")
    assert done.code == 0
    result = done.json
    assert result["counts"]["test/hole"] == 2
    assert result["images"] == sum(result["counts"].values()) == 1 + 2 + 3 * 5
    assert sorted(path.name for path in (out / "test").iterdir()) == ["color", "hole", "metal_contamination", "thread"]
    assert sorted(path.name for path in (out / "test" / "hole").iterdir()) == ["000.png", "001.png"]


def test_text_names_the_folder_and_quiet_prints_nothing(run: Run, tmp_path: Path) -> None:
    done = run("sample", tmp_path / "a", *TWO)
    assert done.code == 0
    assert str(tmp_path / "a") in done.out
    assert "train/good" in done.out
    assert run("sample", tmp_path / "b", *TWO, "-q") == Called(0, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--count", "hol=3"), "did you mean 'hole'?"),
        (("--count", "hole"), "CLASS=NUMBER"),
        (("--count", "hole=-3"), "CLASS=NUMBER"),
        (("--count", "hole=1", "--count", "hole=2"), "twice"),
        (("--count", "hole=999999999"), "100000"),
        (("--size", "63"), "--size must be 64 to 4096"),
        (("--size", "100000"), "--size must be 64 to 4096"),
        (("--size", "big"), "big"),
        (("--seed", "-1"), "-1"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_wrong_use_is_exit_code_2_and_writes_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run("sample", tmp_path / "carpet", *arguments)
    assert done.code == 2
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_every_count_zero_is_refused(run: Run, tmp_path: Path) -> None:
    names = ("good", "test-good", *DEFECTS)
    zero = [word for name in names for word in ("--count", f"{name}=0")]
    done = run("sample", tmp_path / "carpet", *zero)
    assert done.code == 2
    assert "count of at least 1" in done.err


def test_refuses_a_full_folder_unless_told(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "carpet"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    done = run("sample", out, *TWO, "--json")
    assert done.code == 1
    assert done.json["hint"].endswith("--overwrite")
    assert (out / "mine.txt").read_text() == "keep"
    done = run("sample", out, *TWO, "--overwrite")
    assert done.code == 1
    assert "holds something else" in done.err
    (out / "mine.txt").unlink()
    for again in ((), ("--overwrite",)):
        assert run("sample", out, *TWO, *again).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["carpet"]


def test_an_output_that_cannot_be_written_is_an_error_without_traceback(run: Run, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    for target in (blocker, blocker / "below"):
        done = run("sample", target, *TWO)
        assert done.code == 1
        assert done.err.startswith("error: ")
        assert "Traceback" not in done.err


def test_help_has_an_example_and_loads_nothing_heavy() -> None:
    program = (
        "import sys, click.testing\n"
        "from carpet_data.cli.app import app\n"
        "print(click.testing.CliRunner().invoke(app, ['sample', '--help']).output)\n"
        "print(sorted({'cv2', 'numpy', 'matplotlib', 'pydantic', 'torch'} & set(sys.modules)))\n"
    )
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "Example:" in text
    assert "carpet-data sample carpet" in text
    assert text.strip().endswith("[]")
