"""Plain folders: images with masks paired by name, or one folder per class."""

from __future__ import annotations

from pathlib import Path

from carpet_data.formats.classes.rules import DEFECT
from carpet_data.formats.folder.reader import read, scan
from carpet_data.formats.folder.writer import write
from carpet_data.formats.glance import IMAGE_FOLDERS, MASK_FOLDERS, Folder, holds_image
from carpet_data.formats.options import FolderOptions
from carpet_data.formats.prepared import looks_like as is_prepared
from carpet_data.formats.registry import Format, summary_of
from carpet_data.store.output import MARKER

__all__ = ["DEFECT", "FOLDER", "read", "scan"]


def _looks_like(folder: Folder) -> bool:
    """Whether there are folders of images and of masks (here, in each class, or in each side), or of classes alone."""
    for place in (folder, *map(Folder, folder.folders.values())):
        names = place.folders
        paired = not IMAGE_FOLDERS.isdisjoint(names) and not MASK_FOLDERS.isdisjoint(names)
        if paired and (place is folder or not _was_written(place)):
            return True
    return _is_classes(folder)


def _was_written(folder: Folder) -> bool:
    """Whether a command wrote this: a data set of its own, which is not a class of the folder that it lies in."""
    return is_prepared(folder) or (folder.path / MARKER).is_file()


def _is_classes(folder: Folder) -> bool:
    """Whether these are folders of classes and nothing else; a home folder with some pictures in it is not."""
    if folder.sides:
        return any(Folder(side).class_folders() for side in folder.sides)
    inside: list[Path] = list(folder.folders.values())
    return len(inside) > 1 and not folder.holds_image() and all(holds_image(path) for path in inside)


FOLDER = Format(
    "folder", summary_of("folder"), read=read, write=write, options=FolderOptions, looks_like=_looks_like, scan=scan
)
