"""Recipes: list the shipped ones, show one, validate your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.results import Result
from carpet_data.errors import CarpetDataError, ProblemsError
from carpet_data.synthesis.recipe import files
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["RecipesResult", "check_recipes", "list_recipes", "needs_fit", "show_recipe"]


@dataclass(frozen=True, slots=True)
class RecipesResult(Result):
    """Recipes that were read and are valid."""

    recipes: tuple[Recipe, ...]

    def text(self) -> str:
        """One line a recipe."""
        width = max((len(recipe.name) for recipe in self.recipes), default=0)
        lines = []
        for recipe in self.recipes:
            mark = "learned: " if recipe.is_learned else ""
            about = recipe.envelope.summary or recipe.method
            lines.append(f"{recipe.name.ljust(width)}  {recipe.identity[:8]}  {mark}{about}")
        if any(recipe.is_learned for recipe in self.recipes):
            lines.append("fit a learned recipe to a data set before using it: carpet-data fit DATASET --recipe NAME")
        return "\n".join(lines)


def list_recipes() -> RecipesResult:
    """The shipped files.

    Raises:
        DataError: One of them is damaged.
    """
    return RecipesResult(tuple(files.load(name) for name in files.shipped()))


def show_recipe(name: str) -> str:
    """The text of a recipe as it is written, comments and all.

    Raises:
        UsageError: There is no such recipe; the nearest is offered.
    """
    return files.find(name).read_text(encoding="utf-8")


def needs_fit(name: str | Path) -> bool:
    """Whether a recipe is learned, so that it is fitted to a data set before it is used; False for an invalid one."""
    found = _load(name)
    return isinstance(found, Recipe) and found.is_learned


def check_recipes(names: Sequence[str | Path]) -> RecipesResult:
    """Validate recipes by name or path.

    Raises:
        ProblemsError: All problems, each with its file and line.
    """
    found: list[Recipe] = []
    problems: list[CarpetDataError] = []
    for name in names:
        read = _load(name)
        if isinstance(read, Recipe):
            found.append(read)
        else:
            problems += read.problems if isinstance(read, ProblemsError) else [read]
    if problems:
        raise ProblemsError.of(problems)
    return RecipesResult(tuple(found))


def _load(name: str | Path) -> Recipe | CarpetDataError:
    try:
        return files.load(name)
    except CarpetDataError as error:
        return error
