"""The feature maps of a backbone as a module that trains: what torchvision's heads for pixels and boxes stand on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import nn

from carpet_data.errors import UsageError
from carpet_data.networks.map_stages import collect, find_stages
from carpet_data.networks.network import Network

__all__ = ["Pyramid", "dilate"]


class Pyramid(nn.Module):
    """Maps of chosen strides.

    Attributes:
        body: The network's, which trains with the rest.
        names: Of the parts whose outputs are the maps, the finest first.
        channels: Of each map.

    Args:
        network: Its body is used, not copied; its head is not.
        strides: In pixels of the image, the finest first.
        keys: What the maps are called; None for "0", "1", …

    Raises:
        UsageError: The network has no map of such a stride.
    """

    def __init__(self, network: Network, strides: Sequence[int], *, keys: Sequence[str] | None = None) -> None:
        super().__init__()
        stages = find_stages(network, strides, centers=False)
        self.body = network.body
        self.names = tuple(stage.name for stage in stages)
        self.channels = tuple(stage.channels for stage in stages)
        self._last = tuple(stage.last for stage in stages)
        self._keys = tuple(keys) if keys is not None else tuple(str(number) for number in range(len(stages)))

    def forward(self, x: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """The maps, float (n, channels, h / stride, w / stride), of normalized images, float (n, 3, h, w)."""
        with collect(self.body, self.names) as run:
            found = run(x)
        maps = (
            found[name].permute(0, 3, 1, 2) if last else found[name]
            for name, last in zip(self.names, self._last, strict=True)
        )
        return OrderedDict(zip(self._keys, maps, strict=True))

    __call__: Callable[..., OrderedDict[str, torch.Tensor]]


def dilate(network: Network, stride: int) -> None:
    """Let the body's maps stay at a stride: what would halve them once more looks twice as far instead.

    The convolutions after the stage of that stride lose their stride and are dilated by 2 (Chen et al. 2017,
    "Rethinking Atrous Convolution for Semantic Image Segmentation"); weights keep their shapes.

    Raises:
        UsageError: The network has no maps of this and of twice this stride.
    """
    finer, coarser = find_stages(network, (stride, 2 * stride), centers=False)
    inside = False
    for name, module in network.body.named_modules():
        in_finer = name == finer.name or name.startswith(f"{finer.name}.")
        inside = inside or in_finer
        if inside and not in_finer and isinstance(module, nn.Conv2d):
            _dilated(module)
    # A pooling layer, or a convolution of even size, would still halve the maps.
    if find_stages(network, (stride,), centers=False)[0].name != coarser.name:
        raise UsageError(
            f"{network.architecture} cannot be dilated",
            hint="use a network whose strides are in convolutions of odd size, such as resnet50 or efficientnet_lite0",
        )


def _dilated(convolution: nn.Conv2d) -> None:
    if any(side % 2 == 0 for side in convolution.kernel_size):
        return
    convolution.stride = (1, 1)
    if convolution.kernel_size != (1, 1):
        convolution.dilation = (2, 2)
        padding = convolution.padding
        assert isinstance(padding, tuple)
        convolution.padding = (2 * padding[0], 2 * padding[1])
