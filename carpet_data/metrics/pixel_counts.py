"""The pixels of an image counted in bins of their score: small enough to be kept, fine enough to be scored again.

The bins lie at quantiles of the scores that a model gave to all its images: those of defect pixels, all together and
type by type, those of components, and those of defect-free pixels. Whatever range a model's scores use, the bins are
where they matter.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.spool import Spool

__all__ = ["Bins", "PixelCounts", "bins_at", "bounds_of", "is_single"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_SAMPLE = 1 << 18
"""Defect-free pixels looked at to place bins."""
_FINE = np.append(np.linspace(0, 1, 193), 1 - np.geomspace(1e-5, 4e-3, 32))
"""Quantiles of all defect pixels, and of all components. Precision changes fastest at the highest scores."""
_COARSE = np.linspace(0, 1, 65)
"""Quantiles of each type alone."""
_FREE = np.append(np.linspace(0, 1, 65), 1 - np.geomspace(1e-5, 1e-2, 32))
"""Quantiles of defect-free pixels."""
_MOST_COLUMNS = 1500
"""Bins of several models together; more are joined."""
_EXACT = 512
"""Up to this number of distinct scores of defect pixels, each has a bin of its own."""
_KINDS = ("<f4", "<f4", "<u4", "<u4", "<f4")


@dataclass(frozen=True, slots=True, eq=False)
class PixelCounts:
    """The pixels of one image by score.

    Attributes:
        low: float32 (k,), rising: where each bin that holds a pixel begins.
        top: float32 (k,): where it ends; the next number after `low` for a bin of a single score.
        table: float64 (3, k): number of defect-free pixels, number of defect pixels, and the latter weighted by 1 /
            (pixels of their component).
        components: Number of connected components of defect pixels.
    """

    low: F32
    top: F32
    table: F64
    components: int

    def at(self, bounds: F32) -> F64:
        """The table with its bins put into columns between these bounds, float64 (3, bounds - 1).

        The pixels of a bin that lies in several columns are taken as spread evenly.
        """
        x = np.stack([self.low, self.top], axis=1).reshape(-1).astype(np.float64)
        reached = np.concatenate([np.zeros((3, 1)), self.table.cumsum(axis=1)], axis=1)
        y = np.stack([reached[:, :-1], reached[:, 1:]], axis=2).reshape(3, -1)
        if not len(x):
            return np.zeros((3, len(bounds) - 1))
        return np.diff(np.stack([np.interp(bounds.astype(np.float64), x, row) for row in y]), axis=1)

    def pack(self) -> str:
        """As text, some kilobytes; without the number of components."""
        columns = (self.low, self.top, *self.table)
        data = b"".join(np.asarray(row).astype(kind).tobytes() for row, kind in zip(columns, _KINDS, strict=True))
        return base64.b85encode(zlib.compress(data, 6)).decode("ascii")

    @classmethod
    def unpack(cls, text: str, components: int) -> PixelCounts:
        """What `pack` made."""
        data = zlib.decompress(base64.b85decode(text))
        k = len(data) // 20
        rows = [np.frombuffer(data, kind, k, 4 * k * place) for place, kind in enumerate(_KINDS)]
        return cls(rows[0], rows[1], np.stack([row.astype(np.float64) for row in rows[2:]]), components)


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Bins of scores; bin i is from edges[i] to below edges[i + 1], float32 (k + 1,), and no score lies outside."""

    edges: F32

    def count(self, free: F32, defect: F32, share: F64, *, components: int) -> PixelCounts:
        """Count the scores of an image: of defect-free pixels, and of defect pixels with their weights."""
        length = len(self.edges) - 1
        place = np.searchsorted(self.edges, defect, "right") - 1
        table = np.stack(
            [
                np.bincount(np.searchsorted(self.edges, free, "right") - 1, minlength=length),
                np.bincount(place, minlength=length),
                np.bincount(place, weights=share, minlength=length),
            ]
        ).astype(np.float64)
        held = table[:2].any(axis=0)
        return PixelCounts(self.edges[:-1][held], self.edges[1:][held], table[:, held], components)


def bounds_of(images: Sequence[PixelCounts]) -> F32:
    """The bounds of columns that hold the bins of all these images, float32 (columns + 1,), rising.

    Images that one model scored have their bins in common. Those of several have not, and if these are too many, bins
    are joined that few pixels tell apart.
    """
    bounds = np.unique(np.concatenate([each for image in images for each in (image.low, image.top)]))
    if len(bounds) <= _MOST_COLUMNS:
        return bounds
    sums = np.zeros((3, len(bounds) - 1))
    for each in images:
        sums += each.at(bounds)
    # Every row gets a third of the columns.
    share = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-12)
    step = np.floor(np.concatenate([np.zeros((3, 1)), share.cumsum(axis=1)], axis=1) * (_MOST_COLUMNS / 3))
    heavy = np.flatnonzero((step[:, 1:] > step[:, :-1]).any(axis=0))
    # A bin that fills a column has both its bounds.
    joined: F32 = bounds[np.unique(np.concatenate([heavy, heavy + 1, [0, len(bounds) - 1]]))]
    return joined


def is_single(bounds: F32) -> NDArray[np.bool_]:
    """Which columns between the bounds hold a single score, bool (bounds - 1,)."""
    single: NDArray[np.bool_] = np.nextafter(bounds[:-1], np.float32(np.inf)) == bounds[1:]
    return single


def bins_at(defect: F32, share: F64, kinds: I64, free: Spool) -> Bins:
    """Bins for the scores of all defect pixels, their weights and types, each (n,), and of the defect-free pixels."""
    sample, ends = _sampled(free)
    order = np.argsort(defect, kind="stable")
    defect, share, kinds = defect[order], share[order], kinds[order]
    families = [_at(defect, _FINE), _at(np.sort(sample), _FREE)]
    distinct = np.unique(defect)
    if len(defect):
        weight = np.cumsum(share)
        families.append(defect[np.minimum(np.searchsorted(weight, _FINE * weight[-1]), len(defect) - 1)])
    families += [_at(defect[kinds == kind], _COARSE) for kind in np.unique(kinds)]
    # A score that holds two neighboring quantiles is one that many pixels share: it gets a bin of its own.
    common = np.unique(np.concatenate([_repeated(each) for each in families]))
    if len(distinct) <= _EXACT:
        common = np.union1d(common, distinct)
    above = np.nextafter(np.append(common, ends[1:]), np.float32(np.inf))
    above = np.append(above, np.nextafter(distinct[-1:], np.float32(np.inf)))
    return Bins(np.unique(np.concatenate([*families, common, above, ends[:1]])))


def _sampled(free: Spool) -> tuple[F32, F32]:
    """Evenly picked scores; and the lowest and the highest of all, if there are any."""
    step = max(1, free.size // _SAMPLE)
    arrays = [(each[::step], each.min(), each.max()) for each in free if len(each)]
    picked = np.concatenate([np.zeros(0, np.float32), *(some for some, _, _ in arrays)])
    ends = [min(low for _, low, _ in arrays), max(high for _, _, high in arrays)] if arrays else []
    return picked, np.array(ends, np.float32)


def _at(ordered: F32, levels: F64) -> F32:
    """The values at quantiles of sorted ones."""
    if not len(ordered):
        return ordered
    found: F32 = ordered[np.round(levels * (len(ordered) - 1)).astype(np.int64)]
    return found


def _repeated(values: F32) -> F32:
    found, times = np.unique(values, return_counts=True)
    repeated: F32 = found[times > 1]
    return repeated
