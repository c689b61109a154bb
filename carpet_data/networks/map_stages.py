"""The parts of a network whose outputs are feature maps: their strides, channels, and where their cells lie."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from carpet_data.errors import UsageError
from carpet_data.networks.network import Network

__all__ = ["Stage", "all_stages", "collect", "find_stages"]

_OPENED = ("features", "layers", "blocks", "trunk_output", "stages")
"""Containers whose children come one after another; any other module below the top is one part as a whole."""
_SIDES = ((128, 160), (192, 224))
"""Sizes (h, w) of the images that show how a map grows with the image; no map has the same sides in them."""
_PROBE = 256
"""Side in pixels of the image that shows where cells look."""
_DRAWS = 3
_TOLERANCE = 0.1
"""Share of the stride by which a measured center may miss that of a usual design, and still be taken for it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The last part of a network that gives maps of one stride.

    Attributes:
        name: Of the module, below the body.
        stride: Pixels from one cell to the next.
        channels: Of its map.
        center: Where cell 0 looks, in pixels from the middle of pixel 0: about 0 where a network pads both sides
            alike, (stride - 1) / 2 where it cuts the image into patches.
        missing: Cells that a side of n * stride pixels lacks of n, as where convolutions do not pad.
        last: Whether the channels are the last axis (n, h, w, c), as in Swin transformers.
    """

    name: str
    stride: int
    channels: int
    center: float
    missing: int
    last: bool


_HOOKED = threading.RLock()
"""Hooks and the mode of a network belong to the network, not to the thread that set them: one at a time."""


class _Seen(Exception):  # noqa: N818 - no error: all maps are there, and the rest of the network need not run
    pass


def all_stages(network: Network) -> tuple[Stage, ...]:
    """All parts of a network that give maps, early to late; their centers are not measured and are 0.

    Raises:
        UsageError: The network has no maps of images of any size.
    """
    if network.expected.fixed or network.last_map is None:
        raise UsageError(
            f"{network.architecture} has no feature maps of images of any size",
            hint="use a convolutional network or a Swin transformer, such as efficientnet_lite0 or resnet18",
        )
    with _probing(network):
        return tuple(_measured_sizes(network))


def find_stages(
    network: Network, strides: Sequence[int], layers: Sequence[str] | None = None, *, centers: bool = True
) -> tuple[Stage, ...]:
    """The stage of each stride, the finest first: the last part of the network before its maps become coarser.

    With `layers`, the parts of these names instead. Without `centers` it is not measured where cells look, which takes
    a moment: they are 0.

    Raises:
        UsageError: The network has no maps, none of such a stride, or no such layer: those it has are named.
    """
    found = all_stages(network)
    if layers is None:
        listed = _listed(network.body)
        known = {str(each.stride): each for each in found if not listed or each.name in listed}
        wanted, what = [str(stride) for stride in sorted(set(strides))], "stride"
    else:
        known = {each.name: each for each in found}
        wanted, what = [each.name for each in found if each.name in layers], "layer"
        wanted += sorted(set(layers) - set(wanted))
    absent = [each for each in wanted if each not in known]
    if absent or not wanted:
        has = ", ".join(known if layers is not None else sorted(known, key=int))
        problem = f"has no feature map of {what} {absent[0]}" if absent else f"needs a {what} or more"
        raise UsageError(f"{network.architecture} {problem}", hint=f"use {what}s out of: {has}")
    chosen = sorted((known[each] for each in wanted), key=lambda each: each.stride)
    if not centers:
        return tuple(chosen)
    with _probing(network):
        return _centered(network, chosen)


@contextmanager
def collect(body: nn.Module, names: Sequence[str]) -> Iterator[Callable[[torch.Tensor], dict[str, torch.Tensor]]]:
    """A function that passes images through a body only as far as is needed, and returns the outputs of modules.

    It is valid inside the block, which other threads that collect wait for.
    """
    found: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG001
            if isinstance(output, torch.Tensor):
                found[name] = output
            if len(found) == len(names):
                raise _Seen

        return hook

    def run(x: torch.Tensor) -> dict[str, torch.Tensor]:
        found.clear()
        with suppress(_Seen):
            body(x)
        return dict(found)

    with _HOOKED:
        hooks = [body.get_submodule(name).register_forward_hook(keep(name)) for name in names]
        try:
            yield run
        finally:
            for hook in hooks:
                hook.remove()


@contextmanager
def _probing(network: Network) -> Iterator[None]:
    """Eval mode with gradients on, whatever the caller computes in."""
    with _HOOKED:
        training = network.training
        network.eval()
        try:
            with torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            network.train(training)


def _parts(module: nn.Module, above: str = "") -> Iterator[str]:
    for name, child in module.named_children():
        full = f"{above}{name}"
        if name in _OPENED and any(True for _ in child.children()):
            yield from _parts(child, f"{full}.")
        else:
            yield full


def _listed(body: nn.Module) -> frozenset[str]:
    """The modules that timm takes for the last of their stride; empty where it lists none."""
    listed = getattr(body, "feature_info", None)
    if isinstance(listed, list) and all(isinstance(each, Mapping) and "module" in each for each in listed):
        return frozenset(str(each["module"]) for each in listed)
    return frozenset()


def _outputs(network: Network, names: Sequence[str], height: int, width: int) -> dict[str, tuple[int, ...]]:
    device = network.head.weight.device
    with torch.no_grad(), collect(network.body, [*names, ""]) as run:
        found = run(torch.zeros(1, 3, height, width, device=device))
    return {name: tuple(value.shape) for name, value in found.items() if value.ndim == 4}


def _measured_sizes(network: Network) -> Iterator[Stage]:
    """All stages, early to late, their centers still unknown."""
    listed = _listed(network.body)
    names = [*_parts(network.body), *sorted(listed - set(_parts(network.body)))]
    (h1, w1), (h2, w2) = _SIDES
    first, second = _outputs(network, names, h1, w1), _outputs(network, names, h2, w2)
    for name in names:
        if name not in first or name not in second:
            continue
        for last in (False, True):
            axes = (1, 2) if last else (2, 3)
            (a, b), (c, d) = ([shape[axis] for axis in axes] for shape in (first[name], second[name]))
            grown = (c - a, d - b)
            if min(grown) < 1 or grown[0] != grown[1]:
                continue
            stride = (h2 - h1) // grown[0]
            if stride * grown[0] == h2 - h1 and a <= h1 // stride + 1 and b <= w1 // stride + 1:
                missing = max(h1 // stride - a, 0)
                yield Stage(name, stride, first[name][3 if last else 1], 0.0, missing, last)


_CENTERS: dict[tuple[str, str], float] = {}
"""(digest of a body, name of a stage) -> its center: measured once in a process."""


def _centered(network: Network, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages with their centers."""
    digest = network.body_digest()
    unknown = [stage for stage in stages if (digest, stage.name) not in _CENTERS]
    for stage, center in zip(unknown, _measured_centers(network, unknown), strict=True):
        _CENTERS[digest, stage.name] = center
    return tuple(replace(stage, center=_CENTERS[digest, stage.name]) for stage in stages)


def _measured_centers(network: Network, stages: Sequence[Stage]) -> list[float]:
    """The middle of the gradients of many cells of each stage, as seen by the image.

    Trained networks look elsewhere than their padding tells: EfficientNet-Lite0 pads as TensorFlow does, and its cells
    of stride 8 still look at their middle within half a pixel.
    """
    if not stages:
        return []
    generator = torch.Generator().manual_seed(0)
    # One for each stage, so that its center does not depend on which others are asked for.
    signs = [torch.Generator().manual_seed(stage.stride) for stage in stages]
    found: list[list[float]] = [[] for _ in stages]
    with collect(network.body, [each.name for each in stages]) as run:
        for _ in range(_DRAWS):
            # A little smooth, as photographs are.
            noise = torch.randn(1, 3, _PROBE // 2, _PROBE // 2, generator=generator).to(network.head.weight.device)
            x = functional.interpolate(noise, scale_factor=2.0, mode="bilinear").requires_grad_()
            maps = run(x)
            for stage, measured, drawn in zip(stages, found, signs, strict=True):
                measured.append(_center_of(stage, maps[stage.name], x, drawn))
    return [_usual(stage.stride, sum(each) / _DRAWS) for stage, each in zip(stages, found, strict=True)]


def _center_of(stage: Stage, values: torch.Tensor, x: torch.Tensor, generator: torch.Generator) -> float:
    values = values.permute(0, 3, 1, 2) if stage.last else values
    count = values.shape[2]
    # The inner half: whole windows of a transformer, and all that its cells see lies in the image.
    low, high = count // 4, max(count - count // 4, count // 4 + 1)
    block = values[:, :, low:high, low:high]
    signs = torch.randint(0, 2, block.shape, generator=generator).to(x.device) * 2.0 - 1.0
    (slope,) = torch.autograd.grad((block * signs).sum(), x, retain_graph=True)
    seen = slope.abs().sum((0, 1)).double().cpu()
    rows, columns = seen.sum(1), seen.sum(0)
    places = torch.arange(_PROBE, dtype=torch.float64)
    middle = stage.stride * (low + high - 1) / 2
    return float(((rows + columns) * places).sum() / (rows + columns).sum()) - middle


def _usual(stride: int, measured: float) -> float:
    """The center of a usual design where the measured one is near: it is the same on each machine."""
    if not math.isfinite(measured):  # a network without any slope looks nowhere; what is wrong with it shows later
        return (stride - 1) / 2
    nearest = min((0.0, (stride - 1) / 2), key=lambda center: abs(center - measured))
    return nearest if abs(nearest - measured) <= _TOLERANCE * stride else round(measured * 2) / 2
