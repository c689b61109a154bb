"""The segmentation networks: published heads on a backbone of ours."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from carpet_data import networks
from carpet_data.errors import MissingExtraError, UsageError
from carpet_data.networks import Network, Weights, devices
from carpet_data.networks.catalog import LITE, TIMM
from carpet_data.networks.pyramid import Pyramid, dilate
from carpet_data.training.segment.draem import DraemUNet
from carpet_data.training.segment.options import SegmentModelName

__all__ = ["ENCODERS", "USUAL", "SegmentNet", "build"]

USUAL = {"deeplabv3": "resnet50", "lraspp": "mobilenet_v3_large"}
"""The backbone that torchvision publishes each model with."""
ENCODERS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "mobilenet_v2")
"""Encoders of segmentation-models-pytorch that are torchvision's networks; others are timm's, named `tu-NAME` there."""
_HEAD_KEY = 2


class SegmentNet(nn.Module):
    """A segmentation network with the normalization of its backbone.

    Attributes:
        core: (n, 3, h, w) -> (n, k, h', w') logits, or {"out": logits}.
        stride: Images are filled up to sides that it divides.
    """

    def __init__(self, core: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], stride: int) -> None:
        super().__init__()
        self.core = core
        self.mean, self.std = tuple(mean), tuple(std)
        self.stride = stride

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The logits, float32 (n, k, h, w), of images, uint8 (n, h, w, 3)."""
        height, width = pixels.shape[1:3]
        x = pixels.permute(0, 3, 1, 2).float()
        mean, std = (torch.tensor(each, device=x.device).view(1, 3, 1, 1) * 255 for each in (self.mean, self.std))
        x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)
        below, right = -height % self.stride, -width % self.stride
        found = self.core(functional.pad(x, (0, right, 0, below), mode="replicate") if below or right else x)
        logits: torch.Tensor = found["out"] if isinstance(found, dict) else found
        return logits[:, :, :height, :width].float()

    __call__: Callable[..., torch.Tensor]


def build(model: SegmentModelName, weights: Weights | None, *, classes: int, seed: int) -> SegmentNet:
    """Build a network; new layers are drawn from the seed.

    Args:
        model: Its name.
        weights: Of its backbone; None for draem-unet, which has none.
        classes: Number of outputs of a pixel.
        seed: See above.

    Raises:
        UsageError: The backbone cannot serve the model.
        WeightsError: The weights do not fit the backbone.
        MissingExtraError: segmentation-models-pytorch is not installed.
    """
    if model == "draem-unet":
        with devices.seeded(seed, _HEAD_KEY):
            return SegmentNet(DraemUNet(classes), (0.0,) * 3, (1.0,) * 3, DraemUNet.STRIDE)
    assert weights is not None, "all others have a backbone"
    network = networks.build(weights, classes=1, seed=seed)
    with devices.seeded(seed, _HEAD_KEY):
        core, stride = _CORES[model](network, classes)
    return SegmentNet(core, network.mean, network.std, stride)


def _unet(network: Network, classes: int) -> tuple[nn.Module, int]:
    MissingExtraError.require(["segmentation_models_pytorch"], "finetune", "the model unet")
    library: Any = importlib.import_module("segmentation_models_pytorch")
    architecture = network.architecture
    wrong = UsageError(
        f"unet cannot stand on {architecture}",
        hint=f"use --arch with one of {', '.join((*LITE, *ENCODERS))}, or an EfficientNet of timm",
    )
    if architecture in ENCODERS:
        name = architecture
    elif architecture in LITE:
        name = f"tu-tf_{architecture}"
    elif architecture.startswith(TIMM):
        name = f"tu-{architecture.removeprefix(TIMM)}"
    else:
        raise wrong
    core: nn.Module = library.Unet(name, encoder_weights=None, classes=classes)
    known = network.body.state_dict()
    encoder = core.get_submodule("encoder")
    # The same network without what follows its maps, so that every tensor of it is known by its name.
    named = {key: known.get(key.removeprefix("model.")) for key in encoder.state_dict()}
    given = {key: value for key, value in named.items() if value is not None}
    if len(given) < len(named):
        raise wrong
    encoder.load_state_dict(given)
    return core, 32


def _deeplabv3(network: Network, classes: int) -> tuple[nn.Module, int]:
    segmentation: Any = importlib.import_module("torchvision.models.segmentation.deeplabv3")
    dilate(network, 16)
    pyramid = Pyramid(network, (16,), keys=("out",))
    head = segmentation.DeepLabHead(pyramid.channels[0], classes)
    return segmentation.DeepLabV3(pyramid, head), 16


def _lraspp(network: Network, classes: int) -> tuple[nn.Module, int]:
    segmentation: Any = importlib.import_module("torchvision.models.segmentation.lraspp")
    dilate(network, 16)
    pyramid = Pyramid(network, (8, 16), keys=("low", "high"))
    return segmentation.LRASPP(pyramid, *pyramid.channels, classes), 16


_CORES: dict[str, Callable[[Network, int], tuple[nn.Module, int]]] = {
    "unet": _unet,
    "deeplabv3": _deeplabv3,
    "lraspp": _lraspp,
}
