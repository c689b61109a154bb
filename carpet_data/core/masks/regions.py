"""The instances of one image, all at once: runs sorted by instance, with their areas and boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from carpet_data.core.masks.components import label
from carpet_data.core.masks.runs import IntArray, LabelMask, Runs
from carpet_data.dataset import Connectivity


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Instances of one image, numbered from 0.

    Attributes:
        runs: Sorted by instance, then by column, then by start; `runs.value` is the instance number.
        first: int64 [K + 1]; the runs of instance k are first[k] : first[k + 1].
        area: int64 [K], pixels.
        bbox: int64 [K, 4], x, y, width, height, half-open.
        class_names: The defect type of each instance, K names.
        too_small: Number of instances skipped for their area.
        shared_px, hidden: As in LabelMask.
    """

    runs: Runs
    first: IntArray
    area: IntArray
    bbox: IntArray
    class_names: tuple[str, ...]
    too_small: int = 0
    shared_px: int = 0
    hidden: int = 0

    def __len__(self) -> int:
        return len(self.class_names)

    def one(self, number: int) -> Runs:
        """The runs of one instance, value 1."""
        piece = slice(self.first[number], self.first[number + 1])
        runs = self.runs
        ones = np.ones(self.first[number + 1] - self.first[number], np.int64)
        return Runs(runs.height, runs.width, runs.column[piece], runs.start[piece], runs.stop[piece], ones)

    def __iter__(self) -> Iterator[tuple[str, Runs]]:
        """(class_name, runs) of each instance."""
        for number, class_name in enumerate(self.class_names):
            yield class_name, self.one(number)


def find(mask: LabelMask, *, connectivity: Connectivity = 8, merge: bool = False, min_area: int = 1) -> Regions:
    """The instances of a mask; those of fewer than `min_area` pixels are skipped.

    A binary mask's instances are its connected components (4 or 8); an index mask states which pixels belong together.
    With `merge`, each class of the image is one instance instead.
    """
    runs = mask.runs
    if merge:
        names = tuple(sorted(set(mask.names)))
        of_value = np.array([names.index(name) for name in mask.names], np.int64)
        number, count = of_value[runs.value - 1], len(names)
    elif mask.binary:
        number, count = label(runs, connectivity)
        names = mask.names * count
    else:
        number, count, names = runs.value - 1, len(mask.names), mask.names
    regions = _sorted(runs, number, count, names, min_area)
    if not (mask.shared_px or mask.hidden):
        return regions
    return replace(regions, shared_px=mask.shared_px, hidden=mask.hidden)


def _sorted(runs: Runs, number: IntArray, count: int, names: tuple[str, ...], min_area: int) -> Regions:
    area = np.bincount(number, weights=runs.stop - runs.start, minlength=count).astype(np.int64)
    kept = area >= max(min_area, 1)
    # An index that a table names but no pixel holds is not an instance, so nothing is lost.
    too_small = int(((area > 0) & ~kept).sum())
    if not kept.all():
        renumbered = np.cumsum(kept) - 1
        chosen = kept[number]
        runs = Runs(
            runs.height, runs.width, runs.column[chosen], runs.start[chosen], runs.stop[chosen], runs.value[chosen]
        )
        number = renumbered[number[chosen]]
        names = tuple(name for name, keep in zip(names, kept.tolist(), strict=True) if keep)
        area, count = area[kept], int(kept.sum())
    order = np.argsort(number, kind="stable")
    column, start, stop, number = runs.column[order], runs.start[order], runs.stop[order], number[order]
    first = np.searchsorted(number, np.arange(count + 1))
    bbox = np.zeros((count, 4), np.int64)
    if count:
        begin = first[:-1]
        bbox[:, 0] = column[begin]
        bbox[:, 1] = np.minimum.reduceat(start, begin)
        bbox[:, 2] = column[first[1:] - 1] + 1 - bbox[:, 0]
        bbox[:, 3] = np.maximum.reduceat(stop, begin) - bbox[:, 1]
    return Regions(Runs(runs.height, runs.width, column, start, stop, number), first, area, bbox, names, too_small)
