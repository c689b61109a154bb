"""The training of a learned recipe from top to bottom: steps, checkpoints, sample sheets, and the finished model.

A fit is reproducible: every random number is a function of the seed and the step, so that an interrupted fit resumes as
if it had never stopped, on the CPU to the same weights bit for bit.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from carpet_data.core.progress import Progress, Step
from carpet_data.errors import CarpetDataError, DataError, OutputError
from carpet_data.learned import model_card
from carpet_data.learned.crops import GeneratedCrop
from carpet_data.learned.fit_plan import FitPlan, method_of
from carpet_data.learned.fit_runtime import Runtime
from carpet_data.networks import checkpoints, devices
from carpet_data.networks.checkpoints import Checkpoint
from carpet_data.store import lock
from carpet_data.store.files import making, remove_partials, write_bytes
from carpet_data.store.names import LOCK_FILES
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.engine.model_store import CHECKPOINT, Fitted

if TYPE_CHECKING:
    import torch

__all__ = ["Learner", "run", "train"]

_LOSS_EVERY = 25
"""Steps between two looks at the losses: each look waits for the device."""
_SHEETS_AT = (0.1, 0.25, 0.5, 0.75, 1.0)
"""After these shares of the steps a sheet of samples is drawn."""
_SHEET_SAMPLES = 4
_COPY_SAMPLES = 8
"""Samples of each class that are compared with the donors."""
_FINAL_SHARE = 0.1
"""The losses of the model card are means over this last share of the steps."""


class Learner(Protocol):
    """What one method trains, in a number of steps (all stages together), with `batch_size` crops in each."""

    steps: int
    batch_size: int

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One optimization step, numbered from 0; all randomness is a function of the number and the seed.

        Returns:
            Losses by name, scalars, detached and left on the device.
        """
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Weights, averaged weights and optimizer states: everything that `step` changes, copied."""
        ...

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` took."""
        ...

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[GeneratedCrop]:
        """`count` samples of each class from the current averaged weights."""
        ...

    def save(self, folder: Path) -> None:
        """Write what sampling needs into an existing folder."""
        ...


def run(
    plan: FitPlan,
    *,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    checkpoint_s: float = 60.0,
    progress: Progress | None = None,
) -> Fitted:
    """Train what was planned, and keep the finished model in the data set's folder `models`.

    Raises:
        As `carpet_data.learned.fit.fit`.
    """
    runtime = Runtime.at(device, precision=plan.parameters.precision, seed=seed)
    folder = plan.folder
    with _locked(folder) if runtime.is_main else nullcontext():
        try:
            with _memory_guard(plan.parameters.batch_size, runtime):
                learner = method_of(plan.recipe).learner(plan.data, plan.recipe.parameters, runtime)
                if runtime.is_main and overwrite:
                    _clear(folder)  # only now: a fit that cannot start costs no finished model
                runtime.accelerator.wait_for_everyone()
                history = train(learner, runtime, plan, checkpoint_s=checkpoint_s, progress=progress)
                if runtime.is_main:
                    _finish(plan, learner, runtime, history)
        except CarpetDataError:
            is_kept = (folder / CHECKPOINT).is_file() or (folder / model_store.CARD).is_file()
            if runtime.is_main and not is_kept:
                shutil.rmtree(folder, ignore_errors=True)  # nothing in it is worth keeping
            raise
        runtime.accelerator.wait_for_everyone()
    return model_store.read(folder)


def train(
    learner: Learner,
    runtime: Runtime,
    plan: FitPlan,
    *,
    checkpoint_s: float = 60.0,
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train until the last step, from the last checkpoint if there is one.

    Returns:
        Rows of step, seconds so far (those before an interruption included) and mean losses.

    Raises:
        DataError: A loss or a weight is not finite (the last good checkpoint stays), or the checkpoint is damaged or
            belongs to another fit.
        DeviceMemoryError: The memory of the device is full.
    """
    path = plan.folder / CHECKPOINT
    identity = {**plan.identity, "seed": runtime.seed}
    first, history = _restore_checkpoint(learner, path, identity)
    seconds_before = history[-1]["seconds"] if history else 0.0
    sheets_at = {max(1, round(share * learner.steps)) for share in _SHEETS_AT}
    started = written = time.monotonic()
    sums: dict[str, torch.Tensor] = {}
    count = 0
    with _memory_guard(learner.batch_size, runtime), devices.deterministic(runtime.device):
        for number in range(first, learner.steps):
            for name, value in learner.step(number).items():
                sums[name] = sums[name] + value.float() if name in sums else value.float()
            done, count = number + 1, count + 1
            is_last = done == learner.steps
            if not (is_last or done % _LOSS_EVERY == 0 or done in sheets_at):
                continue
            losses = {name: float(value) / count for name, value in sums.items()}
            sums, count = {}, 0
            _check_losses(losses, done, path)
            history.append({"step": done, "seconds": seconds_before + time.monotonic() - started, **losses})
            if not runtime.is_main:
                continue
            files: tuple[Path, ...] = ()
            if done in sheets_at:
                samples = learner.samples(_SHEET_SAMPLES, runtime.rng("sheet", done))
                files = (model_card.write_sheet(plan, samples, done, learner.steps),)
            if is_last or time.monotonic() - written >= checkpoint_s:
                _write_checkpoint(learner, path, identity, done, history)
                written = time.monotonic()
            if progress is not None:
                progress(Step(done, learner.steps, "fitting", losses, files))
    return history


def _memory_guard(batch_size: int, runtime: Runtime) -> AbstractContextManager[None]:
    """Turns "out of memory" into an error whose hint is a value of the recipe."""
    smaller = f"a smaller batch_size ({batch_size // 2})" if batch_size > 1 else "a smaller crop_px"
    hint = f"write {smaller} under fit in your own recipe that extends this one, and fit that"
    return devices.memory_guard(batch_size, runtime.device, hint=hint)


def _check_losses(losses: Mapping[str, float], step: int, path: Path) -> None:
    wrong = [name for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        raise _diverged(f"the loss {wrong[0]} of step {step} is {losses[wrong[0]]}", path)


def _diverged(what: str, path: Path) -> DataError:
    kept = f"the checkpoint before it is kept in {path}; " if path.is_file() else ""
    return DataError(
        f"the fit diverged: {what}", where=path.parent, hint=f"{kept}use a smaller learning_rate in the recipe's fit"
    )


def _restore_checkpoint(
    learner: Learner, path: Path, identity: Mapping[str, Any]
) -> tuple[int, list[dict[str, float]]]:
    """The number of steps done and their history; nothing of both without a checkpoint."""
    if not path.is_file():
        return 0, []
    found = checkpoints.read(path, identity)
    learner.restore(found.tensors)
    return int(found.facts["step"]), list(found.facts["history"])


def _write_checkpoint(
    learner: Learner, path: Path, identity: Mapping[str, Any], step: int, history: Sequence[Mapping[str, float]]
) -> None:
    """Write a checkpoint, unless the last step made weights that are not finite: then the one before stays."""
    tensors = learner.state()
    broken = [name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise _diverged(f"after step {step} the weights {broken[0]} are not finite", path)
    checkpoints.write(path, Checkpoint(tensors, {"step": step, "history": list(history)}), identity)


def _locked(folder: Path) -> AbstractContextManager[Any]:
    """The folder of a model, created and locked: one writer at a time."""
    try:
        with making(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OutputError as error:
        hint = "fix that, or work on a copy of the data set"
        raise OutputError(error.what, where=folder, hint=hint) from error
    return lock.locked(folder, "fit")


def _clear(folder: Path) -> None:
    """Remove all of a model but the lock that is held on it."""
    (folder / model_store.CARD).unlink(missing_ok=True)  # first: without it nothing takes the rest for a finished model
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in LOCK_FILES:
            path.unlink()


def _finish(plan: FitPlan, learner: Learner, runtime: Runtime, history: Sequence[Mapping[str, float]]) -> None:
    """Write everything that makes a finished model; card.json comes last."""
    from carpet_data.learned import copies

    folder, dataset = plan.folder, plan.dataset
    remove_partials(folder)  # of an earlier process that was killed
    _save_weights(learner, folder / model_store.WEIGHTS)
    samples = learner.samples(_COPY_SAMPLES, runtime.rng("memorisation"))
    found = copies.measure(plan.data, samples, device=runtime.device)
    fitted = Fitted(
        folder=folder,
        recipe=plan.recipe.name,
        method=plan.recipe.method,
        version=plan.recipe.envelope.version,
        fit=plan.identity["fit"],
        data=plan.identity["data"],
        weights_sha256=model_store.weights_hash(folder / model_store.WEIGHTS),
        parameters=plan.parameters.model_dump(mode="json"),
        dataset={"name": dataset.name, "license": dataset.license, "fingerprint": dataset.fingerprint(plan.split)},
        split=plan.split,
        classes=plan.data.classes,
        donors=plan.donors,
        samples=model_store.digests(dataset, plan.split),
        read=plan.data.read,
        seed=runtime.seed,
        steps=learner.steps,
        batch_size=learner.batch_size,
        losses=_final_losses(history),
        seconds=history[-1]["seconds"] if history else 0.0,
        device=runtime.device_name,
        precision=runtime.precision,
        processes=int(runtime.accelerator.num_processes),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions=model_card.versions(),
        memorisation=found.to_json(),
        notes=plan.notes,
    )
    write_bytes(folder / model_store.HISTORY, (json.dumps(list(history), allow_nan=False, indent=1) + "\n").encode())
    model_card.write(fitted, found.text(), history)
    model_store.write(fitted)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _save_weights(learner: Learner, folder: Path) -> None:
    """The weights, which appear whole or not at all."""
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


def _final_losses(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over the last steps."""
    if not history:
        return {}
    last = history[-1]["step"]
    rows = [row for row in history if row["step"] > (1 - _FINAL_SHARE) * last]
    names = [name for name in rows[-1] if name not in ("step", "seconds")]
    return {name: sum(row[name] for row in rows if name in row) / sum(name in row for row in rows) for name in names}
