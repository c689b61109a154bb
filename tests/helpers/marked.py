"""A prepared data set of small noisy images that is learned fast: dark squares are holes, bright bars threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from carpet_data.core.images import write_png
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.prepare import prepare

KINDS = ("good", "hole", "thread")


def drawn(kind: str, seed: int, *, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """An image, uint8 (size, size, 3), and its mask, bool."""
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    image = rng.integers(100, 140, (size, size, 3)).astype(np.uint8)
    mask = np.zeros((size, size), np.bool_)
    top, left = (int(each) for each in rng.integers(2, size - 22, 2))
    if kind == "hole":
        mask[top : top + 14, left : left + 14] = True
        image[mask] = rng.integers(0, 30, 3)
    elif kind == "thread":
        mask[top : top + 6, left : left + 20] = True
        image[mask] = rng.integers(225, 255, 3)
    return image, mask


def prepared(folder: Path, *, count: int = 6, size: int = 48, masks: bool = True) -> Path:
    """Half of the images of each class to train on, a quarter each to validate and to test."""
    raw = folder / "raw"
    for kind in KINDS:
        for number in range(count):
            image, mask = drawn(kind, number, size=size)
            _write(raw / "test" / kind / f"{number:03d}.png", image)
            if kind != "good" and masks:
                _write(raw / "ground_truth" / kind / f"{number:03d}_mask.png", mask.astype(np.uint8) * 255)
    prepare(
        raw,
        folder / "prepared",
        SplitOptions(fractions=(0.5, 0.25, 0.25)),
        GroupOptions(near_duplicates=False),
        keep_unmasked=not masks,
        workers=1,
    )
    return folder / "prepared"


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, pixels)
