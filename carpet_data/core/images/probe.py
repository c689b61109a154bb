"""The header of an image file; no pixel is decoded."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.files import regular
from carpet_data.core.images.limits import check_size
from carpet_data.errors import ImageError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_MODES = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgb+alpha"}
_TRANSPOSED_ORIENTATIONS = (5, 6, 7, 8)
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The facts in a header.

    Attributes:
        format: "png", "jpeg", "bmp", "tiff", "webp" … as the bytes say, whatever the suffix.
        width: Pixels across, as displayed (after `orientation`).
        height: Pixels down, as displayed.
        mode: "grey", "rgb", "palette", "grey+alpha", "rgb+alpha", "bilevel" or "other".
        orientation: The EXIF orientation, 1 (upright) to 8.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    orientation: int = 1
    frames: int = 1


def probe(path: str | os.PathLike[str]) -> ImageInfo:
    """Read the header of an image.

    Raises:
        ImageError: It is not an image, is empty, or is larger than the limit.
    """
    path = Path(path)
    try:
        with regular(path).open("rb") as file:
            head = file.read(64)
    except FileNotFoundError as error:
        raise ImageError("the file is missing", where=path, hint="restore it, or remove its entry") from error
    except OSError as error:
        raise ImageError(f"it cannot be read ({error.strerror})", where=path, hint="check its permissions") from error
    if not head:
        raise ImageError("the file is empty", where=path, hint="replace the file")
    info = _probe_plain_png(head) or _probe_by_pillow(path)
    check_size(info.width, info.height, path)
    return info


def _probe_plain_png(head: bytes) -> ImageInfo | None:
    """The common case in microseconds: a PNG whose first chunks cannot hide an EXIF orientation.

    An eXIf chunk may stand anywhere before or after the pixels; files with one go the long way round. It is looked
    for only where it is written in practice, straight after the header.
    """
    if head[:8] != _PNG_SIGNATURE or head[12:16] != b"IHDR" or len(head) < 45:
        return None
    width, height, bits, color = struct.unpack(">IIBB", head[16:26])
    mode = _PNG_MODES.get(color)
    if mode is None or head[37:41] != b"IDAT":
        return None
    return ImageInfo("png", width, height, "bilevel" if bits == 1 and mode == "grey" else mode, bits)


_PILLOW_MODES = {
    "1": ("bilevel", 1),
    "L": ("grey", 8),
    "P": ("palette", 8),
    "PA": ("palette", 8),
    "LA": ("grey+alpha", 8),
    "La": ("grey+alpha", 8),
    "RGB": ("rgb", 8),
    "RGBA": ("rgb+alpha", 8),
    "RGBa": ("rgb+alpha", 8),
    "RGBX": ("rgb", 8),
    "I;16": ("grey", 16),
    "I;16B": ("grey", 16),
    "I;16L": ("grey", 16),
    "I": ("grey", 32),
    "F": ("grey", 32),
}


def _probe_by_pillow(path: Path) -> ImageInfo:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), _without_pillows_limit():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                mode, bits = _PILLOW_MODES.get(image.mode, ("other", 8))
                kind = (image.format or "unknown").lower()
                if kind == "png":
                    mode, bits = _png_header(path)
                orientation = int(image.getexif().get(_ORIENTATION_TAG, 1))
                width, height = image.size
                frames = int(getattr(image, "n_frames", 1))
    except UnidentifiedImageError as error:
        raise ImageError("not an image in a known format", where=path, hint="replace or remove it") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"the header is damaged ({error})", where=path, hint="replace the file") from error
    orientation = orientation if orientation in range(1, 9) else 1
    if orientation in _TRANSPOSED_ORIENTATIONS and kind != "tiff":  # Pillow turns TIFF's size itself
        width, height = height, width
    kind = "jpeg" if kind == "mpo" else kind
    return ImageInfo(kind, width, height, mode, bits, orientation, frames)


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Let `check_size` alone judge sizes: only headers are read here, and Pillow's limit is lower than ours."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _png_header(path: Path) -> tuple[str, int]:
    """Mode and bits as the PNG itself has them; Pillow widens some (16-bit RGB becomes RGB, LA at 1 bit …)."""
    with path.open("rb") as file:
        head = file.read(26)
    bits, color = struct.unpack(">BB", head[24:26])
    mode = _PNG_MODES.get(color, "other")
    return ("bilevel" if bits == 1 and mode == "grey" else mode), bits
