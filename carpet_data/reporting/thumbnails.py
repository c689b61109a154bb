"""Small pictures of samples that a page can hold: the defect, its outline as a drawing over it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import masks
from carpet_data.core.images import read
from carpet_data.core.masks.runs import to_binary
from carpet_data.core.sheets import around, evenly
from carpet_data.dataset import Sample
from carpet_data.errors import CarpetDataError, OutputError

__all__ = ["MOST_BYTES", "SIDE", "Thumbnail", "sheet", "thumbnail"]

SIDE = 176
"""Maximum pixels of the longer side."""

MOST_BYTES = 3_500_000
"""Maximum bytes of all thumbnails of a page."""

_QUALITY = 80
_MOST_OUTLINE = 400


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a sample.

    Attributes:
        address: A data URI with a JPEG.
        outline: The mask's outline as the path of an SVG with the picture's pixels as units; empty without a mask.
        caption: The sample's id, and of a synthetic one its host.
        alt: What it shows.
    """

    address: str
    width: int
    height: int
    outline: str
    caption: str
    alt: str

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return len(self.address) + len(self.outline)


def sheet(
    root: Path, samples: Sequence[Sample], count: int, room: int
) -> tuple[tuple[Thumbnail, ...], list[CarpetDataError]]:
    """At most `count` thumbnails of samples picked evenly, and the problems of samples that cannot be shown.

    `room` is the maximum number of bytes in all; the first thumbnail that does not fit ends the sheet.
    """
    found: list[Thumbnail] = []
    problems: list[CarpetDataError] = []
    for sample in evenly(samples, count):
        try:
            made = thumbnail(root, sample)
        except CarpetDataError as error:
            problems.append(error)
            continue
        room -= made.size
        if room < 0:
            break
        found.append(made)
    return tuple(found), problems


def thumbnail(root: Path, sample: Sample) -> Thumbnail:
    """The largest defect of a sample with some background around it, or the whole image without a defect.

    It has at most SIDE pixels a side; small crops keep their pixels.

    Raises:
        DataError: The image or the mask cannot be read.
    """
    image = read(root / sample.image_path)
    mask = to_binary(masks.load(root, sample).runs)
    height, width = image.shape[:2]
    x, y, w, h = around(mask) if mask.any() else (0, 0, width, height)
    scale = min(1.0, SIDE / max(w, h))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    crop = np.ascontiguousarray(image[y : y + h, x : x + w])
    if scale < 1:
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    outline = _outline(mask[y : y + h, x : x + w], scale) if mask.any() else ""
    provenance = sample.provenance or {}
    host = provenance.get("host")
    made = f" on {host}" if host else ""
    kind = "whole image" if not outline else "defect, enlarged" if scale == 1 else "defect"
    return Thumbnail(
        address=f"data:image/jpeg;base64,{base64.b64encode(_jpeg(crop)).decode()}",
        width=size[0],
        height=size[1],
        outline=outline,
        caption=f"{sample.id}{made}",
        alt=f"{sample.class_name}, {sample.origin}, {kind}: {sample.id}",
    )


def _outline(mask: NDArray[np.bool_], scale: float) -> str:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parts = []
    # A tenth of a shown pixel cannot be seen; the largest outlines first, since a bound holds for the drawing too.
    left = _MOST_OUTLINE
    for outline in sorted(outlines, key=len, reverse=True):
        corners = cv2.approxPolyDP(outline, 0.35 / scale, closed=True).reshape(-1, 2)
        left -= len(corners)
        if left < 0:
            break
        # The path runs along the middles of the mask's border pixels.
        places = [f"{(px + 0.5) * scale:.1f} {(py + 0.5) * scale:.1f}" for px, py in corners.tolist()]
        parts.append(f"M{'L'.join(places)}Z")
    return "".join(parts)


def _jpeg(pixels: NDArray[Any]) -> bytes:
    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise OutputError(f"OpenCV could not encode a picture of shape {pixels.shape}")
    return data.tobytes()
