"""`fit` as a user types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers import synthesis, tiny_learner
from helpers.command import Called

from carpet_data import store as layout
from carpet_data.cli import common
from carpet_data.errors import UsageError
from carpet_data.learned.fit import fit
from carpet_data.learned.fit_runtime import Runtime
from carpet_data.learned.options import FitOptions
from carpet_data.synthesis.recipe import registry

Run = Callable[..., Called]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The method `tiny` is known, and copies are sought by pixels alone."""
    monkeypatch.setitem(registry.METHODS.builtin, tiny_learner.NAME, (tiny_learner.TARGET, "of the tests"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesis.dataset(tmp_path_factory.mktemp("fit") / "set")


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "set"))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tiny_learner.recipe(tmp_path, steps=30)


def test_fit_then_again(root: Path, recipe: Path, run: Run) -> None:
    done = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert done.code == 0, done.err
    assert done.out.startswith("source: tiny trained on the training images of main\n")
    folder = Path(done.out.splitlines()[-1].removeprefix("model: "))
    assert folder.parent == root / "models"
    sheets = [line for line in done.err.splitlines() if "samples-" in line]
    assert len(sheets) == 5
    assert sheets[-1].startswith("step 30 of 30, denoise 0.")
    assert all(Path(line.rpartition(": ")[2]).is_file() for line in sheets)
    assert "30 steps of 4 crops in" in done.out
    assert "near copies of donors among its samples:" in done.out
    again = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("source: tiny is already trained on the training images of main; nothing to do")
    anew = run("fit", root, "--recipe", recipe, "--device", "cpu", "--overwrite", "-q")
    assert (anew.code, anew.out, anew.err) == (0, "", "")


def test_json_holds_the_card(root: Path, recipe: Path, run: Run) -> None:
    done = run("fit", root, "--recipe", recipe, "--device", "cpu", "--json")
    assert done.code == 0
    # Progress goes to standard error, which leaves the JSON alone.
    assert all(line.startswith("step ") for line in done.err.splitlines())
    card = json.loads((Path(done.json["model"]) / "card.json").read_text())
    assert done.json["fitted"] == card
    assert done.json["how"] == "new"
    assert run("fit", root, "--recipe", recipe, "--json").json["how"] == "existed"


def test_an_interrupted_fit_says_that_it_went_on(root: Path, tmp_path: Path, run: Run) -> None:
    recipe = tiny_learner.recipe(tmp_path, steps=10)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("carpet_data.synthesis.engine.model_store.write", stop)
        stopped = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert (stopped.code, stopped.out) == (130, "")
    planned = run("fit", root, "--recipe", recipe, "--dry-run")
    assert "note: an interrupted fit would resume" in planned.out
    anew = run("fit", root, "--recipe", recipe, "--dry-run", "--overwrite")
    assert "note: the existing unfinished fit would be removed" in anew.out
    assert "would resume" not in anew.out
    done = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert done.out.startswith(
        "source: tiny trained on the training images of main, an interrupted fit resumed and finished"
    )


def test_a_dry_run_writes_nothing(root: Path, recipe: Path, run: Run) -> None:
    done = run("fit", root, "--recipe", recipe, "--dry-run")
    assert done.code == 0
    assert "tiny would be trained on the training images of main" in done.out
    assert "30 steps of 4 crops of 32x32 px" in done.out
    assert not (root / "models").exists()
    assert run("fit", root, "--recipe", recipe, "--dry-run", "--json").json["fitted"] is None


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--recipe", "donor-paste"], 2, "donor-paste needs no fit"),
        (["--recipe", "ddpm-inpant"], 2, "ddpm-inpant"),
        ([], 2, "--recipe"),
        (["--recipe", "RECIPE", "--split", "none"], 2, "unknown split 'none'"),
        (["--recipe", "RECIPE", "--device", "cuda:99"], 2, "--device auto or cpu"),
        (["--recipe", "RECIPE", "--device", "abacus"], 2, "unknown device"),
    ],
)
def test_wrong_use(root: Path, recipe: Path, run: Run, options: list[str], code: int, said: str) -> None:
    failed = run("fit", root, *[str(recipe) if option == "RECIPE" else option for option in options])
    assert failed.code == code
    assert said in failed.err
    assert "Traceback" not in failed.err
    assert not (root / "models").exists()


def test_a_seed_that_is_negative(root: Path, recipe: Path) -> None:
    with pytest.raises(UsageError, match=r"--seed must be at least 0 \(got -1\)"):
        fit(root, recipe, FitOptions(seed=-1))
    assert not (root / "models").exists()


def test_a_folder_that_is_not_prepared(root: Path, recipe: Path, run: Run) -> None:
    failed = run("fit", root.parent / "source", "--recipe", recipe)
    assert failed.code == 1


def test_a_leak_is_refused_before_anything_is_learned(root: Path, recipe: Path, run: Run) -> None:
    dataset = layout.read(root)
    test, train = (
        next(s for s in dataset.on_side(side, "main") if s.class_name == "hole") for side in ("test", "train")
    )
    manifest = root / "manifest.jsonl"
    text = manifest.read_text()
    assert test.image_sha256 is not None
    assert train.image_sha256 is not None
    manifest.write_text(text.replace(test.image_sha256, train.image_sha256))
    failed = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert failed.code == 1
    assert "leak" in failed.err
    assert not (root / "models").exists()


def test_a_diverged_fit_is_an_error_with_its_hint(root: Path, tmp_path: Path, run: Run) -> None:
    failed = run("fit", root, "--recipe", tiny_learner.recipe(tmp_path, fault="nan"), "--device", "cpu", "--json")
    assert failed.code == 1
    assert "the fit diverged" in failed.json["what"]
    assert "learning_rate" in failed.json["hint"]


def test_of_several_processes_one_speaks(root: Path, recipe: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("fit", root, "--recipe", recipe, "--device", "cpu", "-q")
    # A finished fit needs no other process.
    monkeypatch.setenv("RANK", "1")
    done = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_only_the_main_process_writes(root: Path, recipe: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runtime, "is_main", property(lambda runtime: False))
    failed = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert failed.code == 1, "no card was written by the main process, for there is none"
    assert not (root / "models").exists()


def test_on_a_terminal_sheets_stay_and_the_bar_goes(
    root: Path, recipe: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "80")
    done = run("fit", root, "--recipe", recipe, "--device", "cpu")
    assert done.code == 0
    named = [line for line in done.err.splitlines() if line.startswith("step ")]
    assert len(named) == 5
    assert all(line.endswith(".png") for line in named), "paths are not broken over lines"
