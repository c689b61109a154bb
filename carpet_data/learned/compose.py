"""From a small generated crop to pixels of a large host: the change, with detail that the network cannot see."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.learned.windows import CropWindow, cut, enlarged, laid_back, part_of
from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.visible import visible_levels, visible_mask

__all__ = ["composed"]

F32 = NDArray[np.float32]

_CLOSER_PX = 2.0
_LEAST_FEATHER_PX = 0.1
_GAIN = (0.0, 1.5)
_FINE_PX = 5


def composed(
    host: Image,
    window: CropWindow,
    generated: F32,
    within: Mask,
    *,
    detail: Image | None = None,
    feather_px: float = _CLOSER_PX,
    threshold: float | None = None,
) -> tuple[Image, Mask]:
    """Put a generated crop (float32 c x c x3, 0..255) on a host (uint8, not written to), within a mask (bool HxW) only.

    A network of 64 pixels cannot see the yarns of a window of 300. What is finer than its pixels is taken from
    `detail` (the host where it is None), scaled by the strength of the network's own finest structure, so that a weave
    continues under a stain and ends at the rim of a hole. `detail` must show what the network started from, such as the
    donor paste that it repainted. The rim inside the mask is soft over `feather_px`; `threshold` is the minimum visible
    change in gray levels, None: from the noise of the host.

    Returns:
        The image, and the mask of the pixels that visibly changed: all others are those of the host, byte for byte.
        The mask is empty if nothing can be seen.
    """
    crop_px = generated.shape[0]
    source = host if detail is None else detail
    rows, columns = window.inside(host.shape[0], host.shape[1])
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return host.copy(), np.zeros(host.shape[:2], np.bool_)
    seen = cut(source, window, crop_px).astype(np.float32)
    full = cut(source, window, window.side).astype(np.float32)
    fine = full - enlarged(seen, window)
    gain = enlarged(_strength(generated, seen), window)[:, :, None]
    new = enlarged(generated, window) + gain * fine
    below = cut(host, window, window.side).astype(np.float32)
    values = below + _cover(part_of(within, window), feather_px)[:, :, None] * (new - below)
    after = laid_back(host, window, values, within)
    before = host[rows, columns]
    changed = visible_mask(after[rows, columns], before, within[rows, columns], visible_levels(before, threshold))
    mask = np.zeros(host.shape[:2], np.bool_)
    mask[rows, columns] = changed
    return laid_back(host, window, values, mask), mask


def _strength(generated: F32, seen: F32) -> F32:
    """The strength of the network's finest structure relative to what it started from, float32 c x c."""
    made, found = _fine_energy(generated), _fine_energy(seen)
    # A level of slack, so that rounding on plain background does not count as structure.
    ratio = (made + 1.0) / (found + 1.0)
    return np.asarray(np.clip(ratio, *_GAIN), np.float32)


def _fine_energy(values: F32) -> F32:
    grey = values.mean(axis=2)
    fine = grey - cv2.blur(grey, (3, 3))
    return np.asarray(np.sqrt(cv2.blur(fine * fine, (_FINE_PX, _FINE_PX))), np.float32)


def _cover(mask: Mask, feather_px: float) -> F32:
    """Opacity of the change: full inside, decreasing towards the rim; a scratch keeps its middle."""
    # Without a rim there is no distance to it (OpenCV gives the largest float), and nothing to feather.
    if feather_px <= 0 or mask.all() or not mask.any():
        return mask.astype(np.float32)
    # The mask continues beyond the window's edge, so only a rim inside it is feathered.
    depth = cv2.distanceTransform(np.pad(mask, 1, mode="edge").view(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    width = max(min(feather_px, float(np.max(depth))), _LEAST_FEATHER_PX)
    return np.asarray(np.clip(np.asarray(depth) / width, 0, 1), np.float32)
