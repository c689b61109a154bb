"""Images beside class-index masks, as semantic segmentation reads them: images/PART/ID.*, masks/PART/ID.png."""

from __future__ import annotations

from carpet_data.formats.masks.reader import looks_like, read
from carpet_data.formats.masks.writer import write
from carpet_data.formats.options import MasksOptions
from carpet_data.formats.registry import Format, summary_of

__all__ = ["MASKS"]

MASKS = Format(
    "masks",
    summary_of("masks"),
    read=read,
    write=write,
    options=MasksOptions,
    looks_like=looks_like,
    lists_images=True,
)
