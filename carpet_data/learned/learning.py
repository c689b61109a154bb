"""The loop of a fit: steps, checkpoints, pictures, the way back after a stop, and the stop when numbers go wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.errors import DataError
from carpet_data.learned.fit_runtime import Place
from carpet_data.networks import checkpoints, devices
from carpet_data.networks.checkpoints import Checkpoint

__all__ = ["Drawn", "Learner", "memory_guard", "run"]

_EVERY_S = 60.0
"""Seconds between two checkpoints: a kill costs no more."""
_CHECKED = 25
"""Steps between two looks at the losses: each look waits for the device."""
_SHEETS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""After these shares of the steps a sheet of samples is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One sample of a network, for sheets and for the look for copies.

    Attributes:
        class_name: Asked for.
        image: uint8 c x c x3.
        mask: float32 c x c, 0..1.
    """

    class_name: str
    image: NDArray[np.uint8]
    mask: NDArray[np.float32]


class Learner(Protocol):
    """What one method trains. Chance is a function of seed and step, so that a resumed fit goes on as if never stopped.

    Attributes:
        steps: In all, every stage together.
        batch_size: Crops a step, for messages.
    """

    steps: int
    batch_size: int

    def step(self, number: int) -> Mapping[str, torch.Tensor]:
        """One optimisation step.

        Args:
            number: From 0.

        Returns:
            Losses by name, scalars, detached and left on the device.
        """
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Weights, averaged weights and optimiser states: all that `step` changes, copied."""
        ...

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` took."""
        ...

    def samples(self, count: int, rng: np.random.Generator) -> Sequence[Drawn]:
        """So many samples of each class as the network makes them now, from its averaged weights."""
        ...

    def save(self, folder: Path) -> None:
        """Write what sampling needs, by `save_pretrained`, into a folder that is there."""
        ...


Draw: TypeAlias = Callable[[int, Sequence[Drawn]], Path]
"""Draws the samples of a step as a sheet and says where."""


@dataclass(slots=True)
class _Recent:
    """Losses on the device, looked at now and then."""

    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: Mapping[str, torch.Tensor]) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums[name] + value.float() if name in self.sums else value.float()
        self.count += 1

    def take(self) -> dict[str, float]:
        means = {name: float(value) / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def run(
    learner: Learner,
    place: Place,
    folder: Path,
    identity: Mapping[str, Any],
    *,
    draw: Draw | None = None,
    progress: Progress | None = None,
    every_s: float = _EVERY_S,
) -> list[dict[str, float]]:
    """Train until the last step; begun again in the same folder, it goes on from the last checkpoint.

    Args:
        learner: What is trained.
        place: Where.
        folder: Holds the checkpoint while the fit is under way.
        identity: What a checkpoint must share to be gone on from: recipe, data, seed (JSON values).
        draw: Called with samples at the stated shares of the way.
        progress: Told how far it is.
        every_s: Seconds between two checkpoints.

    Returns:
        Rows of step, seconds so far (those before an interruption included) and mean losses, for the curve.

    Raises:
        DataError: A loss or a weight is no number any more (the last good checkpoint stays), or the checkpoint found
            is damaged or of another fit.
        DeviceMemoryError: The memory of the device is full.
    """
    path = folder / checkpoints.FILE
    history: list[dict[str, float]] = []
    first = 0
    if path.is_file():
        found = checkpoints.read(path, identity)
        learner.restore(found.tensors)
        first, history = int(found.facts["step"]), list(found.facts["history"])
    before = history[-1]["seconds"] if history else 0.0
    sheets = sorted({max(1, round(share * learner.steps)) for share in _SHEETS})
    started = written = time.monotonic()
    recent = _Recent()
    with memory_guard(learner.batch_size, place.device), devices.deterministic(place.device):
        for number in range(first, learner.steps):
            recent.add(learner.step(number))
            done = number + 1
            looked = done % _CHECKED == 0 or done == learner.steps or done in sheets
            if not looked:
                continue
            losses = recent.take()
            _check(losses, done, path)
            history.append({"step": done, "seconds": before + time.monotonic() - started, **losses})
            sheet = None
            if place.is_main and draw is not None and done in sheets:
                sheet = draw(done, learner.samples(4, place.rng("sheet", done)))
            if place.is_main and (time.monotonic() - written >= every_s or done == learner.steps):
                _keep(learner, path, identity, done, history)
                written = time.monotonic()
            if progress is not None and place.is_main:
                files = () if sheet is None else (sheet,)
                progress(Step(done, learner.steps, "fitting", losses, files))
    return history


def memory_guard(batch_size: int, device: torch.device) -> AbstractContextManager[None]:
    """Turns "out of memory" into an error whose hint is a value of the recipe.

    Args:
        batch_size: Crops a step.
        device: Where.

    Raises:
        DeviceMemoryError: The memory of the device is full.
    """
    smaller = f"a smaller batch_size ({batch_size // 2})" if batch_size > 1 else "a smaller crop_px"
    hint = f"write {smaller} under fit in a recipe of your own that extends this one, and fit that"
    return devices.memory_guard(batch_size, device, hint=hint)


def _check(losses: Mapping[str, float], step: int, path: Path) -> None:
    wrong = [name for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        raise _diverged(f"the loss {wrong[0]} of step {step} is {losses[wrong[0]]}", path)


def _diverged(what: str, path: Path) -> DataError:
    kept = f"the checkpoint before it is kept in {path}; " if path.is_file() else ""
    return DataError(
        f"the fit diverged: {what}", where=path.parent, hint=f"{kept}use a smaller learning_rate in the recipe's fit"
    )


def _keep(
    learner: Learner, path: Path, identity: Mapping[str, Any], step: int, history: Sequence[Mapping[str, float]]
) -> None:
    """Write a checkpoint, unless the last step has made weights that are no numbers: then the one before stays."""
    tensors = learner.state()
    broken = [name for name, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise _diverged(f"after step {step} the weights {broken[0]} are no numbers", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write(path, Checkpoint(tensors, {"step": step, "history": list(history)}), identity)
