"""The largest image that is decoded; a larger one counts as an attack or a mistake."""

from __future__ import annotations

import os

from carpet_data.errors import ImageError, UsageError

ENVIRONMENT_MAX_PIXELS = "CARPET_DATA_MAX_PIXELS"
DEFAULT_MAX_PIXELS = 1 << 28
"""268 million pixels, 16384 x 16384."""


def max_pixels() -> int:
    """The limit in force: $CARPET_DATA_MAX_PIXELS, else 2^28.

    Raises:
        UsageError: The environment variable is not a positive whole number.
    """
    text = os.environ.get(ENVIRONMENT_MAX_PIXELS)
    if text is None:
        return DEFAULT_MAX_PIXELS
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"invalid number of pixels {text!r}", where=f"${ENVIRONMENT_MAX_PIXELS}")
    return int(text)


def check_size(width: int, height: int, where: str | os.PathLike[str]) -> None:
    """Refuse an image without pixels, or with more than `max_pixels()`.

    Raises:
        ImageError: It has none, or too many.
    """
    if width < 1 or height < 1:
        raise ImageError(f"invalid size {width}x{height} in the header", where=where, hint="replace the file")
    if width * height > max_pixels():
        raise ImageError(
            f"{width}x{height} is more than {max_pixels()} pixels",
            where=where,
            hint=f"cut the image into tiles, or raise {ENVIRONMENT_MAX_PIXELS}",
        )
