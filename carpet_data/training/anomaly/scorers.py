"""What scores images: cells of feature maps by a `CellModel`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.networks.feature_maps import FeatureMaps
from carpet_data.training.anomaly.cells import CellModel, Scored
from carpet_data.training.anomaly.padim import Padim
from carpet_data.training.anomaly.patchcore import PatchCore
from carpet_data.training.anomaly.subspace import Subspace

__all__ = ["CELL_MODELS", "MapScorer", "Scorer"]

U8 = NDArray[np.uint8]

CELL_MODELS: Mapping[str, Callable[[Mapping[str, torch.Tensor]], CellModel]] = {
    "patchcore": PatchCore.restore,
    "subspace": Subspace.restore,
    "padim": Padim.restore,
}
"""Name of a model -> what makes it of its state."""


class Scorer(Protocol):
    """What scores images that have been resized."""

    def score(self, images: Sequence[U8]) -> list[Scored]:
        """The anomaly of each cell of an evenly divided image, and of the whole, for images uint8 HxWx3 or HxW."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """All that it is made of but a pretrained body."""
        ...


class MapScorer:
    """A `CellModel` on the feature maps of a frozen network."""

    def __init__(self, maps: FeatureMaps, model: CellModel) -> None:
        self.maps = maps
        self.model = model

    def score(self, images: Sequence[U8]) -> list[Scored]:
        """See `Scorer`."""
        return [self.model.score(values) for values in self.maps.of(images)]

    def state(self) -> dict[str, torch.Tensor]:
        """See `Scorer`."""
        return self.model.state()
