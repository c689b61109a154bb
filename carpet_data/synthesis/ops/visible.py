"""What of a change can be seen: the pixels that a mask holds."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.masks import disc, filled, largest_parts, parts_below
from carpet_data.synthesis.ops.pixels import F32, blurred, noise_level

_SPECK_FRAC = 0.04
_REGION_LEVELS = 8.0
"""Gray levels by which the surroundings of a pixel must differ on average."""
_PIXEL_LEVELS = 6.0
"""Gray levels by which a pixel must differ itself, or lie between pixels that do."""
_REGION_SPECK_FRAC = 0.02


def difference(after: Image, before: Image) -> Image:
    """By how many levels the channel differs that changed most, uint8 HxW."""
    found = np.asarray(cv2.absdiff(after, before), np.uint8)
    if found.ndim == 2:
        return found
    red, green, blue = cv2.split(found)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def visible_levels(before: Image, asked: float | None) -> float:
    """The change in gray levels from which a pixel counts as changed: as asked, or by the host's own noise."""
    return float(np.clip(3 * noise_level(before), 4, 10)) if asked is None else float(asked)


def visible_change(after: Image, before: Image, levels: float, window: int) -> Mask:
    """Where an eye sees a change: the difference, averaged over a square window, above some gray levels.

    Both images are uint8 hxwx3 or hxw; the result is bool hxw.
    """
    return np.asarray(cv2.blur(difference(after, before).astype(np.float32), (window, window))) > levels


def visible_mask(after: Image, before: Image, within: Mask, levels: float) -> Mask:
    """The pixels of a defect: the change that can be seen, with gaps closed where both happen to agree.

    Both images are uint8 hxwx3 or hxw; the mask is a part of `within` (bool hxw). For `levels` see `visible_levels`.
    """
    pad = 6
    changed = np.pad(((difference(after, before) > levels) & within).astype(np.uint8), pad)
    closed = np.asarray(cv2.morphologyEx(changed, cv2.MORPH_CLOSE, disc(3)), np.uint8)
    # Specks beside a defect are noise that happens to differ; a defect that is itself a speck stays.
    return filled(closed.view(np.bool_), _SPECK_FRAC)[pad:-pad, pad:-pad] & within


def visible_region(changed: F32, clean: F32, reach: float) -> Mask:
    """Where two windows (float32 HxWx3) visibly differ as regions, as with yarns that cross their old places: bool HxW.

    Averaged over a Gaussian of sigma `reach`, at least 0.5 pixels, the difference must be _REGION_LEVELS; and the pixel
    itself, or what is around it on all sides (a closing by a disc of 1.5 `reach`), must differ by _PIXEL_LEVELS, so
    that the average widens nothing. Gaps and specks smaller than the Gaussian follow their surroundings, and so do
    parts of less than a fiftieth of the largest.
    """
    differs = np.abs(changed - clean).max(axis=2)
    strong = (differs >= _PIXEL_LEVELS).view(np.uint8)
    near = np.asarray(cv2.morphologyEx(strong, cv2.MORPH_CLOSE, disc(round(1.5 * reach)))) > 0
    mask = (blurred(differs, reach) >= _REGION_LEVELS) & near
    # Specks beside a large defect are what nobody would mark, and what is not marked does not change.
    mask &= ~parts_below(mask, max(6 * reach**2, 1, _REGION_SPECK_FRAC * largest_parts(mask, 1)[1]))
    return np.asarray(mask | parts_below(~mask, 20 * reach**2), np.bool_)
