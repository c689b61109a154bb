"""How far synthetic defects are from real ones, from each other, and from being copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.results import Result
from carpet_data.core.sheets import evenly
from carpet_data.dataset import Sample
from carpet_data.experiments.quality.texture_statistics import BINS, Crop

__all__ = [
    "Acceptance",
    "Distances",
    "Scale",
    "acceptance",
    "distances",
    "frechet_diagonal",
    "kernel_distance",
    "scale_of",
]

F64 = NDArray[np.float64]

_MOST = 1000
"""Maximum number of crops on a side of a comparison, evenly spaced."""
_HALVINGS = 20


@dataclass(frozen=True, slots=True)
class Acceptance(Result):
    """The number of draws that the images took.

    Attributes:
        images: Number of images made.
        draws: Number of candidates drawn for them.
        share: images / draws.
        refused: Quality check -> number of draws that it rejected.
    """

    images: int
    draws: int
    share: float
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Distances(Result):
    """One group of synthetic crops against the real ones of its class.

    All distances of texture statistics are in standard deviations of the real crops (`Scale`), over the root of the
    number of statistics, so that 1 means: as far apart as two deviations in every one of them, root mean square.

    Attributes:
        crops: Synthetic crops compared.
        real_crops: Real crops compared.
        diversity: Mean distance of two synthetic crops; None with fewer than two.
        real_diversity: The same for real crops.
        nearest_real: Median distance of a synthetic crop to its nearest real one.
        nearest_real_min: The smallest of these.
        real_nearest_real: Median distance of a real crop to its nearest other one; far above
            `nearest_real` it means copies.
        frechet_texture: Fréchet distance of Gaussians with diagonal covariance fitted to the statistics; None with
            fewer than two crops a side.
        real_frechet_texture: The same between random halves of the real crops, mean of 20; None with fewer than four.
        color_emd: Earth mover's distance of L, a and b inside the masks, in levels of 255.
        area_emd: Earth mover's distance of log10 of the areas' shares, in decades.
    """

    crops: int
    real_crops: int
    diversity: float | None
    real_diversity: float | None
    nearest_real: float | None
    nearest_real_min: float | None
    real_nearest_real: float | None
    frechet_texture: float | None
    real_frechet_texture: float | None
    color_emd: tuple[float, float, float] | None
    area_emd: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """What one standard deviation is: of the real crops of all classes, since one class may have three.

    Attributes:
        mean: float64 (d,).
        deviation: float64 (d,), at least a hundredth of the median one, so that a constant is not divided by.
    """

    mean: F64
    deviation: F64

    def apply(self, statistics: F64) -> F64:
        """Standardize (n, d) statistics, over sqrt(d)."""
        return np.asarray((statistics - self.mean) / self.deviation / np.sqrt(len(self.mean)), np.float64)


def scale_of(crops: Sequence[Crop]) -> Scale:
    """The scale of the real crops; with fewer than two, every deviation is 1."""
    if len(crops) < 2:
        width = len(crops[0].statistics) if crops else 1
        return Scale(np.zeros(width), np.ones(width))
    values = np.stack([crop.statistics for crop in crops])
    deviation = values.std(axis=0)
    return Scale(values.mean(axis=0), np.maximum(deviation, max(0.01 * float(np.median(deviation)), 1e-3)))


def acceptance(samples: Sequence[Sample]) -> Acceptance:
    """The draws that synthetic samples took, by their records."""
    refused: Counter[str] = Counter()
    for sample in samples:
        found = (sample.provenance or {}).get("refused", {})
        if isinstance(found, Mapping):
            refused.update({str(gate): int(times) for gate, times in found.items()})
    draws = len(samples) + sum(refused.values())
    return Acceptance(len(samples), draws, len(samples) / draws if draws else 0.0, dict(refused.most_common()))


def distances(synthetic: Sequence[Crop], real: Sequence[Crop], scale: Scale) -> Distances:
    """Compare crops of one class; None for what needs more crops than there are."""
    made, seen = _table(synthetic, scale), _table(real, scale)
    nearest = _nearest(made, seen) if len(made) and len(seen) else np.zeros(0)
    own = _nearest(seen, seen, itself=True) if len(seen) > 1 else np.zeros(0)
    both = bool(synthetic) and bool(real)
    return Distances(
        crops=len(synthetic),
        real_crops=len(real),
        diversity=_diversity(made),
        real_diversity=_diversity(seen),
        nearest_real=_median(nearest),
        nearest_real_min=float(nearest.min()) if len(nearest) else None,
        real_nearest_real=_median(own),
        frechet_texture=frechet_diagonal(made, seen) if min(len(made), len(seen)) > 1 else None,
        real_frechet_texture=_of_halves(seen),
        color_emd=_color_distance(synthetic, real) if both else None,
        area_emd=_earth_mover(_areas(synthetic), _areas(real)) if both else None,
    )


def frechet_diagonal(first: F64, second: F64) -> float:
    """Fréchet distance (Dowson and Landau 1982) of Gaussians with diagonal covariance.

    Full covariances, as in FID (Heusel et al. 2017), need many more crops than statistics; rare classes have few.

    Args:
        first: float64 (n, d), n at least 2.
        second: float64 (m, d), m at least 2.

    Returns:
        The distance itself, not its square.
    """
    shift = first.mean(axis=0) - second.mean(axis=0)
    spread = first.std(axis=0, ddof=1) - second.std(axis=0, ddof=1)
    return float(np.sqrt((shift**2).sum() + (spread**2).sum()))


def kernel_distance(first: F64, second: F64) -> float | None:
    """Unbiased squared MMD with the cubic kernel of KID (Bińkowski et al. 2018); may be below 0.

    Args:
        first: float64 (n, d).
        second: float64 (m, d).

    Returns:
        The distance; None with fewer than two rows on a side.
    """
    n, m = len(first), len(second)
    if min(n, m) < 2:
        return None

    def kernel(a: F64, b: F64) -> F64:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3, np.float64)

    own_first, own_second = kernel(first, first), kernel(second, second)
    within = (own_first.sum() - np.trace(own_first)) / (n * (n - 1))
    within += (own_second.sum() - np.trace(own_second)) / (m * (m - 1))
    return float(within - 2 * kernel(first, second).mean())


def _table(crops: Sequence[Crop], scale: Scale) -> F64:
    """The standardized statistics of at most `_MOST` crops, evenly chosen."""
    if not crops:
        return np.zeros((0, len(scale.mean)))
    return scale.apply(np.stack([crop.statistics for crop in evenly(crops, _MOST)]))


def _squared(rows: F64, others: F64) -> F64:
    """The squared distance of every row to every other one."""
    return np.asarray((rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None] - 2 * rows @ others.T, np.float64)


def _nearest(rows: F64, others: F64, *, itself: bool = False) -> F64:
    squared = _squared(rows, others)
    if itself:
        np.fill_diagonal(squared, np.inf)
    return np.asarray(np.sqrt(np.maximum(squared, 0)).min(axis=1), np.float64)


def _diversity(rows: F64) -> float | None:
    if len(rows) < 2:
        return None
    squared = _squared(rows, rows)
    np.fill_diagonal(squared, 0)
    return float(np.sqrt(np.maximum(squared, 0)).sum() / (len(rows) * (len(rows) - 1)))


def _median(values: F64) -> float | None:
    return float(np.median(values)) if len(values) else None


def _of_halves(rows: F64) -> float | None:
    """How far apart two halves of the real crops are: what the distance of equal things looks like at this number."""
    if len(rows) < 4:
        return None
    rng = np.random.default_rng(np.random.SeedSequence(len(rows)))
    half = len(rows) // 2
    found = []
    for _ in range(_HALVINGS):
        order = rng.permutation(len(rows))
        found.append(frechet_diagonal(rows[order[:half]], rows[order[half:]]))
    return float(np.mean(found))


def _color_distance(first: Sequence[Crop], second: Sequence[Crop]) -> tuple[float, float, float]:
    a, b = (np.mean(np.stack([crop.colors for crop in crops]), axis=0) for crops in (first, second))
    levels = np.arange(BINS, dtype=np.float64) * (256 / BINS)
    lightness, red_green, blue_yellow = (_earth_mover(levels, levels, a[c], b[c]) for c in range(3))
    return lightness, red_green, blue_yellow


def _areas(crops: Sequence[Crop]) -> F64:
    return np.log10([crop.area_frac for crop in crops])


def _earth_mover(first: NDArray[Any], second: NDArray[Any], *weights: NDArray[Any]) -> float:
    from scipy.stats import wasserstein_distance  # a second to import

    return float(wasserstein_distance(first, second, *weights))
