"""A layout of folders as a table: patterns of paths for images and masks, and how to recognize it.

Patterns are POSIX paths below the root, without regard to case. `{side}` is train, val, test or alike, `{class}` a
class, `{group}` a folder of images that show one thing, `{stem}` the name that an image shares with its masks, `{part}`
what tells several masks of one image apart, `{any}` anything. The suffix `.*` stands for every image type, and `.jpg`
for every one but PNG, where PNGs are the masks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carpet_data.core.images import SUFFIXES
from carpet_data.dataset import Side
from carpet_data.formats.folders import side_of

if TYPE_CHECKING:
    from carpet_data.formats.glance import Folder

__all__ = ["Images", "Labels", "Layout", "compiled", "matched"]

_TOKEN = re.compile(r"(\{\w+\})")
_FREE: Mapping[str, str] = {"any": ".*", "part": r"[-_ ]?\d*", "stem": "[^/]+?"}
_ANY_SUFFIX = "|".join(re.escape(suffix) for suffix in sorted(SUFFIXES))
_BUT_PNG = "|".join(re.escape(suffix) for suffix in sorted(SUFFIXES - {".png"}))


@dataclass(frozen=True, slots=True)
class Images:
    """Where images lie.

    Attributes:
        pattern: Of their paths.
        class_name: Their class; None where it is `{class}`, or where the mask says it.
        class_in_stem: Regular expression whose group is the class, searched in the stem; empty where names say none.
    """

    pattern: str
    class_name: str | None = None
    class_in_stem: str = ""


@dataclass(frozen=True, slots=True)
class Labels:
    """What a table of the data set says of its images.

    Attributes:
        classes: image path -> class.
        documents: The files that say so, relative to the root.
    """

    classes: Mapping[str, str]
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """One published layout.

    Attributes:
        name: What `--from` calls it.
        title: What people call it.
        source: Where it is described: authors, year, title.
        about: Where classes come from, and what is particular, for the documentation.
        tree: The folders and files, a line each, as documentation shows them.
        images: Where images lie; the first pattern that matches counts.
        masks: Where masks lie, each looked at before the images.
        signs: Alternatives; it is recognized where all paths of one exist. `*` is any name, `{side}` a side.
        recognize: Decides instead of `signs`.
        good: Class folders without defects besides good, ok and normal, in lower case.
        every_mask: Whether good images have a mask too, an empty one, so that an image without a mask is a fault.
        threshold: Mask values of at least this are a defect; None for the reader's option.
        masked_alone: Whether an image without a mask is left out, since nothing says what it shows.
        class_list: The file that names the classes of class-index masks, relative to the root.
        labels: Reads the table that names the classes: of the root and the paths of all its files.
        documents: Patterns of other files that are read or known.
        aside: (pattern, why) of files that are left unread on purpose.
        sides: Reads the lists that say the side of each stem, where folders do not.
    """

    name: str
    title: str
    source: str
    about: str
    tree: tuple[str, ...]
    images: tuple[Images, ...]
    masks: tuple[str, ...]
    signs: tuple[tuple[str, ...], ...] = ()
    recognize: Callable[[Folder], bool] | None = None
    good: frozenset[str] = frozenset()
    every_mask: bool = False
    threshold: int | None = None
    masked_alone: bool = False
    class_list: str | None = None
    labels: Callable[[Path, Sequence[str]], Labels] | None = None
    documents: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    sides: Callable[[Path, Sequence[str]], Mapping[str, Side]] | None = None


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern."""
    stem, suffix = pattern, ""
    if pattern.endswith(".*"):
        stem, suffix = pattern[:-2], f"(?:{_ANY_SUFFIX})"
    elif pattern.endswith(".jpg"):
        stem, suffix = pattern[:-4], f"(?:{_BUT_PNG})"
    parts = []
    for part in _TOKEN.split(stem):
        name = part[1:-1]
        parts.append(f"(?P<{name}>{_FREE.get(name, '[^/]+')})" if _TOKEN.fullmatch(part) else re.escape(part))
    return re.compile("".join(parts) + suffix, re.IGNORECASE)


def matched(pattern: str, path: str) -> dict[str, str] | None:
    """What the parts of a pattern stand for in a path; None where it does not match."""
    match = compiled(pattern).fullmatch(path)
    if match is None:
        return None
    found = match.groupdict()
    return None if "side" in found and side_of(found["side"]) is None else found
