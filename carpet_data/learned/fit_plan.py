"""What a fit would do: the training crops, the classes with enough donors, and what must be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from carpet_data.core.text import counted
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, LeakError
from carpet_data.learned.crops import CropDataset
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.fit_parameters import FitParameters
from carpet_data.synthesis.recipe.model import Recipe

if TYPE_CHECKING:
    from carpet_data.learned.fit_loop import Learner
    from carpet_data.learned.fit_runtime import Runtime

__all__ = ["FitPlan", "Fittable", "method_of", "plan"]


class Fittable(Protocol):
    """What a fit asks of a method, beside what synthesis does."""

    least_donors: int

    def learner(self, data: CropDataset, parameters: Any, runtime: Runtime) -> Learner:
        """What is trained."""
        ...


@dataclass(frozen=True, eq=False)
class FitPlan:
    """A fit that can start.

    Attributes:
        folder: Where the model is or will be.
        data: The training crops, of the classes with enough donors.
        donors: class -> number of donors, of all classes.
    """

    dataset: Dataset
    split: str
    recipe: Recipe
    folder: Path
    data: CropDataset
    donors: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> FitParameters:
        """The values of the fit."""
        return model_store.fit_parameters(self.recipe)

    @property
    def identity(self) -> dict[str, str]:
        """What a model or a checkpoint must share with this fit, beside the seed."""
        return {
            "method": self.recipe.method,
            "fit": model_store.fit_identity(self.recipe),
            "data": model_store.data_identity(self.dataset, self.split),
        }

    @property
    def state(self) -> Literal["new", "unfinished", "finished"]:
        """What the folder holds now."""
        if (self.folder / model_store.CARD).is_file():
            return "finished"
        return "unfinished" if (self.folder / model_store.CHECKPOINT).is_file() else "new"


def method_of(recipe: Recipe) -> Fittable:
    """The method of a learned recipe.

    Raises:
        UsageError: The recipe is not learned.
    """
    model_store.fit_parameters(recipe)
    return cast(Fittable, registry.load(recipe.target))


def plan(dataset: Dataset, split: str, recipe: Recipe) -> FitPlan:
    """What a fit would do; nothing is written.

    Raises:
        UsageError: The recipe is not learned.
        DataError: There is no training image, no clean one, or no class has enough donors.
        LeakError: An image that is not a training image would be read.
    """
    values, method = model_store.fit_parameters(recipe), method_of(recipe)
    if not model_store.train_samples(dataset, split):
        raise DataError(
            f"the split {split!r} has no real training image",
            where=dataset.root,
            hint="make a split with one: carpet-data split",
        )
    data = CropDataset.of(dataset, split, recipe, crop_px=values.crop_px, context=values.context)
    _refuse_held_out(dataset, split, data)
    donors = {name: sum(e.class_name == name for e in data.examples) for name in data.classes}
    enough = tuple(name for name in data.classes if donors[name] >= method.least_donors)
    if not enough:
        raise _too_few(dataset, split, recipe, donors, method.least_donors)
    if not data.background:
        raise DataError(
            "there is no good training image, and no masked defect image to make one from",
            where=dataset.root,
            hint="add good images to the source and prepare it again, or split so that some are in train",
        )
    notes = tuple(
        f"{name} is skipped: it has {counted(count, 'donor')} in the training images, {recipe.method} needs "
        f"{method.least_donors}, donor-paste one"
        for name, count in donors.items()
        if name not in enough
    )
    folder = model_store.folder_of(dataset, split, recipe)
    return FitPlan(dataset, split, recipe, folder, data.only(enough), donors, notes)


def _refuse_held_out(dataset: Dataset, split: str, data: CropDataset) -> None:
    """A second check, whatever the candidates gave: only real training images may have been read."""
    train = {sample.id for sample in model_store.train_samples(dataset, split)}
    held_out = sorted(set(data.read) - train)
    if held_out:
        raise LeakError(
            f"{counted(len(held_out), 'image')} outside the training images would be trained on, such as "
            f"{held_out[0]!r}",
            where=dataset.root,
            hint="run carpet-data doctor on the data set, and make the split again",
        )


def _too_few(dataset: Dataset, split: str, recipe: Recipe, donors: Mapping[str, int], minimum: int) -> DataError:
    if not donors:
        return DataError(
            f"no training image of the split {split!r} has a masked defect",
            where=dataset.root,
            hint="split so that defects are in train, or use a recipe without donors (procedural)",
        )
    found = ", ".join(f"{name} {count}" for name, count in donors.items())
    return DataError(
        f"too few donors in the training images of {split!r}: {recipe.method} needs {minimum} of a class ({found})",
        where=dataset.root,
        hint="use --recipe donor-paste, which works with one, or split so that more are in train",
    )
