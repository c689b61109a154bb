"""Every shipped method that needs no fit keeps the contract; a method that breaks a promise is named by it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from helpers.disc_method import Disc, DiscParameters
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Candidate, Redraw, Scene
from carpet_data.synthesis.recipe.registry import METHODS
from carpet_data.testing import check_method

PLAIN = [name for name, (target, _) in METHODS.builtin.items() if "synthesis.methods" in target]


# Patches of nsa are mostly small, so many are refused by their area.
FLOORS = {"nsa": 0.25}


@pytest.mark.parametrize("class_name", ["hole", "color"])
@pytest.mark.parametrize("name", PLAIN)
def test_shipped_methods_keep_the_contract(name: str, class_name: str) -> None:
    check_method(METHODS.target(name), class_name=class_name, draws=4, min_passed=FLOORS.get(name, 0.5))


def test_the_list_is_not_empty() -> None:
    assert {"augment", "donor-paste", "nsa", "perlin", "procedural", "resynthesis"} <= set(PLAIN)


class Faithful(Disc):
    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        return super().render(scene, parameters.model_copy(update={"radius_px": (20, 24)}), rng)


class Grows(Faithful):
    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        made = super().render(scene, parameters, rng)
        return Candidate(np.pad(made.image, ((0, 1), (0, 0), (0, 0))[: made.image.ndim]), made.mask, made.box)


class Strays(Faithful):
    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        made = super().render(scene, parameters, rng)
        made.image[0, 0] = 255 - made.image[0, 0]
        return made


class Remembers(Faithful):
    calls = 0

    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        self.calls += 1
        made = super().render(scene, parameters, rng)
        made.image[made.mask] = self.calls
        return made


class DrawsGlobally(Faithful):
    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        random.random()
        return super().render(scene, parameters, rng)


class Writes(Faithful):
    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        scene.host[:] = 0
        return super().render(scene, parameters, rng)


class GivesUp(Faithful):
    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        raise Redraw


class Faint(Faithful):
    def render(self, scene: Scene, parameters: Any, rng: np.random.Generator) -> Candidate:
        made = super().render(scene, parameters, rng)
        return Candidate(scene.host.copy(), made.mask, made.box)


class MasksItsNulls(Faithful):
    makes_nulls = True


class Loose(BaseModel):
    model_config = ConfigDict(frozen=True)


class Thawed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Silent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    level: int = Field(1)


class TakesAnything(Faithful):
    Parameters = Loose


class Thaws(Faithful):
    Parameters = Thawed


class IsSilent(Faithful):
    Parameters = Silent


class Unversioned(Faithful):
    version = True


def test_a_faithful_method_passes() -> None:
    check_method(Faithful, min_passed=1.0)
    check_method(Faithful(), {"level": 250}, class_name="cut", draws=2, min_passed=1.0, rules={"area_slack": 100})


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Grows, "the image is"),
        (Strays, "outside the candidate's box"),
        (Remembers, "same candidate"),
        (DrawsGlobally, "not from a global one"),
        (GivesUp, "0 of 2 RGB attempts passed ({'redraw': 2})"),
        (Faint, "({'visible': 2})"),
        (MasksItsNulls, "null sample must be empty"),
        (TakesAnything, "unknown names"),
        (Thaws, "must be frozen"),
        (IsSilent, "level must have a description"),
        (Unversioned, "version must be an int"),
        (DiscParameters, "must derive from"),
    ],
)
def test_a_broken_promise_is_named(method: Any, words: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_method(method, draws=2)
    assert words in str(caught.value)


def test_a_scene_cannot_be_written_into() -> None:
    with pytest.raises(ValueError, match="read-only"):
        check_method(Writes, draws=1)


def test_a_local_class_cannot_be_found_by_workers() -> None:
    class Local(Faithful):
        pass

    with pytest.raises(AssertionError, match="attribute of its module"):
        check_method(Local, draws=1)
