"""Save a trained network with all that is needed to use it, and load it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_bytes

from carpet_data.errors import WeightsError
from carpet_data.networks import model_folder
from carpet_data.networks.model_folder import MODEL_JSON, MODEL_WEIGHTS
from carpet_data.networks.network import Network, build
from carpet_data.networks.weights import find_weights
from carpet_data.store.files import write_bytes
from carpet_data.version import __version__

__all__ = ["load_model", "save_model"]


def save_model(
    network: Network, folder: Path, classes: Sequence[str], *, extra: Mapping[str, Any] | None = None
) -> None:
    """Write `weights.safetensors` and `model.json`; each appears whole.

    Args:
        network: To save, body and head.
        folder: Made where it is not there; a model in it is replaced.
        classes: The names of the head's outputs, in order.
        extra: More for model.json, such as the size of the images.
    """
    assert len(classes) == network.head.out_features, "a name for every output"
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
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
    # The weights first: a folder counts as a model once it has its description.
    (folder / MODEL_JSON).unlink(missing_ok=True)
    write_bytes(folder / MODEL_WEIGHTS, to_bytes(state))
    write_bytes(folder / MODEL_JSON, (json.dumps(description, ensure_ascii=False, indent=2) + "\n").encode())


def load_model(path: Path) -> tuple[Network, dict[str, Any]]:
    """Load what `save_model` wrote.

    Args:
        path: The model folder, or the run folder above it.

    Returns:
        The network on the CPU in eval mode, and what model.json says (`classes` among it).

    Raises:
        WeightsError: There is no model, or it is damaged.
    """
    folder = model_folder.find(path)
    if folder is None:
        raise WeightsError(
            f"there is no model ({MODEL_JSON}) here", where=path, hint="name a folder that `train` wrote"
        )
    said = model_folder.describe(folder)
    weights = find_weights(said["architecture"], str(folder))
    classes = [str(name) for name in said["classes"]]
    network = build(
        said["architecture"], weights, classes=len(classes), seed=0, pooling=said["pooling"], class_names=classes
    )
    network.eval()
    return network, said
