"""Darknet's obj.data, as CVAT's "YOLO 1.1" and Darknet itself write it: `key = value` lines."""

from __future__ import annotations

from pathlib import Path

from carpet_data.errors import DataError
from carpet_data.formats.annotated import inside
from carpet_data.formats.yolo.text import exists, text_of

SUFFIX = ".data"

SIDE_KEYS = ("train", "valid", "val", "validation", "test")
"""Keys that name a list of images; `eval` says how to measure, `backup` where weights go."""


def settings_in(path: Path) -> dict[str, str]:
    """The settings by their keys in lower case: classes, names, train, valid and others.

    Raises:
        DataError: A line is not `key = value`.
    """
    settings: dict[str, str] = {}
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        key, equals, value = text.partition("=")
        if not equals:
            raise DataError(f"line {number} is not `key = value`", where=path, hint="correct the line")
        settings[key.strip().casefold()] = value.strip()
    return settings


def found(root: Path, text: str, base: Path) -> str | None:
    """A file or folder that a list or obj.data names, relative to the root; None where it is not there.

    Darknet's paths start where the program was called, so that `data/obj_train_data/a.jpg` lies in obj_train_data:
    folders in front that do not exist are dropped. Nothing outside of the root is found.

    Args:
        root: The data set's folder.
        text: The path as the file writes it.
        base: The folder of that file.
    """
    plain = text.replace("\\", "/")
    for place in (str(base.resolve() / plain), plain):
        path = inside(root, place)
        if path is not None and exists(root / path):
            return path
    if plain.startswith("/") or ":" in plain[:3]:
        return None
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    for start in range(1, len(parts)):
        path = inside(root, "/".join(parts[start:]))
        if ".." not in parts and path is not None and exists(root / path):
            return path
    return None


def trailing(root: Path, text: str) -> str | None:
    """The longest end of a path that exists below the root: what an absolute path of another computer means here."""
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        path = inside(root, "/".join(parts[start:]))
        if path is not None and exists(root / path):
            return path
    return None
