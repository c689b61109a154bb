"""A folder at a glance: a few of its names, so that telling its format costs the same for a million images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from carpet_data.formats.folders import side_of
from carpet_data.formats.listing import is_ignored, is_image

__all__ = ["IMAGE_FOLDERS", "LABEL_FOLDERS", "MASK_FOLDERS", "Folder", "holds_image"]

IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "bilder"})
MASK_FOLDERS = frozenset(
    {"masks", "mask", "msk", "msks", "masken", "ground_truth", "groundtruth", "ground-truth", "ground truth", "gt"}
)
LABEL_FOLDERS = frozenset({"label", "labels", "annotation", "annotations", "seg", "segmentation", "segmentations"})
"""Folders that hold masks where they hold images; other files in them are labels of another kind."""

_MOST_NAMES = 4096


class Folder:
    """A folder and the folders in it; hidden names are left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._children: dict[Path, Folder] = {}

    def child(self, path: Path) -> Folder:
        """A folder in it; asked for again it is the same, so that large folders are listed once."""
        return self._children.setdefault(path, Folder(path))

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """What it holds, in no order."""
        with os.scandir(self.path) as entries:
            for entry in entries:
                if not is_ignored(entry.name):
                    yield entry

    def files(self, *suffixes: str) -> Iterator[Path]:
        """Its files with one of the suffixes (lower case), in no order."""
        return (
            Path(entry.path)
            for entry in self.entries()
            if entry.name.lower().endswith(suffixes) and not _is_folder(entry)
        )

    @cached_property
    def folders(self) -> dict[str, Path]:
        """The folders in it by their names in lower case, sorted."""
        found = sorted(Path(entry.path) for entry in self.entries() if _is_folder(entry))
        return {path.name.casefold(): path for path in found}

    @cached_property
    def image_names(self) -> tuple[str, ...]:
        """The names of its images in lower case, in no order; of a large folder not all."""
        names = (entry.name for entry in islice(self.entries(), _MOST_NAMES))
        return tuple(name.casefold() for name in names if is_image(name))

    @property
    def sides(self) -> list[Path]:
        """The folders called train, val, test or alike."""
        return [path for path in self.folders.values() if side_of(path.name) is not None]

    def holds_image(self) -> bool:
        """Whether an image lies directly in it."""
        return any(is_image(entry.name) and not _is_folder(entry) for entry in self.entries())

    def class_folders(self) -> list[Path]:
        """The folders in it that hold images."""
        return [path for path in self.folders.values() if holds_image(path)]


def holds_image(path: Path) -> bool:
    """Whether an image lies directly in a folder."""
    return Folder(path).holds_image()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
