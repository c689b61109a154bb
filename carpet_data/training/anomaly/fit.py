"""Fit an anomaly model of any kind to good images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from carpet_data.core.progress import Progress
from carpet_data.dataset import Sample
from carpet_data.networks import Network
from carpet_data.training.anomaly.autoencoding import fit_autoencoder
from carpet_data.training.anomaly.cell_fit import fit_cell_model
from carpet_data.training.anomaly.model import AnomalyModel
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.anomaly.synthetic import SyntheticModel, fit_synthetic
from carpet_data.training.dense.bank import MapBank

__all__ = ["AnomalyFit", "fit_anomaly"]


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyFit:
    """A fitted model, a `Predictor`, and what was chosen where the options left it open."""

    model: AnomalyModel | SyntheticModel
    chosen: Mapping[str, object] = field(default_factory=dict)


def fit_anomaly(
    network: Network | None,
    samples: Sequence[Sample],
    options: AnomalyOptions,
    device: torch.device,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> AnomalyFit:
    """Fit a model to good images.

    Args:
        network: Its frozen body makes the maps; None for the autoencoder, which needs none.
        samples: The good images, of a data set.
        options: How to fit; `good` is not looked at, see `chosen_good`.
        device: Where to compute.
        cache: A folder where maps are kept for the next run; None to keep none.
        workers: Processes that decode images; None for one per core.
        progress: Called with each step.

    Raises:
        ImageError: An image is missing or damaged.
        DataError: An image is too small, or the training diverged.
        UsageError: The network has no such strides.
        DeviceMemoryError: An image does not fit into memory.
    """
    if network is None:
        return AnomalyFit(fit_autoencoder(samples, options, device, progress))
    network.to(device)
    if options.model == "synthetic":
        return AnomalyFit(fit_synthetic(network, samples, options, device, progress))
    bank = MapBank(network, device, cache=cache, workers=workers, progress=progress)
    return AnomalyFit(*fit_cell_model(bank, samples, options, progress))
