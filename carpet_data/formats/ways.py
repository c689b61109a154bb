"""How a folder could be read otherwise: layouts that explain more of its files, with the commands to try."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from carpet_data.errors import CarpetDataError
from carpet_data.formats.account import Account, of_tree
from carpet_data.formats.foreign import advice
from carpet_data.formats.listing import is_image, walk
from carpet_data.formats.registry import FORMATS, Format, ReadOptions
from carpet_data.formats.unread import LEAST_EXPLAINED, stem_key

__all__ = ["hint"]

Way: TypeAlias = tuple[str, str | None, str | None]
"""Format, --images-dir, --masks-dir."""

_DOCTOR = "carpet-data doctor"
_MOST_WAYS = 3
_MOST_FOLDERS = 40
_MASK_FOLDER = re.compile(r"mask|ground_?truth|label|annotation|segm|(?:^|[/_-])gt(?:$|[/_-])", re.IGNORECASE)
_LEAST_SHARED = 0.5


def hint(root: Path, account: Account, options: ReadOptions) -> str:
    """What to do with a folder of which a reader explains too little: the nearest layouts first."""
    ways = [way for way in _candidates(root, account) if _explains(root, way, options)][:_MOST_WAYS]
    if ways:
        return " or ".join(f"{_DOCTOR} {shlex.quote(str(root))} {_flags(way)}" for way in ways)
    foreign = advice(account.unread.annotations.values())
    if foreign:
        return f"{foreign}; or move the files out of the folder"
    return f"name the folder of one whole data set; {_DOCTOR} shows what each of its folders was taken for"


def _candidates(root: Path, account: Account) -> Iterator[Way]:
    """Other formats of folders, then folders of images and masks by name."""
    for name in FORMATS.builtin:
        if name != account.format:
            yield (name, None, None)
    yield from dict.fromkeys(("folder", images, masks) for images, masks in _pairs(root, account))


def _explains(root: Path, way: Way, options: ReadOptions) -> bool:
    """Whether a format explains enough by names alone, and leaves no mask without an image."""
    name, images, masks = way
    found = FORMATS.load(name)
    if not isinstance(found, Format) or found.scan is None:
        return False
    try:
        tree = found.scan(root, replace(options, format=name, images_dir=images, masks_dir=masks))
    except CarpetDataError:
        return False  # this way is not offered
    if not tree.entries or tree.problems or tree.orphans or not any(entry.masks for entry in tree.entries):
        return False
    return of_tree(tree, walk(root)).explained >= LEAST_EXPLAINED


def _flags(way: Way) -> str:
    name, images, masks = way
    dirs = (
        ""
        if images is None or masks is None
        else f" --images-dir {shlex.quote(images)} --masks-dir {shlex.quote(masks)}"
    )
    return f"--from {name}{dirs}"


def _pairs(root: Path, account: Account) -> Iterator[tuple[str, str]]:
    """Two folders whose files have the same stems, one of them named as masks are."""
    stems: dict[str, set[str]] = {}
    for path in walk(root).files:
        if is_image(path):
            stems.setdefault(str(PurePosixPath(path).parent), set()).add(stem_key(path))
    unread = {str(PurePosixPath(path).parent) for path in account.unread.images}
    for masks in sorted(folder for folder in stems if _MASK_FOLDER.search(folder))[:_MOST_FOLDERS]:
        for images in sorted(folder for folder in stems if not _MASK_FOLDER.search(folder))[:_MOST_FOLDERS]:
            shared = len(stems[images] & stems[masks])
            if shared > _LEAST_SHARED * len(stems[masks]) and (masks in unread or images in unread):
                yield _apart(images, masks)


def _apart(images: str, masks: str) -> tuple[str, str]:
    """The folders without the end that they share, such as the class or the side."""
    first, second = PurePosixPath(images), PurePosixPath(masks)
    while first.name == second.name and first.parent.name and second.parent.name:
        first, second = first.parent, second.parent
    return str(first), str(second)
