"""The loop: what is counted, drawn and kept, that it goes on to the same weights, and that it stops at nonsense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_learner
from helpers.tiny_learner import TinyLearner, TinyParameters

from carpet_data import store
from carpet_data.core.progress import Step
from carpet_data.errors import DataError, DeviceMemoryError
from carpet_data.learned import crops, learning
from carpet_data.learned.crops import Lesson
from carpet_data.learned.fit_runtime import Place
from carpet_data.learned.learning import Drawn
from carpet_data.networks import checkpoints
from carpet_data.synthesis.recipe import files

pytestmark = pytest.mark.usefixtures("tiny")
IDENTITY: dict[str, Any] = {"method": "tiny", "seed": 0}


@pytest.fixture(scope="module")
def lesson(noise_images: Path) -> Lesson:
    return crops.build(store.read(noise_images), "main", files.load("donor-paste"), crop_px=32, context=1.6)


def learner(lesson: Lesson, **fit: Any) -> tuple[TinyLearner, Place]:
    place = Place.at("cpu", precision="full")
    return tiny_learner.TinyLearner(lesson, TinyParameters.model_validate({"fit": fit}), place), place


class StoppedError(Exception):
    """As Ctrl-C would."""


def test_rows_ticks_and_sheets(lesson: Lesson, tmp_path: Path) -> None:
    ticks: list[Step] = []
    drawn: list[tuple[int, int]] = []

    def draw(step: int, found: Sequence[Drawn]) -> Path:
        drawn.append((step, len(found)))
        return tmp_path / str(step)

    history = learning.run(*learner(lesson), tmp_path, IDENTITY, draw=draw, progress=ticks.append)
    assert [row["step"] for row in history] == [6, 15, 25, 30, 45, 50, 60]
    assert [step.done for step in ticks] == [row["step"] for row in history]
    assert drawn == [(step, 4 * len(lesson.classes)) for step in (6, 15, 30, 45, 60)]
    assert [path for step in ticks for path in step.files] == [tmp_path / str(step) for step, _ in drawn]
    assert history[-1]["denoise"] < 0.5 * history[0]["denoise"], "it learns"
    seconds = [row["seconds"] for row in history]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


@pytest.mark.parametrize("stop", [6, 25, 50])
def test_an_interrupted_run_ends_with_the_same_weights(lesson: Lesson, tmp_path: Path, stop: int) -> None:
    straight, place = learner(lesson)
    whole = learning.run(straight, place, tmp_path / "straight", IDENTITY)

    def report(step: Step) -> None:
        if step.done == stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        learning.run(*learner(lesson), tmp_path / "halves", IDENTITY, progress=report, every_s=0)
    resumed, place = learner(lesson)
    history = learning.run(resumed, place, tmp_path / "halves", IDENTITY, every_s=0)
    steps = [row["step"] for row in history]
    assert steps == [row["step"] for row in whole]
    assert [row["denoise"] for row in history] == [row["denoise"] for row in whole]
    seconds = [row["seconds"] for row in history]
    assert seconds == sorted(seconds), "the time before the stop counts"
    for name, value in straight.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(lesson: Lesson, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the loss denoise of step 45 is nan") as caught:
        learning.run(*learner(lesson, fault="nan", at=40), tmp_path, IDENTITY, every_s=0)
    assert "learning_rate" in (caught.value.hint or "")
    assert str(tmp_path / checkpoints.FILE) in (caught.value.hint or "")
    kept = checkpoints.read(tmp_path / checkpoints.FILE, IDENTITY)
    assert kept.facts["step"] == 30
    assert all(bool(value.isfinite().all()) for value in kept.tensors.values())


def test_no_checkpoint_is_promised_where_there_is_none(lesson: Lesson, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nan") as caught:
        learning.run(*learner(lesson, fault="nan"), tmp_path, IDENTITY)
    assert "checkpoint" not in (caught.value.hint or "")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_no_numbers_are_not_kept(lesson: Lesson, tmp_path: Path) -> None:
    broken, place = learner(lesson)

    class Breaking:
        steps, batch_size = 50, 4

        def __getattr__(self, name: str) -> Any:
            return getattr(broken, name)

        def step(self, number: int) -> Mapping[str, torch.Tensor]:
            if number == 49:
                with torch.no_grad():
                    next(iter(broken.network.parameters())).fill_(math.inf)
            return {"loss": torch.zeros(())}

    with pytest.raises(DataError, match="after step 50 the weights network/weight are no numbers"):
        learning.run(Breaking(), place, tmp_path, IDENTITY, every_s=0)
    assert checkpoints.read(tmp_path / checkpoints.FILE, IDENTITY).facts["step"] == 38


def test_a_checkpoint_of_another_fit_is_refused(lesson: Lesson, tmp_path: Path) -> None:
    learning.run(*learner(lesson, steps=2), tmp_path, IDENTITY)
    with pytest.raises(DataError, match="its seed is 0, now asked for 1"):
        learning.run(*learner(lesson, steps=2), tmp_path, {**IDENTITY, "seed": 1})


def test_full_memory_names_the_value_of_the_recipe(lesson: Lesson, tmp_path: Path) -> None:
    with pytest.raises(DeviceMemoryError, match="4 images at a time") as caught:
        learning.run(*learner(lesson, fault="memory"), tmp_path, IDENTITY)
    assert "batch_size (2) under fit" in (caught.value.hint or "")
    with pytest.raises(DeviceMemoryError) as caught:
        learning.run(*learner(lesson, fault="memory", batch_size=1), tmp_path, IDENTITY)
    assert "crop_px" in (caught.value.hint or "")


def test_a_finished_run_does_no_step(lesson: Lesson, tmp_path: Path) -> None:
    history = learning.run(*learner(lesson, steps=5), tmp_path, IDENTITY)
    again, place = learner(lesson, steps=5)
    before = again.state()
    assert learning.run(again, place, tmp_path, IDENTITY) == history
    assert not np.array_equal(before["network/weight"], again.state()["network/weight"]), "restored"
