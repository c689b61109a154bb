"""The folder of a trained model: weights.safetensors, and model.json with all that is needed to use it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as to_bytes
from torch import nn

from carpet_data.errors import WeightsError
from carpet_data.store.files import write_bytes
from carpet_data.version import __version__

if TYPE_CHECKING:
    from carpet_data.networks.network import Network

__all__ = [
    "CLASSIFIER",
    "MODEL_JSON",
    "MODEL_WEIGHTS",
    "describe",
    "find",
    "restore",
    "save_model",
    "write_files",
    "write_model",
]

MODEL_JSON, MODEL_WEIGHTS = "model.json", "weights.safetensors"
CLASSIFIER = "classifier"
"""The kind of model whose head is linear on the features of the body; the usual one where model.json names none."""
_NEEDED = {"architecture": str, "classes": list, "pooling": str, "mean": list, "std": list}
_AGAIN = "train the model again"


def find(path: str | os.PathLike[str]) -> Path | None:
    """The model folder that a path means: itself, or `model` in a run folder; None where there is none."""
    return next((folder for folder in (Path(path), Path(path) / "model") if (folder / MODEL_JSON).is_file()), None)


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
    wrong = [
        key for key, kind in _NEEDED.items() if not isinstance(values, dict) or not isinstance(values.get(key), kind)
    ]
    if wrong:
        raise WeightsError(f"missing or invalid: {', '.join(wrong)}", where=path, hint=_AGAIN)
    return dict(values)


def restore(module: nn.Module, state: Mapping[str, torch.Tensor], prefix: str, path: Path) -> None:
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
            hint=_AGAIN,
        )
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(given[key])


def save_model(
    network: Network, folder: Path, classes: Sequence[str], *, extra: Mapping[str, Any] | None = None
) -> None:
    """Write the body, the head and their description; each file appears whole, a model in the folder is replaced.

    The classes are in the order of the head's outputs; `extra` is more for model.json, such as the size of the images.
    """
    assert len(classes) == network.head.out_features, "a name for every output"
    write_model(network, network.state_dict(), folder, classes, extra=extra)


def write_model(
    network: Network,
    state: Mapping[str, torch.Tensor],
    folder: Path,
    classes: Sequence[str],
    *,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model made of other tensors than those of a classifier: those of the body as `body.NAME`, and its own.

    The rest is as for `save_model`.
    """
    description = {
        **(extra or {}),
        "schema": 1,
        "version": __version__,
        "architecture": network.architecture,
        "classes": list(classes),
        "pooling": network.pooling,
        "mean": list(network.mean),
        "std": list(network.std),
        "weights": network.weights.to_json(),
    }
    write_files(state, description, folder)


def write_files(state: Mapping[str, torch.Tensor], description: Mapping[str, Any], folder: Path) -> None:
    """Write the two files of a model; model.json also gets the hash of the weights, by which damage is noticed."""
    weights = to_bytes({key: value.detach().cpu().contiguous() for key, value in state.items()})
    known = {**description, "weights_sha256": hashlib.sha256(weights).hexdigest()}
    # The weights first: a folder counts as a model once it has its description.
    (folder / MODEL_JSON).unlink(missing_ok=True)
    write_bytes(folder / MODEL_WEIGHTS, weights)
    write_bytes(folder / MODEL_JSON, (json.dumps(known, ensure_ascii=False, indent=2) + "\n").encode())
