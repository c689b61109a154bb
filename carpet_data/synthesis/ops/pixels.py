"""Pixels: brightness, channels, rounding, one image over another, and how noisy a camera was."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image

F32: TypeAlias = NDArray[np.float32]


def grey(image: Image) -> F32:
    """Luminance of a uint8 image, float32 HxW of 0..255."""
    found = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(found, np.float32)


def in_channels(image: Image, model: Image) -> Image:
    """A uint8 image in grayscale or RGB, as the model is; itself where it already is."""
    if image.ndim == model.ndim:
        return image
    code = cv2.COLOR_GRAY2RGB if model.ndim == 3 else cv2.COLOR_RGB2GRAY
    return cv2.cvtColor(image, code).astype(np.uint8, copy=False)


def in_color(image: Image) -> Image:
    """A uint8 image as HxWx3; three equal channels where it was grayscale."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def like(weights: NDArray[Any], image: NDArray[Any]) -> NDArray[Any]:
    """Weights HxW, ready to multiply an image of one or three channels."""
    return weights[..., None] if image.ndim == 3 else weights


def to_bytes(values: F32) -> Image:
    """Float pixels rounded and clipped to uint8."""
    return np.asarray(cv2.convertScaleAbs(np.maximum(values, 0)), np.uint8)


def mixed(above: Image, below: Image, opacity: F32) -> Image:
    """One uint8 image over another, by an opacity of 0..1 (float32 HxW)."""
    return np.asarray(cv2.blendLinear(above, below, opacity, 1 - opacity), np.uint8)


def blurred(values: NDArray[Any], sigma: float) -> F32:
    """A Gaussian blur, float32 of the shape of `values`."""
    return np.asarray(cv2.GaussianBlur(values.astype(np.float32, copy=False), (0, 0), sigma), np.float32)


def noise_level(image: Image) -> float:
    """Standard deviation of an image's noise in gray levels; texture counts as noise.

    By the median response to a Laplacian, because edges are no noise (Immerkaer, "Fast noise variance estimation",
    CVIU 1996).
    """
    if min(image.shape[:2]) < 3:
        return 0.0
    return float(np.median(_laplacian(grey(image))[1:-1, 1:-1])) / 0.6745 / 6.0


def camera_noise(values: F32) -> float:
    """The camera's own noise, standard deviation in gray levels: Immerkaer's measure in the smoothest blocks."""
    blocks = cv2.resize(_laplacian(values), None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    # The smoothest tenth: elsewhere it is texture.
    return float(np.quantile(blocks, 0.1)) * float(np.sqrt(np.pi / 2)) / 6


def _laplacian(values: F32) -> F32:
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return np.asarray(np.abs(cv2.filter2D(values, cv2.CV_32F, kernel)), np.float32)
