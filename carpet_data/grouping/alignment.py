"""Decide whether two images show the same scene: align their planes, then compare every part of the frame.

Three steps, each only for what passed the one before:

1. Phase-only correlation, band-limited (Kuglin and Hines 1975; Ito et al. 2004) finds the shift. Whitening makes a
   woven background harmless: its few strong frequencies count no more than any other, where plain correlation would
   call every two pieces of the same weave alike.
2. An affine refinement (ECC, Evangelidis and Psarakis 2008) takes up another crop or a slightly turned tile.
3. The agreement: local zero-normalized cross-correlation in overlapping blocks, averaged. Two screws in the same
   pose match on the screw but not on the background around it; the same scene matches everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.grouping.descriptors import PLANE, WINDOW

_LOW, _HIGH = 0.02, 0.25  # cycles a plane pixel
_MAX_SHIFT = 20
_MAX_STRETCH = 1.33
# Unrelated pairs of tiles or of carpet peak at 0.10, and hardly ever above 0.15 (docs/grouping.md).
PEAK = 0.18
_BLOCK = 16  # plane pixels
_STRIDE = 8
# Blocks with less structure than this in both images, in local standard deviations, say nothing.
_FLOOR = 0.02
_MIN_BLOCKS = 24
_MIN_OVERLAP = 0.5
_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def _band() -> NDArray[np.float32]:
    radius = np.hypot(np.fft.fftfreq(PLANE)[:, None], np.fft.rfftfreq(PLANE)[None, :])
    return np.asarray((radius > _LOW) & (radius < _HIGH), dtype=np.float32)


_BAND = _band()
_EVERYWHERE = np.full((PLANE // 2, PLANE // 2), 255, dtype=np.uint8)
# How many bins of the full spectrum the half spectrum stands for; it scales a perfect match to a peak of 1.
_BINS = float(2 * _BAND[:, 1:-1].sum() + _BAND[:, 0].sum() + _BAND[:, -1].sum())


@dataclass(frozen=True, slots=True)
class Match:
    """How well two planes agree.

    Attributes:
        agreement: Mean local correlation after alignment, 0..1; 0 where no alignment was found.
        shift_frac: How far the scene moved, as fractions of the width and the height.
    """

    agreement: float
    shift_frac: tuple[float, float] = (0.0, 0.0)


NO_MATCH = Match(0.0)


def spectrum(plane: NDArray[np.float32]) -> NDArray[np.complex64]:
    """The windowed half spectrum that `compare` takes, complex64 128x65."""
    return np.asarray(np.fft.rfft2(plane * WINDOW), dtype=np.complex64)


def compare(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    *,
    spectrum_a: NDArray[np.complex64],
    spectrum_b: NDArray[np.complex64],
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Match:
    """Compare two planes, float32 128x128, as from `descriptors.to_float`, with spectra made once for many pairs.

    `stretch` is the width and height of image b over those of image a. Both are stretched to the same square; where the
    sizes differ a little, it may be another crop at the same scale rather than the same frame resized, and both are
    tried.
    """
    peak, shift = _phase_peak(spectrum_a, spectrum_b)
    scale = (1.0, 1.0)
    if stretch != scale and all(1 / _MAX_STRETCH < s < _MAX_STRETCH for s in stretch):
        resized = cv2.warpAffine(b, _warp(stretch, (0, 0)), (PLANE, PLANE), flags=_WARP)
        other_peak, other_shift = _phase_peak(spectrum_a, spectrum(np.asarray(resized, dtype=np.float32)))
        if other_peak > peak:
            peak, shift, scale = other_peak, other_shift, stretch
    if peak < PEAK:
        return NO_MATCH
    warp = _refine(a, b, _warp(scale, shift))
    agreement = _agreement(a, b, warp)
    return Match(agreement, (shift[0] / PLANE, shift[1] / PLANE))


def _phase_peak(a: NDArray[np.complex64], b: NDArray[np.complex64]) -> tuple[float, tuple[int, int]]:
    """The highest phase correlation within the allowed shifts, and where: a(x, y) ~ b(x - dx, y - dy)."""
    cross = a * np.conj(b)
    cross *= _BAND / (np.abs(cross) + np.float32(1e-6))
    surface = np.fft.irfft2(cross, s=(PLANE, PLANE))
    m = _MAX_SHIFT
    near = np.block([[surface[-m:, -m:], surface[-m:, : m + 1]], [surface[: m + 1, -m:], surface[: m + 1, : m + 1]]])
    row, column = divmod(int(near.argmax()), 2 * m + 1)
    return float(near[row, column]) * PLANE * PLANE / _BINS, (column - m, row - m)


def _warp(scale: tuple[float, float], shift: tuple[int, int]) -> NDArray[np.float32]:
    """The inverse map (a's grid to b's): scaled about the center, then shifted."""
    center = (PLANE - 1) / 2
    (across, down), (dx, dy) = scale, shift
    return np.array(
        [
            [1 / across, 0, center * (1 - 1 / across) - dx / across],
            [0, 1 / down, center * (1 - 1 / down) - dy / down],
        ],
        dtype=np.float32,
    )


def _refine(a: NDArray[np.float32], b: NDArray[np.float32], warp: NDArray[np.float32]) -> NDArray[np.float32]:
    """The warp after affine refinement, on planes of half the size: as exact as needed, at a quarter of the time."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 1e-3)
    linear, offset = warp[:, :2], warp[:, 2]
    middle = np.full(2, 0.5, dtype=np.float32)  # pixel centers: x of the half plane is (x - 0.5) / 2 of the plane
    start = np.column_stack([linear, (linear @ middle + offset - middle) / 2]).astype(np.float32)
    try:
        _, refined = cv2.findTransformECC(_half(a), _half(b), start, cv2.MOTION_AFFINE, stop, _EVERYWHERE, 1)
    except cv2.error:
        return warp  # it did not converge: the scenes hardly agree, and the agreement will say so
    found = np.asarray(refined, dtype=np.float32)
    linear, offset = found[:, :2], found[:, 2]
    return np.column_stack([linear, 2 * offset + middle - linear @ middle]).astype(np.float32)


def _half(plane: NDArray[np.float32]) -> cv2.typing.MatLike:
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.5)
    return cv2.resize(smooth, (PLANE // 2, PLANE // 2), interpolation=cv2.INTER_AREA)


def _agreement(a: NDArray[np.float32], b: NDArray[np.float32], warp: NDArray[np.float32]) -> float:
    moved = cv2.warpAffine(b, warp, (PLANE, PLANE), flags=_WARP)
    covered = cv2.warpAffine(np.ones_like(b), warp, (PLANE, PLANE), flags=_WARP)
    inside = _blocks(covered) > 0.95
    if inside.mean() < _MIN_OVERLAP:
        return 0.0
    u, v = cv2.GaussianBlur(a, (0, 0), 0.8), cv2.GaussianBlur(moved, (0, 0), 0.8)
    mean_u, mean_v = _blocks(u), _blocks(v)
    power_u = np.maximum(_blocks(u * u) - mean_u**2, 0)
    power_v = np.maximum(_blocks(v * v) - mean_v**2, 0)
    informative = inside & ((power_u > _FLOOR**2) | (power_v > _FLOOR**2))
    if int(informative.sum()) < _MIN_BLOCKS:
        return 0.0
    shared = _blocks(u * v) - mean_u * mean_v
    local = shared[informative] / np.sqrt((power_u[informative] + _FLOOR**2) * (power_v[informative] + _FLOOR**2))
    return float(max(np.mean(local), 0.0))


def _blocks(values: cv2.typing.MatLike) -> NDArray[np.float32]:
    """Means of 16x16 blocks at a stride of 8 pixels."""
    means = cv2.boxFilter(values, -1, (_BLOCK, _BLOCK), normalize=True, borderType=cv2.BORDER_REFLECT)
    return np.asarray(means[_STRIDE::_STRIDE, _STRIDE::_STRIDE], dtype=np.float32)
