"""Stains of a new shape: the host's own texture in the color of a donor's stain.

`blend.tint` transfers a stain in its own shape instead.
"""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask, Redraw
from carpet_data.synthesis.ops.guided_quilting import LaidDonor
from carpet_data.synthesis.ops.masks import grown, shrunk, signed_distance
from carpet_data.synthesis.ops.pixels import F32, blurred, grey, to_bytes

_CLOUDS_PX = 14.0


def stained(window: Image, shape: Mask, source: LaidDonor, rng: np.random.Generator) -> Image:
    """Give the texture in a window the stain of a donor: its color, its contrast, its cloudiness.

    Window (uint8 HxWx3 or HxW of the host), shape (bool HxW) and source have one frame and as many channels; `rng`
    draws how the edge creeps.

    Raises:
        Redraw: The donor shows nothing but its stain, or nothing of it.
    """
    # Around the stain, but not so near that its edge counts.
    around = grown(source.mask, 24) & ~grown(source.mask, 6) & source.valid
    inside = shrunk(source.mask, 3, from_border=True) & source.valid
    if not inside.any():
        inside = source.mask & source.valid
    if not around.any():
        around = source.valid & ~source.mask
    if not around.any() or not inside.any():
        raise Redraw("the donor shows no clean texture beside its stain")
    host, donor = np.atleast_3d(window).astype(np.float32), np.atleast_3d(source.image).astype(np.float32)
    ground_mean, ground_spread = donor[around].mean(axis=0), donor[around].std(axis=0) + 1
    stain_mean, stain_spread = donor[inside].mean(axis=0), donor[inside].std(axis=0)
    local = np.atleast_3d(blurred(host, 12.0))
    gain = (stain_mean + 2) / (ground_mean + 2)
    contrast = np.minimum(stain_spread / ground_spread, 1.5)
    tinted = local * gain + (host - local) * contrast + _clouds(donor - stain_mean, inside) * shape[:, :, None]
    cover = _cover(shape, grey(window), rng)[:, :, None]
    return to_bytes((host + cover * (tinted - host)).astype(np.float32)).reshape(window.shape)


def _cover(shape: Mask, brightness: F32, rng: np.random.Generator) -> F32:
    """How much of the stain each pixel takes: it creeps along what is raised, and has a soft edge."""
    depth = signed_distance(shape)
    reach = float(np.clip(depth.max() * 0.3, 1.0, 5.0))
    fine = brightness - blurred(brightness, 9.0)
    relief = fine / (float(fine.std()) + 1e-3)
    relief = np.clip(relief, -2, 2) * np.float32(reach * 0.4 * rng.uniform(0.6, 1.2))
    cover = np.clip(0.5 + (depth - 1 + relief * (depth < 3 * reach)) / (2 * reach), 0, 1) * (depth > -2)
    return np.asarray(cover, dtype=np.float32)


def _clouds(change: F32, inside: Mask) -> F32:
    """The slow variation within the donor's stain, float32 HxWxC."""
    weight = inside.astype(np.float32)[:, :, None]
    mass, sums = (np.atleast_3d(cv2.GaussianBlur(v, (0, 0), _CLOUDS_PX)) for v in (weight, change * weight))
    return np.asarray(sums / (mass + 0.05), dtype=np.float32)
