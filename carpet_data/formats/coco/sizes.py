"""The size that COCO states of an image, against the file's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carpet_data.core.images import ImageInfo
from carpet_data.formats.annotated import Fault
from carpet_data.formats.coco.ids import whole

__all__ = ["is_stated", "size_fault"]


def is_stated(value: Any) -> bool:
    """Whether a width or height says anything: null, -1 and 0 are what tools write that do not know it."""
    return value is not None and (isinstance(value, bool) or value not in (-1, 0))


def size_fault(image: Mapping[str, Any], info: ImageInfo) -> Fault | None:
    """What is wrong with the stated size of an image, if anything."""
    values = (image.get("width"), image.get("height"))
    for value in values:
        if is_stated(value) and whole(value) is None:
            return Fault(f"its width and height are {values[0]!r} and {values[1]!r}, not numbers of pixels")
    stated = tuple(
        whole(value) if is_stated(value) else size
        for value, size in zip(values, (info.width, info.height), strict=True)
    )
    if stated == (info.width, info.height):
        return None
    turned = ""
    if info.orientation != 1:
        turned = f" once its EXIF orientation ({info.orientation}) is applied"
    return Fault(
        f"the JSON says {stated[0]}x{stated[1]} pixels, the file has {info.width}x{info.height}{turned}",
        "make both the same; masks of another size would lie in the wrong place",
    )
