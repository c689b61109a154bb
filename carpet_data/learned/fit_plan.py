"""What a fit would do: the lesson of the train side, the classes that have enough donors, and what must be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from carpet_data.core.text import counted
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, LeakError
from carpet_data.learned import crops
from carpet_data.learned.crops import Lesson
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.fit_parameters import FitParameters
from carpet_data.synthesis.recipe.model import Recipe

if TYPE_CHECKING:
    from carpet_data.learned.fit_runtime import Place
    from carpet_data.learned.learning import Learner

__all__ = ["CHECKPOINT", "Plan", "State", "method_of", "plan"]

State: TypeAlias = Literal["new", "unfinished", "finished"]

CHECKPOINT = "checkpoint.safetensors"
"""There while a fit is under way; `compute.checkpoints.FILE`, said again so that torch is not needed."""


class Learned(Protocol):
    """What a fit asks of a method."""

    least_donors: int

    def learner(self, lesson: Lesson, parameters: Any, place: Place) -> Learner:
        """What is trained."""
        ...


@dataclass(frozen=True, eq=False)
class Plan:
    """A fit that may begin.

    Attributes:
        dataset: A prepared data set.
        split: Whose train side teaches.
        recipe: A learned one.
        folder: Where the model lies or will lie.
        state: What is there now.
        lesson: The train side as crops, of the classes with enough donors.
        donors: class -> donors, of all classes.
        notes: What the user should know.
    """

    dataset: Dataset
    split: str
    recipe: Recipe
    folder: Path
    state: State
    lesson: Lesson
    donors: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> FitParameters:
        """The values of the fit."""
        return model_store.fit_parameters(self.recipe)


def plan(dataset: Dataset, split: str, recipe: Recipe) -> Plan:
    """What a fit would do; nothing is written.

    Args:
        dataset: A prepared data set.
        split: Named split.
        recipe: A learned one.

    Raises:
        UsageError: The recipe learns nothing.
        DataError: The train side is empty, shows no good ground, or no class has enough donors.
        LeakError: An image that is not on the train side would be read.
    """
    values = model_store.fit_parameters(recipe)
    method = method_of(recipe)
    if not model_store.train_samples(dataset, split):
        raise DataError(
            f"no real image is on the train side of the split {split!r}",
            where=dataset.root,
            hint="make a split with one: carpet-data split",
        )
    folder = model_store.folder_of(dataset, split, recipe)
    lesson = crops.build(dataset, split, recipe, crop_px=values.crop_px, context=values.context)
    _refuse_held_out(dataset, split, lesson.read)
    donors = {name: sum(e.class_name == name for e in lesson.examples) for name in lesson.classes}
    enough = tuple(name for name in lesson.classes if donors[name] >= method.least_donors)
    if not enough:
        raise _too_few(dataset, split, recipe, donors, method.least_donors)
    if not lesson.ground:
        raise DataError(
            "no good image is on the train side, and no masked defect image to make one of",
            where=dataset.root,
            hint="add good images to the source and prepare it again, or split so that some are on the train side",
        )
    notes = tuple(
        f"{name} is left out: it has {counted(count, 'donor')} on the train side, {recipe.method} needs "
        f"{method.least_donors}, donor-paste one"
        for name, count in donors.items()
        if name not in enough
    )
    return Plan(dataset, split, recipe, folder, _state(folder), _only(lesson, enough), donors, notes)


def method_of(recipe: Recipe) -> Learned:
    """The method of a learned recipe.

    Raises:
        UsageError: The recipe learns nothing.
    """
    model_store.fit_parameters(recipe)
    return cast(Learned, registry.load(recipe.target))


def _state(folder: Path) -> State:
    if (folder / model_store.CARD).is_file():
        return "finished"
    return "unfinished" if (folder / CHECKPOINT).is_file() else "new"


def _refuse_held_out(dataset: Dataset, split: str, read: Sequence[str]) -> None:
    """Whatever the pools gave: only real images of the train side may have been looked at."""
    taught = {sample.id for sample in model_store.train_samples(dataset, split)}
    strangers = sorted(set(read) - taught)
    if strangers:
        raise LeakError(
            f"{counted(len(strangers), 'image')} from outside the train side would teach, such as {strangers[0]!r}",
            where=dataset.root,
            hint="run carpet-data doctor on the data set, and make the split again",
        )


def _too_few(dataset: Dataset, split: str, recipe: Recipe, donors: Mapping[str, int], least: int) -> DataError:
    if not donors:
        return DataError(
            f"no train image of the split {split!r} shows a defect that a mask marks",
            where=dataset.root,
            hint="split so that defects are on the train side, or use a recipe without donors (procedural)",
        )
    found = ", ".join(f"{name} {count}" for name, count in donors.items())
    return DataError(
        f"too few donors on the train side of {split!r}: {recipe.method} needs {least} of a class ({found})",
        where=dataset.root,
        hint="use --recipe donor-paste, which works with one, or split so that more are on the train side",
    )


def _only(lesson: Lesson, classes: tuple[str, ...]) -> Lesson:
    """A lesson without the other classes; what was read stays read."""
    if classes == lesson.classes:
        return lesson
    examples = tuple(example for example in lesson.examples if example.class_name in classes)
    return replace(lesson, classes=classes, examples=examples, facts={name: lesson.facts[name] for name in classes})
