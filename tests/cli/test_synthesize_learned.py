"""Learned recipes on the command line: the model is asked for, used and named; validate fits by itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers import synthesis
from helpers.command import Called
from helpers.sources import hashes

from carpet_data import store as layout
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.recipe import files, registry

Run = Callable[..., Called]
QUICK = ("--arch", "resnet18", "--weights", "none", "--resize", 32, "--views", 1, "--steps", 5, "--seeds", 1)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The methods of the tests are known, and one thread computes: several only wait on images so small."""
    monkeypatch.setattr(registry.METHODS, "builtin", dict(registry.METHODS.builtin))
    synthesis.register()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return synthesis.recipe(tmp_path / "recipes", "mean")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesis.dataset(tmp_path_factory.mktemp("cli") / "set")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def test_first_the_command_that_fits_then_images(root: Path, recipe: Path, run: Run) -> None:
    ask = ("synthesize", root, "--class", "hole", "--n", 3, "--recipe", recipe, "--workers", 1, "--device", "cpu")
    before = hashes(root)
    refused = run(*ask)
    assert refused.code == 1
    assert f"hint: run carpet-data fit {root} --recipe {recipe} --split main" in refused.err
    assert run(*ask, "--json").json["error"] == "DataError"
    planned = run(*ask, "--dry-run")
    assert planned.code == 0, planned.err
    assert "3 would be made" in planned.out
    assert "carpet-data fit" in planned.out
    assert hashes(root) == before
    fitted = synthesis.fitted(root, files.load(recipe))
    called = run(*ask)
    assert called.code == 0, called.err
    assert "hole: 3 made" in called.out
    assert f"model {fitted.folder.name}" in called.out
    again = run("rebalance", root, "--to", 7, "--recipe", recipe, "--workers", 1, "--device", "cpu", "--json")
    assert again.json["synthesis"]["model"] == fitted.folder.name
    assert again.json["after"]["thread"] == 7
    assert list(layout.verify(root)) == []


def test_a_device_that_is_not_there_is_wrong_use(root: Path, recipe: Path, run: Run) -> None:
    synthesis.fitted(root, files.load(recipe))
    called = run("synthesize", root, "--class", "hole", "--n", 1, "--recipe", recipe, "--device", "quantum")
    assert called.code == 2
    assert "--device auto" in called.err


def test_recipes_say_which_are_learned(recipe: Path, run: Run) -> None:
    assert run("recipes", "show", recipe, "--json").json["recipes"][0]["learned"] is True
    assert run("recipes", "show", "donor-paste", "--json").json["recipes"][0]["learned"] is False
    shown = run("recipes", "show", recipe)
    assert shown.out == recipe.read_text()
    assert "carpet-data fit DATASET" in shown.err
    assert run("recipes", "show", "donor-paste").err == ""
    checked = run("recipes", "check", recipe, "donor-paste").out.splitlines()
    assert [("learned: " in line) for line in checked[:2]] == [True, False]
    listed = {each["name"]: each["learned"] for each in run("recipes", "list", "--json").json["recipes"]}
    assert not any(listed[name] for name in ("donor-paste", "procedural", "augment", "resynthesis", "perlin", "nsa"))


def test_no_torch_where_nothing_is_sampled(root: Path, recipe: Path) -> None:
    program = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from helpers import synthesis; synthesis.register();"
        "from carpet_data.cli.app import app\n"
        "for command in json.loads(sys.argv[2]):\n"
        "    try: app(command)\n"
        "    except SystemExit as ended: assert not ended.code, (command, ended.code)\n"
        "print(sorted({'torch', 'diffusers', 'accelerate'} & set(sys.modules)))"
    )
    ask = ["synthesize", str(root), "--class", "hole", "--n", "2", "--dry-run", "--recipe"]
    # albumentations takes torch along where it is installed, so augment is not among them.
    recipe_commands = [["recipes", "check", "ddpm-inpaint", "perlin"], ["recipes", "show", str(recipe)]]
    commands = [*recipe_commands, [*ask, "donor-paste"], [*ask, str(recipe)]]
    arguments = [str(Path(synthesis.__file__).parents[1]), json.dumps(commands)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_validate_fits_in_each_partition(root: Path, recipe: Path, run: Run) -> None:
    ask = ("validate", root, *QUICK, "--recipes", recipe, "--to", 6, "--device", "cpu", "--workers", 1)
    called = run(*ask, "--partitions", 2, "--keep-work")
    assert called.code == 0, called.err
    work = root / "runs/validate-001/work"
    spaces = [layout.read(path.parent) for path in sorted(work.glob("*/mean/dataset.json"))]
    models = [model_store.find(dataset, "main", files.load(recipe)) for dataset in spaces]
    assert len(models) == 2
    assert len({model.data for model in models}) == 2
    for dataset, model in zip(spaces, models, strict=True):
        train = {sample.id for sample in dataset.on_side("train", "main") if sample.origin == "real"}
        assert set(model.samples) == train
        records = [sample.provenance for sample in dataset if sample.provenance is not None]
        assert {record["fitted"]["weights"] for record in records} == {model.weights_sha256}
        assert records


def test_validate_says_which_class_cannot_be_learned(tmp_path: Path, recipe: Path, run: Run) -> None:
    root = synthesis.dataset(tmp_path / "few", {"train/good": 6, "test/hole": 5, "test/thread": 2})
    called = run("validate", root, *QUICK, "--recipes", recipe, "--to", 5, "--device", "cpu", "--workers", 1)
    assert called.code == 0, called.err
    assert "note: thread has only 1 training image with a mask in main, too few for mean" in called.out


def test_validate_plans_nothing_of_a_class_that_cannot_be_learned(tmp_path: Path, recipe: Path, run: Run) -> None:
    root = synthesis.dataset(tmp_path / "few", {"train/good": 6, "test/hole": 5, "test/thread": 2})
    ask = ("validate", root, *QUICK, "--to", 5, "--device", "cpu", "--workers", 1, "--recipes", recipe)
    planned = run(*ask, "--dry-run", "--json").json["plan"]
    done = run(*ask, "--json").json["plan"]
    assert [row["synthetic_images"] for row in planned] == [row["synthetic_images"] for row in done]
    assert max(row["synthetic_images"] for row in planned) > 0


def test_validate_refuses_a_learned_recipe_without_donors_before_any_work(
    tmp_path: Path, recipe: Path, run: Run
) -> None:
    root = synthesis.dataset(tmp_path / "few", {"train/good": 6, "test/hole": 2, "test/thread": 2})
    failed = run("validate", root, *QUICK, "--recipes", recipe, "--to", 5, "--device", "cpu", "--dry-run")
    assert failed.code == 1
    assert "no class has them (hole 1, thread 1)" in failed.err
    assert "donor-paste needs only one" in failed.err
