"""Features of defects from a network whose weights are on this machine; nothing is downloaded."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import DataError, MissingExtraError
from carpet_data.experiments.quality.texture_statistics import Crop

__all__ = ["ARCHITECTURES", "Backbone", "find_weights", "load_backbone"]

F64 = NDArray[np.float64]

ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "wide_resnet50_2")
"""Those of torchvision whose file names in its cache begin with their own name."""
_BATCH = 32
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone:
    """A network cut after its third stage (stride 16), pooled over the mask.

    Attributes:
        name: Network, stage and the name of the weights' file: what a distance is to be called by.
    """

    def __init__(self, name: str, network: Any) -> None:
        self.name = name
        self._network = network

    def features(self, crops: Sequence[Crop]) -> F64:
        """The features inside the masks.

        Args:
            crops: With pixels.

        Returns:
            float64 (n, d): of each crop, the mean over its mask of the feature map.
        """
        torch = _module("torch")
        rows = []
        with torch.inference_mode():
            for start in range(0, len(crops), _BATCH):
                some = crops[start : start + _BATCH]
                assert all(crop.pixels is not None and crop.inside is not None for crop in some)
                pixels = torch.from_numpy(np.stack([crop.pixels for crop in some if crop.pixels is not None]))
                inside = torch.from_numpy(np.stack([crop.inside for crop in some if crop.inside is not None]))
                values = pixels.permute(0, 3, 1, 2).float() / 255
                values = (values - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_DEVIATION).view(3, 1, 1)
                maps = self._network(values)
                weight = torch.nn.functional.adaptive_avg_pool2d(inside[:, None], maps.shape[-2:])
                pooled = (maps * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp_min(1e-6)
                rows.append(pooled.double().numpy())
        return np.concatenate(rows)


def find_weights(name: str | None = None) -> tuple[str, Path] | None:
    """(architecture, file) of the first known weights in torch's own cache; None without torch or weights.

    Args:
        name: One of ARCHITECTURES; None for any.
    """
    if importlib.util.find_spec("torchvision") is None:
        return None
    # As torch.hub does it; importing torch takes seconds, and mostly there is nothing to be found.
    above = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    cache = Path(os.environ.get("TORCH_HOME", Path(above) / "torch")) / "hub" / "checkpoints"
    for known in ARCHITECTURES if name is None else (name,):
        for path in sorted(cache.glob(f"{known}-*.pth")):
            return known, path
    return None


def load_backbone(name: str, weights: Path) -> Backbone:
    """Load a network from a file of weights.

    Args:
        name: One of ARCHITECTURES.
        weights: Its state dict, as torchvision publishes it.

    Raises:
        MissingExtraError: torch or torchvision is not installed.
        DataError: The file does not hold the weights of this network.
    """
    try:
        torch, torchvision = _module("torch"), _module("torchvision")
    except ImportError as error:
        raise MissingExtraError.of("torchvision", "train", "a score by a network") from error
    network = getattr(torchvision.models, name)(weights=None)
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        # torch raises nearly anything for a damaged file: RuntimeError, pickle errors, KeyError, EOFError, OSError.
        raise DataError(
            f"it does not hold the weights of {name} ({str(error).splitlines()[0] if str(error) else error!r})",
            where=weights,
            hint="give the file that torchvision publishes for this network",
        ) from error
    parts = (
        network.conv1,
        network.bn1,
        network.relu,
        network.maxpool,
        network.layer1,
        network.layer2,
        network.layer3,
    )
    return Backbone(f"torchvision {name}, layer3, {weights.name}", torch.nn.Sequential(*parts).eval())


def _module(name: str) -> Any:
    """An optional package; by name, so that the types of this one do not depend on what is installed."""
    return importlib.import_module(name)
