"""The detectors of torchvision on a backbone of ours, with anchors for small and for elongated defects."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from carpet_data import networks
from carpet_data.networks import Network, Weights, devices
from carpet_data.networks.pyramid import Pyramid
from carpet_data.training.detect.options import DetectModelName

__all__ = ["USUAL", "DetectNet", "anchor_boxes", "build"]

USUAL = {
    "fasterrcnn": "resnet50",
    "maskrcnn": "resnet50",
    "retinanet": "resnet50",
    "ssdlite": "mobilenet_v3_large",
}
"""The backbone that torchvision publishes each model with."""
_HEAD_KEY = 3
_FPN_CHANNELS = 256
_EXTRA_CHANNELS = 256

_RCNN_SIZES = tuple((2 * stride, 3.2 * stride) for stride in (4, 8, 16, 32, 64))
_RCNN_RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
_FEW = {
    "rpn_pre_nms_top_n_train": 1000,
    "rpn_pre_nms_top_n_test": 500,
    "rpn_post_nms_top_n_train": 300,
    "rpn_post_nms_top_n_test": 150,
    "rpn_batch_size_per_image": 128,
    "box_batch_size_per_image": 64,
    "box_detections_per_img": 50,
}
"""A crop shows a few defects, not the dozens of objects of a COCO image: fewer proposals, at a sixth of the time."""
_RETINA_SIZES = tuple((stride, 1.6 * stride, 2.5 * stride) for stride in (8, 16, 32, 64))
_RETINA_RATIOS = (1 / 3, 1.0, 3.0)
_SSD_STRIDES = (8, 16, 32, 64, 128)


class DetectNet(nn.Module):
    """A detector.

    Attributes:
        core: Of torchvision: a list of float (3, s, s) images in [0, 1] to boxes, or to losses where there are targets.
        frozen_norms: Whether the batch normalization of the backbone keeps its statistics: those of a few crops are
            worse than those that pretrained weights bring.
    """

    def __init__(self, core: nn.Module, body: nn.Module, *, frozen_norms: bool) -> None:
        super().__init__()
        self.core = core
        self.frozen_norms = frozen_norms
        # Not a child of its own: its weights are in the core already.
        self._norms = tuple(each for each in body.modules() if isinstance(each, nn.BatchNorm2d))

    def train(self, mode: bool = True) -> DetectNet:
        """Put it into train mode, but for frozen statistics, or into eval mode."""
        super().train(mode)
        if self.frozen_norms:
            for norm in self._norms:
                norm.eval()
        return self

    def losses(self, pixels: torch.Tensor, targets: Sequence[dict[str, torch.Tensor]]) -> torch.Tensor:
        """The sum of the detector's losses over a batch.

        Args:
            pixels: uint8 (n, s, s, 3).
            targets: Of each image `boxes`, float (m, 4) as x0, y0, x1, y1; `labels`, int64 (m,) from 1; and `masks`,
                uint8 (m, s, s).
        """
        found: dict[str, torch.Tensor] = self.core(_scaled(pixels), list(targets))
        return torch.stack([each.float() for each in found.values()]).sum()

    def detect(self, pixels: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        """What is found in each image, uint8 (n, s, s, 3): `boxes`, `labels`, `scores` and, of Mask R-CNN, `masks`."""
        found: list[dict[str, torch.Tensor]] = self.core(_scaled(pixels))
        return found


def _scaled(pixels: torch.Tensor) -> list[torch.Tensor]:
    return list(pixels.permute(0, 3, 1, 2).float() / 255)


def build(
    model: DetectModelName, weights: Weights, *, classes: int, crop: int, min_score: float, seed: int
) -> DetectNet:
    """Build a detector; new layers are drawn from the seed.

    Args:
        model: Its name.
        weights: Of its backbone.
        classes: Number of classes, `good` included, which is the background.
        crop: Side in pixels of its images.
        min_score: Minimum score of a detection.
        seed: See above.

    Raises:
        UsageError: The backbone has not the maps that the model needs.
        WeightsError: The weights do not fit the backbone.
    """
    network = networks.build(weights, classes=1, seed=seed)
    with devices.seeded(seed, _HEAD_KEY):
        core = _CORES[model](network, classes, crop, min_score)
    return DetectNet(core, network.body, frozen_norms=weights.path is not None)


def anchor_boxes(model: DetectModelName) -> tuple[tuple[float, float], ...]:
    """Width and height in pixels of every anchor of a model with anchors of fixed sizes (all but ssdlite)."""
    levels, ratios = (_RETINA_SIZES, _RETINA_RATIOS) if model == "retinanet" else (_RCNN_SIZES, _RCNN_RATIOS)
    sizes = [size for level in levels for size in level]
    return tuple((size * ratio**-0.5, size * ratio**0.5) for size in sizes for ratio in ratios)


def _library(name: str) -> Any:
    # By name, because torchvision comes without types.
    return importlib.import_module(f"torchvision.models.detection.{name}")


def _ops() -> Any:
    return importlib.import_module("torchvision.ops")


class _Fpn(nn.Module):
    """A feature pyramid network (Lin et al. 2017) on maps of the backbone, and one map more, of half the size."""

    def __init__(self, network: Network, strides: Sequence[int]) -> None:
        super().__init__()
        self.pyramid = Pyramid(network, strides)
        ops = _ops()
        last = ops.feature_pyramid_network.LastLevelMaxPool()
        self.fpn = ops.FeaturePyramidNetwork(list(self.pyramid.channels), _FPN_CHANNELS, extra_blocks=last)
        self.out_channels = _FPN_CHANNELS

    def forward(self, x: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        maps: OrderedDict[str, torch.Tensor] = self.fpn(self.pyramid(x))
        return maps


def _common(network: Network, crop: int) -> dict[str, Any]:
    # Crops have their size already, so nothing is resized.
    return {"min_size": crop, "max_size": crop, "image_mean": list(network.mean), "image_std": list(network.std)}


def _anchors(levels: Sequence[Sequence[float]], ratios: Sequence[float]) -> Any:
    return _library("anchor_utils").AnchorGenerator(tuple(map(tuple, levels)), (tuple(ratios),) * len(levels))


def _rcnn(network: Network, classes: int, crop: int, min_score: float, *, masks: bool) -> nn.Module:
    made = _library("mask_rcnn").MaskRCNN if masks else _library("faster_rcnn").FasterRCNN
    core: nn.Module = made(
        _Fpn(network, (4, 8, 16, 32)),
        classes,
        rpn_anchor_generator=_anchors(_RCNN_SIZES, _RCNN_RATIOS),
        box_score_thresh=min_score,
        **_FEW,
        **_common(network, crop),
    )
    return core


def _retinanet(network: Network, classes: int, crop: int, min_score: float) -> nn.Module:
    core: nn.Module = _library("retinanet").RetinaNet(
        _Fpn(network, (8, 16, 32)),
        classes,
        anchor_generator=_anchors(_RETINA_SIZES, _RETINA_RATIOS),
        score_thresh=min_score,
        **_common(network, crop),
    )
    return core


class _SsdMaps(nn.Module):
    """Maps of the backbone, and two more by separable convolutions (Sandler et al. 2018, SSDLite)."""

    def __init__(self, network: Network, norm: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.pyramid = Pyramid(network, _SSD_STRIDES[:3])
        last = self.pyramid.channels[-1]
        self.extra = nn.ModuleList([_halving(last, norm), _halving(_EXTRA_CHANNELS, norm)])
        self.channels = [*self.pyramid.channels, _EXTRA_CHANNELS, _EXTRA_CHANNELS]

    def forward(self, x: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        maps = list(self.pyramid(x).values())
        for block in self.extra:
            maps.append(block(maps[-1]))
        return OrderedDict((str(number), each) for number, each in enumerate(maps))


def _halving(channels: int, norm: Callable[..., nn.Module]) -> nn.Sequential:
    middle = _EXTRA_CHANNELS // 2
    make = partial(_ops().misc.Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
    return nn.Sequential(
        make(channels, middle, kernel_size=1),
        make(middle, middle, kernel_size=3, stride=2, groups=middle),
        make(middle, _EXTRA_CHANNELS, kernel_size=1),
    )


def _ssdlite(network: Network, classes: int, crop: int, min_score: float) -> nn.Module:
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    maps = _SsdMaps(network, norm)
    # Boxes of two cells a side, and those between two levels.
    scales = [min(2 * stride / crop, 1.0) for stride in (*_SSD_STRIDES, 2 * _SSD_STRIDES[-1])]
    anchors = _library("anchor_utils").DefaultBoxGenerator([[2, 3]] * len(_SSD_STRIDES), scales=scales)
    head = _library("ssdlite").SSDLiteHead(maps.channels, anchors.num_anchors_per_location(), classes, norm)
    core: nn.Module = _library("ssd").SSD(
        maps,
        anchors,
        (crop, crop),
        classes,
        image_mean=list(network.mean),
        image_std=list(network.std),
        head=head,
        score_thresh=min_score,
        nms_thresh=0.5,
        detections_per_img=100,
    )
    return core


_CORES: dict[str, Callable[[Network, int, int, float], nn.Module]] = {
    "fasterrcnn": partial(_rcnn, masks=False),
    "maskrcnn": partial(_rcnn, masks=True),
    "retinanet": _retinanet,
    "ssdlite": _ssdlite,
}
