"""Class-index masks: a value is a class. Their instances, and how to tell such a file from a binary mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import read_indices
from carpet_data.core.masks.components import label
from carpet_data.core.masks.runs import LabelMask, Runs, from_values
from carpet_data.dataset import Connectivity
from carpet_data.errors import DataError

__all__ = ["IGNORED", "class_numbers", "index_values", "instances", "values_in"]

IGNORED = 255
"""What Pascal VOC and its heirs write where the annotators did not decide."""

_LARGEST_INDEX = 40
"""Larger than the class numbers of any known defect set, smaller than what a drawn edge leaves between 0 and 255."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3


def values_in(values: NDArray[Any]) -> dict[int, int]:
    """The values of a mask (uint8 or uint16) -> number of pixels."""
    counts = np.bincount(values.reshape(-1))
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def index_values(path: Path, values: NDArray[Any]) -> tuple[int, ...]:
    """The values of a file that looks like a class-index mask; empty for a binary mask.

    A palette with several indices besides 0 is one, whatever its colors; so is a grey file of small numbers alone, or
    of small numbers and 255. Edges that were smoothed, and JPEG, leave values all over the range.

    Args:
        path: The file.
        values: Its values as `read_values` gives them, which for palettes are made of colors.
    """
    if _is_palette(path):
        found = tuple(value for value in values_in(read_indices(path)) if value)
        return found if len(found) > 1 else ()
    marked = _marked(values)
    if not ((marked > 0) & (marked <= _LARGEST_INDEX)).any():
        return ()
    found = tuple(value for value in values_in(values) if value)
    small = [value for value in found if value not in (IGNORED, np.iinfo(values.dtype).max)]
    return found if len(found) > 1 and max(small) <= _LARGEST_INDEX else ()


def _marked(values: NDArray[Any]) -> NDArray[Any]:
    """All values that are not 0, and some that are: a mask is mostly 0, so eight pixels are looked at in one go."""
    flat = values.reshape(-1)
    if flat.dtype != np.uint8 or not flat.flags.c_contiguous:
        return flat
    whole = len(flat) - len(flat) % 8
    words = flat[:whole].view(np.uint64)
    return np.concatenate((words[words != 0].view(np.uint8), flat[whole:]))


def class_numbers(path: Path, values: NDArray[Any], threshold: int) -> tuple[int, ...]:
    """The values of a file that a binary mask of this threshold cannot have, and that may be class numbers.

    As `index_values`, and small numbers alone, of which the threshold would leave nothing.
    """
    if threshold <= 1:
        return ()
    found = index_values(path, values)
    largest = int(values.max(initial=0))
    return found or ((largest,) if 0 < largest <= _LARGEST_INDEX else ())


def _is_palette(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(26)
    return head[:8] == _PNG and head[25:26] == bytes([_PALETTE])


def instances(
    path: Path,
    values: NDArray[Any],
    table: Sequence[tuple[int, str]],
    undefined: Sequence[int],
    connectivity: Connectivity,
) -> LabelMask:
    """The connected components of each class, class by class in the order of the table.

    Raises:
        DataError: The file holds values that are neither in the table nor undefined.
    """
    lookup = np.full(int(max(values.max(initial=0), *(value for value, _ in table), *undefined, 0)) + 1, -1, np.int64)
    lookup[list(undefined)] = 0
    for number, (value, _) in enumerate(table, start=1):
        lookup[value] = number
    numbers = lookup[values]
    if (numbers < 0).any():
        unknown = [value for value in values_in(values) if lookup[value] < 0]
        raise DataError(
            f"values {', '.join(map(str, unknown[:5]))} of the index mask are not assigned to a class",
            where=path,
            hint="name them in --mask-classes, such as "
            + ",".join(f"{value}=NAME" for value in unknown[:5])
            + " (or =ignore, for pixels that are not defects)",
        )
    runs = from_values(numbers.astype(np.uint16))
    order, names = np.zeros(len(runs), np.int64), list[str]()
    for number, (_, name) in enumerate(table, start=1):
        chosen = np.flatnonzero(runs.value == number)
        found, count = label(_only(runs, chosen), connectivity)
        order[chosen] = found + len(names) + 1
        names += [name] * count
    numbered = Runs(runs.height, runs.width, runs.column, runs.start, runs.stop, order)
    return LabelMask(numbered, tuple(names), binary=False)


def _only(runs: Runs, chosen: NDArray[np.int64]) -> Runs:
    picked = (each[chosen] for each in (runs.column, runs.start, runs.stop, runs.value))
    return Runs(runs.height, runs.width, *picked)
