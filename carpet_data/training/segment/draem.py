"""The plain U-Net of DRAEM, which the published protocol trains on synthetic defects."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

__all__ = ["DraemUNet"]

_DEVIATION = 0.02


class DraemUNet(nn.Module):
    """A U-Net of five halvings with batch normalization, from random weights.

    The discriminative sub-network of Zavrtanik, Kristan and Skocaj 2021 ("DRAEM: A Discriminatively Trained
    Reconstruction Embedding for Surface Anomaly Detection"), on images alone, as AnomalyDiffusion (Hu et al. 2024) uses
    it: base width 64, bilinear upsampling, convolutions drawn from N(0, 0.02).

    Args:
        classes: Number of outputs of a pixel.
        width: Channels of the first block.

    Examples:
        >>> DraemUNet(2, width=4)(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 2, 64, 64])
    """

    STRIDE = 32
    """Images must have sides that it divides."""

    def __init__(self, classes: int, *, width: int = 64) -> None:
        super().__init__()
        sizes = [width, 2 * width, 4 * width, 8 * width, 8 * width, 8 * width]
        self.encoder = nn.ModuleList(
            _double(before, after) for before, after in zip([3, *sizes[:-1]], sizes, strict=True)
        )
        # From the coarsest to the finest: the upsampled map, and that joined with the encoder's.
        raised = [8 * width, 4 * width, 2 * width, width, width]
        entering = [8 * width, *raised[:-1]]
        self.raisers = nn.ModuleList(_single(a, b) for a, b in zip(entering, raised, strict=True))
        skipped = sizes[-2::-1]
        self.decoder = nn.ModuleList(_double(a + b, a) for a, b in zip(raised, skipped, strict=True))
        self.last = nn.Conv2d(width, classes, 3, padding=1)
        self.apply(_initialize)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits, float (n, classes, h, w), of images, float (n, 3, h, w)."""
        maps: list[torch.Tensor] = []
        for number, block in enumerate(self.encoder):
            x = block(x if number == 0 else functional.max_pool2d(x, 2))
            maps.append(x)
        for raiser, block, skipped in zip(self.raisers, self.decoder, maps[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = block(torch.cat((raiser(x), skipped), dim=1))
        logits: torch.Tensor = self.last(x)
        return logits

    __call__: Callable[..., torch.Tensor]


def _single(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _double(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(*_single(before, after), *_single(after, after))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, _DEVIATION)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, _DEVIATION)
        nn.init.zeros_(module.bias)
