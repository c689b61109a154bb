"""The loop: what is counted, drawn and kept, that it resumes to the same weights, and that it stops at nonsense."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_learner
from helpers.tiny_learner import TinyLearner

from carpet_data import store
from carpet_data.core.progress import Step
from carpet_data.errors import DataError, DeviceMemoryError
from carpet_data.learned import fit_plan
from carpet_data.learned.fit_loop import train
from carpet_data.learned.fit_plan import FitPlan
from carpet_data.learned.fit_runtime import Runtime
from carpet_data.networks import checkpoints
from carpet_data.synthesis.engine.model_store import CHECKPOINT
from carpet_data.synthesis.recipe import files

pytestmark = pytest.mark.usefixtures("tiny")
Ready = tuple[TinyLearner, Runtime, FitPlan]
New = Callable[..., Ready]


@pytest.fixture
def new(noise_images: Path, tmp_path: Path) -> New:
    """A new learner, its runtime, and the plan of a fit whose model lies in a folder of the test."""

    def build(folder: str = "model", *, seed: int = 0, **fit: Any) -> Ready:
        recipe = files.load(tiny_learner.recipe(tmp_path / "recipes", **fit))
        plan = replace(fit_plan.plan(store.read(noise_images), "main", recipe), folder=tmp_path / folder)
        plan.folder.mkdir(exist_ok=True)
        runtime = Runtime.at("cpu", precision="full", seed=seed)
        return TinyLearner(plan.data, recipe.parameters, runtime), runtime, plan  # type: ignore[arg-type]

    return build


class StoppedError(Exception):
    """As Ctrl-C would."""


def test_rows_steps_and_sheets(new: New) -> None:
    steps: list[Step] = []
    ready = new()
    history = train(*ready, progress=steps.append)
    assert [row["step"] for row in history] == [6, 15, 25, 30, 45, 50, 60]
    assert [step.done for step in steps] == [row["step"] for row in history]
    sheets = [path for step in steps for path in step.files]
    assert sheets == [ready[2].folder / f"samples-{step:06d}.png" for step in (6, 15, 30, 45, 60)]
    assert all(path.is_file() for path in sheets)
    assert history[-1]["denoise"] < 0.5 * history[0]["denoise"], "it learns"
    seconds = [row["seconds"] for row in history]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


@pytest.mark.parametrize("stop", [6, 25, 50])
def test_an_interrupted_fit_ends_with_the_same_weights(new: New, stop: int) -> None:
    straight, *rest = new("straight")
    whole = train(straight, *rest)

    def report(step: Step) -> None:
        if step.done == stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(*new("halves"), progress=report, checkpoint_s=0)
    resumed, *rest = new("halves")
    history = train(resumed, *rest, checkpoint_s=0)
    assert [row["step"] for row in history] == [row["step"] for row in whole]
    assert [row["denoise"] for row in history] == [row["denoise"] for row in whole]
    seconds = [row["seconds"] for row in history]
    assert seconds == sorted(seconds), "the time before the stop counts"
    for name, value in straight.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(new: New) -> None:
    learner, runtime, plan = new(fault="nan", at=40)
    path = plan.folder / CHECKPOINT
    with pytest.raises(DataError, match="the loss denoise of step 45 is nan") as caught:
        train(learner, runtime, plan, checkpoint_s=0)
    assert "learning_rate" in (caught.value.hint or "")
    assert str(path) in (caught.value.hint or "")
    kept = checkpoints.read(path, {**plan.identity, "seed": 0})
    assert kept.facts["step"] == 30
    assert all(bool(value.isfinite().all()) for value in kept.tensors.values())


def test_no_checkpoint_is_promised_where_there_is_none(new: New) -> None:
    learner, runtime, plan = new(fault="nan")
    with pytest.raises(DataError, match="nan") as caught:
        train(learner, runtime, plan)
    assert "checkpoint" not in (caught.value.hint or "")
    assert not list(plan.folder.iterdir())


def test_weights_that_are_not_finite_are_not_kept(new: New) -> None:
    broken, runtime, plan = new()

    class Breaking:
        steps, batch_size = 60, 4

        def __getattr__(self, name: str) -> Any:
            return getattr(broken, name)

        def step(self, number: int) -> Mapping[str, torch.Tensor]:
            if number == 49:
                with torch.no_grad():
                    next(iter(broken.network.parameters())).fill_(math.inf)
            return {"loss": torch.zeros(())}

    with pytest.raises(DataError, match="after step 50 the weights network/weight are not finite"):
        train(Breaking(), runtime, plan, checkpoint_s=0)
    assert checkpoints.read(plan.folder / CHECKPOINT, {**plan.identity, "seed": 0}).facts["step"] == 45


def test_a_checkpoint_of_another_fit_is_refused(new: New) -> None:
    train(*new(steps=2))
    with pytest.raises(DataError, match="its seed is 0"):
        train(*new(steps=2, seed=1))


def test_full_memory_names_the_value_of_the_recipe(new: New) -> None:
    with pytest.raises(DeviceMemoryError, match="with 4 images per batch") as caught:
        train(*new(fault="memory"))
    assert "batch_size (2) under fit" in (caught.value.hint or "")
    with pytest.raises(DeviceMemoryError) as caught:
        train(*new(fault="memory", batch_size=1))
    assert "crop_px" in (caught.value.hint or "")


def test_a_finished_fit_does_no_step(new: New) -> None:
    history = train(*new(steps=5))
    again, *rest = new(steps=5)
    before = again.state()
    assert train(again, *rest) == history
    assert not np.array_equal(before["network/weight"], again.state()["network/weight"]), "restored"
