"""Find the weave of a photographed cloth: direction, pitch, and which yarns lie on top where."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image
from carpet_data.synthesis.ops.pixels import F32, blurred
from carpet_data.weave.surface import ALONG_WARP, ALONG_WEFT

_CROP = 320
_SMALLEST_PITCH, _LARGEST_PITCH = 6, 80
_REGULAR = 0.2
"""Autocorrelation at the pitch from which a profile counts as periodic."""
_STRIPED = 0.2
"""Deviation of a profile along the yarns, of the image's own, from which it is yarns: 0.33 to 0.52 on carpet, at most
0.18 in the weaker direction of brushed metal."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """A plain weave.

    Attributes:
        angle: Direction of the weft against the x axis in radians, within ± pi/4.
        pitch: Distance of neighboring warp yarns and of neighboring weft yarns, in pixels.
    """

    angle: float
    pitch: tuple[float, float]

    @property
    def mean_pitch(self) -> float:
        """Mean distance of neighboring yarns in pixels."""
        return (self.pitch[0] + self.pitch[1]) / 2


def find_fabric(image: Image, center: tuple[float, float]) -> Fabric | None:
    """The weave around a place (x, y in pixels) of an image (uint8 HxWx3 RGB or HxW), or None where there is none.

    The direction is the fourfold mean of the gradient directions (fibers run along the yarns); the pitches are the
    first strong peaks in the autocorrelation of the image projected along each family of yarns.
    """
    height, width = image.shape[:2]
    edge = min(_CROP, height, width)
    if edge < 4 * _SMALLEST_PITCH:
        return None
    left = int(np.clip(center[0] - edge / 2, 0, width - edge))
    top = int(np.clip(center[1] - edge / 2, 0, height - edge))
    crop = image[top : top + edge, left : left + edge]
    grey = crop.mean(axis=2, dtype=np.float32) if crop.ndim == 3 else crop.astype(np.float32)
    gradient_x, gradient_y = _gradient(grey)
    # cos and sin of four times the gradient's direction, weighted by its squared length.
    squared = gradient_x**2 + gradient_y**2
    double_c, double_s = gradient_x**2 - gradient_y**2, 2 * gradient_x * gradient_y
    safe = np.maximum(squared, 1e-6)
    fourfold = complex(float(((double_c**2 - double_s**2) / safe).sum()), float((2 * double_c * double_s / safe).sum()))
    angle = float(np.angle(fourfold)) / 4
    turned = _turned(grey, angle)
    (warp, regular_warp, striped_warp), (weft, regular_weft, striped_weft) = (
        _pitch(turned.mean(axis=axis)) for axis in (0, 1)
    )
    striped = min(striped_warp, striped_weft) / max(float(turned.std()), 1e-6)
    if min(regular_warp, regular_weft) < _REGULAR or striped < _STRIPED or not 0.4 < warp / weft < 2.5:
        return None
    return Fabric(angle, (warp, weft))


def runs_along(pixels: F32, fabric: Fabric) -> NDArray[np.uint8]:
    """Which way the fibers run at each pixel (float32 HxWx3 RGB): gradients across them are the stronger ones.

    Returns:
        uint8 HxW of ALONG_WARP and ALONG_WEFT.
    """
    gradient_x, gradient_y = _gradient(pixels.mean(axis=2))
    cosine, sine = np.float32(np.cos(fabric.angle)), np.float32(np.sin(fabric.angle))
    sigma = 0.22 * fabric.mean_pitch
    across = blurred(np.abs(cosine * gradient_x + sine * gradient_y), sigma)
    along = blurred(np.abs(cosine * gradient_y - sine * gradient_x), sigma)
    return np.asarray(np.where(across > along, ALONG_WARP, ALONG_WEFT), np.uint8)


def _gradient(grey: F32) -> tuple[F32, F32]:
    x, y = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, ksize=3, scale=1 / 8) for dx in (1, 0))
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _turned(grey: F32, angle: float) -> F32:
    """The middle of a crop, turned so that the weft lies along the rows."""
    edge = grey.shape[0]
    inner = int(edge / (abs(np.cos(angle)) + abs(np.sin(angle))))
    turn = cv2.getRotationMatrix2D(((edge - 1) / 2, (edge - 1) / 2), float(np.rad2deg(angle)), 1.0)
    turn[:, 2] -= (edge - inner) / 2
    return np.asarray(cv2.warpAffine(grey, turn, (inner, inner), borderMode=cv2.BORDER_REFLECT), np.float32)


def _pitch(profile: F32) -> tuple[float, float, float]:
    """(pitch in samples, autocorrelation there, deviation) of a row of brightness; (1, 0, 0) where nothing repeats."""
    count = len(profile)
    slow = cv2.GaussianBlur(profile.reshape(1, -1), (0, 0), 0.1 * count, borderType=cv2.BORDER_REFLECT).ravel()
    deviation = float((profile - slow).std())
    flat = (profile - slow) * np.hanning(count)
    spectrum = np.fft.rfft(flat, 2 * count)
    found = np.fft.irfft(np.abs(spectrum) ** 2)[: count // 2]
    if found[0] <= 1e-6 * count:
        return 1.0, 0.0, 0.0
    # The window thins out what overlaps; what it would leave of a constant is divided out.
    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(count), 2 * count)) ** 2)[: count // 2]
    found = found / found[0] / (taper / taper[0])
    peaks = [
        lag
        for lag in range(_SMALLEST_PITCH, min(_LARGEST_PITCH, len(found) - 1))
        if found[lag] > found[lag - 1] and found[lag] >= found[lag + 1]
    ]
    if not peaks:
        return 1.0, 0.0, 0.0
    best = max(float(found[lag]) for lag in peaks)
    if best <= 0:
        return 1.0, 0.0, 0.0
    # The first peak nearly as high as the best one: multiples of the pitch repeat as well.
    first = next(lag for lag in peaks if found[lag] >= 0.7 * best)
    before, here, after = found[first - 1 : first + 2]
    return first + float((before - after) / (2 * (before - 2 * here + after) or 1.0)), float(here), deviation
