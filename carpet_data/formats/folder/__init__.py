"""Plain folders: images with masks paired by name, or one folder per class."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from carpet_data.formats.account.role_names import role_by_name
from carpet_data.formats.classes.rules import DEFECT
from carpet_data.formats.folder.reader import read, scan
from carpet_data.formats.folder.roles import endings_in_use
from carpet_data.formats.folder.writer import write
from carpet_data.formats.glance import IMAGE_FOLDERS, LABEL_FOLDERS, MASK_FOLDERS, Folder, holds_image
from carpet_data.formats.listing import is_image
from carpet_data.formats.options import FolderOptions
from carpet_data.formats.prepared import looks_like as is_prepared
from carpet_data.formats.registry import Format, summary_of
from carpet_data.store.output import MARKER

__all__ = ["DEFECT", "FOLDER", "read", "scan"]

_MOST_NAMES = 2000


def _looks_like(folder: Folder) -> bool:
    """Whether there are folders of images and of masks (here, in each class, or in each side), or of classes alone."""
    for place in (folder, *map(Folder, folder.folders.values())):
        if _is_paired(place) and (place is folder or not _was_written(place)):
            return True
    return _is_classes(folder) or any(_has_masks_beside(place) for place in (folder, *map(Folder, folder.sides)))


def _is_paired(place: Folder) -> bool:
    """Whether a folder of images and one of masks lie in it."""
    names = place.folders
    siblings = set(names)
    # train beside train_masks
    if any(
        (named := role_by_name(name, siblings)) is not None and named[0] == "mask" and named[1] and holds_image(path)
        for name, path in names.items()
    ):
        return True
    if IMAGE_FOLDERS.isdisjoint(names):
        return False
    if not MASK_FOLDERS.isdisjoint(names):
        return True
    # Called so, they more often hold text.
    labels = [Folder(path) for name, path in names.items() if name in LABEL_FOLDERS]
    return any(label.holds_image() or any(map(holds_image, label.folders.values())) for label in labels)


def _has_masks_beside(place: Folder) -> bool:
    """Whether images lie in it with masks beside them, told by their endings."""
    names = (entry.name for entry in place.entries() if is_image(entry.name))
    return bool(endings_in_use(islice(names, _MOST_NAMES)))


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
