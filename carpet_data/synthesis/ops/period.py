"""What repeats in a texture: its period along the axes, its lattice, and the direction that it runs in."""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask, Structure
from carpet_data.synthesis.ops.pixels import F32, blurred, grey

_SIDE_PX = 384
"""Enough for eight periods of 48 pixels; the time goes with its square."""
_SLOW_PX = 24.0
"""Light that varies slower than this repeats nothing."""
_SHORTEST_PX = 4.0
_STRICT = 0.65
"""Autocorrelation at whole periods, near and far, from which a lattice is strict: wire mesh and fine twill have 0.95,
photographed carpet 0.59, whose yarns wander."""
_VALLEY = 0.15
"""How far the autocorrelation falls between two neighbors of a lattice."""
_COLLINEAR = 0.3
_TURN_DEG = 2.0
_FINE_PX = 0.25
_DIRECTED = 0.5
"""Coherence of the structure tensor (0 = no direction, 1 = all gradients parallel): rolled steel and ground tiles have
0.5 to 0.9, carpet 0.1 to 0.3, leather under slanting light 0.45."""


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


def structure_of(image: Image, besides: Mask | None = None) -> Structure | None:
    """The strict order of a texture: a lattice, or a direction that everything runs in; None where there is neither.

    A lattice shows in the autocorrelation, which at whole periods must stay high, near and far: a mesh, a fine twill,
    stripes. Yarns that wander, as in carpet, have none. The direction is that of the structure tensor (Bigun and
    Granlund, "Optimal orientation detection of linear symmetry", ICCV 1987). At most 384 pixels of the middle are
    looked at, twice as many at half the size where these show no lattice.

    Args:
        image: uint8 HxWx3 RGB or HxW.
        besides: bool HxW, pixels that are no clean texture; None for none.

    Example:
        >>> y, x = np.mgrid[:200, :200]
        >>> found = structure_of((128 + 50 * np.sin(x * np.pi / 10) + 50 * np.sin(y * np.pi / 12)).astype(np.uint8))
        >>> sorted(round(float(np.hypot(*vector))) for vector in found.lattice)
        [20, 24]
    """
    values = grey(image)
    known = np.ones(values.shape, np.bool_) if besides is None else ~besides
    coherence, angle = _direction(*_middle(values, known, _SIDE_PX))
    direction = angle if coherence >= _DIRECTED else None
    lattice = _lattice_of(*_middle(values, known, _SIDE_PX), direction)
    if lattice is None and min(values.shape) >= 2 * _SIDE_PX:
        half = (values.shape[1] // 2, values.shape[0] // 2)
        small = np.asarray(cv2.resize(values, half, interpolation=cv2.INTER_AREA), np.float32)
        shown = cv2.resize(known.astype(np.float32), half, interpolation=cv2.INTER_AREA) > 0.99
        lattice = _lattice_of(*_middle(small, shown, _SIDE_PX), direction)
        lattice = None if lattice is None else tuple((2 * x, 2 * y) for x, y in lattice)  # type: ignore[assignment]
    return None if lattice is None and direction is None else Structure(lattice, direction)


def _middle(values: F32, known: Mask, side: int) -> tuple[F32, Mask]:
    rows, columns = (slice((n - min(n, side)) // 2, (n - min(n, side)) // 2 + min(n, side)) for n in values.shape)
    return values[rows, columns], known[rows, columns]


def _direction(values: F32, known: Mask) -> tuple[float, float]:
    """Coherence of the gradients (0..1), and the angle that lines run at, in degrees clockwise from +x, -90..90."""
    smooth = blurred(values, 1.0)
    gradient_x, gradient_y = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx)[known] for dx in (1, 0))
    if len(gradient_x) < 64:
        return 0.0, 0.0
    xx, yy, xy = (
        float((a * b).mean()) for a, b in ((gradient_x, gradient_x), (gradient_y, gradient_y), (gradient_x, gradient_y))
    )
    across = float(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)))
    return float(np.hypot(xx - yy, 2 * xy)) / max(xx + yy, 1e-6), (across + 180.0) % 180.0 - 90.0


def _lattice_of(
    values: F32, known: Mask, direction: float | None
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Two vectors (x, y) that carry the texture into itself, to a fraction of a pixel; None where none do.

    `direction` is the angle that everything runs at, if it does: along stripes nothing repeats, so that one vector is
    across them, and the other, as long, along them.
    """
    if min(values.shape) < 8 * _SHORTEST_PX or known.sum() < 0.25 * known.size:
        return None
    found = _autocorrelation(values, known)
    if found is None:
        return None
    if direction is not None and (stripes := _stripes(found, direction)) is not None:
        return stripes
    peaks = _peaks(found)
    strong = max((height for *_, height, _ in peaks), default=0.0)
    if strong < _STRICT:
        return None
    good = sorted(
        ((x, y) for x, y, height, valley in peaks if height >= 0.85 * strong and height - valley >= _VALLEY),
        key=lambda p: (p[0] ** 2 + p[1] ** 2, p),
    )
    if not good:
        return None
    first = np.array(good[0], np.float64)
    second = _second(first, good)
    if second is None:
        return None
    basis, strength = _refined(np.stack([first, second]), found)
    if strength < _STRICT:
        return None
    (ax, ay), (bx, by) = basis.tolist()
    return (ax, ay), (bx, by)


def _autocorrelation(values: F32, known: Mask) -> F32 | None:
    """Of the known pixels without their slow light, for lags up to half the size, 1 in its middle; None where flat."""
    weight = known.astype(np.float32)
    low = blurred(values * weight, _SLOW_PX) / np.maximum(blurred(weight, _SLOW_PX), 1e-3)
    fine = (values - low) * weight
    spread = float(np.sqrt((fine**2).sum() / weight.sum()))
    if spread < 1.0:
        return None
    fine = np.clip(fine, -3 * spread, 3 * spread)
    size = tuple(cv2.getOptimalDFTSize(2 * n) for n in values.shape)
    power = [np.fft.irfft2(np.abs(np.fft.rfft2(v, size)) ** 2, size) for v in (fine, weight)]
    mean = np.fft.fftshift(power[0] / np.maximum(power[1], 1.0))
    (rows, columns), (reach_y, reach_x) = (tuple(n // 2 for n in shape) for shape in (size, values.shape))
    part = mean[rows - reach_y : rows + reach_y + 1, columns - reach_x : columns + reach_x + 1]
    return np.asarray(part / part[reach_y, reach_x], np.float32)


def _peaks(found: F32) -> list[tuple[int, int, float, float]]:
    """Lags x and y of the local maxima of one half of an autocorrelation, the height, the valley on the way there."""
    middle_y, middle_x = (n // 2 for n in found.shape)
    rows, columns = np.nonzero((found >= cv2.dilate(found, np.ones((5, 5), np.uint8))) & (found > _STRICT))
    peaks = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        y, x = row - middle_y, column - middle_x
        inside = 0 < row < found.shape[0] - 1 and 0 < column < found.shape[1] - 1
        if inside and (y > 0 or (y == 0 and x > 0)) and np.hypot(x, y) >= _SHORTEST_PX:
            peaks.append((x, y, float(found[row, column]), _valley(found, np.array([x, y], np.float64))))
    return peaks


def _valley(found: F32, vector: NDArray[np.float64]) -> float:
    """The lowest value of an autocorrelation on the straight way to a lag."""
    steps = np.linspace(0, 1, int(np.hypot(*vector)) + 2)[:, None] * vector
    return float(_values_at(found, steps).min())


def _values_at(found: F32, lags: NDArray[np.float64]) -> NDArray[np.float64]:
    columns, rows = np.rint(lags).astype(int).T + np.array([[found.shape[1] // 2], [found.shape[0] // 2]])
    return np.asarray(found[np.clip(rows, 0, found.shape[0] - 1), np.clip(columns, 0, found.shape[1] - 1)], np.float64)


def _stripes(found: F32, direction: float) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The lattice of stripes that run at about an angle (degrees); None where the texture changes along them."""
    length = 0.8 * min(found.shape) / 2
    turns = np.radians(direction + np.linspace(-_TURN_DEG, _TURN_DEG, 41))
    ways = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    # The angle of gradients is that of pixels as well as of stripes: where they are alike farthest is the truer one.
    ridges = [_between_pixels(found, np.arange(0, length) * way[:, None]) for way in ways]
    best = int(np.argmax([ridge.mean() for ridge in ridges]))
    # The noise of the camera is alike at lag 0 only.
    ridge = ridges[best][round(_SHORTEST_PX) :]
    if float(ridge.min()) < max(_STRICT, float(ridge.max()) - _VALLEY):
        return None
    x, y = (float(v) for v in ways[best])
    pitch = _pitch(_between_pixels(found, np.arange(0, length, _FINE_PX) * np.array([[-y], [x]])))
    return ((-y * pitch, x * pitch), (x * pitch, y * pitch)) if pitch > 0 else None


def _pitch(line: NDArray[np.float64]) -> float:
    """The period of an autocorrelation at every `_FINE_PX` of a lag; 0 where it has none."""
    tops = [n for n in range(1, len(line) - 1) if line[n] >= line[n - 1] and line[n] > line[n + 1]]
    tops = [n for n in tops if line[n] >= _STRICT and line[n] - line[:n].min() >= _VALLEY]
    lags = [n * _FINE_PX for n in tops if n * _FINE_PX >= _SHORTEST_PX]
    if not lags:
        return 0.0
    # The farther a multiple, the truer the pitch.
    counts = [round(lag / lags[0]) for lag in lags]
    return float(np.median([lag / n for lag, n in zip(lags, counts, strict=True) if n >= counts[-1] / 2]))


def _between_pixels(found: F32, lags: NDArray[np.float64]) -> NDArray[np.float64]:
    """An autocorrelation at lags (2 x n, x and y) between its pixels."""
    x, y = (row.astype(np.float32)[None] + n // 2 for row, n in zip(lags, found.shape[::-1], strict=True))
    return np.asarray(np.asarray(cv2.remap(found, x, y, cv2.INTER_LINEAR))[0], np.float64)


def _second(first: NDArray[np.float64], good: list[tuple[int, int]]) -> NDArray[np.float64] | None:
    """The shortest vector beside the first; None where all lie along it."""
    for point in good:
        vector = np.array(point, np.float64)
        vector -= np.rint(vector @ first / (first @ first)) * first
        length = float(np.hypot(*vector))
        aside = abs(float(first[0] * vector[1] - first[1] * vector[0])) / max(length * float(np.hypot(*first)), 1e-6)
        if length >= _SHORTEST_PX and aside >= _COLLINEAR:
            return vector
    return None


def _refined(basis: NDArray[np.float64], found: F32) -> tuple[NDArray[np.float64], float]:
    """The basis fitted to the maxima near its whole multiples, and the autocorrelation there (the median)."""
    limit = np.array([found.shape[1] // 2 - 2, found.shape[0] // 2 - 2])
    strength = 0.0
    for most in (1, 2, 4):
        counts = np.array([n for n in product(range(-most, most + 1), range(most + 1)) if n != (0, 0)], np.float64)
        lags = counts @ basis
        inside = (np.abs(lags) < limit).all(axis=1)
        if not inside.any():
            break
        counts, lags = counts[inside], lags[inside]
        reach = max(1, round(0.2 * float(np.hypot(*basis.T).min())))
        moved = np.array([_top_near(found, lag, reach) for lag in lags])
        values = _values_at(found, moved)
        strength = float(np.median(values))
        if np.linalg.matrix_rank(counts) < 2:
            continue
        weight = np.maximum(values, 0.0)[:, None]
        basis = np.linalg.lstsq(counts * weight, moved * weight, rcond=None)[0]
    return basis, strength


def _top_near(found: F32, lag: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """The lag of the highest value around another, between pixels by a parabola through its neighbors."""
    middle = np.array([found.shape[1] // 2, found.shape[0] // 2])
    column, row = np.rint(lag).astype(int) + middle
    top, left = max(1, row - reach), max(1, column - reach)
    window = found[top : min(row + reach, found.shape[0] - 2) + 1, left : min(column + reach, found.shape[1] - 2) + 1]
    if window.size == 0:
        return lag
    at_row, at_column = (int(n) for n in np.unravel_index(int(window.argmax()), window.shape))
    row, column = top + at_row, left + at_column
    x = column + _between(found[row, column - 1 : column + 2])
    y = row + _between(found[row - 1 : row + 2, column])
    return np.array([x - middle[0], y - middle[1]], np.float64)


def _between(line: NDArray[Any]) -> float:
    before, here, after = (float(v) for v in line)
    bend = 2 * here - before - after
    return 0.0 if bend <= 0 else float(np.clip((after - before) / (2 * bend), -0.5, 0.5))


def _first_peak(correlation: NDArray[Any]) -> tuple[int, float]:
    """The lag of the highest local maximum in 4..64, and its height above the valley before it."""
    line = np.asarray(correlation[:65], np.float64)
    peaks = [lag for lag in range(4, len(line) - 1) if line[lag] >= line[lag - 1] and line[lag] > line[lag + 1]]
    if not peaks:
        return 0, 0.0
    best = max(peaks, key=lambda lag: line[lag])
    return best, float(line[best] - line[:best].min())
