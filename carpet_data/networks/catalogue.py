"""Which networks there are, and what each expects of its input."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import nn

from carpet_data.errors import MissingExtraError, UsageError

__all__ = ["LITE", "Input", "architectures", "check", "input_of", "make", "torchvision_models"]

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""EfficientNet-Lite (the EfficientNets of Tan & Le 2019 without squeeze-and-excitation and swish): built by timm."""

Triple = tuple[float, float, float]
_IMAGENET: tuple[Triple, Triple] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_SMALLEST = {"swin": 32, "vit": 224, "maxvit": 224, "inception": 75, "densenet": 32}
"""Where torchvision says nothing, or says the size it was evaluated at instead of the smallest that works."""
_FIXED = ("vit", "maxvit")
"""Their position tables belong to one size of image."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a network expects.

    Attributes:
        mean: Of each channel, of values in [0, 1].
        std: Likewise.
        smallest: Pixels; smaller images leave nothing of the last feature map.
        fixed: Whether it takes images of just this size.
    """

    mean: Triple
    std: Triple
    smallest: int
    fixed: bool


def torchvision_models() -> Any:
    """The module `torchvision.models`; by name, because it comes without types."""
    return importlib.import_module("torchvision.models")


@lru_cache(maxsize=1)
def architectures() -> tuple[str, ...]:
    """The names of all networks, sorted: every classifier of torchvision, and EfficientNet-Lite 0 to 2."""
    models = torchvision_models()
    return tuple(sorted((*models.list_models(module=models), *LITE)))


def check(architecture: str) -> None:
    """Refuse an unknown architecture.

    Raises:
        UsageError: There is no such network; the nearest names are offered.
    """
    known = architectures()
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "use a classifier of torchvision, such as resnet18"
        raise UsageError(f"no architecture is called {architecture!r}", hint=hint)


def make(architecture: str) -> nn.Module:
    """A whole classifier of 1000 classes with random weights, drawn from torch's generator in force.

    Raises:
        UsageError: There is no such network.
        MissingExtraError: It is built by timm, which is not installed.
    """
    check(architecture)
    network: nn.Module
    if architecture in LITE:
        if importlib.util.find_spec("timm") is None:
            raise MissingExtraError.of("timm", "train", f"the network {architecture}")
        network = importlib.import_module("timm").create_model(f"tf_{architecture}", pretrained=False)
        return network
    extra = {}
    if architecture in ("googlenet", "inception_v3"):
        # No second heads, which only help training from nothing; and their published weights were trained on inputs in
        # [-1, 1], into which the network turns ours.
        extra = {"aux_logits": False, "init_weights": True, "transform_input": True}
    network = torchvision_models().get_model(architecture, weights=None, **extra)
    return network


def input_of(architecture: str, weights: str = "none") -> Input:
    """What a network with these weights expects of its input.

    Args:
        architecture: Its name.
        weights: The name of torchvision's weights; any other name stands for the usual ones of the architecture.
    """
    family = architecture.split("_")[0].rstrip("0123456789")
    if architecture in LITE:
        # (x - 127) / 128 of 0 … 255, as the networks were trained.
        return Input((127 / 255,) * 3, (128 / 255,) * 3, 32, fixed=False)
    entries = torchvision_models().get_model_weights(architecture).__members__
    entry = entries.get(weights) or next(iter(entries.values()))
    preset = entry.transforms()
    mean, std = tuple(float(v) for v in preset.mean), tuple(float(v) for v in preset.std)
    smallest = _SMALLEST.get(family) or max(*entry.meta["min_size"], 32)
    return Input(mean, std, smallest, fixed=family in _FIXED)  # type: ignore[arg-type]
