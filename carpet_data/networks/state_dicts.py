"""Read a file of weights safely, and load it into a body under the right names or not at all."""

from __future__ import annotations

import importlib.util
import re
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file

from carpet_data.errors import WeightsError
from carpet_data.networks import catalog
from carpet_data.networks.catalog import Body

__all__ = ["State", "load_into", "read"]

State = OrderedDict[str, torch.Tensor]

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
_KNOWN = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "resnext50_32x4d"),
    *("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "efficientnet_b0", "efficientnet_b1"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "densenet121", "vgg11", "vgg16", "alexnet"),
    *("squeezenet1_1", "shufflenet_v2_x1_0", "convnext_tiny"),
)
"""Networks that a file which does not fit is compared with; few enough that this takes no time."""


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
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise WeightsError(
            f"cannot read weights ({first[:150]})",
            where=path,
            hint="give a complete .safetensors file, or a .pth file that holds tensors only",
        ) from error
    if isinstance(found, dict):
        found = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), dict)), found)
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()) or not found:
        raise WeightsError(
            "the file holds no state dict of tensors",
            where=path,
            hint="save it by torch.save(model.state_dict(), PATH), or as .safetensors",
        )
    state = OrderedDict((str(key).removeprefix("module."), value) for key, value in found.items())
    # Which version of each layer wrote it: torchvision's own layers migrate old names by it.
    return _with_metadata(state, found)


def load_into(body: Body, architecture: str, state: State, path: Path) -> None:
    """Load weights into a body; those of heads are left out, whatever their classes. Errors name the path.

    Raises:
        WeightsError: They belong to another network; nothing is loaded.
    """
    own = body.module.state_dict()
    if architecture in catalog.LITE and "_conv_stem.weight" in state:
        state = _in_order(state, own, architecture, path)
    if architecture.startswith("densenet"):
        # Published DenseNets carry names with dots that torch no longer allows.
        state = _with_metadata(OrderedDict((_OLD_DENSENET.sub(r"\1\2.", k), v) for k, v in state.items()), state)
    # Without a known head, as of a plug-in, every tensor must be known.
    left_out = (*_AUXILIARY, f"{body.head}.") if body.head else _AUXILIARY
    given = OrderedDict((k, v) for k, v in state.items() if not k.startswith(left_out))
    # A file that does not say which version of each layer wrote it counts as one of today's.
    _with_metadata(given, state if hasattr(state, "_metadata") else own)
    fitting = sum(1 for key, value in given.items() if key in own and own[key].shape == value.shape)
    try:
        outcome = body.module.load_state_dict(given, strict=False)
    except (RuntimeError, ValueError) as error:
        raise _misfit(architecture, given, own, path) from error
    missing = [key for key in outcome.missing_keys if not key.endswith("num_batches_tracked")]
    if missing or outcome.unexpected_keys or not fitting:
        raise _misfit(architecture, given, own, path)


def _with_metadata(state: State, source: object) -> State:
    metadata = getattr(source, "_metadata", None)
    if metadata is not None:
        state._metadata = metadata  # type: ignore[attr-defined]
    return state


def _counted(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


def _in_order(state: State, own: dict[str, torch.Tensor], architecture: str, path: Path) -> State:
    """The names of one implementation of EfficientNet-Lite for those of another.

    Both list their layers in the order in which an image passes them, so the n-th tensor of one is the n-th of the
    other; the shapes must agree all the way.
    """
    theirs = [(key, value) for key, value in _counted(state).items() if not key.startswith("_fc.")]
    ours = list(_counted(own).items())
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


def _misfit(architecture: str, given: State, own: dict[str, torch.Tensor], path: Path) -> WeightsError:
    counted = _counted(own)
    agreeing = sum(1 for key in counted if key in given and given[key].shape == own[key].shape)
    alike = _looks_like(given)
    guess = f"; it looks like {alike}" if alike is not None else ""
    return WeightsError(
        f"these are not the weights of {architecture}: {agreeing} of its {len(counted)} tensors are in the file with "
        f"their shape, and {sum(key not in own for key in given)} of the file's are unknown to it{guess}",
        where=path,
        hint=f"use --arch {alike}" if alike is not None else "choose the --arch that the weights were trained with",
    )


def _looks_like(state: State) -> str | None:
    """The network whose tensors, head aside, are those of the file."""
    given = {key: tuple(value.shape) for key, value in _counted(state).items()}
    for architecture in _KNOWN:
        if architecture in catalog.LITE and importlib.util.find_spec("timm") is None:
            continue
        with torch.device("meta"):
            body = catalog.make(architecture)
        own = {key: tuple(value.shape) for key, value in _counted(body.module.state_dict()).items()}
        if architecture in catalog.LITE and "_conv_stem.weight" in given:
            fits = [shape for key, shape in given.items() if not key.startswith("_fc.")] == list(own.values())
        else:
            fits = {key: shape for key, shape in given.items() if not key.startswith(f"{body.head}.")} == own
        if fits:
            return architecture
    return None
