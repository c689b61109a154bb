"""Read a file of weights safely, and bring them into a network under the right names or not at all."""

from __future__ import annotations

import importlib.util
import re
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from carpet_data.errors import WeightsError
from carpet_data.networks import catalogue

__all__ = ["State", "into", "read"]

State = OrderedDict[str, torch.Tensor]

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
_KNOWN = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_b0",
    "efficientnet_b1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "densenet121",
    "vgg11",
    "vgg16",
    "alexnet",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "convnext_tiny",
)
"""Networks that a file is compared with where it does not fit; small enough that this takes no time."""


def read(path: Path) -> State:
    """The tensors of a .safetensors or a torch file; nothing in it is executed.

    Raises:
        WeightsError: The file is damaged, or holds something else.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return OrderedDict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises nearly anything for a damaged file: RuntimeError, pickle errors, KeyError, EOFError, OSError.
        raise _unreadable(path, error) from error
    if isinstance(found, dict):
        found = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), dict)), found)
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()) or not found:
        raise WeightsError(
            "it holds no state dict of tensors",
            where=path,
            hint="save it by torch.save(model.state_dict(), PATH), or as .safetensors",
        )
    state = OrderedDict((str(key).removeprefix("module."), value) for key, value in found.items())
    metadata = getattr(found, "_metadata", None)
    if metadata is not None:
        # Which version of each layer wrote it: torchvision's own layers migrate old names by it.
        state._metadata = metadata  # type: ignore[attr-defined]
    return state


def _unreadable(path: Path, error: Exception) -> WeightsError:
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return WeightsError(
        f"it cannot be read as weights ({first[:150]})",
        where=path,
        hint="give a whole .safetensors file, or a .pth file that holds tensors only",
    )


def into(classifier: nn.Module, architecture: str, state: State, path: Path) -> None:
    """Bring weights into a classifier that still has its head; the head's own are left out, whatever their classes.

    Args:
        classifier: As `catalogue.make` gives it.
        architecture: Its name.
        state: As `read` gives it.
        path: Named in errors.

    Raises:
        WeightsError: They belong to another network; nothing is loaded.
    """
    own = classifier.state_dict()
    head = _head_keys(own)
    if architecture in catalogue.LITE and "_conv_stem.weight" in state:
        state = _in_order(state, own, architecture, path)
    if architecture.startswith("densenet"):
        state = _renamed(state)
    body = OrderedDict((k, v) for k, v in state.items() if k not in head and not k.startswith(_AUXILIARY))
    body._metadata = getattr(state, "_metadata", getattr(own, "_metadata", {}))  # type: ignore[attr-defined]
    fitting = sum(1 for key, value in body.items() if key in own and own[key].shape == value.shape)
    try:
        outcome = classifier.load_state_dict(body, strict=False)
    except (RuntimeError, ValueError) as error:
        raise _misfit(architecture, body, own, head, path) from error
    missing = [key for key in outcome.missing_keys if key not in head and not key.endswith("num_batches_tracked")]
    if missing or outcome.unexpected_keys or not fitting:
        raise _misfit(architecture, body, own, head, path)


def _head_keys(own: Iterable[str]) -> frozenset[str]:
    """The weight and the bias of the last layer that has both; a classifier's head."""
    weights = [key for key in own if key.split(".")[0] in ("fc", "classifier", "heads", "head")]
    last = next(key.rpartition(".")[0] for key in reversed(weights))
    return frozenset({f"{last}.weight", f"{last}.bias"})


def _in_order(state: State, own: dict[str, torch.Tensor], architecture: str, path: Path) -> State:
    """The names of one implementation of EfficientNet-Lite for those of another.

    Both list their layers in the order in which an image passes them, so the n-th tensor of one is the n-th of the
    other; the shapes must agree all the way.
    """
    theirs = [(key, value) for key, value in state.items() if not key.endswith("num_batches_tracked")]
    ours = [(key, value) for key, value in own.items() if not key.endswith("num_batches_tracked")]
    agreeing = sum(
        a.shape == b.shape and k.rpartition(".")[2] == m.rpartition(".")[2]
        for (k, a), (m, b) in zip(theirs, ours, strict=False)
    )
    if len(theirs) != len(ours) or agreeing != len(ours):
        raise WeightsError(
            f"its layers are not those of {architecture}: {agreeing} of {len(ours)} tensors agree in order and shape",
            where=path,
            hint="give the weights of this network, or choose its --arch",
        )
    return OrderedDict((key, value) for (key, _), (_, value) in zip(ours, theirs, strict=True))


def _renamed(state: State) -> State:
    """Published DenseNets carry names with dots that torch no longer allows."""
    renamed = OrderedDict((_OLD_DENSENET.sub(r"\1\2.", key), value) for key, value in state.items())
    if hasattr(state, "_metadata"):
        renamed._metadata = state._metadata  # type: ignore[attr-defined]
    return renamed


def _misfit(
    architecture: str, body: State, own: dict[str, torch.Tensor], head: frozenset[str], path: Path
) -> WeightsError:
    counted = [key for key in own if not key.endswith("num_batches_tracked") and key not in head]
    agreeing = sum(1 for key in counted if key in body and body[key].shape == own[key].shape)
    alike = _looks_like({key: tuple(value.shape) for key, value in body.items()})
    guess = f"; it looks like {alike}" if alike is not None else ""
    return WeightsError(
        f"these are not the weights of {architecture}: {agreeing} of its {len(counted)} tensors are in the file with "
        f"their shape, and {sum(key not in own for key in body)} of the file's are unknown to it{guess}",
        where=path,
        hint=f"use --arch {alike}" if alike is not None else "choose the --arch that the weights were trained with",
    )


def _looks_like(shapes: dict[str, tuple[int, ...]]) -> str | None:
    """The network whose tensors, head aside, are those of the file."""
    given = {key: shape for key, shape in shapes.items() if not key.endswith("num_batches_tracked")}
    for architecture in _KNOWN:
        if architecture in catalogue.LITE and importlib.util.find_spec("timm") is None:
            continue
        with torch.device("meta"):
            own = catalogue.make(architecture).state_dict()
        ours = {key: tuple(value.shape) for key, value in own.items() if not key.endswith("num_batches_tracked")}
        if architecture in catalogue.LITE and "_conv_stem.weight" in given:
            fits = list(given.values()) == list(ours.values())
        else:
            head = _head_keys(own)
            fits = {k: v for k, v in given.items() if k not in head} == {k: v for k, v in ours.items() if k not in head}
        if fits:
            return architecture
    return None
