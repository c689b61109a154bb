"""What learned recipes need before they can be used: a model that was fitted to the same train side, and a device."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carpet_data import layout
from carpet_data.errors import DataError
from carpet_data.executor import Progress
from carpet_data.findings import counted
from carpet_data.formats.export import MAIN_SPLIT
from carpet_data.layout.files import making
from carpet_data.layout.names import LOCK
from carpet_data.samples import Dataset
from carpet_data.synthesis import registry
from carpet_data.synthesis.contract import is_learned
from carpet_data.synthesis.lots import Model
from carpet_data.synthesis.recipe import Recipe

if TYPE_CHECKING:
    from carpet_data.generators.learning import Tick
    from carpet_data.generators.store import Fitted

__all__ = ["GPU_WORKERS", "Source", "fit_first", "learned_of", "refuse_unlearned", "source_of"]

GPU_WORKERS = 2
"""Processes by default where a GPU samples: one prepares and encodes while the other's networks compute; each holds
the networks once, so more would fill its memory and gain little."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the images of a learned recipe are sampled from.

    Attributes:
        fitted: The model.
        device: "cpu", "cuda", "cuda:1" or "mps"; "auto" where nothing will be rendered.
    """

    fitted: Fitted
    device: str

    @property
    def model(self) -> Model:
        """How the lot names it."""
        return Model(self.fitted.folder.name, self.fitted.weights_sha256, self.device.partition(":")[0])

    def workers(self, asked: int | None) -> int | None:
        """Processes: those asked for, else 2 on a GPU and one a core on a CPU."""
        return GPU_WORKERS if asked is None and self.device != "cpu" else asked


def source_of(
    dataset: Dataset, split: str, recipe: Recipe, *, device: str, dry_run: bool
) -> tuple[Source | None, tuple[str, ...]]:
    """The model of a recipe and where it shall compute.

    Args:
        dataset: A prepared data set.
        split: Named split.
        recipe: Any recipe.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" or "mps".
        dry_run: Only plan: no device is looked for, and a model that cannot be used is a notice.

    Returns:
        None for a recipe that learns nothing, and for a dry run without a model; and what the user should know.

    Raises:
        DataError: The recipe is not fitted to this train side, or its model is unfinished, stale or damaged; the mend
            is the command that fits it.
        UsageError: There is no such device here.
        MissingExtraError: The extra `generate` is not installed.
    """
    if not is_learned(registry.load(recipe.target)):
        told = f"{recipe.name} learns nothing, so --device {device} changes nothing"
        return None, () if device == "auto" else (told,)
    from carpet_data.generators import store

    try:
        fitted = store.find(dataset, split, recipe)
    except DataError as error:
        if not dry_run:
            raise
        told = f"{error.what}; {error.mend}. Until then this plan shows which images may be used; the model changes it"
        return None, (told,)
    return Source(fitted, "auto" if dry_run else _resolved(device)), ()


def _resolved(device: str) -> str:
    from carpet_data.generators import place  # noqa: F401 - names the extra where torch is missing
    from carpet_data.compute import devices  # isort: skip

    return str(devices.resolve(device))


def refuse_unlearned(source: Source, class_name: str) -> None:
    """Refuse a class that the model cannot make.

    Raises:
        DataError: The model was not fitted to it.
    """
    fitted = source.fitted
    if class_name not in fitted.classes:
        raise DataError(
            f"the model was not fitted to the class {class_name!r}{_why(fitted, class_name)}; "
            f"it makes {', '.join(fitted.classes)}",
            where=fitted.folder,
            mend=f"make its images by a recipe that learns nothing: {_otherwise(class_name)}",
        )


def learned_of(source: Source, wanted: Mapping[str, int]) -> tuple[dict[str, int], tuple[str, ...]]:
    """What is wanted of the classes that the model can make, and a notice on each of the others."""
    fitted = source.fitted
    notices = tuple(
        f"{name} is left as it is: the model was not fitted to it{_why(fitted, name)}; {_otherwise(name)} makes images"
        for name in wanted
        if name not in fitted.classes
    )
    return {name: count for name, count in wanted.items() if name in fitted.classes}, notices


def _why(fitted: Fitted, class_name: str) -> str:
    count = fitted.donors.get(class_name)
    return "" if count is None else f", which had {counted(count, 'train image')} then"


def _otherwise(class_name: str) -> str:
    return f"carpet-data synthesize --class {shlex.quote(class_name)} --recipe donor-paste"


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
    """Fit a learned recipe to the train side of a split, unless its model is there; others need nothing.

    Args:
        root: A prepared folder.
        recipe: Any recipe.
        split: Named split.
        seed: Of the fit.
        device: As `source_of`.
        like: Another prepared folder; where it holds the model of the very same train images, that is copied.
        progress: Called with (steps done, steps to make).

    Returns:
        Whether a fit was made.

    Raises:
        As `generators.fitting.fit` and `source_of`.
    """
    if not is_learned(registry.load(recipe.target)):
        return False
    from carpet_data.generators import fitting, store

    dataset = layout.read(root)
    folder = store.folder_of(dataset, split, recipe)
    if like is not None and not (folder / store.CARD).is_file():
        _copied(like / store.MODELS / folder.name, folder, store.CARD)
    if (folder / store.CARD).is_file():
        store.find(dataset, split, recipe)  # refuses a damaged one
        return False

    def report(tick: Tick) -> None:
        if progress is not None:
            progress(tick.step, tick.steps)

    fitting.fit(dataset, split, recipe, seed=seed, device=device, report=report)
    return True


def _copied(there: Path, here: Path, card: str) -> None:
    """Bring a finished model over; its card comes last, so that half a copy is an unfinished model."""
    if (there / card).is_file():
        with making(here):
            shutil.copytree(there, here, ignore=shutil.ignore_patterns(card, LOCK), dirs_exist_ok=True)
            shutil.copyfile(there / card, here / card)
