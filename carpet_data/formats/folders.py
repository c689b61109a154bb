"""What the folder formats have in common: sides, the good class, the license."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from carpet_data.dataset import GOOD, Side
from carpet_data.formats.listing import Listing, is_known

SIDE_FOLDERS: Mapping[str, Side] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "eval": "val",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}
"""Folder name (lower case) -> side."""

GROUND_TRUTH = "ground_truth"

_SIDE_NAME = re.compile(rf"({'|'.join(SIDE_FOLDERS)})(?:[ _-]?(?:set|split))?(?:[ _-]?(?:19|20)\d\d)?")
"""A side with what people put behind it: testset, train_split, val2017."""

_GOOD_NAMES = frozenset(
    {GOOD, "ok", "normal", "gut", "io", "正常", "合格", "良品"}
    | {
        "defectfree",
        "nodefect",
        "nodefects",
        "faultfree",
        "nondefective",
        "goodparts",
        "okfront",
        "fehlerfrei",
        "ohnefehler",
    }
)
"""Without what separates words."""
_BACKGROUND = frozenset({"background", "_background_", "__background__", "bg", "__ignore__", "_ignore_"})
_SEPARATORS = re.compile(r"[ _.-]+")
_LICENSE_BYTES = 4096
_LONGEST_LICENSE = 200
_CREATIVE_COMMONS = re.compile(r"\bCC[ -](BY(?:[ -](?:NC|SA|ND))*)[ -](\d\.\d)|\bCC0[ -](\d\.\d)", re.IGNORECASE)
_SPELLED_OUT = re.compile(
    r"Attribution[ -]?(NonCommercial)?[ -]?(ShareAlike|NoDerivatives|NoDerivs)?\s+(\d\.\d)", re.IGNORECASE
)
_SHORT = {"noncommercial": "-NC", "sharealike": "-SA", "noderivatives": "-ND", "noderivs": "-ND", "": ""}


def side_of(folder: str) -> Side | None:
    """The side that a folder's name says, whatever its case; None for other names.

    Examples:
        >>> side_of("Training"), side_of("val2017"), side_of("test_set"), side_of("hold-out"), side_of("test_public")
        ('train', 'val', 'test', 'test', None)
    """
    name = folder.casefold()
    known = SIDE_FOLDERS.get(name)
    if known is not None or not name.isascii():
        return known
    match = _SIDE_NAME.fullmatch(name.replace("hold-out", "holdout").replace("hold_out", "holdout"))
    return None if match is None else SIDE_FOLDERS[match[1]]


def good_names(class_folders: Collection[str]) -> frozenset[str]:
    """The class folders that hold images without defects.

    `good` alone where there is one; else `Good`, `ok`, `normal`, `no_defect`, `gut` and alike, whatever their case.

    Examples:
        >>> sorted(good_names(["OK", "n.i.O.", "i.O.", "no_defect", "hole"])), good_names(["good", "normal"])
        (['OK', 'i.O.', 'no_defect'], frozenset({'good'}))
    """
    if GOOD in class_folders:
        return frozenset({GOOD})
    return frozenset(name for name in class_folders if _SEPARATORS.sub("", name.casefold()) in _GOOD_NAMES)


def is_background(class_name: str) -> bool:
    """Whether a class is called as annotation tools call what is not an object."""
    return class_name.casefold() in _BACKGROUND


def license_of(listing: Listing) -> str:
    """The license as far as the folder tells: its short name where it is known, else its first line."""
    top = [name for name in listing.files if "/" not in name and is_known(name)]
    # A readme is read only if there is no license file, and only for a license known by name.
    for name in sorted(top, key=lambda name: (name.casefold().startswith("readme"), name)):
        text = _head(listing.root / name)
        known = _short_name(text)
        if known:
            return known
        first = next((line.strip() for line in text.splitlines() if line.strip()), "")
        if first and not name.casefold().startswith("readme"):
            return first[:_LONGEST_LICENSE]
    return ""


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LICENSE_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""  # a license that cannot be read is unknown; the images are what matters.


def _short_name(text: str) -> str:
    match = _CREATIVE_COMMONS.search(text)
    if match:
        if match[3]:
            return f"CC0 {match[3]}"
        return f"CC {match[1].upper().replace(' ', '-')} {match[2]}"
    match = _SPELLED_OUT.search(text)
    if match:
        parts = "".join(_SHORT[(part or "").lower()] for part in (match[1], match[2]))
        return f"CC BY{parts} {match[3]}"
    return ""
