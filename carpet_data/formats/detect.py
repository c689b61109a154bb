"""Which reader knows a folder, by a few of its names; and where the data set is, if it is not here.

Only the first entries of each folder are looked at, so this costs the same for a million images.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from carpet_data.dataset import GOOD
from carpet_data.errors import DataError
from carpet_data.formats.folders import GROUND_TRUTH, good_names, side_of
from carpet_data.formats.listing import is_ignored, is_image

_IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img"})
_MASK_FOLDERS = frozenset({"masks", "mask"})
_PARTS = frozenset({GROUND_TRUTH, "annotations", "labels", "test_public", *_IMAGE_FOLDERS, *_MASK_FOLDERS})
_ARCHIVES = (".zip", ".tar", ".tar.xz", ".tar.gz", ".tgz", ".txz", ".tar.bz2")
_WHOLE = frozenset({"prepared", "mvtec", "mvtec-loco", "mvtec-ad2"})
"""Formats that no part of a data set looks like."""

_LEVELS_UP = 4
_MOST_SHOWN = 10
_SNIFFED_BYTES = 1 << 16
_MOST_SNIFFED = 50
_LOOKED_FOR = (
    "dataset.json (a prepared folder), train/ and test/ with class folders (MVTec), annotations/*.json (COCO), "
    "data.yaml (YOLO), images/ and masks/"
)


def detect(root: Path) -> str:
    """The name of the reader for a folder or file.

    Args:
        root: The folder; a COCO JSON file or a YOLO data.yaml stands for its data set.

    Raises:
        DataError: It is missing, or nothing known; the hint names the data set nearby, if there is one.
    """
    root = Path(root)
    if not root.exists():
        raise DataError("there is no such file or folder", where=root, hint="check the path")
    if not root.is_dir():
        return _detect_file(root)
    try:
        found = _detect_folder(root)
        if found not in _WHOLE and _is_part(root):
            above = _above(root)
            if above is not None:
                raise DataError("this is a part of a data set", where=root, hint=f"name the whole data set: {above}")
        if found is not None:
            return found
        raise DataError(f"no data set was recognised; looked for {_LOOKED_FOR}", where=root, hint=_hint(root))
    except PermissionError as error:
        raise DataError(
            "the folder may not be read",
            where=error.filename or root,
            hint="check the permissions of this folder",
        ) from error


def looks_like_dataset(path: Path) -> bool:
    """Whether `detect` would know this; never raises."""
    try:
        detect(path)
    except (DataError, OSError):
        return False
    return True


def _detect_file(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".json"):
        return "coco"
    if name.endswith((".yaml", ".yml")):
        return "yolo"
    if name.endswith(_ARCHIVES):
        raise DataError("this is an archive", where=path, hint="unpack it first: carpet-data unpack")
    raise DataError(
        "this is a file, not a data set",
        where=path,
        hint=f"name the folder that holds the data set: {_above(path) or path.parent}",
    )


def _detect_folder(root: Path) -> str | None:
    if _is_prepared(root):
        return "prepared"
    folders = {path.name.casefold(): path for path in _folders(root)}
    if "test_public" in folders:
        return "mvtec-ad2"
    if _has_coco(root, folders):
        return "coco"
    sides = [path for path in folders.values() if side_of(path.name) is not None]
    if GROUND_TRUTH in folders:
        if _has_mask_folders(folders[GROUND_TRUTH]):
            return "mvtec-loco"
        if sides:
            return "mvtec"
    if _is_yolo(root, folders):
        return "yolo"
    if sides and any(good_names({path.name for path in _class_folders(side)}) for side in sides):
        return "mvtec"
    return "folder" if _is_paired(folders) or _is_classes(root, sides) else None


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
    except OSError:  # What may not be read is not offered.
        return False


def _hint(root: Path) -> str:
    below = [folder for folder in _folders(root) if _is_dataset(folder)]
    if below:
        shown = ", ".join(str(path) for path in below[:_MOST_SHOWN])
        more = f" and {len(below) - _MOST_SHOWN} more" if len(below) > _MOST_SHOWN else ""
        return f"name one of the data sets in it: {shown}{more}"
    above = _above(root)
    if above is not None:
        return f"name the whole data set: {above}"
    if _holds_image(root):
        return "images without masks or classes are read by --from folder"
    if next(_entries(root), None) is None:
        return "the folder is empty; make a data set to try: carpet-data sample"
    sides = [folder.name for folder in _folders(root) if side_of(folder.name) is not None]
    if sides:
        return f"put images into class folders such as {sides[0]}/{GOOD}: there are none"
    return "name the folder that holds train/ and test/, or choose a reader with --from"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_ignored(entry.name):
                yield entry


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _entries(folder) if _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _holds_image(folder: Path) -> bool:
    return any(is_image(entry.name) and not _is_folder(entry) for entry in _entries(folder))


def _holds(folder: Path, suffix: str) -> bool:
    return any(entry.name.lower().endswith(suffix) for entry in _entries(folder))


def _class_folders(folder: Path) -> list[Path]:
    return [path for path in _folders(folder) if _holds_image(path)]


def _has_mask_folders(ground_truth: Path) -> bool:
    """Whether every class of a ground truth has a folder per image (LOCO), and none a mask file per image."""
    classes = [path for path in _folders(ground_truth) if side_of(path.name) is None]
    if any(_holds_image(path) for path in classes):
        return False
    return any(_holds_image(inner) for path in classes for inner in _folders(path)[:1])


def _has_coco(root: Path, folders: dict[str, Path]) -> bool:
    """Whether JSON where tools put it begins like COCO: in annotations/, the root, or the folders of the sides."""
    places = [folders["annotations"]] if "annotations" in folders else []
    places += [root, *(path for path in folders.values() if side_of(path.name) is not None)]
    for place in places:
        found = (Path(entry.path) for entry in _entries(place) if entry.name.lower().endswith(".json"))
        # Some tools write a JSON file an image; the first few tell.
        if any(_begins_like_coco(path) for path in itertools.islice(found, _MOST_SNIFFED)):
            return True
    return False


def _begins_like_coco(path: Path) -> bool:
    """Whether one of COCO's lists begins near the file's start or end; tools write its keys in any order."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        text = file.read(_SNIFFED_BYTES)
        if path.stat().st_size > _SNIFFED_BYTES:
            file.seek(-_SNIFFED_BYTES, os.SEEK_END)
            text += file.read()
    packed = b"".join(text.split())
    return any(key in packed for key in (b'"images":[', b'"annotations":[', b'"categories":['))


def _is_yolo(root: Path, folders: dict[str, Path]) -> bool:
    for entry in _entries(root):
        if entry.name.lower().endswith((".yaml", ".yml")) and not _is_folder(entry):
            with Path(entry.path).open("rb") as file:
                if any(line.startswith(b"names") for line in file.read(_SNIFFED_BYTES).splitlines()):
                    return True
    for parent in (
        folders,
        *({p.name.casefold(): p for p in _folders(f)} for f in folders.values() if side_of(f.name)),
    ):
        if "labels" in parent and not _IMAGE_FOLDERS.isdisjoint(parent):
            labels = parent["labels"]
            if any(_holds(place, ".txt") for place in (labels, *_folders(labels))):
                return True
    return False


def _is_paired(folders: dict[str, Path]) -> bool:
    """Whether there are folders of images and of masks: here, in each class, or in each side."""
    if not _IMAGE_FOLDERS.isdisjoint(folders) and not _MASK_FOLDERS.isdisjoint(folders):
        return True
    for folder in folders.values():
        inner = {path.name.casefold() for path in _folders(folder)}
        if not _IMAGE_FOLDERS.isdisjoint(inner) and not _MASK_FOLDERS.isdisjoint(inner) and not _was_written(folder):
            return True
    return False


def _is_prepared(root: Path) -> bool:
    """Whether `prepare` made this, be its description whole or not.

    Taken for a mere folder of images and masks, a damaged one would lose its splits without a word.
    """
    from carpet_data.store.description import is_prepared
    from carpet_data.store.names import MANIFEST, SPLITS

    return is_prepared(root) or ((root / MANIFEST).is_file() and (root / SPLITS).is_dir())


def _was_written(folder: Path) -> bool:
    """Whether a command wrote this: a data set of its own, which is no class of the folder that it lies in."""
    from carpet_data.store.output import MARKER

    return _is_prepared(folder) or (folder / MARKER).is_file()


def _is_classes(root: Path, sides: list[Path]) -> bool:
    """Whether these are folders of classes and nothing else; a home folder with some pictures in it is not."""
    if sides:
        return any(_class_folders(side) for side in sides)
    folders = _folders(root)
    return len(folders) > 1 and not _holds_image(root) and all(_holds_image(folder) for folder in folders)
