"""The dense model: backbone and head as a `Predictor`, and its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.text import reason
from carpet_data.dataset import GOOD
from carpet_data.errors import WeightsError
from carpet_data.networks import Network, devices, load_model, model_folder, state_dicts
from carpet_data.networks.feature_maps import FeatureMaps
from carpet_data.training.contract import ImagePrediction, Task
from carpet_data.training.dense.bank import Resolution, inner_layers, resized
from carpet_data.training.dense.calibration import Calibration
from carpet_data.training.dense.cells import moved
from carpet_data.training.dense.dense_head import DenseHead
from carpet_data.training.dense.head import CellHead, CellHeads
from carpet_data.training.dense.image_term import ImageTerm

__all__ = ["KIND", "DenseModel", "load_dense", "save_dense"]

U8 = NDArray[np.uint8]
KIND = "dense"
_PREFIX = "dense."
_AGAIN = "train the model again"
_TERM = ("bias", "weights", "mean", "deviation")
"""The arrays of an image term."""


class DenseModel:
    """A frozen backbone and a dense head.

    Attributes:
        network: The backbone, in eval mode.
        head: What was trained on its maps; `layers` are those that gave them, None for `inner_layers`.
        maps: What makes the maps.
    """

    task: Task = "dense"

    def __init__(
        self,
        network: Network,
        head: DenseHead,
        *,
        layers: Sequence[str] | None = None,
        device: str | torch.device = "auto",
    ) -> None:
        self.network = network
        self.head = head
        self.classes = head.classes
        found = devices.resolve(device) if isinstance(device, str) else device
        strides = head.resolution.strides
        layers = inner_layers(network, strides) if layers is None else layers
        self.maps = FeatureMaps(network, strides=strides, layers=layers, device=found)

    def predict(self, images: Sequence[U8]) -> list[ImagePrediction]:
        """See `Predictor.predict`.

        Raises:
            DataError: An image is empty, or of another shape or type.
            DeviceMemoryError: They do not fit into memory.
        """
        views = range(self.head.views)
        shown = [
            np.asarray(moved(resized(image, self.head.resolution.scale), view), np.uint8)
            for image in images
            for view in views
        ]
        maps = self.maps.of(shown)
        of_image = [maps[start : start + len(views)] for start in range(0, len(maps), len(views))]
        return [
            self.head.predict(each, image.shape[0], image.shape[1])
            for each, image in zip(of_image, images, strict=True)
        ]


def save_dense(network: Network, head: DenseHead, folder: Path, *, extra: Mapping[str, Any] | None = None) -> None:
    """Write a dense model; each file appears whole, a model in the folder is replaced.

    `extra` is more for model.json, such as the settings of the training.
    """
    state = {f"body.{name}": value for name, value in network.body.state_dict().items()}
    arrays: dict[str, torch.Tensor] = {"bias": torch.from_numpy(head.calibration.bias)}
    for name in _TERM:
        values = getattr(head.image, name)
        if values is not None:
            arrays[f"image.{name}"] = torch.from_numpy(np.asarray(values))
    heads = () if head.cells is None else head.cells.heads
    for place, each in enumerate(heads):
        for number, (weight, bias) in enumerate(each.layers):
            arrays |= {f"head{place}.layer{number}.weight": weight, f"head{place}.layer{number}.bias": bias}
    described = {
        **(extra or {}),
        "kind": KIND,
        "dense": {
            "scale": head.resolution.scale,
            "strides": list(head.resolution.strides),
            "layers": inner_layers(network, head.resolution.strides),
            "views": head.views,
            "depths": [len(each.layers) for each in heads],
            "smoothing": head.calibration.smoothing,
            "temperature": head.calibration.temperature,
            "threshold": head.calibration.threshold,
            "image": {name: getattr(head.image, name) for name in ("level", "types", "sums", "shift")},
            "notes": list(head.notes),
        },
    }
    state |= {f"{_PREFIX}{name}": value for name, value in arrays.items()}
    model_folder.write_model(network, state, folder, head.classes, extra=described)


def load_dense(folder: Path, device: str) -> DenseModel:
    """The dense model in a model folder: what `MODELS` calls.

    Raises:
        WeightsError: The model is damaged.
        UsageError: The device is unknown.
    """
    weights = folder / model_folder.MODEL_WEIGHTS
    if not weights.is_file():
        raise WeightsError("the weights of the model are missing", where=weights, hint=_AGAIN)
    network, known = load_model(folder)
    state = state_dicts.read(weights)
    try:
        head = _head(known, state)
        layers = None if known["dense"]["layers"] is None else [str(name) for name in known["dense"]["layers"]]
    except (KeyError, TypeError, ValueError) as error:
        where = folder / model_folder.MODEL_JSON
        raise WeightsError(f"the dense head cannot be read ({reason(error)})", where=where, hint=_AGAIN) from error
    model = DenseModel(network, head, layers=layers, device=device)
    expected = model.maps.channels
    if head.cells is not None and head.cells.channels != expected:
        raise WeightsError(
            f"the head takes {head.cells.channels} features, the network gives {expected}", where=weights, hint=_AGAIN
        )
    return model


def _head(known: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> DenseHead:
    said = known["dense"]
    arrays = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
    if not all(bool(torch.isfinite(value).all()) for value in arrays.values()):
        raise ValueError("a number of the head is not finite")
    classes = tuple(str(name) for name in known["classes"])
    heads = tuple(
        CellHead(
            tuple((arrays[f"head{place}.layer{n}.weight"], arrays[f"head{place}.layer{n}.bias"]) for n in range(depth))
        )
        for place, depth in enumerate(map(int, said["depths"]))
    )
    cells = CellHeads(heads) if heads else None
    bias = arrays["bias"].numpy()
    term = {name: arrays[f"image.{name}"].numpy() if f"image.{name}" in arrays else None for name in _TERM}
    image = ImageTerm(**{name: float(value) for name, value in said["image"].items()}, **term)  # type: ignore[arg-type]
    if classes[0] != GOOD or len(bias) != len(classes) or any(each.classes != len(classes) for each in heads):
        raise ValueError(f"a head of {len(bias)} classes for the classes {', '.join(classes)}")
    return DenseHead(
        classes,
        Resolution(float(said["scale"]), tuple(int(stride) for stride in said["strides"])),
        int(said["views"]),
        cells,
        Calibration(float(said["smoothing"]), float(said["temperature"]), bias, float(said["threshold"])),
        image,
        tuple(str(note) for note in said["notes"]),
    )
