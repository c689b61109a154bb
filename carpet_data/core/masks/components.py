"""Connected components, found on runs."""

from __future__ import annotations

import numpy as np

from carpet_data.core.masks.runs import IntArray, Runs
from carpet_data.dataset import Connectivity


def label(runs: Runs, connectivity: Connectivity) -> tuple[IntArray, int]:
    """Number the connected components of a binary mask, by 4-connectivity (shared sides) or 8 (shared corners too).

    Returns:
        int64 [N], the component of each run, and how many there are. Components are numbered from 0 in the order
        in which their first pixels are met row by row from the top left.
    """
    count = len(runs)
    if count == 0:
        return np.zeros(0, np.int64), 0
    left, right = _touching(runs, connectivity)
    parent = _union(count, left, right)
    # The first pixel of a component, row by row, is at the start of one of its runs.
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, parent, runs.start * runs.width + runs.column)
    roots = np.flatnonzero(parent == np.arange(count))
    number = np.empty(count, np.int64)
    number[roots[np.argsort(first[roots])]] = np.arange(len(roots))
    return number[parent], len(roots)


def _touching(runs: Runs, connectivity: Connectivity) -> tuple[IntArray, IntArray]:
    """Pairs of runs (left, right) in neighboring columns that touch."""
    reach = 1 if connectivity == 8 else 0
    # One scale for all columns, with room for a run that reaches one row beyond its column on both ends.
    stride = runs.height + 3
    next_column = (runs.column + 1) * stride
    # For a run of this column: the runs of the next one that stop after its start and start before its stop.
    first = np.searchsorted(runs.column * stride + runs.stop, next_column + runs.start - reach, side="right")
    last = np.searchsorted(runs.column * stride + runs.start, next_column + runs.stop + reach, side="left")
    each = np.maximum(last - first, 0)
    left = np.repeat(np.arange(len(runs)), each)
    offset = np.arange(len(left)) - np.repeat(np.cumsum(each) - each, each)
    return left, first[left] + offset


def _union(count: int, left: IntArray, right: IntArray) -> IntArray:
    """The smallest member of each node's set; hooking and pointer jumping (Shiloach & Vishkin, 1982).

    Every round joins each set that has a smaller neighbor to one, so there are at most log2(count) rounds.
    """
    parent = np.arange(count)
    while True:
        a, b = parent[left], parent[right]
        open_pairs = a != b
        if not open_pairs.any():
            return parent
        a, b = a[open_pairs], b[open_pairs]
        left, right = left[open_pairs], right[open_pairs]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))
        while True:
            grandparent = parent[parent]
            if np.array_equal(grandparent, parent):
                break
            parent = grandparent
