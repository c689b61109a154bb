"""Checkpoints: one safetensors file with its facts as JSON in the header, so that both are replaced at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from carpet_data.errors import DataError
from carpet_data.store.files import write_bytes

__all__ = ["FILE", "Checkpoint", "Keeper", "optimizer_tensors", "read", "restore_optimizer", "write"]

FILE = "checkpoint.safetensors"
SCHEMA = 1
_KEY = "carpet_data"
_AGAIN = "remove it to train from the start"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training at the end of an epoch.

    Attributes:
        tensors: Weights, optimizer state and the best epoch's weights, by name.
        facts: JSON values: how far it was, and the history.
    """

    tensors: Mapping[str, torch.Tensor]
    facts: Mapping[str, Any]


def write(path: Path, checkpoint: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Write a checkpoint; it appears whole or not at all.

    `identity` (JSON values) is what a training must share with it to resume from it.
    """
    header = {"schema": SCHEMA, "identity": dict(identity), "facts": dict(checkpoint.facts)}
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    write_bytes(path, to_bytes(tensors, metadata={_KEY: json.dumps(header, ensure_ascii=False)}))


def read(path: Path, identity: Mapping[str, Any]) -> Checkpoint:
    """Read a checkpoint back.

    Args:
        path: The file.
        identity: Of the training that is to resume.

    Raises:
        DataError: It is damaged, or of another training; what differs is named.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        schema, other, facts = header["schema"], dict(header["identity"]), header["facts"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the checkpoint cannot be read ({error})", where=path, hint=_AGAIN) from error
    if schema != SCHEMA:
        raise DataError(f"the checkpoint is of schema {schema}, this program knows {SCHEMA}", where=path, hint=_AGAIN)
    if other != dict(identity):
        raise DataError(
            f"the checkpoint is of another training: {_difference(other, identity)}",
            where=path,
            hint="give the settings and the data that it started with, or start over with --overwrite",
        )
    return Checkpoint(tensors, facts)


def _difference(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """The first setting in which two unequal mappings differ; one that is there and None is not one that is missing."""
    key = next(
        key
        for key in sorted({*theirs, *mine})
        if (key in theirs) != (key in mine) or (key in theirs and theirs[key] != mine[key])
    )
    name = key.replace("_", " ")
    if key not in theirs:
        return f"it has no {name}, now asked for {_shown(mine[key])}"
    if key not in mine:
        return f"its {name} is {_shown(theirs[key])}, now it is not asked for"
    if isinstance(theirs[key], Mapping) and isinstance(mine[key], Mapping):
        return _difference(theirs[key], mine[key])
    return f"its {name} is {_shown(theirs[key])}, now asked for {_shown(mine[key])}"


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) < 60 else "other ones"


@dataclass(slots=True)
class Keeper:
    """Keeps the checkpoint of one training on disk.

    Attributes:
        path: The file; None keeps nothing.
        identity: See `write`.
        every_s: Minimum seconds between two writes: an epoch of a head takes less than a write does.
    """

    path: Path | None
    identity: Mapping[str, Any]
    every_s: float = 0.0
    _latest: Checkpoint | None = field(default=None, init=False)
    _written: float = field(default_factory=time.monotonic, init=False)

    def found(self, resume: bool) -> Checkpoint | None:
        """The checkpoint to resume from; None where there is none, or it is not wanted."""
        if self.path is None or not resume or not self.path.is_file():
            return None
        return read(self.path, self.identity)

    def keep(self, make: Callable[[], Checkpoint]) -> None:
        """Take in the end of an epoch; `make` must copy what training changes later.

        Written at once, or when `every_s` has passed; `flush` writes what is still held.
        """
        if self.path is None:
            return
        self._latest = make()
        if time.monotonic() - self._written >= self.every_s:
            self.flush()

    def flush(self) -> None:
        """Write what was kept last."""
        if self.path is not None and self._latest is not None:
            write(self.path, self._latest, self.identity)
            self._latest, self._written = None, time.monotonic()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The state of an optimizer as named tensors, copied."""
    return {
        f"optimizer.{number}.{name}": value.detach().clone()
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put the state back that `optimizer_tensors` took; learning rates and the like stay as they are."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
