"""The period of a woven texture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image
from carpet_data.synthesis.ops.pixels import grey


def period(image: Image, side: int = 256) -> tuple[int, int, float]:
    """The period of an image's pattern, by autocorrelation; it looks at the middle, at most `side` pixels across.

    Returns:
        Pixels along x and along y (0 where nothing repeats), and how strong the weaker of the two repeats (0..1).

    Example:
        >>> y, x = np.mgrid[:200, :200]
        >>> period((128 + 50 * np.sin(x * np.pi / 20) + 50 * np.sin(y * np.pi / 25)).astype(np.uint8))[:2]
        (40, 50)
    """
    half = side // 2
    rows, columns = (slice(max(0, length // 2 - half), length // 2 + half) for length in image.shape[:2])
    values = grey(image[rows, columns])
    if min(values.shape) < 16:
        return 0, 0, 0.0
    values = values - cv2.blur(values, (31, 31))
    correlation = np.fft.irfft2(np.abs(np.fft.rfft2(values)) ** 2, s=values.shape)
    zero = float(correlation[0, 0])
    if zero <= 0:
        return 0, 0, 0.0
    along_x, strength_x = _first_peak(correlation[0, : values.shape[1] // 2] / zero)
    along_y, strength_y = _first_peak(correlation[: values.shape[0] // 2, 0] / zero)
    return along_x, along_y, max(0.0, min(strength_x, strength_y))


def _first_peak(correlation: NDArray[Any]) -> tuple[int, float]:
    """The lag of the highest local maximum in 4..64, and its height above the valley before it."""
    line = np.asarray(correlation[:65], np.float64)
    peaks = [lag for lag in range(4, len(line) - 1) if line[lag] >= line[lag - 1] and line[lag] > line[lag + 1]]
    if not peaks:
        return 0, 0.0
    best = max(peaks, key=lambda lag: line[lag])
    return best, float(line[best] - line[:best].min())
