"""A class that cannot be made does not cost the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import synthesis
from helpers.command import Called
from helpers.sources import hashes, write_source

from carpet_data import store
from carpet_data.core.images import write_png
from carpet_data.errors import DataError
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine import run as engine
from carpet_data.synthesis.engine.rebalance import rebalance
from carpet_data.synthesis.engine.render import RenderResult, render
from carpet_data.synthesis.engine.synthesize import synthesize

COUNTS = {"train/good": 6, "test/hole": 5, "test/thread": 5}


@pytest.fixture(autouse=True)
def _methods() -> None:
    synthesis.register()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set whose class thread has defects larger than every good image."""
    source = write_source(tmp_path / "source", COUNTS, size=64)
    random = np.random.default_rng(1)
    mask = np.zeros((128, 128), np.uint8)
    mask[10:110, 10:110] = 255
    for path in (source / "test/thread").iterdir():
        write_png(path, random.integers(0, 256, (128, 128, 3), dtype=np.uint8))
        write_png(source / f"ground_truth/thread/{path.stem}_mask.png", mask)
    return prepare(source, tmp_path / "set", near_duplicates=False, workers=1).out


def _made(root: Path) -> list[str]:
    return [sample.class_name for sample in store.read(root) if sample.origin == "synthetic"]


def test_the_others_are_made_and_the_failed_class_is_named_with_what_works(root: Path, tmp_path: Path) -> None:
    recipe = synthesis.recipe(tmp_path)
    made = synthesize(root, ["thread", "hole"], 3, recipe=recipe, workers=1)
    assert _made(root) == ["hole"] * 3
    assert (list(made.classes), list(made.failed), made.exit_code) == (["hole"], ["thread"], 1)
    failure = made.failed["thread"]
    assert "larger than every good image" in failure.what
    assert failure.recipe is not None
    assert f"--class thread --recipe {failure.recipe}" in made.text()
    assert synthesize(root, "thread", 1, recipe=failure.recipe, workers=1).classes["thread"].made == 1


def test_the_program_ends_with_1_and_lists_it(root: Path, tmp_path: Path, run: Callable[..., Called]) -> None:
    recipe = synthesis.recipe(tmp_path)
    called = run(
        "synthesize",
        root,
        "--class",
        "hole",
        "--class",
        "thread",
        "--n",
        2,
        "--recipe",
        recipe,
        "--workers",
        1,
        "--json",
    )
    assert called.code == 1
    assert called.json["classes"]["hole"]["made"] == 2
    assert set(called.json["failed"]["thread"]) == {"what", "hint", "kept", "recipe"}
    again = run("rebalance", root, "--to", 9, "--recipe", recipe, "--workers", 1)
    assert again.code == 1
    assert "thread: failed" in again.out


def test_what_passed_of_a_class_is_kept(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_the_third_on_none(work: tuple[engine.WorkerContext, engine.ImagePlan]) -> RenderResult:
        made = render(work)
        return made if work[1].k < 2 else replace(made, image=None, mask=None, refused={"visible": 8})

    monkeypatch.setattr(engine.rendering, "render", from_the_third_on_none)
    recipe = synthesis.recipe(tmp_path)
    made = synthesize(root, "hole", 40, recipe=recipe, workers=1)
    assert _made(root) == ["hole"] * 2
    assert made.classes["hole"].made == made.failed["hole"].kept == 2
    assert made.classes["hole"].given_up == 24
    assert "24 images in a row failed the quality checks (visible 192)" in made.failed["hole"].what
    assert "failed (2 images passed and kept)" in made.text()
    assert list(store.verify(root)) == []


def test_where_nothing_was_made_it_is_an_error_with_what_works(root: Path, tmp_path: Path) -> None:
    before = hashes(root)
    with pytest.raises(DataError, match="larger than every good image") as caught:
        synthesize(root, "thread", 3, recipe=synthesis.recipe(tmp_path), workers=1)
    assert "works (tried on one image)" in str(caught.value.hint)
    assert hashes(root) == before


def test_a_plan_names_the_class_too(root: Path, tmp_path: Path) -> None:
    planned = rebalance(root, 9, recipe=synthesis.recipe(tmp_path), dry_run=True)
    assert planned.synthesis is not None
    assert list(planned.synthesis.failed) == ["thread"]
    assert planned.exit_code == 1
    assert _made(root) == []
