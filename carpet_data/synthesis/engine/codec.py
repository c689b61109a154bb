"""Encode a synthetic image as its host file is encoded, so that no codec tells real from synthetic."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import encode_png, probe
from carpet_data.synthesis.contract import Image


@dataclass(frozen=True, slots=True)
class Codec:
    """How an image file is encoded.

    Attributes:
        suffix: Of the file, with the dot.
        tables: Quantization tables of a JPEG; None for PNG.
        subsampling: Of a JPEG: 0 (4:4:4), 1 (4:2:2) or 2 (4:2:0); -1 where grayscale or unusual.
    """

    suffix: str
    tables: tuple[tuple[int, ...], ...] | None = None
    subsampling: int = -1


_PNG = Codec(".png")


@lru_cache(maxsize=4096)
def of_file(path: Path) -> Codec:
    """The codec for images made on the host in this file.

    A JPEG host gives JPEG with its own quantization tables and chroma sampling: encoding its pixels again that way
    leaves them almost unchanged, and puts the same blocks over the new defect. Every other host gives PNG, which is
    lossless; for hosts of a lossy format other than JPEG (WebP) the missing loss inside the defect remains.
    """
    if probe(path).format != "jpeg":
        return _PNG
    from PIL import Image as Pillow
    from PIL import JpegImagePlugin

    with Pillow.open(path) as image:
        quantization: dict[int, list[int]] = getattr(image, "quantization", {})
        tables = tuple(tuple(quantization[key]) for key in sorted(quantization))
        subsampling = JpegImagePlugin.get_sampling(image) if image.mode != "L" else -1
    return Codec(path.suffix, tables, subsampling)


def encode(image: Image | NDArray[np.uint16], codec: Codec) -> bytes:
    """The bytes of an image file, from HxWx3 RGB or HxW: uint8, or uint16 where the codec is PNG."""
    if codec.tables is None:
        return encode_png(image)
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    tables = {number: list(table) for number, table in enumerate(codec.tables)}
    Pillow.fromarray(image).save(
        buffer, "JPEG", qtables=tables, subsampling=codec.subsampling if image.ndim == 3 else -1
    )
    return buffer.getvalue()
