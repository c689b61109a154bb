"""The engine and fitted models: the right one is found, opened in every process, recorded, and looked at for leaks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import synthesis
from helpers.sources import hashes

from carpet_data import store as layout
from carpet_data.core.images import read
from carpet_data.dataset import Sample
from carpet_data.errors import DataError, OutputError, UsageError
from carpet_data.learned.fit import fit_first
from carpet_data.preparation.drop import drop
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.split import split
from carpet_data.synthesis.engine import fitted_models, model_store
from carpet_data.synthesis.engine import render as rendering
from carpet_data.synthesis.engine.rebalance import rebalance
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.synthesis.recipe import files, registry
from carpet_data.synthesis.recipe.model import Recipe


@pytest.fixture(autouse=True, scope="module")
def methods() -> Iterator[None]:
    before = dict(registry.METHODS.builtin)
    synthesis.register()
    yield
    registry.METHODS.builtin.clear()
    registry.METHODS.builtin.update(before)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, methods: None) -> Recipe:
    return files.load(synthesis.recipe(tmp_path_factory.mktemp("recipes"), "mean"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesis.dataset(tmp_path_factory.mktemp("learned") / "set")


@pytest.fixture(scope="module")
def fitted(bare: Path, recipe: Recipe) -> Path:
    root = Path(shutil.copytree(bare, bare.parent / "fitted"))
    synthesis.fitted(root, recipe)
    return root


@pytest.fixture
def root(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "set"))


def made_in(root: Path) -> list[Sample]:
    return [sample for sample in layout.read(root) if sample.origin == "synthetic"]


def record(sample: Sample) -> dict[str, Any]:
    assert sample.provenance is not None
    return dict(sample.provenance)


def test_the_same_bytes_for_any_number_of_workers_and_in_parts(root: Path, recipe: Recipe, tmp_path: Path) -> None:
    others = [Path(shutil.copytree(root, tmp_path / name)) for name in ("two", "parts")]
    report = synthesize(root, ["hole", "thread"], 6, recipe=recipe, workers=1, device="cpu").classes["hole"]
    assert report.made == 6
    assert report.refused, "draws that fail are part of what must not depend on the workers"
    synthesize(others[0], ["hole", "thread"], 6, recipe=recipe, workers=2, device="cpu")
    for n in (2, 6):
        synthesize(others[1], ["hole", "thread"], n, recipe=recipe, workers=1, device="cpu")
    assert [hashes(other) == hashes(root) for other in others] == [True, True]
    assert list(layout.verify(root)) == []
    dataset = layout.read(root)
    for sample in made_in(root):
        if record(sample)["variation"]["gain"] == 1:
            host = read(root / dataset.by_id()[record(sample)["host"]].image_path)
            mask = read(root / str(sample.mask_path)) > 0
            assert np.array_equal(read(root / sample.image_path)[~mask], host[~mask])


def test_a_run_that_is_stopped_goes_on(
    root: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(shutil.copytree(root, tmp_path / "whole"))
    synthesize(whole, ["hole"], 6, recipe=recipe, workers=1, device="cpu")
    honest, count = rendering.render, iter(range(100))

    def stopped(work: Any) -> rendering.RenderResult:
        if next(count) == 3:
            raise KeyboardInterrupt
        return honest(work)

    with monkeypatch.context() as patch:
        patch.setattr(rendering, "render", stopped)
        with pytest.raises(KeyboardInterrupt):
            synthesize(root, ["hole"], 6, recipe=recipe, workers=1, device="cpu")
    synthesize(root, ["hole"], 6, recipe=recipe, workers=1, device="cpu")
    assert hashes(root) == hashes(whole)


def test_the_model_is_opened_once_in_a_process(root: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    from helpers import mean_learner

    opened: list[tuple[Path, str]] = []
    honest = mean_learner.Mean.open
    monkeypatch.setattr(
        mean_learner.Mean, "open", lambda self, *given: (opened.append(given), honest(self, *given))[-1]
    )
    synthesize(root, ["hole", "thread"], 3, recipe=recipe, workers=1, device="cpu")
    assert opened == [(model_store.find(layout.read(root), "main", recipe).weights, "cpu")]


def test_the_record_names_model_weights_and_device(root: Path, recipe: Recipe) -> None:
    result = synthesize(root, ["hole"], 2, recipe=recipe, workers=1)
    model = model_store.find(layout.read(root), "main", recipe)
    assert result.model == result.to_json()["model"] == model.folder.name
    assert f"model {model.folder.name}" in result.text()
    for sample in made_in(root):
        about = record(sample)["fitted"]
        assert about["model"] == model.folder.name
        assert about["weights"] == model.weights_sha256
        assert about["device"] in ("cpu", "cuda", "mps")
        assert {record(sample)["host"], *record(sample)["donors"]} <= set(model.samples)


def test_another_model_makes_others_beside(root: Path, recipe: Recipe) -> None:
    synthesize(root, ["hole"], 3, recipe=recipe, workers=1, device="cpu")
    first = {sample.id: sample.image_sha256 for sample in made_in(root)}
    synthesis.fitted(root, recipe, seed=1, overwrite=True)
    again = synthesize(root, ["hole"], 3, recipe=recipe, workers=1, device="cpu").classes["hole"]
    assert (again.existed, again.made) == (0, 3)
    now = {sample.id: sample.image_sha256 for sample in made_in(root)}
    assert len(now) == 6
    assert first.items() <= now.items()
    assert len(set(now.values())) == 6
    assert list(layout.verify(root)) == [], "the same images taught both models"


def test_sampling_parameters_want_no_new_fit(root: Path, tmp_path: Path) -> None:
    larger = synthesis.recipe(tmp_path / "larger", "mean", synthesis.LENIENT + "parameters: {radius_px: 6}\n")
    assert synthesize(root, ["hole"], 2, recipe=larger, workers=1, device="cpu").classes["hole"].made == 2
    longer = synthesis.recipe(tmp_path / "longer", "mean", synthesis.LENIENT + "parameters: {fit: {steps: 21}}\n")
    with pytest.raises(DataError, match="not fitted"):
        synthesize(root, ["hole"], 2, recipe=longer, workers=1, device="cpu")


def test_a_recipe_that_is_not_fitted_names_the_command(bare: Path, recipe: Recipe) -> None:
    before = hashes(bare)
    for ask in (lambda: synthesize(bare, ["hole"], 2, recipe=recipe), lambda: rebalance(bare, 9, recipe=recipe)):
        with pytest.raises(DataError, match="not fitted") as caught:
            ask()
        assert f"carpet-data fit {bare} --recipe {recipe.file} --split main" in str(caught.value.hint)
    assert hashes(bare) == before


def test_a_dry_run_plans_with_and_without_a_model(root: Path, bare: Path, recipe: Recipe) -> None:
    before = hashes(bare)
    without = synthesize(bare, ["hole"], 3, recipe=recipe, dry_run=True)
    assert len(without.plans["hole"]) == 3
    assert without.model is None
    assert "carpet-data fit" in without.text()
    assert hashes(bare) == before
    planned = synthesize(root, ["hole"], 3, recipe=recipe, dry_run=True)
    assert planned.notes == ()
    assert planned.model is not None
    synthesize(root, ["hole"], 3, recipe=recipe, workers=1, device="cpu")
    hosts = [record(sample)["host"] for sample in made_in(root)]
    assert [job.host.sample.id for job in planned.plans["hole"]] == hosts


def test_a_stale_model_is_refused(root: Path, recipe: Recipe) -> None:
    gone = next(s for s in layout.read(root).on_side("train", "main") if s.class_name == "good")
    drop(root, [f"id={gone.id}"])
    with pytest.raises(DataError, match=r"stale.*1 removed") as caught:
        synthesize(root, ["hole"], 2, recipe=recipe, workers=1, device="cpu")
    assert "carpet-data fit" in str(caught.value.hint)
    assert "stale" in synthesize(root, ["hole"], 2, recipe=recipe, dry_run=True).text()


def test_damaged_weights_are_refused(root: Path, recipe: Recipe) -> None:
    (model_store.find(layout.read(root), "main", recipe).weights / "classes.json").write_text('["thread", "hole"]')
    with pytest.raises(DataError, match="damaged"):
        synthesize(root, ["hole"], 2, recipe=recipe, workers=1, device="cpu")


def test_a_class_that_the_model_never_learned_is_refused(tmp_path: Path, recipe: Recipe) -> None:
    root = synthesis.dataset(tmp_path / "set", {"train/good": 6, "test/hole": 5, "test/thread": 2})
    dataset = layout.read(root)
    thread = [s for s in dataset.on_side("train", "main") if s.class_name == "thread"]
    assert len(thread) == 1
    synthesis.fitted(root, recipe)
    with pytest.raises(DataError, match=r"not fitted to the class 'thread', which had 1 training image then") as caught:
        synthesize(root, "thread", 2, recipe=recipe, workers=1, device="cpu")
    assert "--class thread --recipe donor-paste" in str(caught.value.hint)
    assert made_in(root) == []
    both = synthesize(root, ["hole", "thread"], 2, recipe=recipe, workers=1, device="cpu")
    assert (list(both.classes), list(both.failed)) == (["hole"], ["thread"])
    assert len(made_in(root)) == 2
    planned = rebalance(root, 7, recipe=recipe, dry_run=True)
    done = rebalance(root, 7, recipe=recipe, workers=1, device="cpu")
    assert planned.after == done.after == {"good": done.before["good"], "hole": 7, "thread": 1}
    assert "thread is left as it is: the model was not fitted to it, which had 1 training image" in done.text()


def test_a_model_whose_draws_are_all_refused_may_need_more_steps(root: Path, tmp_path: Path) -> None:
    never = synthesis.recipe(tmp_path / "never", "mean", synthesis.LENIENT + "parameters: {redraw_share: 1}\n")
    before = hashes(root)
    with pytest.raises(DataError, match=r"hole: 24 images in a row failed") as caught:
        synthesize(root, ["hole"], 30, recipe=never, workers=1, device="cpu")
    assert "more steps" in str(caught.value.hint)
    assert hashes(root) == before


def test_null_samples_are_refused(root: Path, tmp_path: Path, recipe: Recipe) -> None:
    assert not registry.load(recipe.target).makes_nulls
    nulls = synthesis.recipe(tmp_path / "nulls", "mean", synthesis.LENIENT + "null_share: 0.5\n")
    with pytest.raises(DataError, match="cannot create null samples"):
        synthesize(root, ["hole"], 4, recipe=nulls, workers=1, device="cpu")


def test_a_device_that_is_not_there(root: Path, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quantum"):
        synthesize(root, ["hole"], 2, recipe=recipe, workers=1, device="quantum")
    plain = synthesis.recipe(tmp_path)
    told = synthesize(root, ["hole"], 1, recipe=plain, workers=1, device="cuda").notes
    assert "--device ignored" in told[0]


def test_workers_of_a_gpu() -> None:
    source = fitted_models.ModelOnDevice.__new__(fitted_models.ModelOnDevice)
    object.__setattr__(source, "device", "cuda:1")
    assert (source.workers(None), source.workers(5)) == (fitted_models.GPU_WORKERS, 5)
    object.__setattr__(source, "device", "cpu")
    assert (source.workers(None), source.workers(1)) == (None, 1)


def test_drop_and_split_know_samples_of_models(root: Path, recipe: Recipe) -> None:
    synthesize(root, ["hole"], 4, recipe=recipe, workers=1, device="cpu")
    name = model_store.find(layout.read(root), "main", recipe).folder.name
    assert len(drop(root, [f"model={name}", "k<1"]).ids) == 1
    assert [problem.code for problem in layout.verify(root)] == []
    with pytest.raises(OutputError, match="3 synthetic samples belong to the train side"):
        split(root, name="other")
    drop(root, ["origin=synthetic"])
    split(root, "other", SplitOptions(seed=5))
    assert list(layout.verify(root)) == []


def test_fit_first_fits_once_and_only_what_learns(bare: Path, tmp_path: Path, recipe: Recipe) -> None:
    root = Path(shutil.copytree(bare, tmp_path / "set"))
    ticks: list[tuple[int, int | None]] = []
    assert not fit_first(root, files.load(synthesis.recipe(tmp_path)), device="cpu")
    assert not (root / model_store.MODELS).exists()
    given: dict[str, Any] = {"device": "cpu", "progress": lambda step: ticks.append((step.done, step.total))}
    assert fit_first(root, recipe, seed=3, **given)
    assert ticks[-1] == (20, 20)
    assert model_store.find(layout.read(root), "main", recipe).seed == 3
    before = hashes(root)
    assert not fit_first(root, recipe, seed=4, **given)
    assert hashes(root) == before


def test_fit_first_takes_the_model_of_the_same_train_images(
    fitted: Path, bare: Path, tmp_path: Path, recipe: Recipe
) -> None:
    root = Path(shutil.copytree(bare, tmp_path / "set"))
    assert not fit_first(root, recipe, device="cpu", like=fitted)
    ours, theirs = (model_store.find(layout.read(each), "main", recipe) for each in (root, fitted))
    assert replace(ours, folder=theirs.folder) == theirs
    other = Path(shutil.copytree(bare, tmp_path / "other"))
    gone = next(s for s in layout.read(other).on_side("train", "main") if s.class_name == "good")
    drop(other, [f"id={gone.id}"])
    assert fit_first(other, recipe, device="cpu", like=fitted), "another train side wants its own"
