"""COCO instances: reader, writer, and `check`, which goes another way than both."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from carpet_data.formats.coco.reader import read
from carpet_data.formats.coco.writer import write
from carpet_data.formats.glance import Folder
from carpet_data.formats.options import CocoOptions
from carpet_data.formats.registry import Format, summary_of

__all__ = ["COCO"]

_SNIFFED_BYTES = 1 << 16
_MOST_SNIFFED = 50


def _looks_like(folder: Folder) -> bool:
    """Whether JSON where tools put it begins like COCO: in annotations/, the root, or the folders of the sides."""
    places = [folder.folders["annotations"]] if "annotations" in folder.folders else []
    for place in (*places, folder.path, *folder.sides):
        # Some tools write a JSON file per image; the first few tell.
        if any(_begins_like_coco(path) for path in itertools.islice(Folder(place).files(".json"), _MOST_SNIFFED)):
            return True
    return False


def _begins_like_coco(path: Path) -> bool:
    """Whether one of COCO's lists begins near the file's start or end; tools write its keys in any order.

    Categories alone are not enough: Label Studio writes them into notes.json, beside its YOLO labels.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        text = file.read(_SNIFFED_BYTES)
        if path.stat().st_size > _SNIFFED_BYTES:
            file.seek(-_SNIFFED_BYTES, os.SEEK_END)
            text += file.read()
    packed = b"".join(text.split()).removeprefix(b"\xef\xbb\xbf")
    if packed.startswith(b"["):
        return False  # Label Studio's own JSON is a list, which holds the word annotations too
    return any(key in packed for key in (b'"images":[', b'"annotations":['))


COCO = Format(
    "coco",
    summary_of("coco"),
    read=read,
    write=write,
    options=CocoOptions,
    looks_like=_looks_like,
    file_suffixes=(".json",),
    lists_images=True,
)
