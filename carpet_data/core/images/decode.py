"""Decode image files into arrays: the one place where cv2's channel order and EXIF are dealt with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.files import regular
from carpet_data.core.images import flat_png, whole
from carpet_data.core.images.limits import check_size
from carpet_data.core.images.probe import ImageInfo, probe
from carpet_data.errors import ImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File suffixes (lower case) that count as images."""

_WHOLE = "replace the file with a complete copy"


def read(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Decode an image as people see it.

    EXIF rotation is applied, palettes are expanded, transparency is dropped, 16-bit values are scaled to 8 bits
    (v / 257, rounded).

    Returns:
        uint8, HxWx3 RGB, or HxW where the file is gray.

    Raises:
        ImageError: The file is missing, damaged, truncated, not an image or too large.
    """
    return _to_8_bit(read_deep(path), path)


def read_deep(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Decode an image as `read` does, its values as stored: uint8 or uint16, HxWx3 RGB, or HxW where the file is gray.

    Raises:
        ImageError: As `read`.
    """
    info = probe(path)
    pixels = _decode(_bytes_of(Path(path)), Path(path))
    if pixels.dtype not in (np.uint8, np.uint16):
        raise _unknown_range(pixels, path)
    if pixels.ndim == 3:
        if pixels.shape[2] == 2 or info.mode in ("grey", "grey+alpha", "bilevel"):
            pixels = pixels[:, :, 0]
        else:
            # Reversed by hand: cv2.cvtColor's types do not keep uint8.
            pixels = pixels[:, :, 2::-1]
    return np.ascontiguousarray(_turn_upright(pixels, info))


def check_whole(path: str | os.PathLike[str]) -> None:
    """Refuse an image file that cannot be decoded, at a fraction of the price of decoding it.

    A PNG or JPEG is judged by its structure (header, checksums, end), any other file is decoded.

    Raises:
        ImageError: As `read`.
    """
    probe(path)
    data = _bytes_of(Path(path))
    if whole.proves_pixels(data):
        _check_whole(data, path)
    else:
        _decode(data, Path(path))


def read_values(path: str | os.PathLike[str], *, general: bool = False) -> NDArray[Any]:
    """Decode the one channel of a mask or index file, values as stored: HxW, uint8 or uint16 as the file is.

    Color files give the largest of their channels, alpha is ignored, palettes are expanded to their colors. EXIF
    rotation is applied as in `read`. `general` always uses the general decoder: for checks that must not share the fast
    one with what they check.

    Raises:
        ImageError: As `read`.
    """
    path = Path(path)
    data = _bytes_of(path)
    flat = None if general else flat_png.decode(data)
    if flat is not None:
        return flat
    info = probe(path)
    values = _decode(data, path)
    if values.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"unsupported pixel type {values.dtype}", where=path, hint="save the mask as 8-bit PNG")
    if values.ndim == 3:
        colors = values[:, :, :3] if values.shape[2] >= 3 else values[:, :, :1]
        values = colors.max(axis=2)
    return np.ascontiguousarray(_turn_upright(values, info))


def shape_in_alpha(path: str | os.PathLike[str]) -> bool:
    """Whether a file has an alpha channel that is not the same everywhere.

    Raises:
        ImageError: As `read`.
    """
    path = Path(path)
    if "alpha" not in probe(path).mode:
        return False
    values = _decode(_bytes_of(path), path)
    alpha = values[..., -1] if values.ndim == 3 and values.shape[2] in (2, 4) else None
    return alpha is not None and bool((alpha != alpha[0, 0]).any())


def read_indices(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Decode an index file, whose values are numbers rather than shades: HxW, uint8 or uint16.

    Palettes give their indices, whatever their colors; files of 1, 2 or 4 bits give 0 to 15. EXIF rotation is applied
    as in `read`.

    Raises:
        ImageError: As `read`, and for a file in color.
    """
    path = Path(path)
    info = probe(path)
    if info.mode == "palette":
        return np.ascontiguousarray(_turn_upright(_palette_indices(path), info))
    values = read_values(path)
    if info.mode not in ("grey", "grey+alpha", "bilevel"):
        pixels = read(path)
        if pixels.ndim == 3 and (pixels != pixels[:, :, :1]).any():
            raise ImageError(
                "the mask is in color, and colors are not class numbers",
                where=path,
                hint="save the class numbers as a gray or palette PNG",
            )
    # Decoders stretch what has less than 8 bits to 0..255.
    return values // (255 // (2**info.bits - 1)) if info.bits < 8 else values


def _palette_indices(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image, np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError("the pixels are damaged or truncated", where=path, hint=_WHOLE) from error


def _bytes_of(path: Path) -> bytes:
    try:
        return regular(path).read_bytes()
    except FileNotFoundError as error:
        raise ImageError("the file is missing", where=path, hint="restore it, or remove its entry") from error
    except OSError as error:
        raise ImageError(f"it cannot be read ({error.strerror})", where=path, hint="check its permissions") from error


def _check_whole(data: bytes, path: str | os.PathLike[str]) -> None:
    # OpenCV fills what is missing with gray, without an error.
    fault = whole.fault_of(data)
    if fault is not None:
        raise ImageError(fault.what, where=path, hint=_WHOLE)


def _decode(data: bytes, path: Path) -> NDArray[Any]:
    _check_whole(data, path)
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"it cannot be decoded ({error.err})", where=path, hint=_WHOLE) from error
    if values is None:
        raise ImageError("the pixels are damaged or truncated", where=path, hint=_WHOLE)
    check_size(values.shape[1], values.shape[0], path)
    return values


def _to_8_bit(values: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise _unknown_range(values, path)


def _unknown_range(values: NDArray[Any], path: str | os.PathLike[str]) -> ImageError:
    return ImageError(
        f"pixels of type {values.dtype} have no known range", where=path, hint="save the image as 8 or 16 bit"
    )


def _turn_upright(pixels: NDArray[Any], info: ImageInfo) -> NDArray[Any]:
    """Undo an EXIF orientation (Exif 2.32, tag 0x0112); TIFF decoders do so themselves."""
    orientation = 1 if info.format == "tiff" else info.orientation
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }[orientation](pixels)
    return np.asarray(turned)
