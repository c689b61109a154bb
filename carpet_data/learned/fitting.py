"""Fit a learned method to the train side of a split, and keep what it learned in the data set's folder `models`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.progress import Progress
from carpet_data.core.text import counted
from carpet_data.dataset import Dataset
from carpet_data.errors import CarpetDataError, OutputError
from carpet_data.learned import card
from carpet_data.learned.fit_plan import CHECKPOINT, Plan, method_of, plan
from carpet_data.store import lock
from carpet_data.store.files import making, remove_partials, write_bytes
from carpet_data.store.names import LOCK_FILES
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.engine.model_store import Fitted
from carpet_data.synthesis.recipe.model import Recipe

if TYPE_CHECKING:
    from carpet_data.learned.fit_runtime import Place
    from carpet_data.learned.learning import Drawn, Learner

__all__ = ["finished", "fit", "run"]

HISTORY, LOSSES = "history.json", "loss.png"
_LOOKED_AT = 8
"""Samples of each class that are compared with the donors."""
_END = 0.1
"""Of the steps, over which the losses of the card are means."""


def fit(
    dataset: Dataset,
    split: str,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    every_s: float | None = None,
) -> Fitted:
    """Fit a learned recipe, go on with a fit that was stopped, or find the finished one.

    On the CPU an interrupted fit gives the same weights as one that was not.

    Args:
        dataset: A prepared data set.
        split: Whose train side teaches.
        recipe: A learned one.
        seed: Of the fit.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        overwrite: Remove what is there and begin anew.
        progress: Called with each step.
        every_s: Seconds between two checkpoints; None for the usual.

    Returns:
        The finished model.

    Raises:
        UsageError: The recipe learns nothing, there is no such device, or this process computes on another already.
        DataError: The data cannot be learned from (see `plan`), a loss is no number any more, or what is there is
            damaged, or unfinished and of another seed.
        LeakError: An image that is not on the train side would be read.
        DeviceMemoryError: The memory of the device is full.
        OutputError: The model is there with another seed, the data set may not be written, or another process fits it.
        MissingExtraError: The extra `generate` is not installed.
    """
    if not overwrite:
        found = finished(dataset, split, recipe, seed)
        if found is not None:
            return found
    return run(
        plan(dataset, split, recipe), seed=seed, device=device, overwrite=overwrite, progress=progress, every_s=every_s
    )


def finished(dataset: Dataset, split: str, recipe: Recipe, seed: int) -> Fitted | None:
    """The finished model of a recipe, data and seed; None where there is none yet.

    Raises:
        UsageError: The recipe learns nothing.
        DataError: It is damaged.
        OutputError: It was fitted with another seed.
    """
    folder = model_store.folder_of(dataset, split, recipe)
    if not (folder / model_store.CARD).is_file():
        return None
    found = model_store.find(dataset, split, recipe)
    if found.seed != seed:
        raise OutputError(
            f"it is fitted with seed {found.seed}, now asked for {seed}",
            where=folder,
            hint=f"use it as it is (--seed {found.seed}), or fit anew with --overwrite",
        )
    return found


def run(
    planned: Plan,
    *,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    every_s: float | None = None,
) -> Fitted:
    """Do what was planned, see `fit`."""
    # Imported first, for it says so where the extra is missing.
    from carpet_data.learned.fit_runtime import Place
    from carpet_data.learned import learning  # isort: skip

    place = Place.at(device, precision=planned.parameters.precision, seed=seed)
    folder = planned.folder
    with _alone(folder) if place.is_main else nullcontext():
        try:
            with learning.memory_guard(planned.parameters.batch_size, place.device):
                learner = method_of(planned.recipe).learner(planned.lesson, planned.recipe.parameters, place)
                if place.is_main and overwrite:
                    _empty(folder)  # only now: what cannot begin costs no finished model
                place.accelerator.wait_for_everyone()
                history = learning.run(
                    learner,
                    place,
                    folder,
                    _identity(planned, seed),
                    draw=lambda step, drawn: _draw(planned, step, learner.steps, drawn),
                    progress=progress,
                    **({} if every_s is None else {"every_s": every_s}),
                )
                if place.is_main:
                    _keep(planned, learner, place, history)
        except CarpetDataError:
            is_kept = (folder / CHECKPOINT).is_file() or (folder / model_store.CARD).is_file()
            if place.is_main and not is_kept:
                shutil.rmtree(folder, ignore_errors=True)  # nothing in it is worth keeping
            raise
        place.accelerator.wait_for_everyone()
    return model_store.read(folder)


def _identity(planned: Plan, seed: int) -> dict[str, Any]:
    return {
        "method": planned.recipe.method,
        "fit": model_store.fit_identity(planned.recipe),
        "data": model_store.data_identity(planned.dataset, planned.split),
        "seed": seed,
    }


def _alone(folder: Path) -> AbstractContextManager[Any]:
    """The folder of a model, made and locked: one writer at a time."""
    try:
        with making(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OutputError as error:
        hint = "fix that, or work on a copy of the data set"
        raise OutputError(error.what, where=folder, hint=hint) from error
    return lock.locked(folder, "fit")


def _empty(folder: Path) -> None:
    """Remove all of a model but the lock that is held on it."""
    (folder / model_store.CARD).unlink(missing_ok=True)  # first: without it nothing takes the rest for a finished model
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in LOCK_FILES:
            path.unlink()


def _draw(planned: Plan, step: int, steps: int, drawn: Sequence[Drawn]) -> Path:
    from carpet_data.learned import sheet

    title = f"{planned.recipe.method} fitted to {planned.dataset.name}: step {step} of {steps}"
    return sheet.write(planned.folder / f"samples-{step:06d}.png", planned.lesson, drawn, title)


def _keep(planned: Plan, learner: Learner, place: Place, history: Sequence[Mapping[str, float]]) -> None:
    """Write all that makes a finished model; the card comes last."""
    from carpet_data.learned import memorisation, sheet

    folder, dataset = planned.folder, planned.dataset
    remove_partials(folder)  # of an earlier process that was killed
    _save(learner, folder / model_store.WEIGHTS)
    found = memorisation.measure(
        planned.lesson, learner.samples(_LOOKED_AT, place.rng("memorisation")), device=place.device
    )
    fitted = Fitted(
        folder=folder,
        recipe=planned.recipe.name,
        method=planned.recipe.method,
        version=planned.recipe.envelope.version,
        fit=model_store.fit_identity(planned.recipe),
        data=model_store.data_identity(dataset, planned.split),
        weights_sha256=model_store.weights_hash(folder / model_store.WEIGHTS),
        parameters=planned.parameters.model_dump(mode="json"),
        dataset={
            "name": dataset.name,
            "license": dataset.license,
            "fingerprint": dataset.fingerprint(planned.split),
        },
        split=planned.split,
        classes=planned.lesson.classes,
        donors=planned.donors,
        samples=model_store.digests(dataset, planned.split),
        read=planned.lesson.read,
        seed=place.seed,
        steps=learner.steps,
        batch_size=learner.batch_size,
        losses=_at_the_end(history),
        seconds=history[-1]["seconds"] if history else 0.0,
        device=_device_name(place),
        precision=place.precision,
        processes=int(place.accelerator.num_processes),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions=card.versions(),
        memorisation=found.to_json(),
        notes=planned.notes,
    )
    rows = json.dumps(list(history), allow_nan=False, indent=1) + "\n"
    write_bytes(folder / HISTORY, rows.encode())
    pictures = sorted(path.name for path in folder.glob("samples-*.png"))[-1:]
    if history:  # a pipeline that is used as it is takes no steps
        sheet.plot_losses(folder / LOSSES, history, f"{fitted.method} fitted to {dataset.name}")
        pictures = [LOSSES, *pictures]
    card.write(fitted, found.text(), pictures)
    model_store.write(fitted)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _save(learner: Learner, folder: Path) -> None:
    """The weights, which appear whole."""
    partial = folder.with_name(f".{folder.name}")
    for path in (partial, folder):
        if path.exists():
            shutil.rmtree(path)
    partial.mkdir()
    learner.save(partial)
    for path in partial.rglob("*"):
        if path.is_file():
            path.chmod(partial.stat().st_mode & 0o666)  # safetensors gives its files to their owner alone
    partial.replace(folder)


def _at_the_end(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of the losses over the last steps."""
    if not history:
        return {}
    last = history[-1]["step"]
    rows = [row for row in history if row["step"] > (1 - _END) * last]
    names = [name for name in rows[-1] if name not in ("step", "seconds")]
    return {name: sum(row[name] for row in rows if name in row) / sum(name in row for row in rows) for name in names}


def _device_name(place: Place) -> str:
    import torch

    if place.device.type == "cuda":
        return str(torch.cuda.get_device_name(place.device))
    return f"cpu, {counted(torch.get_num_threads(), 'thread')}" if place.device.type == "cpu" else str(place.device)
