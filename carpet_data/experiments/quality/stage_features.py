"""Features of defects: an inner feature map of a network, averaged over each mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.errors import UsageError
from carpet_data.experiments.quality.texture_statistics import Crop
from carpet_data.networks import Network

__all__ = ["StageFeatures"]

_BATCH = 32
_STRIDE = 16
"""Pixels per cell of the map, across and down: finer maps see texture only, coarser ones hardly the shape of a mask."""
_PROBE_PX = 64


class StageFeatures:
    """The last stage of a network whose map has the stride 16, pooled over the mask.

    Args:
        network: In any mode; only its body is used.

    Attributes:
        name: Network, stage and weights: the name that a distance goes by.

    Raises:
        UsageError: The network has no such stage.
    """

    def __init__(self, network: Network) -> None:
        self._network = network.eval()
        maps = {stage: self._map(stage, np.zeros((1, _PROBE_PX, _PROBE_PX, 3), np.uint8)) for stage in network.stages}
        fitting = [name for name, found in maps.items() if found.shape[2:] == (_PROBE_PX // _STRIDE,) * 2]
        if not fitting:
            raise UsageError(f"{network.architecture} has no feature map of stride {_STRIDE}", hint="use resnet18")
        self._stage = fitting[-1]
        self.name = f"{network.architecture}, {self._stage}, {network.weights.name}"

    def __call__(self, crops: Sequence[Crop]) -> NDArray[np.float64]:
        """float64 (n, d): of each crop, which has pixels, the mean over its mask of the feature map."""
        rows = []
        for start in range(0, len(crops), _BATCH):
            some = crops[start : start + _BATCH]
            pixels = np.stack([crop.pixels for crop in some if crop.pixels is not None])
            inside = torch.from_numpy(np.stack([crop.inside for crop in some if crop.inside is not None]))
            maps = self._map(self._stage, pixels)
            weight = torch.nn.functional.adaptive_avg_pool2d(inside[:, None], (maps.shape[2], maps.shape[3]))
            pooled = (maps * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp_min(1e-6)
            rows.append(pooled.double().numpy())
        return np.concatenate(rows)

    def _map(self, stage: str, pixels: NDArray[np.uint8]) -> torch.Tensor:
        found: list[torch.Tensor] = []
        module = self._network.body.get_submodule(stage)
        hook = module.register_forward_hook(lambda _, __, output: found.append(output))
        try:
            with torch.inference_mode():
                self._network.features(self._network.prepare(pixels))
        finally:
            hook.remove()
        return found[-1]
