"""A small description of one image, to find others that show the same thing."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import images
from carpet_data.errors import ImageError

PLANE = 128
"""Side of the square plane that images are compared on, in plane pixels."""

_BAND_SIGMA = 5.0
_CONTRAST_SIGMA = 8.0
# Gray levels below which structure counts as sensor noise, so that a plain background is not amplified into texture.
_NOISE_GREY = 1.5
_CLIP = 3.0
_STEPS = 127.0 / _CLIP
_FREQUENCIES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Descriptor:
    """A small description of one image.

    Attributes:
        file_sha256: Hex digest of the file's bytes.
        pixel_sha256: Hex digest of the decoded pixels and their size: equal for the same picture in another
            lossless file. A color image with three equal channels counts as gray.
        plane: int8 128x128: the image stretched to a square, band-passed and contrast-normalized.
        featureless: Nothing is left on the plane (a constant image): only exact copies of it can be found.
    """

    width: int
    height: int
    file_sha256: str
    pixel_sha256: str
    plane: NDArray[np.int8]
    featureless: bool


def describe(path: str | os.PathLike[str]) -> Descriptor:
    """Describe one image file. Pure, so that any worker process may run it.

    Raises:
        ImageError: The file cannot be read or decoded.
    """
    try:
        file_sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}", where=path, hint="restore the file") from error
    pixels = images.read(path)
    height, width = pixels.shape[:2]
    grey = to_grey(pixels)
    plane = plane_of(grey)
    return Descriptor(
        width=width,
        height=height,
        file_sha256=file_sha256,
        pixel_sha256=_pixel_digest(pixels),
        plane=plane,
        featureless=not plane.any(),
    )


def describe_or_problem(path: str | os.PathLike[str]) -> Descriptor | ImageError:
    """`describe`, but an unreadable file is returned as its error, so that one bad file does not end a scan."""
    try:
        return describe(path)
    except ImageError as error:
        return error


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """HxW grayscale of an HxWx3 RGB or HxW image, uint8."""
    if pixels.ndim == 2:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def plane_of(grey: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The comparison plane of a grayscale image: what survives another exposure, other light and re-compression.

    Stretched to 128x128 by area, minus its blur (uneven light), divided by the local contrast (exposure), clipped:
    int8, where 127 stands for three local standard deviations.
    """
    small = _shrink(grey)
    band = small - cv2.GaussianBlur(small, (0, 0), _BAND_SIGMA, borderType=cv2.BORDER_REFLECT)
    energy = cv2.GaussianBlur(band * band, (0, 0), _CONTRAST_SIGMA, borderType=cv2.BORDER_REFLECT)
    noise = max(_NOISE_GREY, 0.3 * float(np.sqrt(np.mean(band * band))))
    normal = band / (np.sqrt(np.maximum(energy, 0)) + noise)
    return np.asarray(np.rint(np.clip(normal, -_CLIP, _CLIP) * _STEPS), dtype=np.int8)


def _shrink(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    height, width = grey.shape
    larger = height < PLANE or width < PLANE
    how = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    return np.asarray(cv2.resize(grey.astype(np.float32), (PLANE, PLANE), interpolation=how), dtype=np.float32)


def to_float(plane: NDArray[np.int8]) -> NDArray[np.float32]:
    """The plane as float32, in local standard deviations."""
    return np.asarray(plane.astype(np.float32) / np.float32(_STEPS), dtype=np.float32)


def _pixel_digest(pixels: NDArray[np.uint8]) -> str:
    if (
        pixels.ndim == 3
        and np.array_equal(pixels[..., 0], pixels[..., 1])
        and np.array_equal(pixels[..., 0], pixels[..., 2])
    ):
        pixels = pixels[..., 0]
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def signature(plane: NDArray[np.int8]) -> NDArray[np.float32]:
    """A compact vector for the nearest-neighbor search, the same wherever the scene lies in the frame.

    The magnitude of the low part of the Fourier spectrum: a shift changes only the phase, and a half turn nothing.

    Returns:
        float32 2x12x12: rows are vertical frequencies 0..11; [0] pairs them with horizontal frequencies 0..11 and
        [1] with 0..-11, so that a mirrored image swaps [0] and [1] and a transposed one transposes both.
    """
    spectrum = np.sqrt(np.abs(np.fft.fft2(to_float(plane) * WINDOW)))
    smooth = cv2.GaussianBlur(np.fft.fftshift(spectrum).astype(np.float32), (0, 0), 0.7)
    center, n = PLANE // 2, _FREQUENCIES
    right = smooth[center : center + n, center : center + n]
    left = smooth[center : center + n, center - n + 1 : center + 1][:, ::-1]
    return np.ascontiguousarray(np.stack([right, left]), dtype=np.float32)


def _hann() -> NDArray[np.float32]:
    line = np.hanning(PLANE)
    return np.asarray(np.outer(line, line), dtype=np.float32)


WINDOW = _hann()
"""float32 128x128 Hann window: keeps the frame's edges out of the spectrum."""
