"""A mask as column runs: vertical stretches of pixels of one value.

A defect mask of a million pixels has some hundreds of runs, so whatever works on runs instead of pixels costs almost
nothing. Columns rather than rows because COCO's run-length encoding goes down the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The runs of a mask, sorted by column, then by start; no two of one value touch in a column.

    Attributes:
        height: Rows of the mask.
        width: Columns of the mask.
        column: int64 [N], the column of each run.
        start: int64 [N], its first row.
        stop: int64 [N], the first row after it.
        value: int64 [N], what the pixels hold (1 for a binary mask); 0 is background and has no runs.
    """

    height: int
    width: int
    column: IntArray
    start: IntArray
    stop: IntArray
    value: IntArray

    def __len__(self) -> int:
        return len(self.column)

    @property
    def area(self) -> int:
        """Pixels that are not background."""
        return int((self.stop - self.start).sum())


@dataclass(frozen=True, slots=True, eq=False)
class LabelMask:
    """The mask of one image.

    Attributes:
        runs: Their value v belongs to names[v - 1].
        names: Defect types: one for a binary mask, one an instance otherwise.
        binary: Whether instances are to be found as connected components.
        shared_px: Pixels that several annotations claim; each went to one of them.
        hidden: Annotations of which other ones left no pixel.
    """

    runs: Runs
    names: tuple[str, ...]
    binary: bool
    shared_px: int = 0
    hidden: int = 0


def from_binary(mask: NDArray[np.bool_]) -> Runs:
    """The runs of a boolean mask, HxW."""
    height, width = mask.shape
    position = np.flatnonzero(mask[1:] != mask[:-1])
    row, column = np.divmod(position, width)
    rows, columns = [row + 1], [column]
    # The image border ends runs too.
    for edge, border_row in ((mask[0], 0), (mask[-1], height)):
        at_border = np.flatnonzero(edge)
        if len(at_border):
            columns.append(at_border)
            rows.append(np.full(len(at_border), border_row))
    # In column order, every first transition opens a run and every second one closes it.
    key = np.concatenate(columns) * (height + 1) + np.concatenate(rows)
    key.sort()
    column, start = np.divmod(key[0::2], height + 1)
    stop = key[1::2] - column * (height + 1)
    return Runs(height, width, column, start, stop, np.ones(len(column), np.int64))


def from_values(values: NDArray[Any]) -> Runs:
    """The runs of an index mask (unsigned HxW, 0 = background): neighbors of different values are different runs."""
    height, width = values.shape
    padded = np.zeros((height + 2, width), values.dtype)
    padded[1:-1] = values
    position = np.flatnonzero(padded[1:] != padded[:-1])
    row, column = np.divmod(position, width)
    key = column * (height + 1) + row
    order = np.argsort(key, kind="stable")
    row, column, key = row[order], column[order], key[order]
    opens = padded[row + 1, column] != 0
    closes = padded[row, column] != 0
    return Runs(
        height, width, column[opens], row[opens], row[closes], padded[row[opens] + 1, column[opens]].astype(np.int64)
    )


def to_values(runs: Runs, dtype: type[np.unsignedinteger[Any]] = np.uint8) -> NDArray[Any]:
    """The index mask of runs: HxW of `dtype`, 0 = background."""
    values = np.zeros((runs.width, runs.height), dtype)
    for column, start, stop, value in zip(
        runs.column.tolist(), runs.start.tolist(), runs.stop.tolist(), runs.value.tolist(), strict=True
    ):
        values[column, start:stop] = value
    return np.ascontiguousarray(values.T)


def to_binary(runs: Runs) -> NDArray[np.bool_]:
    """The boolean mask of runs, HxW; every value counts as set."""
    values = np.zeros((runs.width, runs.height), np.bool_)
    for column, start, stop in zip(runs.column.tolist(), runs.start.tolist(), runs.stop.tolist(), strict=True):
        values[column, start:stop] = True
    return np.ascontiguousarray(values.T)


def from_counts(counts: Sequence[int], height: int, width: int, value: int = 1) -> Runs:
    """The runs of COCO run-length counts (zeros first, down the columns).

    Raises:
        ValueError: The counts are negative or do not sum to height * width.
    """
    lengths = np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise ValueError(f"run-length counts must be natural numbers that sum to {height} x {width}")
    edges = np.cumsum(lengths)
    first = edges[0::2][: len(edges) // 2]
    last = edges[1::2]
    keep = last > first
    return _from_spans(first[keep], last[keep], height, width, value)


def _from_spans(first: IntArray, last: IntArray, height: int, width: int, value: int) -> Runs:
    """Runs of half-open spans over the column-major pixels, cut where a column ends."""
    first_column = first // height
    columns_each = (last - 1) // height - first_column + 1
    span = np.repeat(np.arange(len(first)), columns_each)
    within = np.arange(len(span)) - np.repeat(np.cumsum(columns_each) - columns_each, columns_each)
    column = first_column[span] + within
    start = np.maximum(first[span] - column * height, 0)
    stop = np.minimum(last[span] - column * height, height)
    return Runs(height, width, column, start, stop, np.full(len(column), value, np.int64))
