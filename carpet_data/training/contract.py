"""What every trained model says of an image, whatever its task: the interface of `Predictor`. No torch here.

A model folder (`model/` of a run) holds model.json, whose "kind" names the loader in `MODELS`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from carpet_data.core.plugins import Registry
from carpet_data.errors import WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MODELS", "Detection", "ImagePrediction", "Predictor", "Task", "load_predictor"]

Task: TypeAlias = Literal["classify", "dense", "segment", "detect", "anomaly"]
_AGAIN = "train the model again"

MODELS = Registry(
    "model",
    "carpet_data.models",
    {
        "classifier": ("carpet_data.training.classifier:load_classifier", "classes of whole images"),
        "patchcore": ("carpet_data.training.anomaly.model:load_anomaly", "cells of good images, by nearest neighbors"),
        "subspace": ("carpet_data.training.anomaly.model:load_anomaly", "cells of good images, by PCA"),
        "padim": ("carpet_data.training.anomaly.model:load_anomaly", "cells of good images, by Gaussians"),
        "autoencoder": ("carpet_data.training.anomaly.model:load_anomaly", "good images, by rebuilding them"),
        "synthetic": ("carpet_data.training.anomaly.synthetic:load_synthetic", "the dense head on synthetic defects"),
        "dense": ("carpet_data.training.dense.model:load_dense", "a head on feature maps, for every task"),
        "segment": ("carpet_data.training.segment.model:load", "a fine-tuned network for the class of each pixel"),
        "detect": ("carpet_data.training.detect.model:load", "a fine-tuned detector"),
    },
)
"""Kind of model -> its loader, a callable (folder: Path, device: str) -> Predictor."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One defect that a model found.

    Attributes:
        class_name: Its type; "defect" where the model knows no types.
        score: In [0, 1].
        bbox: x, y, width, height in pixels of the image; half-open.
        mask: bool (height, width) of the box: its pixels; None where the model finds boxes only.
    """

    class_name: str
    score: float
    bbox: tuple[int, int, int, int]
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ImagePrediction:
    """What a model says of one image of h rows and w columns.

    Attributes:
        class_name: The class of the image; `good`, a defect type, or "defect" where the model knows no types.
        probabilities: class -> probability, in the order of the model's classes, summing to 1; None where the model
            gives none.
        anomaly: How sure the model is that the image shows a defect, of whatever type: higher is surer, in [0, 1].
        heat: float32 (h, w): the same of each pixel; None for a model that says nothing of pixels.
        labels: uint8 (h, w): the class of each pixel, an index into the model's classes; 0 is no defect. None as above.
        detections: The defects found, the surest first; empty for a model that finds none by themselves.
    """

    class_name: str
    probabilities: Mapping[str, float] | None
    anomaly: float
    heat: NDArray[np.float32] | None = None
    labels: NDArray[np.uint8] | None = None
    detections: tuple[Detection, ...] = ()


class Predictor(Protocol):
    """A trained model."""

    @property
    def task(self) -> Task:
        """What it was trained for; "dense" serves every task."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes, `good` first; ("good", "defect") where it knows no types."""
        ...

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[ImagePrediction]:
        """Predictions of images, each uint8 HxWx3 RGB or HxW gray, of any size and each of its own.

        Raises:
            DeviceMemoryError: They do not fit into memory.
        """
        ...


def load_predictor(path: str | os.PathLike[str], *, device: str = "auto") -> Predictor:
    """Load a trained model of any task: from its model folder, or the run folder above it.

    Raises:
        WeightsError: There is no model, or it is damaged.
        UsageError: The device is unknown.
        MissingExtraError: The model needs a package that is not installed.
    """
    folder = next((each for each in (Path(path), Path(path) / "model") if (each / "model.json").is_file()), None)
    if folder is None:
        raise WeightsError("no model (model.json) found", where=Path(path), hint="name a folder that `train` wrote")
    known = _known(folder / "model.json")
    kind = str(known.get("kind", "classifier"))
    if kind not in MODELS.names():
        hint = f"known kinds: {', '.join(MODELS.names())}; install the package that made it, or train the model again"
        raise WeightsError(f"unknown kind of model {kind!r}", where=folder / "model.json", hint=hint)
    _check_weights(folder / "weights.safetensors", known.get("weights_sha256"))
    loaded: Predictor = MODELS.load(kind)(folder, device)
    return loaded


def _known(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"it cannot be read ({error})", where=path, hint=_AGAIN) from error
    if not isinstance(values, dict):
        raise WeightsError("it does not describe a model: not a JSON object", where=path, hint=_AGAIN)
    return values


def _check_weights(path: Path, expected: object) -> None:
    """Refuse damaged weights: a few changed bits still load, and predict something else.

    Weights that are missing are for the loader to name, and a model of a plug-in may have none, or no hash of them.
    """
    from carpet_data.store.files import sha256  # brings what --help does without

    if expected is not None and path.is_file() and sha256(path) != expected:
        raise WeightsError(
            "the weights are damaged, or of another model: their hash is not the one in model.json",
            where=path,
            hint="copy the whole model folder again, or train the model again",
        )
