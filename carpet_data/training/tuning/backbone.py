"""Which backbone a model stands on."""

from __future__ import annotations

from carpet_data import networks
from carpet_data.core.progress import Progress
from carpet_data.networks import Weights

__all__ = ["backbone_of"]

_FALLBACK = "efficientnet_lite0"


def backbone_of(
    usual: str | None, architecture: str, weights: str, *, download: bool = True, progress: Progress | None = None
) -> Weights:
    """The backbone and its weights: the named one; for "auto" the usual one, else what comes with a package.

    Args:
        usual: The backbone that the model is published with; None for ResNet-18.
        architecture: Name of the backbone, or "auto".
        weights: As `networks.find_weights` takes it.
        download: False to use only what is available locally.
        progress: Of a download.

    Raises:
        UsageError: The network or the name of the weights is unknown.
        WeightsError: The weights cannot be had.
    """
    if architecture != "auto" or usual is None:
        return networks.choose(architecture, weights, download=download, progress=progress)
    found = networks.find_weights(usual, weights, download=download, progress=progress)
    if weights != "auto" or found.path is not None:
        return found
    # As for a classifier: without the usual weights, the network whose own come in a package.
    other = networks.find_weights(_FALLBACK, "auto", download=False)
    return other if other.path is not None else found
