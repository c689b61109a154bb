"""Networks by name: bodies without a head, and what each expects of its input."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from carpet_data.core.plugins import Registry
from carpet_data.errors import CarpetDataError, MissingExtraError, UsageError, nearest

__all__ = ["LITE", "NETWORKS", "TIMM", "Body", "Input", "architectures", "check", "make", "torchvision_models"]

NETWORKS = Registry("network", "carpet_data.networks", {})
"""Networks of other packages.

An entry point of the group names a callable without arguments that builds an nn.Module: (n, 3, h, w) -> (n, d) or
(n, d, 1, 1) features. Its attribute `carpet_data` is an `Input`. It may load weights of its own.
"""

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""EfficientNet-Lite (the EfficientNets of Tan & Le 2019 without squeeze-and-excitation and swish): built by timm."""
TIMM = "timm:"
"""`timm:NAME` is any convolutional network of timm."""

Triple = tuple[float, float, float]

_HEADS = ("fc", "classifier", "heads", "head")
_SMALLEST = {"swin": 32, "vit": 224, "maxvit": 224, "inception": 75, "densenet": 32}
"""Where torchvision says nothing, or says the size it was evaluated at instead of the smallest that works."""
_FIXED = ("vit", "maxvit")
"""Their position tables belong to one size of image."""
_MAPS = ("layer4", "trunk_output", "conv5", "inception5b", "Mixed_7c", "permute", "bn2", "blocks", "features", "layers")
"""Where the last spatial map comes out, tried in this order; each family of networks has one of them."""


@dataclass(frozen=True, slots=True)
class Input:
    """What a network expects of its images, and where its last feature map comes out.

    Attributes:
        mean: Mean of each channel, of values in [0, 1].
        std: Standard deviation of each channel, likewise.
        smallest: Smallest side in pixels; smaller images leave nothing of the last feature map.
        fixed: Whether the network takes images of exactly this size.
        last_map: Name of the submodule whose output is the last feature map (n, c, h, w); None to look for it under the
            names that torchvision and timm use.
    """

    mean: Triple
    std: Triple
    smallest: int = 32
    fixed: bool = False
    last_map: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A network without its head.

    Attributes:
        module: (n, 3, h, w) -> (n, size) features.
        size: Number of features of an image.
        head: Name that the head had in the whole classifier; empty where it had none.
    """

    module: nn.Module
    size: int
    head: str
    expected: Input


def torchvision_models() -> Any:
    """The module `torchvision.models`; by name, because it comes without types."""
    return importlib.import_module("torchvision.models")


@lru_cache(maxsize=1)
def architectures() -> tuple[str, ...]:
    """The names of all networks, sorted: torchvision's classifiers, EfficientNet-Lite 0 to 2, and plug-ins.

    Any convolutional network of timm can be named too, as `timm:NAME`.
    """
    models = torchvision_models()
    return tuple(sorted({*models.list_models(module=models), *LITE, *NETWORKS.names()}))


def check(architecture: str) -> None:
    """Refuse an unknown network.

    Raises:
        UsageError: The name is unknown; the nearest ones are offered.
        MissingExtraError: timm is needed and not installed.
    """
    known = architectures()
    if architecture in known:
        return
    if architecture.startswith(TIMM):
        known = tuple(TIMM + name for name in _timm(architecture).list_models())
        if architecture in known:
            return
    hint = nearest(architecture, known).strip() or "use a classifier of torchvision, such as resnet18"
    raise UsageError(f"unknown network {architecture!r}", hint=hint)


def make(architecture: str, weights: str = "none") -> Body:
    """A body with random weights, drawn from torch's generator in force.

    `weights` is a name of torchvision's weights, which decide the input; any other name stands for the usual ones.

    Raises:
        UsageError: The name is unknown, or the network has no feature map.
        MissingExtraError: The network is built by timm, which is not installed.
        CarpetDataError: The package that brings it fails.
    """
    check(architecture)
    if architecture.startswith(TIMM):
        return _of_timm(architecture)
    if architecture in NETWORKS.names():
        return _of_plugin(architecture)
    if architecture in LITE:
        classifier: nn.Module = _timm(architecture).create_model(f"tf_{architecture}", pretrained=False)
        # (x - 127) / 128 of 0 … 255, as the networks were trained.
        return _split(classifier, Input((127 / 255,) * 3, (128 / 255,) * 3))
    extra = {}
    if architecture in ("googlenet", "inception_v3"):
        # Without the second heads, which only help training from nothing. Their published weights were trained on
        # inputs in [-1, 1], into which the network turns ours.
        extra = {"aux_logits": False, "init_weights": True, "transform_input": True}
    return _split(
        torchvision_models().get_model(architecture, weights=None, **extra), _of_torchvision(architecture, weights)
    )


def last_map(module: nn.Module, expected: Input) -> nn.Module | None:
    """The module whose output is the last feature map (n, c, h, w); None for a vision transformer, which has tokens."""
    if expected.last_map is not None:
        return module.get_submodule(expected.last_map)
    for name in _MAPS:
        found = getattr(module, name, None)
        if isinstance(found, nn.ModuleList):
            # Its members are called one by one, the list itself never.
            return found[-1]
        if isinstance(found, nn.Module):
            return found
    return None


def shapes(module: nn.Module, expected: Input) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of the features and of the last feature map of one image, found by passing zeros."""
    watched = last_map(module, expected)
    maps: list[tuple[int, ...]] = []
    training = module.training
    module.eval()
    hook = None if watched is None else watched.register_forward_hook(lambda _, __, out: maps.append(tuple(out.shape)))
    side = expected.smallest if expected.fixed else max(expected.smallest, 64)
    try:
        with torch.inference_mode():
            features = tuple(module(torch.zeros(1, 3, side, side)).flatten(1).shape)
    finally:
        module.train(training)
        if hook is not None:
            hook.remove()
    return features, maps[-1] if maps else ()


def _split(classifier: nn.Module, expected: Input) -> Body:
    """Take the head off a classifier of torchvision or timm, in place.

    The head is its last linear layer; what stands before it in the classifier (hidden layers, normalization, dropout)
    stays in the body. SqueezeNet's head is a convolution; its features are then the mean of its last map.
    """
    last = ""
    for name, module in classifier.named_modules():
        if isinstance(module, nn.Linear) and name.split(".")[0] in _HEADS:
            last = name
    if not last:
        number, convolution = next(
            (number, m)
            for number, m in classifier.get_submodule("classifier").named_children()
            if isinstance(m, nn.Conv2d)
        )
        classifier.add_module("classifier", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1)))
        return Body(classifier, int(convolution.in_channels), f"classifier.{number}", expected)
    parent, _, child = last.rpartition(".")
    size = classifier.get_submodule(last).in_features
    classifier.get_submodule(parent).register_module(child, nn.Identity())
    assert isinstance(size, int)
    return Body(classifier, size, last, expected)


def _of_torchvision(architecture: str, weights: str) -> Input:
    family = architecture.split("_")[0].rstrip("0123456789")
    entries = torchvision_models().get_model_weights(architecture).__members__
    entry = entries.get(weights) or next(iter(entries.values()))
    preset = entry.transforms()
    mean, std = tuple(float(v) for v in preset.mean), tuple(float(v) for v in preset.std)
    smallest = _SMALLEST.get(family) or max(*entry.meta["min_size"], 32)
    return Input(mean, std, smallest, fixed=family in _FIXED)  # type: ignore[arg-type]


def _timm(architecture: str) -> Any:
    if importlib.util.find_spec("timm") is None:
        raise MissingExtraError.of("timm", "train", f"the network {architecture}")
    return importlib.import_module("timm")


def _of_timm(architecture: str) -> Body:
    # Its own way to leave the head off; the names of what is left are those of the published files.
    module: nn.Module = _timm(architecture).create_model(
        architecture.removeprefix(TIMM), pretrained=False, num_classes=0
    )
    facts: Any = module.pretrained_cfg
    fixed = bool(facts.get("fixed_input_size"))
    expected = Input(facts["mean"], facts["std"], int(facts["input_size"][-1]) if fixed else 64, fixed=fixed)
    features, found = shapes(module, expected)
    if len(found) != 4:
        raise UsageError(
            f"{architecture} has no feature map, which heat maps need", hint="use a convolutional network of timm"
        )
    return Body(module, features[1], str(facts.get("classifier") or ""), expected)


def _of_plugin(architecture: str) -> Body:
    module = NETWORKS.load(architecture)()
    expected = getattr(module, "carpet_data", None)
    if not isinstance(module, nn.Module) or not isinstance(expected, Input):
        raise CarpetDataError(
            f"the network {architecture} has no input description",
            where=NETWORKS.target(architecture),
            hint="return an nn.Module whose attribute `carpet_data` is a carpet_data.networks.Input",
        )
    features, _ = shapes(module, expected)
    return Body(module, features[1], "", expected)
