"""What of each kind of model goes into an ONNX file: a module from images to predictions, and its outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carpet_data.dataset import GOOD
from carpet_data.errors import UsageError
from carpet_data.networks import Network
from carpet_data.prediction.onnx_dense import DenseGraph
from carpet_data.prediction.onnx_resize import Normalize, Resize
from carpet_data.training.classifier import Classifier
from carpet_data.training.contract import ImagePrediction, Predictor
from carpet_data.training.dense.model import DenseModel

__all__ = ["Parts", "parts_of"]


@dataclass(frozen=True, slots=True)
class Parts:
    """A model taken apart for export.

    Attributes:
        module: uint8 (n, h, w, 3) RGB -> one tensor for each output.
        outputs: Their names.
        metadata: What else the file tells, as text.
        expected: The outputs for one image, from its prediction: what the file must give.
        size: Height and width of the images; None for any.
    """

    module: nn.Module
    outputs: tuple[str, ...]
    metadata: dict[str, str]
    expected: Callable[[ImagePrediction], dict[str, NDArray[Any]]]
    size: tuple[int, int] | None = None


def parts_of(model: Predictor, size: tuple[int, int] | None) -> Parts:
    """Take a model apart; the size is the height and width of its images, None for any.

    Raises:
        UsageError: Models of its kind cannot be exported, or not for any size, or not for this one.
    """
    if isinstance(model, Classifier):
        if size is not None:
            raise UsageError("a classifier takes images of any size", hint="leave --height and --width out")
        return _classifier(model)
    if isinstance(model, DenseModel):
        return _dense(model, size)
    kind = type(model).__name__
    raise UsageError(
        f"a model of the type {kind} ({model.task}) cannot be exported to ONNX",
        hint="export a classifier or a dense model, or use carpet-data predict",
    )


class _ClassifierGraph(nn.Module):
    def __init__(self, network: Network, size: int, good: int | None) -> None:
        super().__init__()
        self.resize = Resize(size, size)
        self.normalize = Normalize(network.mean, network.std)
        self.network = network
        self.good = good

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.network(self.normalize(self.resize(images)))
        probabilities = torch.softmax(logits, dim=1)
        good = torch.zeros_like(probabilities[:, 0]) if self.good is None else probabilities[:, self.good]
        return probabilities, 1 - good


def _classifier(model: Classifier) -> Parts:
    good = model.classes.index(GOOD) if GOOD in model.classes else None
    model.network.to("cpu")
    return Parts(
        module=_ClassifierGraph(model.network, model.size, good).eval(),
        outputs=("probabilities", "anomaly"),
        metadata={"size": str(model.size), "network": model.network.architecture},
        expected=lambda found: {
            "probabilities": np.array(list((found.probabilities or {}).values()), np.float32),
            "anomaly": np.float32(found.anomaly),
        },
    )


def _dense(model: DenseModel, size: tuple[int, int] | None) -> Parts:
    if model.head.cells is None:
        raise UsageError("this dense model was trained without masks", hint="export a classifier instead")
    if size is None:
        hint = "give the size of your images: --height 1024 --width 1024"
        raise UsageError("a dense model is exported for images of one size", hint=hint)
    # What the file computes in; a CPU with bfloat16 units would round more coarsely.
    model.maps.precision = "float32"
    return Parts(
        module=DenseGraph(model, *size).eval(),
        outputs=("probabilities", "anomaly", "heat"),
        metadata={
            "size": f"{size[0]}x{size[1]}",
            "network": model.network.architecture,
            "heat": "a pixel of 0.5 or more is defect",
        },
        expected=lambda found: {
            "probabilities": np.array(list((found.probabilities or {}).values()), np.float32),
            "anomaly": np.float32(found.anomaly),
            "heat": np.asarray(found.heat),
        },
        size=size,
    )
