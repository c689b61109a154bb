"""Blend a warped defect into a host: four ways, and how to tell which one a donor wants.

- *tint*: only the light and colour change; the host keeps its texture (stains).
- *relief*: the host times the donor's ratio to its own surroundings, texture and all (thin cracks, small pits).
- *cutout*: the defect lies on the surface and hides it (metal, loose threads).
- *seam*: the defect is part of the texture (holes, cuts); the patch replaces the host up to the cheapest closed cut
  through the collar (graph cut: Kwatra et al. 2003), and a smooth membrane takes up what light is left (gradient
  cloning: Perez et al. 2003, as Farbman et al. 2009 interpolate it).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.color import to_bytes
from carpet_data.synthesis.ops.warp import Patch

FloatArray = NDArray[np.float32]

_LOG_FLOOR = 8.0
_SHADE_PX = 2.0
_LIGHT_LEVELS = 30.0
_NO_SEAM = 0.06
"""A seam whose gradient is within 6 % of the host's cannot be told."""
_KNOWN = 1e-3
"""Weights below this are rounding, and dividing by them would make light out of nothing."""


def tint(patch: Patch, host: Image, grain_px: float) -> tuple[Image, FloatArray]:
    """Light and colour of the patch relative to its collar, on the host's own texture.

    Args:
        patch: The warped donor.
        host: uint8, the patch's shape: the host below it.
        grain_px: Structure finer than this is the host's.

    Returns:
        The image (uint8) and the opacity it was blended with (float32 hxw, 0..1).
    """
    step = 4 if grain_px >= 4 and min(patch.size) >= 64 else 1
    width, height = patch.size
    size = (-(-width // step), -(-height // step))
    valid, mask = _shrunk(patch.valid, size) > 0.99, _shrunk(patch.mask, size) > 0.5
    # A stain fades out beyond its mask; what lies farther than this is taken to be clean, and the ratio there is 1.
    fade = min(12.0, 3.0 + 0.15 * step * _depth(mask)) / step
    alpha = _soft(grown(mask, max(1, round(fade / 2))), max(fade / 3, 0.5))
    donor = np.asarray(cv2.resize(patch.image, size, interpolation=cv2.INTER_AREA)).astype(np.float32)
    mean = _weighted_low(donor, valid, grain_px / step)
    clean = fill(mean, valid & ~grown(mask, max(1, round(fade))))
    ratio = 1 + ((mean + 1) / (clean + 1) - 1) * _like(alpha, donor)
    gain = np.asarray(cv2.resize(np.asarray(ratio, np.float32), patch.size, interpolation=cv2.INTER_LINEAR))
    opacity = np.asarray(cv2.resize(alpha, patch.size, interpolation=cv2.INTER_LINEAR))
    return to_bytes(np.asarray(host * gain, np.float32)), np.asarray(opacity, np.float32)


def relief(patch: Patch, host: Image) -> tuple[Image, FloatArray]:
    """The host times the ratio of the donor to its own surroundings, fine structure included.

    Args:
        patch: The warped donor.
        host: uint8, the patch's shape.

    Returns:
        The image (uint8) and the opacity it was blended with (float32 hxw, 0..1).
    """
    alpha = _soft(grown(patch.mask, 1), 1.2) * patch.valid
    donor = log(patch.image.astype(np.float32))
    clean = fill(donor, patch.valid & ~grown(patch.mask, 3))
    ratio = (donor - clean) * _like(alpha, donor)
    return _exp(log(host.astype(np.float32)) + ratio), alpha


def cutout(patch: Patch, host: Image, feather_px: float) -> tuple[Image, FloatArray]:
    """The defect laid on the host, with the shade that it throws on its collar.

    Args:
        patch: The warped donor, in the host's light.
        host: uint8, the patch's shape.
        feather_px: Width of the edge.

    Returns:
        The image (uint8) and the opacity (float32 hxw, 0..1).
    """
    alpha = _soft(patch.mask, feather_px) * patch.valid
    donor = log(grey(patch.image))
    low = _weighted_low(donor, patch.valid & ~patch.mask, 3.0)
    level = float(np.median(donor[patch.valid & ~patch.mask])) if (patch.valid & ~patch.mask).any() else 0.0
    near = np.exp(
        -np.square(np.asarray(cv2.distanceTransform((~patch.mask).view(np.uint8), cv2.DIST_L2, 3)) / _SHADE_PX)
    )
    shade = np.minimum(low - level, 0) * np.asarray(near, np.float32) * patch.valid
    base = to_bytes(np.asarray(host * np.asarray(_like(cv2.exp(shade), host), np.float32)))
    return mixed(patch.image, base, alpha), alpha


def seam(patch: Patch, host: Image, inner: Mask, outer: Mask, smooth_px: float) -> tuple[Image, FloatArray, float]:
    """The patch in place of the host, up to the cheapest closed cut between two outlines.

    Args:
        patch: The warped donor, aligned to the host and in its light.
        host: uint8, the patch's shape.
        inner: bool hxw: pixels that must come from the patch.
        outer: bool hxw: pixels that may; it holds `inner`.
        smooth_px: Light that varies slower than this is taken from the host.

    Returns:
        The image (uint8), the opacity (float32 hxw, 0..1), and the seam's energy: the logarithm of the gradient on
        the seam over that beside it in the host, 0 for a seam that cannot be told.
    """
    taken = cut_between(patch.image, host, inner, outer)
    corrected = to_bytes(patch.image + membrane(host, patch.image, patch.valid & ~inner, smooth_px))
    best: tuple[float, Image, FloatArray] | None = None
    for width in (0.8, 2.0):
        alpha = _soft(taken, width) * patch.valid
        image = mixed(corrected, host, alpha)
        energy = seam_energy(image, host, taken)
        if best is None or abs(energy) < abs(best[0]):
            best = energy, image, alpha
        if abs(energy) < _NO_SEAM:
            break
    assert best is not None
    return best[1], best[2], best[0]


def membrane(host: Image, source: Image, known: Mask, smooth_px: float) -> FloatArray:
    """What to add to a source so that its light runs into the host's: their difference, low-passed and continued.

    Args:
        host: uint8 hxwx3 or hxw.
        source: uint8, its shape.
        known: bool hxw: where the two show the same thing and can be compared.
        smooth_px: Finer differences are left.

    Returns:
        float32, the shape of `host`.
    """
    height, width = known.shape
    step = 4 if smooth_px >= 4 and min(height, width) >= 32 else 1
    size = (-(-width // step), -(-height // step))
    weight = _shrunk(known, size)
    difference = np.asarray(cv2.subtract(host, source, dtype=cv2.CV_32F))
    difference = (
        difference * _like(known, difference)
        if step == 1
        else np.asarray(cv2.resize(difference * _like(known, difference), size, interpolation=cv2.INTER_AREA))
    )
    sums = np.asarray(cv2.GaussianBlur(difference, (0, 0), smooth_px / step))
    total = np.asarray(cv2.GaussianBlur(weight, (0, 0), smooth_px / step))
    low = sums / _like(np.maximum(total, _KNOWN), sums)
    strength = np.abs(low) if low.ndim == 2 else np.abs(low).max(axis=2)
    # Where outlines of an object lie otherwise in the two they differ by more than light: that has no say.
    continued = fill(np.asarray(low, np.float32), np.asarray((total > 0.3) & (strength < _LIGHT_LEVELS)))
    return np.asarray(cv2.resize(continued, (width, height), interpolation=cv2.INTER_LINEAR))


def mixed(image: Image, host: Image, alpha: FloatArray) -> Image:
    """`image` over `host` with an opacity of 0..1 (float32 hxw)."""
    return np.asarray(cv2.blendLinear(image, host, alpha, 1 - alpha), np.uint8)


def cut_between(first: Image, second: Image, inner: Mask, outer: Mask) -> Mask:
    """The region whose outline runs where two images differ least.

    Args:
        first: uint8 hxwx3 or hxw: shown inside.
        second: uint8, its shape: shown outside.
        inner: bool hxw: surely inside.
        outer: bool hxw: possibly inside; it holds `inner`.

    Returns:
        bool hxw: inner <= region <= outer. The cut of a large patch is found at reduced resolution, so it is true to
        about 3 pixels.
    """
    height, width = inner.shape
    step = 1 if min(height, width) < 24 else 2 if min(height, width) < 200 else 3
    size = (max(1, width // step), max(1, height // step))
    small_first, small_second = (
        np.asarray(cv2.resize(_three(x), size, interpolation=cv2.INTER_AREA)).astype(np.float32)
        for x in (first, second)
    )
    core = np.asarray(cv2.resize(inner.view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)) > 0
    wide = np.asarray(cv2.resize(outer.view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)) == 255
    wide |= core
    if not (wide & ~core).any() or wide.all():
        return np.array(inner, np.bool_)
    finder = cv2.detail.GraphCutSeamFinder("COST_COLOR")
    # OpenCV's type hints ask for its own arrays here; its code takes numpy's images, and needs UMat masks to write in.
    masks: list[Any] = [cv2.UMat(np.where(m, 255, 0).astype(np.uint8)) for m in (~core, wide)]  # type: ignore[call-overload]
    images: list[Any] = [small_second, small_first]
    inside = np.asarray(finder.find(images, [(0, 0), (0, 0)], masks)[1].get())
    region = np.asarray(cv2.resize(inside, (width, height), interpolation=cv2.INTER_LINEAR)) >= 128
    return np.asarray((region | inner) & (outer | inner), np.bool_)


def seam_energy(image: Image, host: Image, region: Mask) -> float:
    """How a seam shows: logarithm of the gradient along a region's outline over that of the host there.

    Positive where there is an edge, negative where it is blurred.
    """
    bytes_ = region.view(np.uint8)
    # Its outer side alone: on the inner one a defect that is cut out closely shows its own edge.
    line = np.asarray(cv2.dilate(bytes_, np.ones((3, 3), np.uint8))) != bytes_
    if not line.any():
        return 0.0
    here, there = (_gradient(x)[line].mean() for x in (image, host))
    return float(np.log((here + 1.0) / (there + 1.0)))


def fill(values: FloatArray, known: Mask) -> FloatArray:
    """Continue known values smoothly into the unknown: a membrane, by push and pull over a pyramid.

    Args:
        values: float32 hxwx3 or hxw.
        known: bool hxw.

    Returns:
        float32, the shape of `values`: as it is where known; 0 everywhere where nothing is known.
    """
    weight = known.astype(np.float32)
    if not known.any():
        return np.zeros_like(values)
    return np.asarray(np.where(_like(known, values), values, _pull(values * _like(weight, values), weight)), np.float32)


def _pull(sums: FloatArray, weight: FloatArray) -> FloatArray:
    height, width = weight.shape
    if min(height, width) <= 2 or float(weight.min()) > _KNOWN:
        if float(weight.min()) > _KNOWN:
            return np.asarray(sums / _like(weight, sums), np.float32)
        mean = sums.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
        return np.array(np.broadcast_to(np.asarray(mean, np.float32), sums.shape))
    half = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
    below = _pull(
        np.asarray(cv2.resize(sums, half, interpolation=cv2.INTER_AREA)),
        np.asarray(cv2.resize(weight, half, interpolation=cv2.INTER_AREA)),
    )
    up = np.asarray(cv2.resize(below, (width, height), interpolation=cv2.INTER_LINEAR))
    full = np.minimum(weight, 1.0)
    return np.asarray(sums + up * _like(1 - full, sums), np.float32)


def visible_change(image: Image, host: Image, threshold: float, window: int) -> Mask:
    """Where an eye sees a change: the largest channel's difference, averaged over a window, above a threshold.

    Args:
        image: uint8 hxwx3 or hxw.
        host: uint8, its shape.
        threshold: In grey levels.
        window: Its side in pixels.

    Returns:
        bool hxw.
    """
    difference = np.asarray(cv2.absdiff(image, host))
    if difference.ndim == 3:
        red, green, blue = cv2.split(difference)
        difference = np.asarray(cv2.max(cv2.max(red, green), blue))
    return np.asarray(np.asarray(cv2.blur(difference.astype(np.float32), (window, window))) > threshold)


def _three(image: Image) -> Image:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def grey(image: Image) -> FloatArray:
    """Luminance, float32 hxw of 0..255."""
    grey_ = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return np.asarray(grey_, np.float32)


def _gradient(image: Image) -> FloatArray:
    light = grey(image)
    return np.asarray(np.abs(cv2.Sobel(light, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(light, cv2.CV_32F, 0, 1)))


def log(values: FloatArray) -> FloatArray:
    """Logarithm of 0..255 that does not run away in the dark."""
    return np.asarray(cv2.log(values + np.float32(_LOG_FLOOR)))


def _exp(values: FloatArray) -> Image:
    return to_bytes(np.asarray(cv2.exp(values)) - np.float32(_LOG_FLOOR))


def _like(weights: NDArray[Any], image: NDArray[Any]) -> NDArray[Any]:
    """Weights of one channel, ready to multiply an image of one or three."""
    return weights[..., None] if image.ndim == 3 else weights


def _shrunk(mask: Mask, size: tuple[int, int]) -> FloatArray:
    """The share of True pixels below each pixel of a smaller grid."""
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _depth(mask: Mask) -> float:
    return float(np.asarray(cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3)).max())


def grown(mask: Mask, radius: int) -> Mask:
    """A bool mask dilated by a disc of a radius in pixels."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(np.asarray(cv2.dilate(mask.view(np.uint8), disc)) > 0)


def _soft(mask: Mask, width_px: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(width_px, 0.3)))


def _weighted_low(values: FloatArray, where: Mask, sigma_px: float) -> FloatArray:
    """Low pass that only looks at some pixels."""
    weight = where.astype(np.float32)
    total = np.asarray(cv2.GaussianBlur(weight, (0, 0), sigma_px))
    sums = np.asarray(cv2.GaussianBlur(values * _like(weight, values), (0, 0), sigma_px))
    return np.asarray(sums / _like(np.maximum(total, 1e-4), values), np.float32)
