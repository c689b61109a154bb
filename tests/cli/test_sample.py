from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from carpet_data.cli.app import main


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


SMALL = ("--size", "64", "--count", "good=1", "--count", "test-good=0", "--workers", "1")


def test_writes_the_counts_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "carpet"
    code, text, _ = call(capsys, "sample", str(out), *SMALL, "--count", "hole=2", "--count", "cut=0", "--json")
    assert code == 0
    result = json.loads(text)
    assert result["counts"]["test/hole"] == 2
    assert result["images"] == sum(result["counts"].values()) == 1 + 2 + 3 * 5
    assert sorted(path.name for path in (out / "test").iterdir()) == ["color", "hole", "metal_contamination", "thread"]
    assert sorted(path.name for path in (out / "test" / "hole").iterdir()) == ["000.png", "001.png"]


def test_text_names_the_folder_and_quiet_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = call(capsys, "sample", str(tmp_path / "a"), *SMALL)
    assert code == 0
    assert str(tmp_path / "a") in text
    assert "train/good" in text
    code, text, error = call(capsys, "sample", str(tmp_path / "b"), *SMALL, "-q")
    assert (code, text, error) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--count", "hol=3"), "did you mean 'hole'?"),
        (("--count", "hole"), "CLASS=NUMBER"),
        (("--count", "hole=-3"), "CLASS=NUMBER"),
        (("--count", "hole=1", "--count", "hole=2"), "twice"),
        (("--count", "hole=999999999"), "100000"),
        (("--size", "63"), "64 … 4096"),
        (("--size", "100000"), "64 … 4096"),
        (("--size", "big"), "big"),
        (("--seed", "-1"), "-1"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_wrong_use_is_exit_code_2_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = call(capsys, "sample", str(tmp_path / "carpet"), *arguments)
    assert code == 2
    assert said in error
    assert list(tmp_path.iterdir()) == []


def test_every_count_zero_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("good", "test-good", "color", "cut", "hole", "metal_contamination", "thread")
    zero = [word for name in names for word in ("--count", f"{name}=0")]
    code, _, error = call(capsys, "sample", str(tmp_path / "carpet"), *zero)
    assert code == 2
    assert "at least one image" in error


def test_refuses_a_full_folder_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "carpet"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    code, text, _ = call(capsys, "sample", str(out), *SMALL, "--json")
    assert code == 1
    assert json.loads(text)["mend"].endswith("--overwrite")
    assert (out / "mine.txt").read_text() == "keep"
    code, _, error = call(capsys, "sample", str(out), *SMALL, "--overwrite")
    assert code == 1
    assert "did not write" in error
    (out / "mine.txt").unlink()
    for again in ((), ("--overwrite",)):
        code, _, _ = call(capsys, "sample", str(out), *SMALL, *again)
        assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["carpet"]


def test_an_output_that_cannot_be_written_is_an_error_without_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    for target in (blocker, blocker / "below"):
        code, _, error = call(capsys, "sample", str(target), *SMALL)
        assert code == 1
        assert error.startswith("error: ")
        assert "Traceback" not in error


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
