"""Images of any size before a network of squares: resized, cut into tiles, and gone through in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.tiling.grid import Window, windows
from carpet_data.training.tuning.crops import padded
from carpet_data.training.tuning.scenes import resized

__all__ = ["Tile", "TileBatch", "tile_batches"]

U8 = NDArray[np.uint8]
_OVERLAP = 4
"""Neighboring tiles share one part in this many of their side."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile.

    Attributes:
        image: The number of its image.
        window: Its place in the resized image.
        last: Whether it is the image's last.
    """

    image: int
    window: Window
    last: bool


@dataclass(frozen=True, slots=True, eq=False)
class TileBatch:
    """Some tiles, of one image or of several.

    Attributes:
        tiles: Where they lie.
        pixels: uint8 (n, s, s, 3); what lies right of or below a smaller image is its mean color.
    """

    tiles: tuple[Tile, ...]
    pixels: torch.Tensor


def tile_batches(images: Sequence[U8], *, size: int | None, side: int, batch_size: int) -> Iterator[TileBatch]:
    """The tiles of images, in order; all are squares of `side` pixels that overlap by a quarter.

    Args:
        images: uint8 HxWx3 or HxW.
        size: Longer side that an image is resized to; None to leave it as it is.
        side: Pixels across and down a tile.
        batch_size: Tiles at a time.
    """
    waiting: list[tuple[Tile, U8]] = []
    for number, image in enumerate(images):
        shown = resized(image, size)
        places = list(windows(shown.shape[0], shown.shape[1], side, side // _OVERLAP))
        for place in places:
            tile = Tile(number, place, place is places[-1])
            waiting.append((tile, padded(np.ascontiguousarray(shown[place.slices]), side)))
            if len(waiting) == batch_size:
                yield _batch(waiting)
                waiting = []
    if waiting:
        yield _batch(waiting)


def _batch(waiting: Sequence[tuple[Tile, U8]]) -> TileBatch:
    return TileBatch(tuple(tile for tile, _ in waiting), torch.from_numpy(np.stack([pixels for _, pixels in waiting])))
