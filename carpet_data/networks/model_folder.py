"""The folder of a trained model: weights.safetensors and model.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from carpet_data.errors import WeightsError

__all__ = ["MODEL_JSON", "MODEL_WEIGHTS", "describe", "find", "restore"]

MODEL_JSON, MODEL_WEIGHTS = "model.json", "weights.safetensors"
_NEEDED = {"architecture": str, "classes": list, "pooling": str, "mean": list, "std": list}


def find(path: str | Path) -> Path | None:
    """The model folder that a path means: itself, or `model` in a run folder; None where there is none."""
    return next((folder for folder in (Path(path), Path(path) / "model") if (folder / MODEL_JSON).is_file()), None)


def describe(folder: Path) -> dict[str, Any]:
    """What model.json says.

    Raises:
        WeightsError: It cannot be read, or lacks something.
    """
    path = folder / MODEL_JSON
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"it cannot be read ({error})", where=path, hint="train the model again") from error
    wrong = [
        key for key, kind in _NEEDED.items() if not isinstance(values, dict) or not isinstance(values.get(key), kind)
    ]
    if wrong:
        raise WeightsError(f"it does not say {', '.join(wrong)}", where=path, hint="train the model again")
    return dict(values)


def restore(module: nn.Module, state: dict[str, torch.Tensor], prefix: str, path: Path) -> None:
    """Copy the tensors under a prefix into a module; every one must be there, with its shape.

    Raises:
        WeightsError: They are not.
    """
    own = module.state_dict()
    given = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    wrong = sorted({*own} ^ {*given}) or sorted(key for key in own if own[key].shape != given[key].shape)
    if wrong:
        raise WeightsError(
            f"it does not fit the model beside it: {len(wrong)} tensors differ, such as {prefix}{wrong[0]}",
            where=path,
            hint="train the model again",
        )
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(given[key])
