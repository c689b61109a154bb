"""From a changed window to an image and its mask: what differs visibly is the defect, and nothing else changes."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Candidate, Image, Mask
from carpet_data.synthesis.defect_models.window import Window
from carpet_data.weave.noise import F32

__all__ = ["VISIBLE", "noise_level", "settle", "visible_mask"]

VISIBLE = 8.0
"""Grey levels by which the surroundings of a pixel must differ on average to be of the defect."""
_CHANGED = 6.0
"""Grey levels by which a pixel must differ itself, or lie between pixels that do."""
_SPECK = 0.02
"""Parts of less than this share of the largest part are left out."""


def visible_mask(changed: F32, clean: F32, reach: float) -> Mask:
    """Where two windows visibly differ.

    The largest difference of the three channels counts. Averaged over a Gaussian of sigma `reach` it must be VISIBLE,
    for a displaced yarn crosses its old place here and there; and the pixel itself, or what is around it on all sides
    (a closing by a disc of 1.5 `reach`), must differ by _CHANGED, so that the average widens nothing. Gaps and specks
    smaller than the Gaussian follow their surroundings, and so do parts of less than a fiftieth of the largest.

    Args:
        changed: float32 HxWx3.
        clean: float32 HxWx3.
        reach: Pixels over which differences are averaged, at least 0.5.

    Returns:
        bool HxW.
    """
    difference = np.abs(changed - clean).max(axis=2)
    edge = 2 * round(1.5 * reach) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    near = cv2.morphologyEx((difference >= _CHANGED).view(np.uint8), cv2.MORPH_CLOSE, disc)
    soft = cv2.GaussianBlur(difference, (0, 0), reach)
    mask = np.asarray((soft >= VISIBLE) & (near > 0), np.bool_)
    # Specks beside a large defect are what nobody would mark, and what is not marked does not change.
    mask &= ~_parts_below(mask, max(6 * reach**2, 1, _SPECK * _largest_part(mask)))
    return np.asarray(mask | _parts_below(~mask, 20 * reach**2), np.bool_)


def _largest_part(mask: Mask) -> int:
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return int(stats[1:, cv2.CC_STAT_AREA].max()) if count > 1 else 0


def _parts_below(mask: Mask, area: float) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < area
    small[0] = False
    return np.asarray(small[labels], np.bool_)


def noise_level(pixels: F32) -> float:
    """The camera's noise, standard deviation in grey levels.

    The spread of the Laplacian (Immerkær 1996) in the smoothest tenth of small blocks, since elsewhere it is texture.

    Args:
        pixels: float32 HxWx3.
    """
    grey = pixels[..., 1]
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, mask))
    blocks = cv2.resize(response, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    return float(np.quantile(blocks, 0.1)) * float(np.sqrt(np.pi / 2)) / 6


def settle(host: Image, window: Window, changed: F32, reach: float, allowed: Mask | None = None) -> Candidate:
    """Put a changed window into the host where it visibly differs.

    What the mask leaves out is too faint to leave a seam at its outline; where `allowed` cuts a defect off, the change
    fades in over two pixels.

    Args:
        host: uint8 HxWx3 RGB or HxW; not written to.
        window: The window as it was cut.
        changed: float32 SxSx3 RGB, the window with the defect.
        reach: Pixels over which differences are averaged for the mask.
        allowed: bool HxW, where the defect may be; None for everywhere.

    Returns:
        The candidate; its mask is empty where nothing is visible.
    """
    grey = host.ndim == 2
    if grey:
        changed = np.repeat((changed @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, axis=2)
    inside = visible_mask(changed, window.pixels, reach)[window.inside]
    x, y, width, height = window.box
    rows, columns = slice(y, y + height), slice(x, x + width)
    if allowed is not None:
        inside &= allowed[rows, columns]
    # Beyond the image's border the defect goes on, so it does not fade there.
    padded = np.pad(inside, 3, mode="edge").astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[3:-3, 3:-3]
    weight = np.asarray(np.minimum(depth / (1.2 if allowed is None else 2.0), 1), np.float32)
    before = window.pixels[window.inside]
    merged = before + (changed[window.inside] - before) * weight[..., None]
    pixels = np.clip(np.rint(merged), 0, 255).astype(np.uint8)
    image = host.copy()
    image[rows, columns] = pixels[..., 0] if grey else pixels
    mask = np.zeros(host.shape[:2], np.bool_)
    mask[rows, columns] = inside
    return Candidate(image, mask, window.box)
