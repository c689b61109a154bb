"""Features of a frozen body: computed once an image and view, and kept on disk for the next run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.errors import UsageError
from carpet_data.networks import Network
from carpet_data.networks.devices import memory_guard
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.training import views as variation
from carpet_data.training.tables import ImageTable

__all__ = ["FeatureTable", "extract"]

_FORMAT = 1
"""Part of the key: a change of how views or features are made makes old files strangers."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of the images of a table, row by row.

    Attributes:
        values: float32 (views, n, d); view 0 is of the plain images.
        labels: int64 (n,), indices into classes.
        origins: "real" or "synthetic".
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    origins: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: NDArray[Any] | Sequence[int]) -> FeatureTable:
        """The rows of these indices (or of a bool mask), in their order."""
        rows = np.arange(len(self))[np.asarray(indices)]
        ids = tuple(self.ids[i] for i in rows.tolist())
        origins = tuple(self.origins[i] for i in rows.tolist())
        return FeatureTable(self.values[:, rows], self.labels[rows], ids, self.classes, origins)


def extract(
    network: Network,
    table: ImageTable,
    *,
    views: int = 1,
    strength: str = "none",
    seed: int = 0,
    device: torch.device | None = None,
    batch_size: int = 64,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> FeatureTable:
    """The features of each image and of each of its views.

    Always in full precision and eval mode, so that the batch size and the order of the images change last bits only.

    The body of the network is used; it is moved to the device (None for where it is), and keeps its mode. `views`
    counts the plain image too; views 1 … differ by `strength`, see `views.check`. A cache of None keeps no features.

    Raises:
        UsageError: Several views of strength "none", or images too small for the network.
        DeviceMemoryError: A batch does not fit into memory.
    """
    _check(views, strength)
    network.check_size(table.size, table.size)
    device = network.head.weight.device if device is None else device
    shape, total = (views, len(table), network.feature_size), views * len(table)
    key = "" if cache is None else _key(network, table, views, strength, seed, device)
    values = None if cache is None else cache.get(key, shape)
    if values is not None:
        if progress is not None:
            progress(Step(total, total, "computing features"))
        return FeatureTable(values, table.labels, table.ids, table.classes, table.origins)
    values = np.empty(shape, np.float32)
    training = network.training
    network.to(device).eval()
    try:
        with torch.inference_mode(), memory_guard(batch_size, device, size=table.size):
            for view, start in product(range(views), range(0, len(table), batch_size)):
                rows = slice(start, min(start + batch_size, len(table)))
                pixels, _ = variation.augment(
                    table.pixels[rows], None, strength=strength, seed=seed, ids=table.ids[rows], view=view
                )
                values[view, rows] = network.features(network.prepare(pixels)).float().cpu().numpy()
                if progress is not None:
                    progress(Step(view * len(table) + rows.stop, total, "computing features"))
    finally:
        network.train(training)
    if cache is not None:
        cache.put(key, values)
    return FeatureTable(values, table.labels, table.ids, table.classes, table.origins)


def _check(views: int, strength: str) -> None:
    if views < 1:
        raise UsageError(f"invalid number of views {views}", hint="use 1 or more")
    if views > 1 and strength == "none":
        raise UsageError(
            f"{views} views without augmentation would all be the same", hint="use --augment light, or one view"
        )
    variation.check(strength)


def _key(network: Network, table: ImageTable, views: int, strength: str, seed: int, device: torch.device) -> str:
    parts: list[object] = [_FORMAT, network.body_digest(), table.digest, device.type, torch.__version__, views]
    if views > 1:
        parts += [variation.identity(strength), seed]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
