"""Feature maps of images of one size as a module without a choice in it, so that it can be exported."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from carpet_data.networks.feature_maps import FeatureMaps, _Window

__all__ = ["MapGraph"]

_LARGEST = float(np.finfo(np.float16).max)


class MapGraph(nn.Module):
    """What `FeatureMaps.of` computes in float32, for images of one height and width.

    Takes normalized float32 (n, 3, height, width) and gives float32 (n, channels, rows, columns), rounded to float16.
    """

    def __init__(self, maps: FeatureMaps, height: int, width: int) -> None:
        super().__init__()
        self.body = maps.network.body
        self.maps = maps
        found = list(maps._windows(0, height, width))
        columns = len({window.columns.start for _, window in found})
        # In the order of rows, then columns.
        self._grid = [found[start : start + columns] for start in range(0, len(found), columns)]
        self._size = (height, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The maps."""
        lines = [torch.cat([self._of(images, *each) for each in line], dim=3) for line in self._grid]
        return torch.cat(lines, dim=2).clamp(-_LARGEST, _LARGEST).half().float()

    def _of(self, images: torch.Tensor, size: tuple[int, int], window: _Window) -> torch.Tensor:
        for axis, piece in enumerate((window.rows, window.columns)):
            places = _mirrored(piece.start, size[axis], self._size[axis])
            images = images.index_select(2 + axis, torch.from_numpy(places))
        outputs: dict[str, torch.Tensor] = {}

        def keep(name: str) -> Any:
            return lambda module, inputs, output: outputs.__setitem__(name, output)  # noqa: ARG005

        stages = self.maps.stages
        hooks = [self.body.get_submodule(each.name).register_forward_hook(keep(each.name)) for each in stages]
        try:
            self.body(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.cat([self.maps._placed(stage, outputs[stage.name], window) for stage in stages], dim=1)


def _mirrored(start: int, length: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """int64 (length,): the pixels of a side that a piece shows; beyond it lies its mirror image."""
    turn = max(2 * (count - 1), 1)
    places = np.arange(start, start + length) % turn
    return np.where(places < count, places, turn - places) if count > 1 else places * 0
