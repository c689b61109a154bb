"""Problems that names alone show: one function per code."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from carpet_data.core.problems import Problem
from carpet_data.core.text import printable
from carpet_data.diagnosis.codes import problem

_RESERVED = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
_OTHER_IMAGES = frozenset(
    {".avif", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".pbm", ".pgm", ".ppm", ".psd", ".raw"}
)
_MASK_IN_FOLDER = re.compile(r"^ground_truth/(?P<class>[^/]+)/(?P<stem>[^/]+)/[^/]+\.\w+$")


def name_case(images: Sequence[str]) -> Iterator[Problem]:
    """name-case."""
    for first, *others in _equal(images, str.casefold):
        yield problem("name-case", first, f"differs by case only from {_list(others)}", files=tuple(others))


def name_unicode(images: Sequence[str]) -> Iterator[Problem]:
    """name-unicode."""
    for first, *others in _equal(images, lambda name: unicodedata.normalize("NFC", name)):
        spelled = ", ".join(ascii(PurePosixPath(name).name) for name in (first, *others))
        yield problem("name-unicode", first, f"looks like another name: {spelled}", files=tuple(others))


def name_stem(images: Sequence[str]) -> Iterator[Problem]:
    """name-stem."""
    for first, *others in _equal(images, lambda name: PurePosixPath(name).with_suffix("").as_posix()):
        yield problem("name-stem", first, f"has the stem of {_list(others)}", files=tuple(others))


def name_not_portable(images: Sequence[str]) -> Iterator[Problem]:
    """name-not-portable."""
    for name in images:
        bad = [part for part in name.split("/") if _RESERVED.search(part)]
        if bad:
            yield problem("name-not-portable", name, f"Windows rejects {printable(bad[0])!r}")


def _equal(names: Iterable[str], key: Callable[[str], str]) -> Iterator[list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    for members in found.values():
        if len(members) > 1:
            yield sorted(members)


NAME_CHECKS = (name_case, name_stem, name_unicode, name_not_portable)
"""Checks of the images' names."""


def _list(names: Sequence[str]) -> str:
    return ", ".join(printable(PurePosixPath(name).name) for name in names)


def loco_masks(stray: Sequence[str], images: Sequence[str]) -> Iterator[Problem]:
    """loco-masks: `ground_truth/CLASS/STEM/000.png` where `test/CLASS/STEM.*` is an image; one problem per class.

    `stray` are the files that the MVTec AD reader could not place.
    """
    stems = {(parts[-2], PurePosixPath(parts[-1]).stem) for parts in (name.split("/") for name in images) if parts[1:]}
    found: dict[str, list[str]] = {}
    for name in stray:
        match = _MASK_IN_FOLDER.match(name)
        if match is not None and (match["class"], match["stem"]) in stems:
            found.setdefault(match["class"], []).append(name)
    for class_name, files in sorted(found.items()):
        folders = len({PurePosixPath(name).parent for name in files})
        yield problem(
            "loco-masks", f"ground_truth/{class_name}", f"it contains {folders} folders of masks", files=tuple(files)
        )


def mask_orphan(orphans: Sequence[str]) -> Iterator[Problem]:
    """mask-orphan."""
    for name in orphans:
        yield problem("mask-orphan", name, "no image has a matching name")


def unknown_file(unknown: Sequence[str]) -> Iterator[Problem]:
    """unknown-file."""
    for name in unknown:
        if PurePosixPath(name).suffix.lower() in _OTHER_IMAGES:
            yield problem("unknown-file", name, "images of this type are not read", hint="save it as PNG, or remove it")
        else:
            yield problem("unknown-file", name, "no reader uses it")
