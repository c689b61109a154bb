"""Encode arrays as PNG: the one codec of everything this package writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import OutputError, UsageError


def encode_png(pixels: NDArray[Any], *, level: int | None = None) -> bytes:
    """PNG bytes of an image.

    Args:
        pixels: uint8 or uint16, HxWx3 RGB or HxW, or bool HxW (written as 0 and 255).
        level: zlib level, 0 (none) to 9 (small); None for OpenCV's quick way, row differences and run lengths.

    Raises:
        ValueError: The shape or dtype is none of these.
    """
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype in (np.uint8, np.uint16):
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    elif pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"cannot encode {pixels.dtype} of shape {pixels.shape}; expected uint8 or uint16, HxWx3 or HxW"
        )
    settings = [] if level is None else [cv2.IMWRITE_PNG_COMPRESSION, level]
    done, data = cv2.imencode(".png", pixels, settings)
    if not done:
        raise OutputError(f"OpenCV could not encode an image of shape {pixels.shape}")
    return data.tobytes()


PICTURES = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes (lower case) that `encode_picture` knows."""
_QUALITY = 92


def encode_picture(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    """Bytes of a picture for people, in the format of a suffix: PNG, or JPEG or WebP of quality 92.

    Args:
        pixels: uint8, HxWx3 RGB.
        suffix: One of PICTURES.

    Raises:
        UsageError: The suffix is none of them.
    """
    kind = suffix.lower()
    if kind not in PICTURES:
        raise UsageError(f"unsupported image type {suffix!r}", hint=f"use a name that ends in {', '.join(PICTURES)}")
    if kind == ".png":
        return encode_png(pixels)
    quality = cv2.IMWRITE_WEBP_QUALITY if kind == ".webp" else cv2.IMWRITE_JPEG_QUALITY
    done, data = cv2.imencode(kind, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [quality, _QUALITY])
    if not done:
        raise OutputError(f"OpenCV could not encode an image of shape {pixels.shape}")
    return data.tobytes()


def write_png(path: str | os.PathLike[str], pixels: NDArray[Any], *, level: int | None = None) -> None:
    """Write a PNG; see `encode_png`. The folder must exist."""
    Path(path).write_bytes(encode_png(pixels, level=level))
