"""Images of more than 8 bits: methods work on 8 bits of the range that is used; what they change goes back in depth.

A camera of 12 bits writes 16-bit files whose largest value is 4095. Divided by 257, as 16-bit values are, it would be
left with 16 gray levels; here its own range is brought to 8 bits, and the result is as deep as the host, in its range.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import probe, read_deep
from carpet_data.dataset import Sample
from carpet_data.synthesis.contract import Image

EIGHT_BIT = 255
_LOOKED_AT = 64


def full_scale(root: Path, samples: Iterable[Sample]) -> int:
    """The largest value that images of a data set can have: 255, or 2**bits - 1 of the camera behind 16-bit files.

    The bits are those that hold the largest value of up to 64 evenly picked 16-bit images.

    Raises:
        ImageError: An image cannot be read.
    """
    deep = [sample for sample in samples if _is_deep(root / sample.image_path)]
    step = max(1, -(-len(deep) // _LOOKED_AT))
    largest = max((_largest(root, sample) for sample in deep[::step]), default=0)
    return EIGHT_BIT if not deep else max(EIGHT_BIT, (1 << largest.bit_length()) - 1)


@lru_cache(maxsize=4096)
def _is_deep(path: Path) -> bool:
    return probe(path).bits > 8


@lru_cache(maxsize=1024)
def _largest(root: Path, sample: Sample) -> int:
    return int(read_deep(root / sample.image_path).max())


def read_scaled(path: Path, full: int) -> Image:
    """An image as uint8; 16-bit values are scaled so that `full` becomes 255.

    Raises:
        ImageError: It cannot be read.
    """
    return scaled(read_deep(path), full)


def scaled(values: NDArray[Any], full: int) -> Image:
    """16-bit values as uint8, see `read_scaled`; 8-bit ones as they are."""
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8)
    return np.clip((values.astype(np.uint32) * 255 + full // 2) // full, 0, 255).astype(np.uint8)


def deepened(deep: NDArray[np.uint16], before: Image, after: Image, full: int) -> NDArray[np.uint16]:
    """A 16-bit image with the change that its 8-bit version went through; what did not change keeps its bits.

    `deep` and `before` show the same, `after` is `before` with a defect; all of one shape. Where it changed, the finest
    bits, which 8 bits do not hold, are still those of `deep`: a camera's noise has no gaps between gray levels.
    """
    change = (after.astype(np.float32) - before.astype(np.float32)) * np.float32(full / 255)
    return np.asarray(np.clip(np.rint(deep + change), 0, full), np.uint16)


def spread(image: Image, full: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """An 8-bit image in a 16-bit range, for what has no deep host: noise below one gray level fills the gaps."""
    fine = rng.uniform(-0.5, 0.5, image.shape).astype(np.float32)
    return np.asarray(np.clip(np.rint((image + fine) * np.float32(full / 255)), 0, full), np.uint16)
