"""COCO run-length encoding: counts of pixels down the columns, zeros first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from carpet_data.core.masks.regions import Regions
from carpet_data.core.masks.runs import Runs, from_counts


def counts(runs: Runs) -> list[int]:
    """The uncompressed counts of a mask; every value counts as set."""
    if len(runs) == 0:
        return [runs.height * runs.width]
    base = runs.column * runs.height
    first, last = base + runs.start, base + runs.stop
    # A run that ends at the bottom continues where the next column begins with one.
    apart = np.flatnonzero(first[1:] != last[:-1])
    first = np.concatenate((first[:1], first[apart + 1]))
    last = np.concatenate((last[apart], last[-1:]))
    edges = np.empty(2 * len(first) + 2, np.int64)
    edges[0] = 0
    edges[1:-1:2] = first
    edges[2:-1:2] = last
    edges[-1] = runs.height * runs.width
    lengths = np.diff(edges)
    if lengths[-1] == 0:
        lengths = lengths[:-1]
    return [int(length) for length in lengths]


def compress(lengths: Sequence[int], height: int, width: int) -> str:
    """The counts as COCO's text (a base-48 variable-length code of differences)."""
    uncompressed: Any = {"counts": list(lengths), "size": [height, width]}
    encoded: Any = coco_mask.frPyObjects(uncompressed, height, width)
    text: bytes = encoded["counts"]
    return text.decode("ascii")


def encode(runs: Runs) -> str:
    """The compressed counts of a mask."""
    return compress(counts(runs), runs.height, runs.width)


def encode_each(regions: Regions) -> list[str]:
    """The compressed counts of every instance."""
    return [encode(runs) for _, runs in regions]


def expand(text: str) -> list[int]:
    """The counts in COCO's compressed text; the inverse of `compress`.

    Raises:
        ValueError: The text is not such a code.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        chunk = ord(character) - 48
        if not 0 <= chunk < 64:
            raise ValueError(f"{character!r} is not a character of compressed run-length counts")
        value |= (chunk & 0x1F) << shift
        shift += 5
        if chunk & 0x20:
            continue
        if chunk & 0x10:
            value -= 1 << shift
        # From the fourth count on, COCO stores the difference to the count two before.
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the compressed run-length counts are cut short")
    return lengths


def decode(text: str | Sequence[int], height: int, width: int) -> Runs:
    """The runs of compressed or uncompressed counts.

    Raises:
        ValueError: They are damaged, or do not fill height x width pixels.
    """
    return from_counts(expand(text) if isinstance(text, str) else text, height, width)
