"""COCO run-length encoding: counts of pixels down the columns, zeros first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from carpet_data.core.masks.regions import Regions
from carpet_data.core.masks.runs import Runs, from_counts

_NO_CODE = "is not a character of compressed run-length counts"
_MOST_CHUNKS = 7
"""5 bits each: counts beyond 2^34 are longer than any image, and their sums stay below 2^63."""


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
    try:
        chunks = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError as error:
        raise ValueError(f"{text[error.start]!r} {_NO_CODE}") from error
    wrong = np.flatnonzero((chunks < 0) | (chunks > 63))
    if len(wrong):
        raise ValueError(f"{text[int(wrong[0])]!r} {_NO_CODE}")
    ends = np.flatnonzero(chunks & 0x20 == 0)
    if len(chunks) and (not len(ends) or ends[-1] != len(chunks) - 1):
        raise ValueError("the compressed run-length counts are cut short")
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))[: len(ends)]
    if len(ends) and int((ends - starts).max()) >= _MOST_CHUNKS:
        raise ValueError("the compressed run-length counts hold a count that is longer than any image")
    if not len(ends):
        return []
    shift = 5 * (np.arange(len(chunks)) - np.repeat(starts, ends - starts + 1))
    values = np.add.reduceat((chunks & 0x1F) << shift, starts)
    # The highest bit of the last chunk is the sign.
    values -= np.where(chunks[ends] & 0x10, np.int64(1) << (shift[ends] + 5), 0)
    # From the fourth count on, COCO stores the difference to the count two before.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    lengths: list[int] = values.tolist()
    return lengths


def decode(text: str | Sequence[int], height: int, width: int) -> Runs:
    """The runs of compressed or uncompressed counts.

    Raises:
        ValueError: They are damaged, or do not fill height x width pixels.
    """
    return from_counts(expand(text) if isinstance(text, str) else text, height, width)
