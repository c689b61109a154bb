"""Small tables of images whose classes differ by colour, for tests of training."""

from __future__ import annotations

import numpy as np
import torch

from carpet_data.training.tables import ImageTable

CLASSES = ("good", "hole", "thread")


def table(
    count: int = 24,
    *,
    size: int = 32,
    seed: int = 0,
    classes: tuple[str, ...] = CLASSES,
    labels: list[int] | None = None,
) -> ImageTable:
    rng = np.random.default_rng(seed)
    truth = np.arange(count, dtype=np.int64) % len(classes) if labels is None else np.array(labels, np.int64)
    pixels = rng.integers(0, 120, (len(truth), size, size, 3)).astype(np.uint8)
    masks = np.zeros((len(truth), size, size), np.uint8)
    for row, label in enumerate(truth.tolist()):
        pixels[row, :, :, label % 3] += 40
        if label:
            masks[row, 4:9, 6:14] = 1
    ids = tuple(f"{seed}-{row:03d}" for row in range(len(truth)))
    return ImageTable(ids, truth, classes, pixels, masks, ("real",) * len(truth), ids)


def equal_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two networks hold the same bits."""
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())
