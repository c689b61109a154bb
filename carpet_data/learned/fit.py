"""Fit a learned recipe to the train side of a split, once, before it synthesizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carpet_data.core import seeds
from carpet_data.core.progress import Progress
from carpet_data.preparation.train_data import opened
from carpet_data.store.leaks import refuse_leaks
from carpet_data.synthesis.recipe import files

if TYPE_CHECKING:
    from carpet_data.learned.fit_plan import Plan
    from carpet_data.synthesis.engine.model_store import Fitted

__all__ = ["FitResult", "fit"]

_SAID = {
    "new": "fitted to {}",
    "resumed": "fitted to {}: an interrupted fit, brought to its end",
    "existed": "is fitted to {} already; nothing was done",
    "planned": "would be fitted to {}",
}


@dataclass(frozen=True, slots=True)
class FitResult:
    """A fitted model, or the plan of one.

    Attributes:
        folder: The model folder.
        name: The data set's name.
        recipe: Name of the recipe.
        method: Of the recipe.
        split: Whose train side taught.
        how: "new", "resumed" (an interrupted fit was brought to its end), "existed" (nothing was done), or "planned".
        classes: That the model makes.
        donors: class -> donors, also of classes left out.
        parameters: The values of the fit.
        fitted: The model; None for a plan.
        notes: What the user should know.
    """

    folder: Path
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

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "model": str(self.folder),
            "name": self.name,
            "recipe": self.recipe,
            "method": self.method,
            "split": self.split,
            "how": self.how,
            "classes": list(self.classes),
            "donors": dict(self.donors),
            "parameters": dict(self.parameters),
            "fitted": None if self.fitted is None else self.fitted.to_json(),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The result for people."""
        lines = [
            f"{self.name}: {self.recipe} {_SAID[self.how].format(f'the train side of {self.split}')}",
            "donors " + ", ".join(f"{name} {self.donors[name]}" for name in self.classes),
        ]
        fitted = self.fitted
        if fitted is None:
            values = self.parameters
            lines.append(
                f"{values['steps']} steps of {values['batch_size']} crops of {values['crop_px']}x{values['crop_px']} px"
            )
        else:
            losses = ", ".join(f"{name} {value:.4f}" for name, value in fitted.losses.items())
            lines += [
                f"{fitted.steps} steps of {fitted.batch_size} crops in {fitted.seconds:.0f} s on {fitted.device}",
                *([f"losses at the end: {losses}"] if losses else []),
                _copies(fitted.memorisation),
            ]
        lines += [f"note: {note}" for note in self.notes]
        lines.append(f"model {self.folder}")
        return "\n".join(lines)


def _copies(found: Mapping[str, Any]) -> str:
    share = found.get("near_copies")
    if share is None:
        return "copies of donors among its samples: not measured"
    return f"copies of donors among its samples: {100 * share:.0f} % (README.md of the model says how it is measured)"


def fit(
    root: Path | str,
    *,
    recipe: str | Path,
    split: str | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a learned recipe to the train side of a split, so that `synthesize` can use it.

    The model lies in the data set's folder `models`, under the method, the values of the fit and the train images. A
    fit that was stopped goes on when it is called again, on the CPU to the same weights; a finished one is left alone.

    Args:
        root: A prepared data set.
        recipe: A shipped recipe, or the path of a file.
        split: Whose train side teaches; None for "main", else the source's own.
        seed: Of the fit, 0 or more.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" or "mps".
        overwrite: Remove the model that is there and begin anew.
        dry_run: Only say what would be done.
        progress: Called with each step.

    Raises:
        UsageError: The recipe learns nothing, there is no such split, recipe or device, or the seed is negative.
        DataError: The folder is no prepared data set, no class has enough donors, a loss is no number any more, or the
            model that is there is damaged.
        LeakError: A held-out image would teach.
        OutputError: The model is there with another seed, the data set may not be written, or another process fits it.
        DeviceMemoryError: The memory of the device is full.
        MissingExtraError: The extra `generate` is not installed.
    """
    from carpet_data.learned import fit_plan, fitting
    from carpet_data.synthesis.engine import model_store

    seeds.refuse_negative(seed)
    dataset, name = opened(Path(root), split)
    chosen = files.load(recipe)
    model_store.fit_parameters(chosen)  # refuses a recipe that learns nothing, before anything is read
    if not overwrite:
        found = fitting.finished(dataset, name, chosen, seed)
        if found is not None:
            return _of_model(found, "existed")
    refuse_leaks(dataset, name)
    planned = fit_plan.plan(dataset, name, chosen)
    if dry_run:
        return _of_plan(planned, overwrite)
    done = fitting.run(planned, seed=seed, device=device, overwrite=overwrite, progress=progress)
    return _of_model(done, "resumed" if planned.state == "unfinished" and not overwrite else "new")


def _of_plan(planned: Plan, overwrite: bool) -> FitResult:
    there: list[str] = []
    if overwrite and planned.state != "new":
        there = [f"the {planned.state} fit that is there would be removed"]
    elif planned.state == "unfinished":
        there = ["an interrupted fit would go on"]
    return FitResult(
        folder=planned.folder,
        name=planned.dataset.name,
        recipe=planned.recipe.name,
        method=planned.recipe.method,
        split=planned.split,
        how="planned",
        classes=planned.lesson.classes,
        donors=planned.donors,
        parameters=planned.parameters.model_dump(mode="json"),
        fitted=None,
        notes=(*planned.notes, *there),
    )


def _of_model(fitted: Fitted, how: Literal["new", "resumed", "existed"]) -> FitResult:
    return FitResult(
        folder=fitted.folder,
        name=str(fitted.dataset.get("name", "")),
        recipe=fitted.recipe,
        method=fitted.method,
        split=fitted.split,
        how=how,
        classes=fitted.classes,
        donors=fitted.donors,
        parameters=fitted.parameters,
        fitted=fitted,
        notes=fitted.notes,
    )
