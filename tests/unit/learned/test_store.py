"""Models are found by recipe and train images, and each way of not being there has its own words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import synthesis, tiny_learner

from carpet_data import store as layout
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, UsageError
from carpet_data.preparation.drop import drop
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.split import split as make_split
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.engine.model_store import Fitted
from carpet_data.synthesis.recipe import files
from carpet_data.synthesis.recipe.model import Recipe

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return files.load(tiny_learner.recipe(tmp_path / "recipes"))


def kept(dataset: Dataset, recipe: Recipe, split: str = "main") -> Fitted:
    """A model as a fit leaves it, but for the network."""
    folder = model_store.folder_of(dataset, split, recipe)
    (folder / model_store.WEIGHTS / "inner").mkdir(parents=True)
    (folder / model_store.WEIGHTS / "inner" / "w.safetensors").write_bytes(b"weights")
    fitted = Fitted(
        folder=folder,
        recipe=recipe.name,
        method=recipe.method,
        version=1,
        fit=model_store.fit_identity(recipe),
        data=model_store.data_identity(dataset, split),
        weights_sha256=model_store.weights_hash(folder / model_store.WEIGHTS),
        parameters={"steps": 3},
        dataset={"name": dataset.name, "license": "CC0", "fingerprint": dataset.fingerprint(split)},
        split=split,
        classes=("hole", "thread"),
        donors={"hole": 4, "thread": 3},
        samples=model_store.digests(dataset, split),
        read=tuple(sorted(model_store.digests(dataset, split))),
        seed=0,
        steps=3,
        batch_size=2,
        losses={"loss": 0.5},
        seconds=1.5,
        device="cpu",
        precision="full",
        processes=1,
        created="2024-01-01T00:00:00+00:00",
        versions={"torch": "2"},
        memorisation={"near_copies": 0.0},
        notes=("a note",),
    )
    model_store.write(fitted)
    return fitted


def refused(dataset: Dataset, recipe: Recipe, split: str = "main") -> DataError:
    with pytest.raises(DataError) as caught:
        model_store.find(dataset, split, recipe)
    return caught.value


def test_a_finished_model_is_found_as_it_was_written(root: Path, recipe: Recipe) -> None:
    dataset = layout.read(root)
    fitted = kept(dataset, recipe)
    assert model_store.find(dataset, "main", recipe) == fitted
    assert model_store.listing(root) == (fitted,)
    assert fitted.weights == fitted.folder / "weights"
    assert json.loads((fitted.folder / "card.json").read_text())["schema"] == 1


def test_not_fitted_yet_gives_the_command(root: Path, recipe: Recipe) -> None:
    error = refused(layout.read(root), recipe)
    assert "not fitted" in error.what
    assert error.hint == f"run carpet-data fit {root} --recipe {recipe.file} --split main"


def test_other_values_of_the_fit_are_another_model(root: Path, recipe: Recipe, tmp_path: Path) -> None:
    dataset = layout.read(root)
    kept(dataset, recipe)
    other = files.load(tiny_learner.recipe(tmp_path, steps=70))
    assert "other values of the fit" in refused(dataset, other).what


def test_sampling_values_need_no_new_fit_but_the_subject_does(root: Path, recipe: Recipe, tmp_path: Path) -> None:
    plain = tiny_learner.recipe(tmp_path / "a")
    text = plain.read_text()
    plain.write_text(text + "  strength: 0.5\n")
    sampled = files.load(plain)
    assert sampled.identity != recipe.identity
    assert model_store.fit_identity(sampled) == model_store.fit_identity(recipe)
    plain.write_text(text + "subject: object\n")
    assert model_store.fit_identity(files.load(plain)) != model_store.fit_identity(recipe)


def test_a_dropped_train_image_makes_it_stale(root: Path, recipe: Recipe) -> None:
    dataset = layout.read(root)
    fitted = kept(dataset, recipe)
    drop(root, [f"id={next(iter(fitted.samples))}"])
    error = refused(layout.read(root), recipe)
    assert "stale" in error.what
    assert "(1 removed)" in error.what
    assert error.where == str(fitted.folder)
    assert "carpet-data fit" in (error.hint or "")


def test_added_and_changed_images_are_counted(root: Path, recipe: Recipe) -> None:
    dataset = layout.read(root)
    names = list(model_store.digests(dataset, "main"))
    older = replace(
        dataset,
        samples=tuple(
            replace(s, image_sha256="0" * 64) if s.id == names[0] else s for s in dataset.samples if s.id != names[1]
        ),
    )
    kept(older, recipe)
    assert "(1 added, 1 changed)" in refused(dataset, recipe).what


def test_a_held_out_image_that_changes_makes_nothing_stale(root: Path, recipe: Recipe) -> None:
    dataset = layout.read(root)
    stored = kept(dataset, recipe)
    drop(root, [f"id={dataset.splits['main'].ids('test')[0]}"])
    assert model_store.find(layout.read(root), "main", recipe).folder == stored.folder


def test_a_model_of_another_data_set_is_refused(root: Path, recipe: Recipe, tmp_path: Path) -> None:
    other = layout.read(synthesis.dataset(tmp_path / "other" / "set", {"train/good": 5, "test/hole": 6}, size=44))
    theirs = kept(other, recipe)
    mine = layout.read(root)
    shutil.copytree(theirs.folder, root / "models" / theirs.folder.name)
    assert "another data set" in refused(mine, recipe).what
    # Even under the name that a model of these data would have.
    (root / "models" / theirs.folder.name).rename(model_store.folder_of(mine, "main", recipe))
    assert "another data set" in refused(mine, recipe).what


def test_a_model_of_another_split_is_named(root: Path, recipe: Recipe) -> None:
    kept(layout.read(root), recipe)
    make_split(root, "other", SplitOptions(fractions=(0.3, 0.7), seed=5))
    error = refused(layout.read(root), recipe, "other")
    assert "'other' yet (it is to those of 'main')" in error.what


def test_an_unfinished_fit_goes_on_by_the_same_command(root: Path, recipe: Recipe) -> None:
    dataset = layout.read(root)
    folder = model_store.folder_of(dataset, "main", recipe)
    folder.mkdir(parents=True)
    error = refused(dataset, recipe)
    assert "not finished" in error.what
    assert (error.hint or "").startswith("resume it with carpet-data fit")


@pytest.mark.parametrize("how", ["changed", "added", "missing"])
def test_damaged_weights_are_refused(root: Path, recipe: Recipe, how: str) -> None:
    dataset = layout.read(root)
    weights = kept(dataset, recipe).weights
    if how == "changed":
        (weights / "inner" / "w.safetensors").write_bytes(b"weightz")
    elif how == "added":
        (weights / "more").write_bytes(b"")
    else:
        shutil.rmtree(weights)
    assert "damaged" in refused(dataset, recipe).what


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "more": 2}'])
def test_a_damaged_card_is_refused(root: Path, recipe: Recipe, text: str) -> None:
    dataset = layout.read(root)
    (kept(dataset, recipe).folder / model_store.CARD).write_text(text)
    error = refused(dataset, recipe)
    assert (error.where or "").endswith(model_store.CARD)


def test_a_recipe_that_learns_nothing_needs_no_fit(root: Path) -> None:
    with pytest.raises(UsageError, match="donor-paste needs no fit") as caught:
        model_store.find(layout.read(root), "main", files.load("donor-paste"))
    assert "synthesize --recipe donor-paste" in (caught.value.hint or "")


def test_looking_for_a_model_loads_no_torch() -> None:
    code = "import sys, carpet_data.synthesis.engine.model_store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
