"""Recognize a layout at a glance: a few names, and for one layout a few masks."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterator
from pathlib import Path

from carpet_data.core.images import read_values
from carpet_data.errors import CarpetDataError
from carpet_data.formats.classes.rules import are_parts
from carpet_data.formats.folders import side_of
from carpet_data.formats.glance import Folder
from carpet_data.formats.layouts.layout import Layout, matched

__all__ = ["holds_parts", "looks_like"]

_MOST_FOLDERS = 64
_PARTS_OPENED = 4
_MASKS_OPENED = 24
_EMPTY_SHARE = 0.25


def looks_like(layout: Layout, folder: Folder) -> bool:
    """Whether a folder has this layout."""
    if layout.recognize is not None:
        return layout.recognize(folder)
    return any(all(exists(folder, sign.split("/")) for sign in signs) for signs in layout.signs)


def exists(folder: Folder, parts: list[str]) -> bool:
    """Whether a path exists below a folder; the last part may be a file's."""
    first, rest = parts[0].casefold(), parts[1:]
    inside = list(_folders(folder, first))
    if rest:
        return any(exists(folder.child(path), rest) for path in inside)
    return bool(inside) or any(fnmatch.fnmatchcase(name, first) for name in folder.image_names)


def _folders(folder: Folder, name: str) -> Iterator[Path]:
    if not any(sign in name for sign in "*{"):
        if name in folder.folders:
            yield folder.folders[name]
        return
    for key, path in itertools.islice(folder.folders.items(), _MOST_FOLDERS):
        if side_of(key) is not None if name == "{side}" else fnmatch.fnmatchcase(key, name):
            yield path


def holds_parts(folder: Folder, masks: tuple[str, ...]) -> bool:
    """Whether numbered folders (kos01, kos02 …) hold images with their masks beside them, many of which are empty.

    Class folders look alike by name, but their masks mark defects.
    """
    if not are_parts(folder.folders) or any(side_of(name) is not None for name in folder.folders):
        return False
    opened = [
        folder.path / path
        for part in itertools.islice(folder.folders.values(), _PARTS_OPENED)
        for path in sorted(f"{part.name}/{name}" for name in folder.child(part).image_names)
        if any(matched(pattern, path) for pattern in masks)
    ]
    marks = [mark for mark in map(_marks, opened[:_MASKS_OPENED]) if mark is not None]
    return bool(marks) and marks.count(False) >= _EMPTY_SHARE * len(marks)


def _marks(path: Path) -> bool | None:
    """Whether a mask marks anything; None where it cannot be read, which its reader will report."""
    found = next((each for each in path.parent.iterdir() if each.name.casefold() == path.name), path)
    try:
        return bool(read_values(found).any())
    except CarpetDataError:
        return None
