"""Train a learned recipe on the training images of a split, once, before it synthesizes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.dataset import MAIN_SPLIT, DataFolder, Dataset, folder_of
from carpet_data.errors import OutputError
from carpet_data.learned.options import FitOptions
from carpet_data.preparation.train_data import opened
from carpet_data.store.files import making
from carpet_data.store.leaks import refuse_leaks
from carpet_data.store.names import LOCK_FILES
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.engine.options import RecipeLike
from carpet_data.synthesis.recipe import files
from carpet_data.synthesis.recipe.model import Recipe

if TYPE_CHECKING:
    from carpet_data.learned.fit_plan import FitPlan
    from carpet_data.synthesis.engine.model_store import Fitted

__all__ = ["FitOptions", "FitResult", "fit", "fit_first"]


@dataclass(frozen=True, slots=True)
class FitResult(Result):
    """A trained recipe, or the plan of a fit.

    Attributes:
        model: The model folder.
        name: Name of the data set.
        recipe: Name of the recipe.
        method: Name of its method.
        split: Split whose training images are used.
        how: "new", "resumed" (an interrupted fit was finished), "existed" (nothing was done), or "planned".
        classes: Classes that the model makes.
        donors: class -> number of donors, also of skipped classes.
        parameters: The values of the fit.
        fitted: The model; None for a plan.
        notes: What the user should know.
    """

    model: Path
    name: str
    recipe: str
    method: str
    split: str
    how: Literal["new", "resumed", "existed", "planned"]
    classes: tuple[str, ...]
    donors: Mapping[str, int]
    parameters: Mapping[str, Any]
    fitted: Fitted | None
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The result for people."""
        train = f"the training images of {self.split}"
        how = {
            "new": f"trained on {train}",
            "resumed": f"trained on {train}, an interrupted fit resumed and finished",
            "existed": f"is already trained on {train}; nothing to do",
            "planned": f"would be trained on {train}",
        }
        donors = ", ".join(f"{name} {self.donors[name]}" for name in self.classes)
        lines = [f"{self.name}: {self.recipe} {how[self.how]}", f"donors: {donors}"]
        values, fitted = self.parameters, self.fitted
        if fitted is None:
            size = values["crop_px"]
            lines.append(f"{values['steps']} steps of {values['batch_size']} crops of {size}x{size} px")
        else:
            losses = ", ".join(f"{name} {value:.4f}" for name, value in fitted.losses.items())
            share = fitted.memorisation.get("near_copies")
            copies = "not measured" if share is None else f"{100 * share:.0f} % (see README.md of the model)"
            lines += [
                f"{fitted.steps} steps of {fitted.batch_size} crops in {fitted.seconds:.0f} s on {fitted.device}",
                *([f"final losses: {losses}"] if losses else []),
                f"near copies of donors among its samples: {copies}",
            ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), f"model: {self.model}"])


def fit(
    root: DataFolder,
    recipe: RecipeLike,
    options: FitOptions | None = None,
    *,
    progress: Progress | None = None,
    **changes: Any,
) -> FitResult:
    """Train a learned recipe on the training images of a split, so that `synthesize` can use it.

    The model is kept in the data set's folder `models`, named by the method, the values of the fit and the training
    images. An interrupted fit resumes when it is called again, on the CPU to the same weights bit for bit; a finished
    one is left alone.

    Args:
        root: A prepared folder, or its Dataset.
        recipe: A shipped recipe by name, the path of a recipe file, or a loaded recipe.
        options: Split, seed, device, overwrite and dry_run; None for the defaults.
        progress: Called with each step.
        **changes: Fields of `FitOptions`, such as `device="cuda"`.

    Raises:
        UsageError: The recipe is not learned, or the split, recipe or device is unknown.
        DataError: The folder is not a prepared data set, no class has enough donors, the fit diverges, or the existing
            model is damaged.
        LeakError: A held-out image would be trained on.
        OutputError: The model exists with another seed, the data set is read-only, or another process fits it.
        DeviceMemoryError: The memory of the device is full.
        MissingExtraError: The extra `generate` is not installed.

    Examples:
        >>> import carpet_data as cd
        >>> cd.fit("carpet-ready", "ddpm-inpaint", dry_run=True).donors  # doctest: +SKIP
        {'color': 9, 'cut': 8, 'hole': 8}
    """
    options = FitOptions.of(options, changes)
    dataset, split = opened(folder_of(root), options.split)
    if not isinstance(recipe, Recipe):
        recipe = files.load(recipe if isinstance(recipe, str) else Path(recipe))
    model_store.fit_parameters(recipe)  # refuses a recipe that is not learned before anything is read
    if not options.overwrite:
        found = _finished(dataset, split, recipe, options.seed)
        if found is not None:
            return _result(found, "existed")
    from carpet_data.learned import fit_plan

    refuse_leaks(dataset, split)
    plan = fit_plan.plan(dataset, split, recipe)
    if options.dry_run:
        return _planned(plan, options.overwrite)
    from carpet_data.learned import fit_loop

    how: Literal["new", "resumed"] = "resumed" if plan.state == "unfinished" and not options.overwrite else "new"
    done = fit_loop.run(
        plan,
        seed=options.seed,
        device=options.device,
        overwrite=options.overwrite,
        checkpoint_s=options.checkpoint_s,
        progress=progress,
    )
    return _result(done, how)


def fit_first(
    root: Path,
    recipe: Recipe,
    *,
    split: str = MAIN_SPLIT,
    seed: int = 0,
    device: str = "auto",
    like: Path | None = None,
    progress: Progress | None = None,
) -> bool:
    """Train a learned recipe unless its model exists, and say whether it was trained; other recipes need nothing.

    `like` is another prepared data set: if it has the model of the very same training images, that is copied.

    Raises:
        As `fit`.
    """
    if not recipe.is_learned:
        return False
    dataset, _ = opened(root, split)
    folder = model_store.folder_of(dataset, split, recipe)
    if like is not None and not (folder / model_store.CARD).is_file():
        _copy(like / model_store.MODELS / folder.name, folder)
    if (folder / model_store.CARD).is_file():
        model_store.find(dataset, split, recipe)  # refuses a damaged one
        return False
    fit(root, recipe, FitOptions(split=split, seed=seed, device=device), progress=progress)
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a finished model; its card comes last, so that half a copy is an unfinished model."""
    card = model_store.CARD
    if (source / card).is_file():
        with making(target):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(card, *LOCK_FILES), dirs_exist_ok=True)
            shutil.copyfile(source / card, target / card)


def _finished(dataset: Dataset, split: str, recipe: Recipe, seed: int) -> Fitted | None:
    """The finished model of a recipe, data and seed; None if there is none yet."""
    folder = model_store.folder_of(dataset, split, recipe)
    if not (folder / model_store.CARD).is_file():
        return None
    found = model_store.find(dataset, split, recipe)
    if found.seed != seed:
        raise OutputError(
            f"the model was trained with seed {found.seed} (got {seed})",
            where=folder,
            hint=f"use it as it is (--seed {found.seed}), or train it again with --overwrite",
        )
    return found


def _planned(plan: FitPlan, overwrite: bool) -> FitResult:
    note: list[str] = []
    if overwrite and plan.state != "new":
        note = [f"the existing {plan.state} fit would be removed"]
    elif plan.state == "unfinished":
        note = ["an interrupted fit would resume"]
    values = plan.parameters.model_dump(mode="json")
    return FitResult(
        plan.folder,
        plan.dataset.name,
        plan.recipe.name,
        plan.recipe.method,
        plan.split,
        "planned",
        plan.data.classes,
        plan.donors,
        values,
        None,
        (*plan.notes, *note),
    )


def _result(fitted: Fitted, how: Literal["new", "resumed", "existed"]) -> FitResult:
    name = str(fitted.dataset.get("name", ""))
    same = (fitted.classes, fitted.donors, fitted.parameters, fitted, fitted.notes)
    return FitResult(fitted.folder, name, fitted.recipe, fitted.method, fitted.split, how, *same)
