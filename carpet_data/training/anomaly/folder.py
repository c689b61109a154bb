"""The folder of an anomaly model of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carpet_data.networks import Network
from carpet_data.training.anomaly.model import AnomalyModel, save_anomaly
from carpet_data.training.anomaly.synthetic import SyntheticModel, save_synthetic

__all__ = ["save"]


def save(
    model: AnomalyModel | SyntheticModel,
    network: Network | None,
    folder: Path,
    *,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model; each file appears whole, a model in the folder is replaced.

    The network is the one whose maps the model takes, None for the autoencoder; `extra` is more for model.json.
    """
    if isinstance(model, SyntheticModel):
        save_synthetic(model, folder, extra=extra)
    else:
        save_anomaly(model, network, folder, extra=extra)
