"""The folder of a fine-tuned model: weights.safetensors and model.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from carpet_data.errors import WeightsError
from carpet_data.networks import model_folder, state_dicts
from carpet_data.networks.model_folder import MODEL_JSON, MODEL_WEIGHTS
from carpet_data.version import __version__

__all__ = ["describe", "restore", "save"]

_AGAIN = "train the model again"
_NEEDED = {"model": str, "architecture": str, "classes": list, "crop": int}


def save(module: nn.Module, folder: Path, kind: str, description: Mapping[str, Any]) -> None:
    """Write a model; each file appears whole, a model in the folder is replaced.

    Args:
        module: All of its numbers are written.
        folder: `model` of a run.
        kind: Under which `load_predictor` finds its loader.
        description: What is needed to build it again: model, architecture, classes, size and crop.
    """
    known = {"schema": 1, "version": __version__, "kind": kind, **description}
    model_folder.write_files(module.state_dict(), known, folder)


def describe(folder: Path) -> dict[str, Any]:
    """The contents of model.json.

    Raises:
        WeightsError: It cannot be read, or lacks something.
    """
    path = folder / MODEL_JSON
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"it cannot be read ({error})", where=path, hint=_AGAIN) from error
    whole = isinstance(values, dict)
    wrong = [key for key, kind in _NEEDED.items() if not whole or not isinstance(values.get(key), kind)]
    if wrong:
        raise WeightsError(f"missing or invalid: {', '.join(wrong)}", where=path, hint=_AGAIN)
    return dict(values)


def restore(module: nn.Module, folder: Path) -> None:
    """Load the weights beside model.json into a module of the same shape.

    Raises:
        WeightsError: They are missing, damaged, or do not fit.
    """
    path = folder / MODEL_WEIGHTS
    if not path.is_file():
        raise WeightsError(f"{MODEL_WEIGHTS} is missing", where=folder, hint=_AGAIN)
    model_folder.restore(module, state_dicts.read(path), "", path)
