"""The commands of synthesis as a user types them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from helpers import synthesis
from helpers.sources import hashes

from carpet_data.cli import app, main
from carpet_data.cli.app import COMMANDS
from carpet_data.synthesis.recipe import registry
from carpet_data.weave.sample import sample

MINE = ("synthesize", "rebalance", "recipes", "preview", "drop")


@pytest.fixture(scope="module")
def carpet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "carpet"
    sample(out, size=128, seed=1, workers=1)
    return out


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_literal_command_works_inside_a_data_folder(
    carpet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(carpet, tmp_path / "carpet"))
    before = hashes(folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CARPET_DATA_ROOT", raising=False)
    code, out, err = run(capsys, "synthesize", "--class", "hole", "--n", "5", "--recipe", "procedural")
    assert (code, err) == (0, "")
    assert "was prepared as" in out
    assert "hole: 5 made" in out
    prepared = tmp_path / "carpet-prepared"
    assert len(list((prepared / "images/hole").glob("hole_procedural_*.png"))) == 5
    assert len(list((prepared / "previews").glob("hole_procedural_*.png"))) == 1
    assert hashes(folder) == before


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry.METHODS, "builtin", dict(registry.METHODS.builtin))
    synthesis.register()
    return synthesis.dataset(tmp_path / "set")


def test_json_is_the_whole_result(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = synthesis.recipe(tmp_path)
    arguments = ("synthesize", root, "--class", "hole", "--class", "thread", "--n", "3", "--recipe", recipe, "--json")
    code, out, err = run(capsys, *arguments, "--workers", "1")
    values: dict[str, Any] = json.loads(out)
    assert (code, err) == (0, "")
    assert values["classes"]["thread"]["made"] == 3
    assert values["recipe"] == "donor-disc"
    assert [Path(path).is_file() for path in values["sheets"]] == [True, True]
    assert run(capsys, *arguments[:-1], "-q") == (0, "", "")
    _, out, _ = run(capsys, *arguments, "--dry-run", "--seed", "4")
    assert len(json.loads(out)["plans"]["hole"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--class", "holes", "--n", "2"), 2, "did you mean 'hole'?"),
        (("--class", "hole", "--n", "0"), 2, "--n must be at least 1"),
        (("--class", "hole", "--n", "-1"), 2, "--n must be at least 1"),
        (("--class", "hole", "--n", "x"), 2, "not a valid integer"),
        (("--class", "hole"), 2, "--n"),
        (("--n", "2"), 2, "--class"),
        (("--class", "hole", "--n", "2", "--split", "other"), 2, "unknown split 'other'"),
        (("--class", "hole", "--n", "2", "--recipe", "donor-past"), 2, "did you mean 'donor-paste'?"),
        (("--class", "hole", "--n", "2", "--recipe", "none.yaml"), 2, "recipe file not found"),
        (("--class", "hole", "--n", "2", "--recipe", "BAD"), 1, "line 4"),
    ],
)
def test_bad_requests_end_in_words(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    bad = synthesis.recipe(tmp_path, more="parameters: {colour: red}\n")
    before = hashes(root)
    found = run(capsys, "synthesize", root, *(str(bad) if a == "BAD" else a for a in arguments))
    assert found[0] == code
    assert words in found[2]
    assert "Traceback" not in found[2]
    assert hashes(root) == before


def test_a_folder_that_is_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run(capsys, "synthesize", tmp_path / "empty", "--class", "hole", "--n", "2")
    assert code == 1
    assert "hint:" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_rebalance_drop_and_preview(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = synthesis.recipe(tmp_path)
    code, out, _ = run(capsys, "rebalance", root, "--to", "9", "--recipe", recipe, "--workers", "1")
    assert code == 0
    assert [line.split() for line in out.splitlines() if line.startswith(("hole ", "thread "))] == [
        ["hole", "4", "9"],
        ["thread", "3", "9"],
    ]
    code, out, _ = run(capsys, "rebalance", root, "--to", "9", "--recipe", recipe, "--json")
    assert json.loads(out)["synthesis"] is None
    assert run(capsys, "rebalance", root, "--to", "lots")[0] == 2
    picture = tmp_path / "sheet.png"
    code, out, _ = run(capsys, "preview", root, "-o", picture, "--class", "hole", "--origin", "synthetic", "--json")
    assert (code, len(json.loads(out)["ids"]), picture.is_file()) == (0, 5, True)
    code, _, err = run(capsys, "preview", root, "-o", picture)
    assert (code, "--overwrite" in err) == (1, True)
    code, out, _ = run(capsys, "drop", root, "--where", "origin=synthetic", "--where", "class=hole", "--json")
    assert (code, json.loads(out)["dropped"]) == (0, 5)
    code, _, err = run(capsys, "drop", root, "--where", "clas=hole")
    assert (code, "'class'" in err) == (2, True)
    assert run(capsys, "drop", root)[0] == 2


def test_recipes_list_show_check(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "recipes", "list")
    assert code == 0
    assert {"donor-paste", "procedural", "augment", "resynthesis", "perlin", "nsa"} <= {
        line.split()[0] for line in out.splitlines()
    }
    code, shown, _ = run(capsys, "recipes", "show", "donor-paste")
    assert code == 0
    mine = tmp_path / "mine.yaml"
    mine.write_text(shown, encoding="utf-8")
    code, out, _ = run(capsys, "recipes", "check", mine, "procedural")
    assert (code, out.strip().endswith("valid")) == (0, True)
    code, out, _ = run(capsys, "recipes", "show", mine, "--json")
    assert json.loads(out)["recipes"][0]["recipe"]["method"] == "donor-paste"
    mine.write_text(shown.replace("schema: 1", "schema: 1\nschema: 1"), encoding="utf-8")
    code, _, err = run(capsys, "recipes", "check", mine)
    assert (code, "duplicate key" in err) == (1, True)


@pytest.mark.parametrize("name", MINE)
def test_help_has_an_example_and_is_quick(name: str) -> None:
    program = (
        "import sys; from click.testing import CliRunner; from carpet_data.cli import app;"
        f"print(CliRunner().invoke(app, ['{name}', '--help']).output);"
        "print(sorted({'cv2', 'numpy', 'pydantic', 'yaml', 'albumentations', 'torch'} & set(sys.modules)))"
    )
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "Example" in text
    assert f"carpet-data {name}" in text
    if name != "preview":
        assert text.strip().endswith("[]")


def test_every_command_can_be_found() -> None:
    for name in MINE:
        result: Result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0
        assert name in COMMANDS
