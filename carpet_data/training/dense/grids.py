"""Maps of cells as fields over the image: sampled at pixels, turned back, smoothed."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.training.dense.cells import moved, moved_back, scaled_size

__all__ = ["aligned", "bands", "sampled", "smoothed"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_BAND_VALUES = 2**24


def sampled(values: F32, y: F64, x: F64) -> F32:
    """Values between cells, bilinear; beyond the outermost centers they stay the same.

    Args:
        values: float32 (n, rows, columns).
        y: Rows to sample at, in cells: 0 is the center of the first.
        x: Columns to sample at.

    Returns:
        float32 (n, len(y), len(x)).

    Examples:
        >>> sampled(np.array([[[0, 1]]], np.float32), np.zeros(1), np.array([-1, 0.25, 5])).tolist()
        [[[0.0, 0.25, 1.0]]]
    """
    found = _between(values, y, axis=1)
    return _between(found, x, axis=2)


def _between(values: F32, places: F64, axis: int) -> F32:
    places = np.clip(places, 0, values.shape[axis] - 1)
    first = np.minimum(places.astype(np.int64), max(values.shape[axis] - 2, 0))
    second = np.minimum(first + 1, values.shape[axis] - 1)
    share = (places - first).astype(np.float32)
    share = share[:, None] if axis == 1 else share
    low = np.take(values, first, axis=axis)
    return np.asarray(low + (np.take(values, second, axis=axis) - low) * share, np.float32)


def aligned(values: F32, view: int, height: int, width: int, scale: float, stride: int) -> F32:
    """The map of a view, float32 (n, rows, columns), turned back onto the cells of the plain image.

    Where the sides are no multiples of the stride, the cells of a mirrored image lie elsewhere, so that their values
    are interpolated.
    """
    if view == 0:
        return values
    back = np.stack([moved_back(each, view) for each in values])
    places = []
    for axis, side in enumerate(scaled_size(height, width, scale)):
        count = back.shape[1 + axis]
        # Cells begin at the corner of what the network saw, so a reversed side has its partial cell at the start.
        begun = count - side / stride if _reversed(view, axis) else 0.0
        places.append(np.arange(count) + begun)
    return sampled(back, *places)


def _reversed(view: int, axis: int) -> bool:
    """Whether a view begins at the end of an axis of the plain image."""
    return bool(moved(np.indices((2, 2))[axis], view)[0, 0])


def bands(values: F32, height: int, width: int, scale: float, stride: int) -> Iterator[tuple[slice, F32]]:
    """A map at every pixel of its image, some rows at a time: (rows, float32 (n, rows, width))."""
    across = (np.arange(width) + 0.5) * scale / stride - 0.5
    step = max(1, _BAND_VALUES // (len(values) * width))
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        yield rows, sampled(values, (np.arange(rows.start, rows.stop) + 0.5) * scale / stride - 0.5, across)


def smoothed(values: F32, sigma: float) -> F32:
    """A map, float32 (n, rows, columns), smoothed by a Gaussian of this standard deviation in cells."""
    if sigma <= 0:
        return values
    blurred = [cv2.GaussianBlur(each, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for each in values]
    return np.asarray(np.stack(blurred), np.float32)
