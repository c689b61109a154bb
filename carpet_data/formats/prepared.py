"""The prepared folder as a format; the store reads it."""

from __future__ import annotations

from carpet_data.formats.glance import Folder
from carpet_data.formats.registry import Format, summary_of
from carpet_data.store import reading
from carpet_data.store.description import is_prepared
from carpet_data.store.names import MANIFEST, SPLITS

__all__ = ["PREPARED", "looks_like"]


def looks_like(folder: Folder) -> bool:
    """Whether `prepare` made this folder, even if its description is damaged.

    Taken for plain folders of images and masks, a damaged one would silently lose its splits.
    """
    root = folder.path
    return is_prepared(root) or ((root / MANIFEST).is_file() and (root / SPLITS).is_dir())


PREPARED = Format("prepared", summary_of("prepared"), read=reading.read, looks_like=looks_like)
