"""Feature networks and their weights: thin over torchvision and timm.

Importing this package needs the extra `train` and says so where it is missing; whatever works with torch imports it
first.
"""

from __future__ import annotations

from carpet_data.errors import MissingExtraError

MissingExtraError.require(("torch", "torchvision", "safetensors"), "train", "a network")

from carpet_data.networks.catalog import Input, architectures  # noqa: E402 - only where torch is installed
from carpet_data.networks.model_folder import save_model  # noqa: E402
from carpet_data.networks.network import Network, build, load_model  # noqa: E402
from carpet_data.networks.weights import Weights, choose, find_weights  # noqa: E402

__all__ = [
    "Input",
    "Network",
    "Weights",
    "architectures",
    "build",
    "choose",
    "find_weights",
    "load_model",
    "save_model",
]
