"""Read a data set of any format: which format a folder has, and where the data set is if it is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats.folders import GROUND_TRUTH, side_of
from carpet_data.formats.glance import IMAGE_FOLDERS, MASK_FOLDERS, Folder
from carpet_data.formats.registry import FORMATS, Format, ReadOptions, readable

__all__ = ["detect", "looks_like_dataset", "read"]

_PARTS = frozenset({GROUND_TRUTH, "annotations", "labels", "test_public", *IMAGE_FOLDERS, *MASK_FOLDERS})
_ARCHIVES = (".zip", ".tar", ".tar.xz", ".tar.gz", ".tgz", ".txz", ".tar.bz2")
_WHOLE = frozenset({"prepared", "mvtec", "mvtec-loco", "mvtec-ad2"})
"""Formats that no part of a data set looks like."""

_LEVELS_UP = 4
_MOST_SHOWN = 10
_LOOKED_FOR = (
    "dataset.json (a prepared folder), train/ and test/ with class folders (MVTec), annotations/*.json (COCO), "
    "data.yaml (YOLO), images/ and masks/"
)


def read(root: str | os.PathLike[str] | Dataset, options: ReadOptions | None = None) -> Dataset:
    """Read a data set, raw or prepared; nothing in it is changed.

    Args:
        root: The folder (for COCO also the JSON file itself, for YOLO its data.yaml); a Dataset is returned as it is.
        options: How; by default the format is recognized.

    Raises:
        DataError: The folder is missing, no format matches, or its content is wrong.
        UsageError: Unknown or contradicting options.
    """
    if isinstance(root, Dataset):
        return root
    root = Path(root)
    options = options or ReadOptions()
    found = readable(detect(root) if options.format == "auto" else options.format)
    assert found.read is not None
    return found.read(root, options)


def detect(root: str | os.PathLike[str]) -> str:
    """The name of the format of a folder; a COCO JSON file or a YOLO data.yaml stands for its data set.

    Raises:
        DataError: It is missing, or no format matches; the hint names the data set nearby, if there is one.
    """
    root = Path(root)
    if not root.exists():
        raise DataError("no such file or folder", where=root, hint="check the path")
    if not root.is_dir():
        return _detect_file(root)
    try:
        found = _detect_folder(root)
        if found not in _WHOLE and _is_part(root):
            above = _above(root)
            if above is not None:
                raise DataError("this is part of a data set", where=root, hint=f"name the whole data set: {above}")
        if found is not None:
            return found
        raise DataError(f"no data set was recognized; looked for {_LOOKED_FOR}", where=root, hint=_hint(Folder(root)))
    except PermissionError as error:
        raise DataError(
            "permission denied", where=error.filename or root, hint="check the permissions of this folder"
        ) from error


def looks_like_dataset(path: Path) -> bool:
    """Whether `detect` would know this; never raises."""
    try:
        detect(path)
    except (CarpetDataError, OSError):
        return False
    return True


def _detect_file(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(_ARCHIVES):
        raise DataError("this is an archive", where=path, hint="unpack it first: carpet-data unpack")
    for found in _readers():
        if name.endswith(found.file_suffixes):
            return found.name
    raise DataError(
        "this is a file, not a data set",
        where=path,
        hint=f"name the folder that holds the data set: {_above(path) or path.parent}",
    )


def _detect_folder(root: Path) -> str | None:
    folder = Folder(root)
    for found in _readers():
        if found.looks_like is not None and found.looks_like(folder):
            return found.name
    return None


def _readers() -> Iterator[Format]:
    """The formats that can be read; installed packages are looked at only when none of this package's will do."""
    for name in chain(FORMATS.builtin, _added()):
        found = FORMATS.load(name)
        if isinstance(found, Format) and found.read is not None:
            yield found


def _added() -> Iterator[str]:
    yield from FORMATS.added


def _is_part(root: Path) -> bool:
    """Whether the name is one that parts of data sets have, rather than whole ones; or the name above is."""
    whole = root.resolve()
    return _is_part_name(whole.name) or side_of(whole.parent.name) is not None or _is_ground_truth(whole.parent)


def _is_part_name(name: str) -> bool:
    return side_of(name) is not None or name.casefold() in _PARTS


def _is_ground_truth(folder: Path) -> bool:
    return folder.name.casefold() == GROUND_TRUTH


def _above(path: Path) -> Path | None:
    """The nearest folder above that is a data set, of which the path leads into a known part.

    A stray JSON or YAML in a folder that holds many things does not make these its parts.
    """
    whole = path.resolve()
    steps = zip([whole, *whole.parents], list(whole.parents)[:_LEVELS_UP], strict=False)
    return next(
        (above for part, above in steps if _is_part_name(part.name) and not _is_part(above) and _is_dataset(above)),
        None,
    )


def _is_dataset(folder: Path) -> bool:
    try:
        return _detect_folder(folder) is not None
    except OSError:  # what may not be read is not offered
        return False


def _hint(folder: Folder) -> str:
    below = [path for path in folder.folders.values() if _is_dataset(path)]
    if below:
        shown = ", ".join(str(path) for path in below[:_MOST_SHOWN])
        more = f" and {len(below) - _MOST_SHOWN} more" if len(below) > _MOST_SHOWN else ""
        return f"name one of the data sets in it: {shown}{more}"
    above = _above(folder.path)
    if above is not None:
        return f"name the whole data set: {above}"
    if folder.holds_image():
        return "use --from folder for images without masks or classes"
    if next(folder.entries(), None) is None:
        return "the folder is empty; make a data set to try: carpet-data sample"
    if folder.sides:
        return f"put images into class folders such as {folder.sides[0].name}/{GOOD}: there are none"
    return "name the folder that holds train/ and test/, or choose a format with --from"
