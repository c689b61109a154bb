"""Decide whether two images show the same scene: align their planes, then compare their fine detail.

Three steps, each only for what passed the one before:

1. Phase-only correlation, band-limited (Kuglin and Hines 1975; Ito et al. 2004) finds the shift. Whitening makes a
   woven background harmless: its few strong frequencies count no more than any other, where plain correlation would
   call every two pieces of the same weave alike.
2. An affine refinement (ECC, Evangelidis and Psarakis 2008) takes up another crop or a slightly turned tile.
3. The agreement: the phase coherence of the aligned planes at fine scales, 15 to 45 cycles a frame. Scratches, grain
   and fibers live there, each frequency counts once, and a lattice or an outline fills only some of them: two meshes
   reach 0.3, two bottles 0.4, in rare cases 0.7; the same scene reaches 0.8 and more. The coherence at coarse scales
   (4 to 15 cycles a frame) is kept too, for small images, which have no fine detail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.grouping.descriptors import PLANE, WINDOW

_LOW, _HIGH = 0.02, 0.25  # cycles a plane pixel
_MAX_SHIFT = 20
_MAX_STRETCH = 1.33
# Unrelated pairs of tiles or of carpet peak at 0.10, copies above 0.45 (docs/grouping.md).
PEAK = 0.25
_FINE = (0.12, 0.35)  # cycles a plane pixel
_COARSE = (0.03, 0.12)
_NEAR_ZERO = 2  # plane pixels that the refinement may leave
_CHANGED = 9  # plane pixels
_OUTLYING = 6.0
_BLOCK = 16  # plane pixels
_STRIDE = 8
# Blocks with less structure than this in both images, in local standard deviations, say nothing.
_FLOOR = 0.02
_MIN_BLOCKS = 24
_MIN_OVERLAP = 0.5
_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def _ring(low: float, high: float) -> NDArray[np.float32]:
    radius = np.hypot(np.fft.fftfreq(PLANE)[:, None], np.fft.rfftfreq(PLANE)[None, :])
    return np.asarray((radius > low) & (radius < high), dtype=np.float32)


def _bins(band: NDArray[np.float32]) -> float:
    """How many bins of the full spectrum a half spectrum stands for; it scales a perfect match to a peak of 1."""
    return float(2 * band[:, 1:-1].sum() + band[:, 0].sum() + band[:, -1].sum())


_SHIFTS = np.ix_(np.arange(-_MAX_SHIFT, _MAX_SHIFT + 1), np.arange(-_MAX_SHIFT, _MAX_SHIFT + 1))
_BAND = _ring(_LOW, _HIGH)
_BINS = _bins(_BAND)
WHITE_STEP = float(np.sqrt(_BINS)) / (PLANE * PLANE) / 12
"""Step in which whitened planes can be kept as int8: their root mean square is 12 of these."""

_SCALES = tuple((band, _bins(band)) for band in (_ring(*_FINE), _ring(*_COARSE)))
_EVERYWHERE = np.full((PLANE // 2, PLANE // 2), 255, dtype=np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How well two planes agree.

    Attributes:
        agreement: Phase coherence of the fine detail after alignment, 0..1; 0 where no alignment was found.
        coarse: The same at coarse scales.
        shift_frac: How far the scene moved, as fractions of the width and the height.
        warp: float32 2x3, the inverse map (a's grid to b's) of the alignment; None where none was found.
    """

    agreement: float
    coarse: float
    shift_frac: tuple[float, float] = (0.0, 0.0)
    warp: NDArray[np.float32] | None = None


NO_MATCH = Match(0.0, 0.0)


def whitened(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The windowed, whitened and band-limited plane, float32 128x128: its autocorrelation is one peak.

    Whitening both planes beforehand is the same as whitening their cross spectrum, and has to be done only once. A
    turned plane has the whitened plane turned.
    """
    return np.asarray(np.fft.irfft2(_white_spectrum(plane), s=(PLANE, PLANE)), dtype=np.float32)


def spectrum(white: NDArray[np.float32]) -> NDArray[np.float32]:
    """The spectrum of a whitened plane that `compare` takes, float32 128x128 as OpenCV packs it."""
    return np.asarray(cv2.dft(white), dtype=np.float32)


def _white_spectrum(plane: NDArray[np.float32]) -> NDArray[np.complex64]:
    values = np.fft.rfft2(plane * WINDOW)
    values *= _BAND / (np.abs(values) + np.float32(1e-3))
    return np.asarray(values, dtype=np.complex64)


def _packed(half: NDArray[np.complex64]) -> NDArray[np.float32]:
    """A half spectrum as `spectrum` gives it, without a transform there and back; the band ends before Nyquist."""
    packed = np.zeros((PLANE, PLANE), dtype=np.float32)
    packed[:, 1:-1:2] = half[:, 1:-1].real
    packed[:, 2:-1:2] = half[:, 1:-1].imag
    packed[1:-1:2, 0] = half[1 : PLANE // 2, 0].real
    packed[2:-1:2, 0] = half[1 : PLANE // 2, 0].imag
    return packed


def compare(
    plane_a: Callable[[], NDArray[np.float32]],
    plane_b: Callable[[], NDArray[np.float32]],
    *,
    spectrum_a: NDArray[np.float32],
    spectrum_b: NDArray[np.float32],
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Match:
    """Compare two planes, float32 128x128, as from `descriptors.to_float`, with spectra made once for many pairs.

    The planes are asked for only where the spectra agree, which is seldom. `stretch` is the width and height of image b
    over those of image a. Both are stretched to the same square; where the sizes differ a little, it may be another
    crop at the same scale rather than the same frame resized, and both are tried.
    """
    peak, shift = _phase_peak(spectrum_a, spectrum_b)
    scale = (1.0, 1.0)
    if stretch != scale and all(1 / _MAX_STRETCH < s < _MAX_STRETCH for s in stretch):
        resized = cv2.warpAffine(plane_b(), _warp(stretch, (0, 0)), (PLANE, PLANE), flags=_WARP)
        other_peak, other_shift = _phase_peak(spectrum_a, _packed(_white_spectrum(np.asarray(resized, np.float32))))
        if other_peak > peak:
            peak, shift, scale = other_peak, other_shift, stretch
    if peak < PEAK:
        return NO_MATCH
    a, b = plane_a(), plane_b()
    warp = _refine(a, b, _warp(scale, shift))
    fine, coarse = _coherence(a, b, warp)
    return Match(fine, coarse, (shift[0] / PLANE, shift[1] / PLANE), warp)


def _phase_peak(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[float, tuple[int, int]]:
    """The highest phase correlation within the allowed shifts, and where: a(x, y) ~ b(x - dx, y - dy)."""
    surface = cv2.dft(cv2.mulSpectrums(a, b, 0, conjB=True), flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT)
    near = np.asarray(surface)[_SHIFTS]
    row, column = divmod(int(near.argmax()), near.shape[1])
    return float(near[row, column]) / _BINS, (column - _MAX_SHIFT, row - _MAX_SHIFT)


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


def _coherence(a: NDArray[np.float32], b: NDArray[np.float32], warp: NDArray[np.float32]) -> tuple[float, float]:
    """Mean cosine of the phase difference over fine and over coarse frequencies, at the best shift of two pixels."""
    moved, covered = _moved(b, warp, cv2.INTER_CUBIC)
    if np.mean(covered) < _MIN_OVERLAP:
        return 0.0, 0.0
    window = WINDOW * covered * _unchanged(a, moved)
    cross = np.fft.rfft2(a * window) * np.conj(np.fft.rfft2(moved * window))
    cross /= np.abs(cross) + np.float32(1e-6)
    near = np.arange(-_NEAR_ZERO, _NEAR_ZERO + 1)
    fine, coarse = (
        float(np.fft.irfft2(cross * band, s=(PLANE, PLANE))[np.ix_(near, near)].max()) * PLANE * PLANE / bins
        for band, bins in _SCALES
    )
    return max(fine, 0.0), max(coarse, 0.0)


def _unchanged(a: NDArray[np.float32], moved: cv2.typing.MatLike) -> NDArray[np.float32]:
    """Weights 0..1: 0 where the planes differ several times as much as in most places.

    A new spot of dirt on the same piece is such a place, and its sharp edge would fill the whole spectrum. Pairs that
    differ everywhere keep all of their frame.
    """
    difference = cv2.boxFilter(np.abs(a - moved), -1, (_CHANGED, _CHANGED), borderType=cv2.BORDER_REFLECT)
    typical = max(float(np.median(difference[::4, ::4])), _FLOOR)
    return np.asarray(np.clip(2 - difference / (_OUTLYING * typical), 0, 1), dtype=np.float32)


def _moved(
    b: NDArray[np.float32], warp: NDArray[np.float32], how: int
) -> tuple[cv2.typing.MatLike, cv2.typing.MatLike]:
    """Plane b on the grid of a, and which part of that grid it covers, 0..1."""
    moved = cv2.warpAffine(b, warp, (PLANE, PLANE), flags=how | cv2.WARP_INVERSE_MAP)
    return moved, cv2.warpAffine(np.ones_like(b), warp, (PLANE, PLANE), flags=_WARP)


def everywhere(a: NDArray[np.float32], b: NDArray[np.float32], warp: NDArray[np.float32]) -> float:
    """Whether two aligned planes agree all over the frame: local correlation in overlapping blocks, averaged, 0..1.

    Two screws in one pose agree on the screw but not on the table around it; the same scene agrees everywhere.
    """
    moved, covered = _moved(b, warp, cv2.INTER_LINEAR)
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
