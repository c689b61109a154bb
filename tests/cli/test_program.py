"""The program as a whole: help, exit codes, what it imports, and that its docs are its help."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest
from helpers.command import Called
from helpers.shapes import SHAPES, write_mvtec

import carpet_data
from carpet_data import errors
from carpet_data.cli import common
from carpet_data.cli.app import COMMANDS, app
from carpet_data.core.progress import Step

Run = Callable[..., Called]
PROJECT = Path(__file__).resolve().parents[2]


def command(name: str) -> click.Command:
    found = app.get_command(click.Context(app), name)
    assert found is not None
    return found


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('\\n'.join(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.splitlines())


HEAVY = {
    "albumentations",
    "cv2",
    "fiftyone",
    "matplotlib",
    "numpy",
    "pycocotools",
    "pydantic",
    "rich",
    "scipy",
    "torch",
}


def test_help_loads_nothing_heavy() -> None:
    code = "from carpet_data.cli.app import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert not HEAVY & modules_after(code)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    code = f"from carpet_data.cli.app import main\ntry:\n    main(['{name}', '--help'])\nexcept SystemExit:\n    pass"
    assert not HEAVY & modules_after(code)


def test_import_is_light_and_to_coco_needs_no_albumentations() -> None:
    assert not HEAVY & modules_after("import carpet_data")
    loaded = modules_after("import carpet_data.formats.exports, carpet_data.formats.coco.check")
    assert not {"albumentations", "matplotlib", "pydantic", "rich", "scipy", "torch"} & loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_a_summary(name: str) -> None:
    found = command(name)
    assert found.help is not None
    assert "Example" in found.help
    assert f"carpet-data {name}" in found.help
    assert COMMANDS[name][1].endswith(".")
    for each in found.commands.values() if isinstance(found, click.Group) else [found]:
        assert {"--json", "-q"} <= {option for parameter in each.params for option in parameter.opts}, each.name


def test_the_references_are_those_of_the_program() -> None:
    specification = importlib.util.spec_from_file_location("reference", PROJECT / "docs" / "make_reference.py")
    assert specification is not None
    assert specification.loader is not None
    reference = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(reference)
    assert reference.COMMANDS_PAGE.read_text(encoding="utf-8") == reference.commands_page(), "run `make docs`"
    assert reference.LAYOUTS_PAGE.read_text(encoding="utf-8") == reference.layouts_page(), "run `make docs`"
    assert reference.API_PAGE.read_text(encoding="utf-8") == reference.api_page(), "run `make docs`"


def test_public_names_are_there_and_no_module_shadows_a_verb() -> None:
    for name in carpet_data.__all__:
        value = getattr(carpet_data, name)
        assert not isinstance(value, ModuleType), f"carpet_data.{name} is a module, not the {name} of the interface"
        assert name in dir(carpet_data)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = carpet_data.nothing  # type: ignore[attr-defined]


def test_wrong_use_is_exit_code_2(run: Run) -> None:
    mistyped = run("to-cocoo")
    assert mistyped.code == 2
    assert "Did you mean 'to-coco'?" in mistyped.err
    assert run("to-coco", "--nonsense").code == 2
    assert run("stats", "--split").code == 2
    assert run("--version").out.strip().endswith(carpet_data.__version__)
    assert run("--help").code == 0


def test_errors_are_json_when_asked_for(run: Run, tmp_path: Path) -> None:
    failed = run("stats", tmp_path / "none", "--json")
    assert failed.code == 1
    assert set(failed.json) == {"error", "what", "where", "hint"}


def test_wrong_use_is_json_when_asked_for(run: Run) -> None:
    for words in (("to-coco", "--nonsense"), ("nonsense",), ("split", ".")):
        failed = run(*words, "--json")
        assert failed.code == 2
        assert failed.json["error"] == "UsageError"
        assert failed.json["hint"].startswith("see carpet-data ")
        assert failed.err == ""


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_names_that_the_terminal_cannot_show(encoding: str, tmp_path: Path) -> None:
    source = write_mvtec(tmp_path / "検査 ü", {"a": ("hole", SHAPES["point"])})
    broken = tmp_path / "no\udce9name"

    def call(*words: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "carpet_data", "stats", "--workers", "1", *map(str, words)]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        return subprocess.run(command, capture_output=True, check=False, env=environment)

    done = call(source)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(call(source, "--json").stdout.decode(encoding))["name"] == "検査 ü"
    missing = call(broken, "--json")
    assert missing.returncode == 1
    assert json.loads(missing.stdout.decode(encoding))["where"] == str(broken)


@pytest.mark.parametrize(("stream", "words"), [(">&-", ""), (">/dev/full", "--json"), (">/dev/full", "")])
def test_a_closed_or_full_standard_output_is_no_traceback(stream: str, words: str, tmp_path: Path) -> None:
    source = write_mvtec(tmp_path / "data", {"a": ("hole", SHAPES["point"])})
    line = f'"$0" -m carpet_data stats "$1" --workers 1 {words} {stream}'
    done = subprocess.run(["sh", "-c", line, sys.executable, source], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if stream == ">&-" else 1)
    assert ("No space left" in done.stderr) == (stream != ">&-")


def test_errors_of_the_system_are_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/data/x")

    monkeypatch.setattr("carpet_data.formats.export.read", full)
    failed = run("to-coco", ".", "-o", "out")
    assert failed.code == 1
    assert "No space left" in failed.err
    assert "free some disk space" in failed.err


def test_every_error_survives_the_way_home_from_a_worker() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name not in ("ProblemsError", "nearest")]
    for kind in kinds:
        error = pickle.loads(pickle.dumps(kind("what", where=Path("a/b"), hint="fix it")))
        assert type(error) is kind
        assert (error.what, error.where, error.hint) == ("what", "a/b", "fix it")
        assert str(error) == "a/b: what\n  hint: fix it"
    several = errors.ProblemsError([errors.DataError(str(n)) for n in range(30)])
    again = pickle.loads(pickle.dumps(several))
    assert len(again.problems) == 30
    assert "… and 10 more" in str(again)
    assert len(json.loads(json.dumps(again.to_json()))["problems"]) == 30
    missing = errors.MissingExtraError.of("torch", "train", "training")
    assert "pip install 'carpet-data[train]'" in str(missing)


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with common.Ui().progress("x") as update:
        update(Step(1, 2))
    assert capsys.readouterr().err == ""


def test_no_large_file_is_tracked() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True)
    paths = [PROJECT / name for name in listed.stdout.split("\0") if name]
    assert len(paths) > 100
    assert [path for path in paths if path.is_file() and path.stat().st_size > 1_000_000] == []
