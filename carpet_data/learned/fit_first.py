"""Fit a learned recipe before its first use, unless its model is there."""

from __future__ import annotations

import shutil
from pathlib import Path

from carpet_data import store
from carpet_data.core.progress import Progress
from carpet_data.dataset import MAIN_SPLIT
from carpet_data.store.files import making
from carpet_data.store.names import LOCK_FILES
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["fit_first"]


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
    if not recipe.is_learned:
        return False
    from carpet_data.learned import fitting
    from carpet_data.synthesis.engine import model_store

    dataset = store.read(root)
    folder = model_store.folder_of(dataset, split, recipe)
    if like is not None and not (folder / model_store.CARD).is_file():
        _copied(like / model_store.MODELS / folder.name, folder, model_store.CARD)
    if (folder / model_store.CARD).is_file():
        model_store.find(dataset, split, recipe)  # refuses a damaged one
        return False

    fitting.fit(dataset, split, recipe, seed=seed, device=device, progress=progress)
    return True


def _copied(there: Path, here: Path, card: str) -> None:
    """Bring a finished model over; its card comes last, so that half a copy is an unfinished model."""
    if (there / card).is_file():
        with making(here):
            shutil.copytree(there, here, ignore=shutil.ignore_patterns(card, *LOCK_FILES), dirs_exist_ok=True)
            shutil.copyfile(there / card, here / card)
