"""Blend a warped defect into a host: four ways; `donor_style` measures which one a donor needs.

- *tint*: only the light and color change; the host keeps its texture (stains).
- *relief*: the host times the donor's ratio to its own surroundings, texture and all (thin cracks, small pits).
- *cutout*: the defect lies on the surface and hides it (metal, loose threads).
- *seam*: the defect is part of the texture (holes, cuts); the patch replaces the host up to the cheapest closed cut
  through the collar, and a smooth membrane takes up what light is left.

Each takes a patch, the warped donor (for the last two in the host's light), and the host below it (uint8, the patch's
shape), and returns the image (uint8) and the opacity it was blended with (float32 hxw, 0..1).
"""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.masks import depth_of, grown
from carpet_data.synthesis.ops.membrane import continued, membrane
from carpet_data.synthesis.ops.pixels import F32, blurred, grey, like, mixed, to_bytes
from carpet_data.synthesis.ops.seam import coarse_cut, seam_energy
from carpet_data.synthesis.ops.warp import Patch

_LOG_FLOOR = 8.0
_SHADE_PX = 2.0
_NO_SEAM = 0.06
"""A seam whose gradient is within 6 % of the host's is not visible."""


def tint(patch: Patch, host: Image, grain_px: float) -> tuple[Image, F32]:
    """Light and color of the patch relative to its collar, on the host's texture: all that is finer than `grain_px`."""
    step = 4 if grain_px >= 4 and min(patch.size) >= 64 else 1
    width, height = patch.size
    size = (-(-width // step), -(-height // step))
    valid, mask = _shares(patch.valid, size) > 0.99, _shares(patch.mask, size) > 0.5
    # A stain fades out beyond its mask; what lies farther than this is taken to be clean, and the ratio there is 1.
    fade = min(12.0, 3.0 + 0.15 * step * float(depth_of(mask).max())) / step
    alpha = _soft(grown(mask, max(1, round(fade / 2))), max(fade / 3, 0.5))
    donor = np.asarray(cv2.resize(patch.image, size, interpolation=cv2.INTER_AREA)).astype(np.float32)
    mean = _low_pass(donor, valid, grain_px / step)
    clean = continued(mean, valid & ~grown(mask, max(1, round(fade))))
    ratio = 1 + ((mean + 1) / (clean + 1) - 1) * like(alpha, donor)
    gain = np.asarray(cv2.resize(np.asarray(ratio, np.float32), patch.size, interpolation=cv2.INTER_LINEAR))
    opacity = np.asarray(cv2.resize(alpha, patch.size, interpolation=cv2.INTER_LINEAR))
    return to_bytes(np.asarray(host * gain, np.float32)), np.asarray(opacity, np.float32)


def relief(patch: Patch, host: Image) -> tuple[Image, F32]:
    """The host times the ratio of the donor to its own surroundings, fine structure included.

    The ratio reaches as far as the patch's extent, and fades out more gently there than at a mask, where a defect ends.
    """
    changed, width = (patch.mask, 1.2) if patch.extent is None else (patch.extent, 2.5)
    alpha = _soft(grown(changed, 1), width) * patch.valid
    donor = log(patch.image.astype(np.float32))
    clean = continued(donor, patch.valid & ~grown(changed, 3))
    ratio = (donor - clean) * like(alpha, donor)
    lit = np.asarray(cv2.exp(log(host.astype(np.float32)) + ratio))
    return to_bytes(lit - np.float32(_LOG_FLOOR)), alpha


def cutout(patch: Patch, host: Image, feather_px: float) -> tuple[Image, F32]:
    """The defect laid on the host, with the shade that it throws on its collar; its edge is `feather_px` wide."""
    alpha = _soft(patch.mask, feather_px) * patch.valid
    donor = log(grey(patch.image))
    collar = patch.valid & ~patch.mask
    level = float(np.median(donor[collar])) if collar.any() else 0.0
    near = np.exp(-np.square(depth_of(~patch.mask) / _SHADE_PX))
    shade = np.minimum(_low_pass(donor, collar, 3.0) - level, 0) * np.asarray(near, np.float32) * patch.valid
    base = to_bytes(np.asarray(host * like(np.asarray(cv2.exp(shade)), host), np.float32))
    return mixed(patch.image, base, alpha), alpha


def seam(
    patch: Patch, host: Image, inner: Mask, outer: Mask, smooth_px: float, fade_px: float = 0.0
) -> tuple[Image, F32, float]:
    """The patch in place of the host, up to the cheapest closed cut between two outlines.

    Pixels of `inner` must come from the patch, those of `outer`, which holds it, may (bool hxw). Light that varies
    slower than `smooth_px` is taken from the host, where `fade_px` is given only near the cut: it fades out within that
    distance. Also returns the opacity, and the seam's energy, see
    `seam.seam_energy`.
    """
    taken = coarse_cut(patch.image, host, inner, outer)
    light = membrane(host, patch.image, patch.valid & ~inner, smooth_px)
    if fade_px > 0:
        light = light * like(np.exp(-np.square(depth_of(taken) / np.float32(fade_px))), light)
    corrected = to_bytes(np.asarray(patch.image + light, np.float32))
    best: tuple[Image, F32, float] | None = None
    for width in (0.8, 2.0):
        alpha = _soft(taken, width) * patch.valid
        image = mixed(corrected, host, alpha)
        energy = seam_energy(image, host, taken)
        if best is None or abs(energy) < abs(best[2]):
            best = image, alpha, energy
        if abs(energy) < _NO_SEAM:
            break
    assert best is not None
    return best


def log(values: F32) -> F32:
    """Logarithm of 0..255 that does not run away in the dark."""
    return np.asarray(cv2.log(values + np.float32(_LOG_FLOOR)))


def _shares(mask: Mask, size: tuple[int, int]) -> F32:
    """The share of True pixels below each pixel of a smaller grid."""
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _soft(mask: Mask, width_px: float) -> F32:
    return blurred(mask, max(width_px, 0.3))


def _low_pass(values: F32, where: Mask, sigma_px: float) -> F32:
    """A low pass that looks at some pixels only."""
    weight = where.astype(np.float32)
    sums = blurred(values * like(weight, values), sigma_px)
    return np.asarray(sums / like(np.maximum(blurred(weight, sigma_px), 1e-4), values), np.float32)
