"""Classes that could not be made: why, what of them was kept, and which recipe works for them instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.synthesis.engine import render
from carpet_data.synthesis.engine.run import ClassRequest
from carpet_data.synthesis.recipe import files
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["ClassFailure", "refusal", "works_instead"]

_ALTERNATIVES = ("donor-paste", "resynthesis", "augment", "augment-object", "procedural")
"""Shipped recipes that are not learned and keep to what a class looks like, the likeliest first."""
_TRIED = 2
"""Images that a recipe may fail before the next one is tried."""


@dataclass(frozen=True, slots=True)
class ClassFailure(Result):
    """A class that could not be made, or not in full.

    Attributes:
        what: What went wrong.
        hint: How to fix it.
        kept: Images of this run that passed, and were kept.
        recipe: A shipped recipe that made an image of this class when it was tried; None where none did.
    """

    what: str
    hint: str
    kept: int = 0
    recipe: str | None = None

    def text(self, class_name: str) -> str:
        """The failure in words."""
        kept = f" ({counted(self.kept, 'image')} passed and kept)" if self.kept else ""
        return f"{class_name}: failed{kept}: {self.what}\n  hint: {self.advice(class_name)}"

    def advice(self, class_name: str) -> str:
        """How to go on."""
        if self.recipe is None:
            return self.hint
        return f"--class {class_name} --recipe {self.recipe} works (tried on one image); or {self.hint}"


def refusal(failures: Mapping[str, ClassFailure], errors: Mapping[str, DataError]) -> CarpetDataError:
    """The error of a run in which nothing was made."""
    found = [
        type(errors[name])(errors[name].what, where=errors[name].where, hint=failure.advice(name))
        for name, failure in failures.items()
    ]
    return ProblemsError.of(found)


def works_instead(used: Recipe, class_name: str, request_of: Callable[[Recipe, str], ClassRequest]) -> str | None:
    """The first other shipped recipe that makes an image of a class, by trying it on one; None where none does.

    `request_of` gives the request of one image of a class by a recipe; it raises where the recipe cannot be used.
    """
    for name in _ALTERNATIVES:
        recipe = files.load(name)
        if recipe.identity != used.identity and _makes_one(request_of, recipe, class_name):
            return name
    return None


def _makes_one(request_of: Callable[[Recipe, str], ClassRequest], recipe: Recipe, class_name: str) -> bool:
    try:
        request = request_of(recipe, class_name)
        return any(render.render((request.context, request.planner.plan(k))).image is not None for k in range(_TRIED))
    except CarpetDataError:
        return False
