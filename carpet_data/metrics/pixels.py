"""How well heat maps find defect pixels: AUROC, AP, F1-max and PRO, exact over all pixels of all images.

Only the scores of defect pixels matter as thresholds. Between two of them neither recall nor PRO changes, and precision
only falls. So all four follow from two numbers for each distinct score of a defect pixel: how many defect-free pixels
score above it, and how many as high. The defect-free pixels, nearly all of them, are sorted in chunks and looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.results import Result
from carpet_data.core.spool import Spool
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics.pixel_counts import PixelCounts, bins_at
from carpet_data.samples import Connectivity

__all__ = ["PRO_LIMIT", "PixelRanking", "PixelScores", "pixel_scores"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

PRO_LIMIT = 0.3
"""False-positive rate up to which PRO is integrated, as MVTec AD does."""
_CHUNK = 1 << 23
"""Pixels sorted at once: 32 MiB."""


@dataclass(frozen=True, slots=True)
class PixelScores(Result):
    """How well the scores of pixels tell defect pixels from others, pooled over all images.

    Attributes:
        auroc: Share of pairs of a defect pixel and a defect-free one in which the defect pixel scores higher; ties
            count half. None without pixels of both kinds.
        ap: Average precision: the sum over thresholds of precision times gain in recall, without interpolation. None
            without defect pixels.
        f1_max: Largest F1 of any threshold. It is found on the test pixels, so it is an upper bound. None as `ap`.
        f1_threshold: The highest threshold that reaches it; pixels of at least this score are called defect.
        pro: Area under the mean overlap of components against the false-positive rate, up to a rate of `pro_limit` and
            divided by it. None as `auroc`.
        pro_limit: See `pro`.
        defect_pixels: Number of defect pixels.
        free_pixels: Number of defect-free pixels.
        components: Number of connected components of defect pixels.
        images: Number of images.
    """

    auroc: float | None
    ap: float | None
    f1_max: float | None
    f1_threshold: float | None
    pro: float | None
    pro_limit: float
    defect_pixels: int
    free_pixels: int
    components: int
    images: int

    def text(self) -> str:
        """One line, such as `AP 0.912, AUROC 0.9921, F1-max 0.843, PRO 0.951`."""
        shown = (("AP", self.ap, 3), ("AUROC", self.auroc, 4), ("F1-max", self.f1_max, 3), ("PRO", self.pro, 3))
        return ", ".join(
            f"{name} {'–' if value is None else format(value, f'.{digits}f')}" for name, value, digits in shown
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Positives:
    """The score of every defect pixel, float32 (n,), and its component, int32 (n,); type and size of each component."""

    values: F32
    component: I32
    types: I64
    sizes: I64


@dataclass(frozen=True, slots=True, eq=False)
class _Ranks:
    """The distinct scores of defect pixels, highest first, and the defect-free pixels above and at least at each."""

    values: F32
    place: I64
    """int64 (n,): which of the values each defect pixel has."""
    above: I64
    at_least: I64
    free: int


class PixelRanking:
    """Collects heat maps and masks image by image, and scores all their pixels together.

    Defect-free pixels take 4 bytes each, beyond `memory_bytes` in a temporary file; defect pixels take 8, always in
    memory. The scores are exact whatever the limit.

    Args:
        types: Names of the defect types, for `by_type`: value k of a mask is a pixel of types[k - 1].
        connectivity: Which defect pixels are one component: 8 (corners touch) or 4.
        memory_bytes: See above.

    Raises:
        UsageError: No types.

    Examples:
        >>> ranking = PixelRanking(["hole", "thread"])
        >>> heat = np.array([[0.9, 0.2, 0.1], [0.3, 0.1, 0.6]], np.float32)
        >>> ranking.add(heat, np.array([[1, 0, 0], [0, 0, 2]]))
        >>> ranking.scores().ap, ranking.by_type()["thread"].components
        (1.0, 1)
    """

    def __init__(
        self, types: Sequence[str] = ("defect",), *, connectivity: Connectivity = 8, memory_bytes: int = 1 << 30
    ) -> None:
        if not types:
            raise UsageError("no defect types", hint="name at least one")
        self.types = tuple(types)
        self.connectivity = connectivity
        self._free = Spool(memory_bytes)
        self._values: list[F32] = []
        self._component: list[I32] = []
        self._types: list[int] = []
        self._sizes: list[I64] = []
        self._ranks: _Ranks | None = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self._values)

    def add(self, heat: NDArray[Any], truth: NDArray[Any], *, connectivity: Connectivity | None = None) -> None:
        """Add an image.

        Args:
            heat: float (h, w), higher where a defect is likelier; taken as float32.
            truth: bool or whole numbers (h, w): 0 where there is no defect, k where there is one of types[k - 1].
            connectivity: Of this image; None for that of the ranking.

        Raises:
            UsageError: The shapes differ, or the truth holds a number that is no type.
            DataError: The heat map holds NaN or an infinite score.
        """
        scores, mask = self._checked(heat, truth)
        is_defect = mask != 0
        number = np.zeros(mask.shape, np.int32)
        known = len(self._types)
        for kind in np.unique(mask[is_defect]).tolist():
            only = (mask == kind).view(np.uint8)
            count, found = cv2.connectedComponents(
                only, connectivity=connectivity or self.connectivity, ltype=cv2.CV_32S
            )
            inside = only.view(np.bool_)
            number[inside] = found[inside] + (known - 1)
            self._sizes.append(np.bincount(found[inside], minlength=count)[1:].astype(np.int64))
            self._types += [int(kind)] * (count - 1)
            known += count - 1
        self._values.append(scores[is_defect])
        self._component.append(number[is_defect])
        self._free.append(scores[~is_defect])
        self._ranks = None

    def scores(self, *, pro_limit: float = PRO_LIMIT) -> PixelScores:
        """The scores of all defect pixels against all defect-free ones.

        Raises:
            UsageError: `pro_limit` is not above 0 and at most 1.
        """
        return self._scores(None, pro_limit)

    def by_type(self, *, pro_limit: float = PRO_LIMIT) -> dict[str, PixelScores]:
        """Type -> the scores of its pixels against the defect-free pixels of all images; other types are left out.

        Raises:
            UsageError: As `scores`.
        """
        return {name: self._scores(number, pro_limit) for number, name in enumerate(self.types, start=1)}

    def summaries(self) -> tuple[PixelCounts, ...]:
        """Of each image, in the order given, its pixels counted in bins of the score, for the bootstrap over images.

        The bins lie at quantiles of the pooled scores. AP, AUROC and PRO made of them are within 0.001 of the exact
        ones, F1-max within 0.002.
        """
        positives = self._positives()
        share = 1.0 / positives.sizes[positives.component] if len(positives.values) else np.zeros(0)
        kinds = positives.types[positives.component]
        bins = bins_at(positives.values, share, kinds, self._free)
        found, done = [], 0
        for values, free in zip(self._values, self._free, strict=True):
            mine = slice(done, done + len(values))
            done += len(values)
            found.append(bins.count(free, values, share[mine], components=round(float(share[mine].sum()))))
        return tuple(found)

    def _checked(self, heat: NDArray[Any], truth: NDArray[Any]) -> tuple[F32, NDArray[Any]]:
        scores, mask = np.asarray(heat, np.float32), np.asarray(truth)
        if scores.ndim != 2 or scores.shape != mask.shape:
            raise UsageError(
                f"the heat map has shape {scores.shape}, the mask {mask.shape}",
                hint="give both at the size of the image, rows by columns",
            )
        if mask.dtype != np.bool_ and mask.dtype.kind not in "iu":
            raise UsageError(f"invalid mask: {mask.dtype}", hint="give bool or whole numbers")
        if mask.size and not (mask.min() >= 0 and mask.max() <= len(self.types)):
            raise UsageError(
                f"the mask holds {mask.min()} to {mask.max()}, but there are {len(self.types)} types",
                hint=f"use 0 for no defect and 1 to {len(self.types)} for the types",
            )
        if scores.size and not (np.isfinite(scores.max()) and np.isfinite(scores.min())):
            kind = "NaN" if np.isnan(scores.max()) else "an infinite score"
            raise DataError(f"the heat map holds {kind}", hint="check the model: its training may have diverged")
        return scores, mask

    def _positives(self) -> _Positives:
        return _Positives(
            np.concatenate(self._values or [np.zeros(0, np.float32)]),
            np.concatenate(self._component or [np.zeros(0, np.int32)]),
            np.array(self._types, np.int64),
            np.concatenate(self._sizes or [np.zeros(0, np.int64)]),
        )

    def _ranked(self, values: F32) -> _Ranks:
        """Kept until the next image: every type needs them."""
        if self._ranks is None:
            distinct, place = np.unique(values, return_inverse=True)
            above = np.zeros(len(distinct), np.int64)
            at_least = np.zeros(len(distinct), np.int64)
            for chunk in self._free.chunks(_CHUNK):
                chunk.sort()
                at_least += len(chunk) - np.searchsorted(chunk, distinct, "left")
                above += len(chunk) - np.searchsorted(chunk, distinct, "right")
            place = len(distinct) - 1 - place.reshape(-1)
            self._ranks = _Ranks(distinct[::-1], place, above[::-1], at_least[::-1], self._free.size)
        return self._ranks

    def _scores(self, kind: int | None, pro_limit: float) -> PixelScores:
        if not 0 < pro_limit <= 1:
            raise UsageError(f"invalid limit of PRO {pro_limit}", hint="give a rate above 0 and at most 1")
        positives = self._positives()
        ranks = self._ranked(positives.values)
        chosen = np.ones(len(positives.types), np.bool_) if kind is None else positives.types == kind
        components = int(chosen.sum())
        # The weight of a pixel: the components count alike, however large they are.
        share = np.where(chosen, 1.0 / np.maximum(positives.sizes, 1) / max(components, 1), 0.0)
        counted = chosen[positives.component]
        place = ranks.place[counted]
        counts = np.bincount(place, minlength=len(ranks.values))
        overlap = _weighted(place, share[positives.component[counted]], len(ranks.values))
        total = int(counts.sum())
        f1, threshold = _f1_max(ranks, counts) if total else (None, None)
        both = total > 0 and ranks.free > 0
        return PixelScores(
            auroc=_auroc(ranks, counts) if both else None,
            ap=_average_precision(ranks, counts) if total else None,
            f1_max=f1,
            f1_threshold=threshold,
            pro=_pro(ranks, overlap, pro_limit) if both else None,
            pro_limit=pro_limit,
            defect_pixels=total,
            free_pixels=ranks.free,
            components=components,
            images=len(self),
        )


def _weighted(place: I64, weights: F64, length: int) -> F64:
    sums: F64 = np.bincount(place, weights=weights, minlength=length).astype(np.float64)
    return sums


def _auroc(ranks: _Ranks, counts: I64) -> float:
    """The Mann-Whitney statistic (Hanley & McNeil 1982), in whole numbers until the last division."""
    twice = 2 * (ranks.free - ranks.at_least) + (ranks.at_least - ranks.above)
    return float((counts * twice.astype(np.float64)).sum() / (2.0 * ranks.free * int(counts.sum())))


def _average_precision(ranks: _Ranks, counts: I64) -> float:
    found = np.cumsum(counts)
    precision = found / np.maximum(found + ranks.at_least, 1)
    return float((counts * precision).sum() / int(counts.sum()))


def _f1_max(ranks: _Ranks, counts: I64) -> tuple[float, float]:
    """The largest F1 and its threshold: a score of a defect pixel, since any other adds false alarms only."""
    found = np.cumsum(counts)
    f1 = 2 * found / (found + ranks.at_least + int(counts.sum()))
    best = int(f1.argmax())
    return float(f1[best]), float(ranks.values[best])


def _pro(ranks: _Ranks, overlap: F64, limit: float) -> float:
    """The area under overlap against false positives, up to a share of them.

    Between two scores of defect pixels the false positives grow alone. Where defect pixels and others share a score,
    overlap and false positives grow together, on a straight line, as in a ROC curve.
    """
    reached = np.cumsum(overlap)
    x, y = np.zeros(2 * len(reached) + 2), np.zeros(2 * len(reached) + 2)
    x[1:-1:2], x[2:-1:2], x[-1] = ranks.above, ranks.at_least, ranks.free
    y[1:-1:2], y[2:-1:2], y[-1] = reached - overlap, reached, reached[-1]
    end = limit * ranks.free
    inside = int(np.searchsorted(x, end, "right"))
    if inside < len(x):
        slope = (y[inside] - y[inside - 1]) / (x[inside] - x[inside - 1])
        y = np.append(y[:inside], y[inside - 1] + (end - x[inside - 1]) * slope)
        x = np.append(x[:inside], end)
    return min(1.0, float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2 / end))


def pixel_scores(
    heats: Iterable[NDArray[Any]],
    masks: Iterable[NDArray[Any]],
    *,
    connectivity: Connectivity = 8,
    pro_limit: float = PRO_LIMIT,
) -> PixelScores:
    """Pixel AUROC, AP, F1-max and PRO of heat maps, all pixels pooled and ranked exactly.

    AUROC and AP are those of scikit-learn, ties included. PRO is the per-region overlap of Bergmann et al.
    ("Uninformed students", CVPR 2020): at each threshold the mean over connected components of the share of their
    pixels that is found, against the share of defect-free pixels that is called defect.

    Args:
        heats: float (h, w) of each image, higher where a defect is likelier; sizes may differ.
        masks: bool (h, w) of each image, its defect pixels; all False for good images.
        connectivity: Which defect pixels are one component: 8 (corners touch) or 4.
        pro_limit: False-positive rate up to which PRO is integrated.

    Raises:
        UsageError: The shapes of a heat map and its mask differ, or their numbers.
        DataError: A heat map holds NaN or an infinite score.

    Examples:
        >>> heat = np.array([[0.1, 0.8], [0.3, 0.4]], np.float32)
        >>> pixel_scores([heat], [heat > 0.35]).text()
        'AP 1.000, AUROC 1.0000, F1-max 1.000, PRO 1.000'
    """
    ranking = PixelRanking(connectivity=connectivity)
    for heat, mask in zip_longest(heats, masks):
        if heat is None or mask is None:
            raise UsageError("the numbers of heat maps and masks differ", hint="give one mask for each map")
        ranking.add(heat, np.asarray(mask) != 0)
    return ranking.scores(pro_limit=pro_limit)
