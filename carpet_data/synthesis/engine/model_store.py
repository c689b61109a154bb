"""The fitted models of a data set: found by recipe and data, and refused if they do not match.

DATASET/models/{method}-{fit8}-{data8}/
  card.json                 what the model is and came from: see Fitted; written last, once the fit is finished
  README.md                 the same for people
  weights/                  what sampling needs
  history.json loss.png     losses
  samples-000150.png        samples on the way
  checkpoint.safetensors    while the fit is under way
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.core.results import Result
from carpet_data.dataset import Dataset, Sample
from carpet_data.errors import DataError, UsageError
from carpet_data.store import files
from carpet_data.store.files import write_bytes
from carpet_data.store.names import CARD, MODELS
from carpet_data.synthesis.recipe import files as recipes
from carpet_data.synthesis.recipe.fit_parameters import FitParameters
from carpet_data.synthesis.recipe.model import Recipe, identifying

__all__ = [
    "CARD",
    "CHECKPOINT",
    "HISTORY",
    "MODELS",
    "WEIGHTS",
    "Fitted",
    "command",
    "data_identity",
    "digests",
    "find",
    "fit_identity",
    "fit_parameters",
    "folder_of",
    "listing",
    "read",
    "train_samples",
    "weights_hash",
    "write",
]

WEIGHTS, HISTORY = "weights", "history.json"
CHECKPOINT = "checkpoint.safetensors"
"""Exists only while a fit is unfinished."""
SCHEMA = 1
_SHORT = 8
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Fitted(Result):
    """A finished model, as card.json describes it.

    Attributes:
        folder: The model folder; `weights` in it is what a method opens.
        fit: Identity of the values of the fit, hex SHA-256.
        data: Identity of the training images, hex SHA-256.
        weights_sha256: Hash of the files in `weights`, see `weights_hash`.
        parameters: The values of the fit.
        dataset: name, license and fingerprint of the data set.
        classes: Defect classes that it makes, sorted.
        donors: class -> number of donors, also of skipped classes.
        samples: id -> digest of class, image and mask of every real training image.
        read: Ids of those that were read, sorted.
        batch_size: Crops in a step.
        seconds: Duration, parts before an interruption included.
        device: For people, such as "cpu, 2 threads".
        precision: "bf16" or "full".
        processes: Number of processes that shared the work.
        created: UTC, ISO 8601.
        versions: package -> version.
        memorisation: How near its samples are to the donors, JSON values.
    """

    folder: Path
    recipe: str
    method: str
    version: int
    fit: str
    data: str
    weights_sha256: str
    parameters: Mapping[str, Any]
    dataset: Mapping[str, Any]
    split: str
    classes: tuple[str, ...]
    donors: Mapping[str, int]
    samples: Mapping[str, str]
    read: tuple[str, ...]
    seed: int
    steps: int
    batch_size: int
    losses: Mapping[str, float]
    seconds: float
    device: str
    precision: str
    processes: int
    created: str
    versions: Mapping[str, str]
    memorisation: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def weights(self) -> Path:
        """The folder that `open` of the method takes."""
        return self.folder / WEIGHTS

    def to_json(self) -> dict[str, Any]:
        """The values of card.json."""
        values = {"schema": SCHEMA, **Result.to_json(self)}
        del values["folder"]
        return values

    @classmethod
    def from_json(cls, folder: Path, values: Mapping[str, Any]) -> Fitted:
        """The inverse of `to_json`, for a model in `folder`.

        Raises:
            ValueError: A value is missing, unknown, or of another schema.
        """
        known = dict(values)
        schema = known.pop("schema", None)
        if schema != SCHEMA:
            raise ValueError(f"unknown schema {schema!r}, this version reads {SCHEMA}")
        try:
            known |= {name: tuple(known[name]) for name in ("classes", "read", "notes")}
            return cls(folder=folder, **known)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error


def fit_parameters(recipe: Recipe) -> FitParameters:
    """The values of the fit in a learned recipe.

    Raises:
        UsageError: The recipe is not learned.
    """
    found = getattr(recipe.parameters, "fit", None)
    if not isinstance(found, FitParameters):
        raise UsageError(
            f"the recipe {recipe.name} needs no fit: {recipe.method} is not a learned method",
            hint=f"use it as it is: carpet-data synthesize --recipe {recipes.named(recipe)}",
        )
    return found


def fit_identity(recipe: Recipe) -> str:
    """Hex SHA-256 of what shapes the weights: method, values of the fit, subject and number of hosts.

    Raises:
        UsageError: The recipe is not learned.
    """
    return _hash(
        {
            "method": recipe.method,
            "version": recipe.envelope.version,
            "fit": identifying(fit_parameters(recipe)),
            "subject": recipe.envelope.subject,
            "hosts": recipe.envelope.hosts.min_count,
        }
    )


def train_samples(dataset: Dataset, split: str) -> tuple[Sample, ...]:
    """The real training samples of a split, sorted by id."""
    return dataset.on_side("train", split).of_origin("real").samples


def data_identity(dataset: Dataset, split: str) -> str:
    """Hex SHA-256 of the real training samples of a split: ids, classes, and the bytes of images and masks."""
    return _hash([[s.id, s.class_name, s.image_sha256, s.mask_sha256] for s in train_samples(dataset, split)])


def digests(dataset: Dataset, split: str) -> dict[str, str]:
    """id -> digest of class, image and mask of the real training samples, to tell later which of them changed."""
    return {s.id: _hash([s.class_name, s.image_sha256, s.mask_sha256])[:_DIGEST] for s in train_samples(dataset, split)}


def folder_of(dataset: Dataset, split: str, recipe: Recipe) -> Path:
    """The folder of the model of a recipe and the training images of a split, whether it exists or not.

    Raises:
        UsageError: The recipe is not learned.
    """
    fit, data = fit_identity(recipe)[:_SHORT], data_identity(dataset, split)[:_SHORT]
    return dataset.root / MODELS / f"{recipe.method}-{fit}-{data}"


def command(dataset: Dataset, split: str, recipe: Recipe) -> str:
    """The command that fits a recipe to the training images of a split."""
    return f"carpet-data fit {shlex.quote(str(dataset.root))} --recipe {recipes.named(recipe)} --split {split}"


def weights_hash(folder: Path) -> str:
    """Hex SHA-256 over the names and bytes of all files in a folder of weights."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return _hash([[path.relative_to(folder).as_posix(), files.sha256(path)] for path in found])


def write(fitted: Fitted) -> None:
    """Write card.json; with it a fit is finished."""
    text = json.dumps(fitted.to_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    write_bytes(fitted.folder / CARD, text.encode(errors="backslashreplace"), durable=True)


def read(folder: Path) -> Fitted:
    """The model of a folder; its weights are not checked.

    Raises:
        DataError: card.json is missing or damaged.
    """
    path = folder / CARD
    try:
        values = json.loads(path.read_bytes())
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return Fitted.from_json(folder, values)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"invalid model card ({error})", where=path, hint="remove the folder and fit again") from error


def listing(root: Path) -> tuple[Fitted, ...]:
    """The finished models of a data set, oldest first.

    Raises:
        DataError: A card.json is damaged.
    """
    found = [read(path.parent) for path in sorted((root / MODELS).glob(f"*/{CARD}"))]
    return tuple(sorted(found, key=lambda fitted: fitted.created))


def find(dataset: Dataset, split: str, recipe: Recipe) -> Fitted:
    """The model of a recipe and the current training images of a split.

    Raises:
        UsageError: The recipe is not learned.
        DataError: It is not fitted yet, unfinished, stale, of another data set, or damaged; the hint is the command.
    """
    fit, data = fit_identity(recipe), data_identity(dataset, split)
    folder = folder_of(dataset, split, recipe)
    again = command(dataset, split, recipe)
    if (folder / CARD).is_file():
        fitted = read(folder)
        if (fitted.fit, fitted.data) == (fit, data):
            return _whole(fitted, again)
    elif folder.is_dir():
        raise DataError("the fit is not finished", where=folder, hint=f"resume it with {again}")
    raise _missing(dataset, split, recipe, fit, again)


def _whole(fitted: Fitted, again: str) -> Fitted:
    if not fitted.weights.is_dir() or weights_hash(fitted.weights) != fitted.weights_sha256:
        raise DataError(
            "the weights are damaged: they differ from those that the fit wrote",
            where=fitted.weights,
            hint=f"restore them, or start over with {again} --overwrite",
        )
    return fitted


def _missing(dataset: Dataset, split: str, recipe: Recipe, fit: str, again: str) -> DataError:
    """The error for a missing model: it names what exists instead."""
    there = listing(dataset.root)
    alike = [fitted for fitted in there if fitted.fit == fit]
    now = digests(dataset, split)
    foreign = [fitted for fitted in alike if not _common(fitted, dataset)]
    own = [fitted for fitted in alike if fitted not in foreign and fitted.split == split]
    if own:
        return _stale(own[-1], now, again)
    if foreign:
        theirs = foreign[-1].dataset.get("name")
        return DataError(
            f"the model is of another data set ({theirs}): no training image is shared",
            where=foreign[-1].folder,
            hint=f"remove it, and fit to these data with {again}",
        )
    what = f"the recipe {recipe.name} is not fitted to the training images of the split {split!r} yet"
    splits = sorted({fitted.split for fitted in alike})
    if splits:
        what += f" (it is to those of {', '.join(map(repr, splits))})"
    elif any(fitted.method == recipe.method for fitted in there):
        what += f" (there is a model of {recipe.method} with other values of the fit)"
    return DataError(what, where=dataset.root, hint=f"run {again}")


def _common(fitted: Fitted, dataset: Dataset) -> bool:
    """Whether a model has seen a sample of this data set, whatever its split now."""
    known = {s.id: _hash([s.class_name, s.image_sha256, s.mask_sha256])[:_DIGEST] for s in dataset}
    return any(known.get(name) == digest for name, digest in fitted.samples.items())


def _stale(fitted: Fitted, now: Mapping[str, str], again: str) -> DataError:
    then = fitted.samples
    counts = {
        "added": len(now.keys() - then.keys()),
        "removed": len(then.keys() - now.keys()),
        "changed": sum(now[name] != then[name] for name in now.keys() & then.keys()),
    }
    shown = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return DataError(
        f"the model is stale: the training images have changed since the fit ({shown})",
        where=fitted.folder,
        hint=f"fit again with {again}",
    )


def _hash(values: object) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
