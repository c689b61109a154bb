"""Small networks with random weights, and tables of noise, for tests."""

from __future__ import annotations

import numpy as np

from carpet_data.networks import Network, build, find_weights
from carpet_data.training.tables import ImageTable


def network(
    architecture: str = "shufflenet_v2_x0_5", *, classes: int = 3, seed: int = 1, pooling: str = "mean"
) -> Network:
    return build(find_weights(architecture, "none"), classes=classes, seed=seed, pooling=pooling)  # type: ignore[arg-type]


def table(count: int = 7, *, size: int = 32, classes: int = 3, seed: int = 0) -> ImageTable:
    random = np.random.default_rng(seed)
    ids = tuple(f"image_{number}" for number in range(count))
    return ImageTable(
        ids=ids,
        labels=(np.arange(count) % classes).astype(np.int64),
        classes=tuple(f"class {number}" for number in range(classes)),
        pixels=random.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
        masks=None,
        origins=("real",) * count,
        groups=ids,
    )
