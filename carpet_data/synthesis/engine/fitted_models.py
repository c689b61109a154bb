"""What learned recipes need before they can be used: a model fitted to the same training images, and a device."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carpet_data.core.text import counted
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, MissingExtraError
from carpet_data.synthesis.recipe.model import Recipe

if TYPE_CHECKING:
    from carpet_data.synthesis.engine.model_store import Fitted

__all__ = ["GPU_WORKERS", "LEARNED_PACKAGES", "ModelOnDevice", "fitted_classes", "model_of", "refuse_unfitted"]

LEARNED_PACKAGES = ("torch", "safetensors", "diffusers", "accelerate")
GPU_WORKERS = 2
"""Processes by default where a GPU samples: one prepares and encodes while the other's networks compute; each holds
the networks once, so more would fill its memory and gain little."""


@dataclass(frozen=True, slots=True)
class ModelOnDevice:
    """The fitted model that a learned recipe samples from, and where it computes ("auto" where nothing is rendered)."""

    fitted: Fitted
    device: str

    @property
    def name(self) -> str:
        """Of the model's folder in the data set."""
        return self.fitted.folder.name

    def pool(self, sources: str) -> str:
        """The digest of source images and weights: another model makes other images, not others of the same id."""
        return hashlib.sha256(f"{sources} {self.fitted.weights_sha256}".encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """What the provenance of an image says of it; the kind of device decides last bits."""
        kind = self.device.partition(":")[0]
        return {"model": self.name, "weights": self.fitted.weights_sha256, "device": kind}

    def workers(self, asked: int | None) -> int | None:
        """Processes: those asked for, else 2 on a GPU and one per core on a CPU."""
        return GPU_WORKERS if asked is None and self.device != "cpu" else asked


def model_of(
    dataset: Dataset, split: str, recipe: Recipe, *, device: str, dry_run: bool
) -> tuple[ModelOnDevice | None, tuple[str, ...]]:
    """The model of a recipe, and what the user should know.

    The model is None for a recipe that is not learned, and for a dry run without a model: a dry run looks for no
    device, and a model that cannot be used is a note.

    Raises:
        DataError: The recipe is not fitted to these training images, or its model is unfinished, stale or damaged; the
            hint is the command that fits it.
        UsageError: The device is unknown or not available.
        MissingExtraError: The extra `generate` is not installed.
    """
    if not recipe.is_learned:
        note = f"--device ignored: {recipe.name} is not a learned recipe"
        return None, () if device == "auto" else (note,)
    from carpet_data.synthesis.engine import model_store

    try:
        fitted = model_store.find(dataset, split, recipe)
    except DataError as error:
        if not dry_run:
            raise
        note = f"{error.what}; {error.hint}. Until then this plan shows which images may be used; the model changes it"
        return None, (note,)
    return ModelOnDevice(fitted, "auto" if dry_run else _resolved(device)), ()


def _resolved(device: str) -> str:
    MissingExtraError.require(LEARNED_PACKAGES, "generate", "a learned recipe")
    from carpet_data.networks import devices

    return str(devices.resolve(device))


def refuse_unfitted(model: ModelOnDevice, class_name: str) -> None:
    """Refuse a class that the model cannot make.

    Raises:
        DataError: The model was not fitted to it.
    """
    fitted = model.fitted
    if class_name not in fitted.classes:
        raise DataError(
            f"the model was not fitted to the class {class_name!r}{_why(fitted, class_name)}; "
            f"it makes {', '.join(fitted.classes)}",
            where=fitted.folder,
            hint=f"use a recipe that is not learned: {_otherwise(class_name)}",
        )


def fitted_classes(model: ModelOnDevice, wanted: Mapping[str, int]) -> tuple[dict[str, int], tuple[str, ...]]:
    """What is wanted of the classes that the model can make, and a note on each of the others."""
    fitted = model.fitted
    notes = tuple(
        f"{name} is left as it is: the model was not fitted to it{_why(fitted, name)}; {_otherwise(name)} makes images"
        for name in wanted
        if name not in fitted.classes
    )
    return {name: count for name, count in wanted.items() if name in fitted.classes}, notes


def _why(fitted: Fitted, class_name: str) -> str:
    count = fitted.donors.get(class_name)
    return "" if count is None else f", which had {counted(count, 'training image')} then"


def _otherwise(class_name: str) -> str:
    return f"carpet-data synthesize --class {shlex.quote(class_name)} --recipe donor-paste"
