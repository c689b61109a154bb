"""A classifier taken apart: the body that makes features, and the places within it that have names."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

__all__ = ["last_map", "last_tokens", "split", "stages"]

_OPENED = ("features", "layers", "blocks", "encoder", "encoder.layers", "trunk_output", "classifier")
"""Containers whose children are stages; any other module below the top is one stage as a whole."""

_MAPS = ("layer4", "trunk_output", "conv5", "inception5b", "Mixed_7c", "permute", "bn2", "blocks", "features", "layers")
"""Where the last spatial map comes out, tried in this order; each family of networks has one of them."""


def split(classifier: nn.Module) -> tuple[nn.Module, int]:
    """Take the head off a classifier, in place.

    The head is its last linear layer; what stands before it in the classifier (hidden layers, normalisation, dropout)
    stays in the body. SqueezeNet's head is a convolution; its features are then the mean of its last map.

    Args:
        classifier: A classifier of torchvision or timm.

    Returns:
        The body, which gives (n, d) features, and d.
    """
    last = ""
    for name, module in classifier.named_modules():
        if isinstance(module, nn.Linear) and name.split(".")[0] in ("fc", "classifier", "heads", "head"):
            last = name
    if not last:
        convolution = next(m for m in classifier.get_submodule("classifier").children() if isinstance(m, nn.Conv2d))
        classifier.add_module("classifier", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1)))
        return classifier, int(convolution.in_channels)
    parent, _, child = last.rpartition(".")
    size = classifier.get_submodule(last).in_features
    classifier.get_submodule(parent).register_module(child, nn.Identity())
    assert isinstance(size, int)
    return classifier, size


def stages(body: nn.Module) -> tuple[str, ...]:
    """The names of the stages of a body, in the order in which an image passes them."""
    return tuple(_stages(body, ""))


def _stages(module: nn.Module, above: str) -> Iterator[str]:
    for name, child in module.named_children():
        full = f"{above}{name}"
        if full in _OPENED and any(True for _ in child.children()):
            yield from _stages(child, f"{full}.")
        elif any(True for _ in child.parameters()):
            yield full


def last_map(body: nn.Module) -> nn.Module | None:
    """The module whose output is the last spatial map (n, c, h, w); None for a vision transformer, which has tokens."""
    for name in _MAPS:
        module = getattr(body, name, None)
        if isinstance(module, nn.ModuleList):
            # Its members are called one by one, the list itself never.
            return module[-1]
        if isinstance(module, nn.Module):
            return module
    return None


def last_tokens(body: nn.Module) -> nn.Module | None:
    """Of a vision transformer: the module whose output (n, 1 + h·w, d) enters the last block, class token first."""
    encoder = getattr(body, "encoder", None)
    if encoder is None:
        return None
    blocks = list(encoder.get_submodule("layers").children())
    norm = blocks[-1].get_submodule("ln_1")
    assert isinstance(norm, nn.Module)
    return norm
