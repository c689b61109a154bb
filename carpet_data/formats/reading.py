"""Read a data set of any format: which format a folder has, and where the data set is if it is not there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import CarpetDataError, DataError, ProblemsError, UsageError
from carpet_data.formats.account.foreign import ANNOTATION_SUFFIXES, HARMLESS, advice, kind_of
from carpet_data.formats.account.reasons import reasons_against, seen_of, without
from carpet_data.formats.account.roles import of_dataset, of_tree
from carpet_data.formats.account.unread import Finding
from carpet_data.formats.entries import NoImagesError
from carpet_data.formats.folders import GROUND_TRUTH, good_names, side_of
from carpet_data.formats.glance import IMAGE_FOLDERS, MASK_FOLDERS, Folder
from carpet_data.formats.listing import beside, walk, walking_once
from carpet_data.formats.registry import FORMATS, Format, ReadOptions, readable

__all__ = ["detect", "looks_like_dataset", "read"]

_PARTS = frozenset({GROUND_TRUTH, "annotations", "labels", "test_public", *IMAGE_FOLDERS, *MASK_FOLDERS})
_ARCHIVES = (".zip", ".tar", ".tar.xz", ".tar.gz", ".tgz", ".txz", ".tar.bz2")
PREPARED = "prepared"
_WHOLE = frozenset(
    {
        *(PREPARED, "masks", "mvtec", "mvtec-loco", "mvtec-ad2", "visa", "dagm", "kolektor-sdd", "kolektor-sdd2"),
        *("aitex", "mvtec-3d", "neu-seg", "real-iad", "magnetic-tiles", "voc"),
    }
)
"""Formats that no part of a data set looks like."""

_NAME_CLASSES = frozenset({PREPARED, "coco", "yolo", "masks"})
"""Formats that no option gives classes."""

_FOLDER_OPTIONS = {
    "images_dir": "--images-dir",
    "masks_dir": "--masks-dir",
    "mask_suffix": "--mask-suffix",
    "pair_by": "--pair-by",
}

_LEVELS_UP = 4
_MOST_SHOWN = 20
_LEVELS_DOWN = 3
_MOST_FOLDERS = 20
_MOST_FILES = 5
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
    dataset, reasons = examine(Path(root), options or ReadOptions())
    if reasons:
        raise ProblemsError.of([reason.error for reason in reasons])
    return dataset


def examine(root: Path, options: ReadOptions) -> tuple[Dataset, tuple[Finding, ...]]:
    """Read a data set, and say what speaks against using it: files that no reader understood.

    With `skip_faulty`, images that such a file may belong to are left out instead, where it is known which these are.

    Raises:
        DataError, UsageError: As `read`, for all else that is wrong.
    """
    found = chosen(root, options)
    assert found.read is not None
    with walking_once():
        try:
            dataset = found.read(root, replace(options, format=found.name))
        except NoImagesError:
            _refuse_unexplained(found, root, options)
            raise
        if found.name == PREPARED:
            return dataset, ()
        used = (*(sample.image_path for sample in dataset.samples), *dataset.documents)
        listing = beside(dataset.root, used) if found.lists_images and root.is_file() else walk(dataset.root)
        account = of_dataset(dataset, listing, listed=found.lists_images)
        reasons = reasons_against(found, account, dataset.root, seen_of(dataset), dataset.orphans, options)
    dataset = replace(dataset, account=account)
    if options.skip_faulty and reasons:
        return without(dataset, reasons)
    return dataset, reasons


def _refuse_unexplained(found: Format, root: Path, options: ReadOptions) -> None:
    """Say of a folder without images for this format which of its files it leaves unread, and what would read them."""
    if found.scan is not None:
        account = of_tree(found.scan(root, options), walk(root))
        reasons = reasons_against(found, account, root, (), (), options)
        if reasons:
            raise ProblemsError.of([reason.error for reason in reasons])


def chosen(root: Path, options: ReadOptions) -> Format:
    """The format that reads a folder with these options.

    Raises:
        DataError: As `detect`.
        UsageError: The format is unknown, cannot be read, or is not the one that the options are for.
    """
    given = [flag for name, flag in _FOLDER_OPTIONS.items() if getattr(options, name) is not None]
    name = _detected(root, options) if options.format == "auto" else options.format
    if given and name != "folder":
        how = f"this is read as {name}" if options.format == "auto" else f"not with --from {name}"
        raise UsageError(
            f"{' and '.join(given)} can be used with --from folder only; {how}", where=root, hint="add --from folder"
        )
    found = readable(name)
    _check_class_options(found, options)
    return found


def _detected(root: Path, options: ReadOptions) -> str:
    """The format of a folder; one that no reader recognizes is of plain folders where --class-by says the classes."""
    try:
        return detect(root)
    except DataError:
        if options.class_by is not None and root.is_dir() and not _is_part(root):
            return "folder"
        raise


def _check_class_options(found: Format, options: ReadOptions) -> None:
    """Refuse options about classes for a format that names its classes itself."""
    given = {
        "--class-by": options.class_by is not None,
        "--class-from-mask": options.class_from_mask,
        "--mask-classes": options.mask_classes is not None,
    }
    flags = [flag for flag, is_given in given.items() if is_given]
    if flags and found.name in _NAME_CLASSES:
        raise UsageError(
            f"{flags[0]} is for folders of images and masks; the format {found.name!r} defines its own classes",
            hint=f"leave out {', '.join(flags)}",
        )


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
        below = _below(Folder(root))
        if below:
            raise _several(root, below)
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


def _below(folder: Folder) -> list[Path]:
    """The data sets in a folder, or, where there are none, those one level deeper."""
    inside = list(folder.folders.values())
    found = [path for path in inside if _is_dataset(path)]
    return found or [
        path for each in inside[:_MOST_SHOWN] for path in Folder(each).folders.values() if _is_dataset(path)
    ]


def _several(root: Path, below: Sequence[Path]) -> DataError:
    """The error of a folder above data sets, such as all categories of VisA: each is read by itself."""
    names = ", ".join(path.relative_to(root).as_posix() for path in below[:_MOST_SHOWN])
    more = f" and {len(below) - _MOST_SHOWN} more" if len(below) > _MOST_SHOWN else ""
    holds = "a data set" if len(below) == 1 else f"{len(below)} data sets"
    each = "read it" if len(below) == 1 else "read one at a time"
    hint = f"{each}: carpet-data doctor {shlex.quote(str(below[0]))}"
    others = [
        path
        for path in Folder(root).folders.values()
        if not any(path == each or path in each.parents for each in below) and _holds_images_below(path)
    ]
    foreign = advice(kind for kind in _kinds_near(Folder(root), below) if kind not in HARMLESS)
    if good_names([path.name for path in Folder(root).folders.values()]):
        # Such as good/shift1: what looks like data sets are the classes of one.
        return DataError(
            f"this folder contains class folders with subfolders: {names}",
            where=root,
            hint=f"carpet-data doctor {shlex.quote(str(root))} --from folder --class-by '^([^/]+)/'",
        )
    if foreign and not others:
        hint = f"{hint}; {foreign}"
    if others:
        # The good half of a data set must not be offered as if it were all of it.
        unread = ", ".join(path.name for path in others[:_MOST_SHOWN])
        hint = (
            f"{unread} hold images too, but cannot be read: if they belong together, say how (--from folder --class-by "
            f"REGEX){f'; {foreign}' if foreign else ''}; else {hint}"
        )
    return DataError(f"this folder is not a data set, but contains {holds}: {names}{more}", where=root, hint=hint)


def _hint(folder: Folder) -> str:
    above = _above(folder.path)
    if above is not None:
        return f"name the whole data set: {above}"
    foreign = advice(_kinds_near(folder))
    if foreign:
        return foreign
    if folder.holds_image():
        return (
            "if their names say the class: --from folder --class-by REGEX, such as '^([A-Za-z]+)_' for scratch_01; "
            "if all images are good: --from folder"
        )
    if next(folder.entries(), None) is None:
        return "the folder is empty; make a data set to try: carpet-data sample"
    if folder.sides:
        return f"put images into class folders such as {folder.sides[0].name}/{GOOD}: there are none"
    return "name the folder that holds train/ and test/, or choose a format with --from"


def _holds_images_below(path: Path, levels: int = _LEVELS_DOWN) -> bool:
    """Whether images lie in a folder or a few levels below it."""
    folder = Folder(path)
    if folder.holds_image():
        return True
    inside = list(folder.folders.values())[:_MOST_FOLDERS]
    return levels > 0 and any(_holds_images_below(each, levels - 1) for each in inside)


def _kinds_near(folder: Folder, read: Sequence[Path] = ()) -> Iterator[str]:
    """What a few files of labels look like, here and two levels below, but in data sets that can be read."""
    near = [folder, *map(Folder, list(folder.folders.values())[:_MOST_FOLDERS])]
    near += [Folder(path) for place in near[1:] for path in list(place.folders.values())[:_MOST_FOLDERS]]
    for place in near:
        if any(place.path == each or each in place.path.parents for each in read):
            continue
        for path in islice(place.files(*ANNOTATION_SUFFIXES), _MOST_FILES):
            kind = kind_of(path)
            if kind is not None:
                yield kind
