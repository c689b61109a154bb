"""Whether masks look like masks, and images like images: a few of each folder are opened.

Names alone cannot tell a folder of masks that is called like a class from a class, nor photographs in a folder called
masks. Both would turn defects into good images, or make defects of everything.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import read
from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats.account import ways
from carpet_data.formats.account.unread import Finding, ReadImage, more, stem_key

__all__ = ["empty_share", "findings"]

_OF_FOLDER = 3
_FOLDERS = 20
_FEW_LEVELS = 16
_PICTURE_LEVELS = 64
_FLAT_SHARE = 0.5
_LOSSY = (".jpg", ".jpeg", ".webp")
_BYTES_PER_PIXEL = 0.25
"""A PNG of a mask is much smaller than one of a photograph: larger files need not be opened to know."""

_MASK_NAME = re.compile(
    r"[-_. ](?:masks?|msk|gt|labels?|seg|segmentation|annotation)[-_. (]*\d*\)?\.\w+$", re.IGNORECASE
)
_EMPTY_OPENED = 24
_FEWEST_MASKS = 5
"""A few empty masks are a warning of `doctor`, and no pattern."""

_BESIDE_LOOKED_AT = 2000


def findings(root: Path, images: Sequence[ReadImage]) -> Iterator[Finding]:
    """Reasons to doubt what folders were taken for; paths are relative to the root."""
    yield from _pictures(root, [mask for seen in images for mask in seen.masks])
    yield from _mask_like(root, images)
    yield from _mask_beside(root, images)
    yield from _mostly_empty(root, images)


def _pictures(root: Path, masks: Sequence[str]) -> Iterator[Finding]:
    """Folders of masks that hold photographs."""
    for folder, paths in _some(masks).items():
        pixels = [each for path in paths if (each := _opened(root / path)) is not None]
        if pixels and all(map(_is_picture, pixels)):
            yield Finding(
                "roles-doubtful",
                DataError(
                    "these were taken for masks, but look like photographs",
                    where=root / folder,
                    hint="name both folders: --from folder --images-dir IMAGES --masks-dir MASKS",
                ),
            )


def _mask_like(root: Path, images: Sequence[ReadImage]) -> Iterator[Finding]:
    """Files of a folder that are masks: named as others that are photographs, or black for the most part.

    Files of one folder and suffix are taken to be alike: a photograph may be a JPEG and its mask a PNG beside it.
    """
    bare = _some([seen.image for seen in images if not seen.annotated], by_suffix=True)
    doubtful = {kind: paths for kind, paths in bare.items() if all(_looks_like_mask(root / path) for path in paths)}
    kinds = {_kind(seen.image) for seen in images} if doubtful else set()
    if len(doubtful) == len(kinds):
        return  # all images are drawn in two values: nothing tells a mask from them
    for kind, paths in doubtful.items():
        keys = {stem_key(path) for path in paths}
        others = [seen.image for seen in images if _kind(seen.image) != kind and stem_key(seen.image) in keys]
        if others or all(_is_mostly_black(root / path) for path in paths):
            yield Finding(
                "roles-doubtful",
                DataError(
                    f"these were taken for images, but look like masks, such as {paths[0]}",
                    where=root / _folder(paths[0]),
                    hint=_both_folders(root, others[:1], paths[0]),
                ),
            )


def _both_folders(root: Path, images: Sequence[str], mask: str) -> str:
    """How to read a folder of masks and that of the image of the same name, if there is one."""
    if not images:
        return "move them out of the data set, or beside it into a folder called masks"
    if _folder(images[0]) == _folder(mask):
        return "end the names of the masks on _mask"
    first, second = (shlex.quote(folder) for folder in ways.apart(_folder(images[0]), _folder(mask)))
    return f"carpet-data doctor {shlex.quote(str(root))} --from folder --images-dir {first} --masks-dir {second}"


def _mask_beside(root: Path, images: Sequence[ReadImage]) -> Iterator[Finding]:
    """Masks beside images whose names are unlike those of the other masks there, and that were taken for images."""
    folders = {_folder(mask) for seen in images for mask in seen.masks}
    twins = Counter(_without_suffix(seen.image) for seen in images)
    beside = [
        seen.image
        for seen in images
        if not seen.annotated
        and (
            _folder(seen.image) in folders
            or twins[_without_suffix(seen.image)] > 1
            or _MASK_NAME.search(seen.image) is not None
        )
    ]
    found = [path for path in sorted(beside)[:_BESIDE_LOOKED_AT] if _looks_like_mask(root / path)]
    if found and len(found) < len(images) // 2:
        yield Finding(
            "roles-doubtful",
            DataError(
                f"it was taken for an image, but looks like a mask{more(len(found))}",
                where=root / found[0],
                hint="correct its name, so that it ends as the other masks do; or move it out of the folder",
            ),
        )


def _looks_like_mask(path: Path) -> bool:
    if not _may_be_mask(path):
        return False
    pixels = _opened(path)
    return pixels is not None and _is_mask(pixels)


def _is_mostly_black(path: Path) -> bool:
    pixels = _opened(path)
    return pixels is not None and int((pixels == 0).sum()) > _FLAT_SHARE * pixels.size


def _mostly_empty(root: Path, images: Sequence[ReadImage]) -> Iterator[Finding]:
    """Defect classes of which most masks mark no pixel: the folder is not a class, and an empty mask means good."""
    of_class: dict[str, list[str]] = defaultdict(list)
    for seen in images:
        if seen.class_name != GOOD and seen.class_name in seen.image.split("/")[:-1]:
            of_class[seen.class_name].extend(seen.masks)
    if sum(map(len, of_class.values())) < _FEWEST_MASKS:
        return
    for name, paths in list(of_class.items())[:_FOLDERS]:
        looked = _empty(root, _spread(sorted(paths), _OF_FOLDER))
        if len(looked) < _OF_FOLDER or sum(looked) <= _FLAT_SHARE * len(looked):
            continue
        looked = _empty(root, _spread(sorted(paths), _EMPTY_OPENED))
        if sum(looked) > _FLAT_SHARE * len(looked):
            yield Finding(
                "masks-mostly-empty",
                DataError(
                    f"most masks of the class {name} are empty ({sum(looked)} of {len(looked)} that were opened)",
                    where=root / _folder(paths[0]),
                    hint="if an empty mask means good: --class-from-mask; else draw the defects",
                ),
            )


def empty_share(root: Path, masks: Sequence[str]) -> float:
    """The share (0 to 1) of empty masks among these, of a few that are opened."""
    looked = _empty(root, _spread(masks, _EMPTY_OPENED))
    return sum(looked) / max(1, len(looked))


def _empty(root: Path, paths: Sequence[str]) -> list[bool]:
    return [not each.any() for path in paths if (each := _opened(root / path)) is not None]


def _some(paths: Iterable[str], *, by_suffix: bool = False) -> Mapping[str, list[str]]:
    """A few files of each folder, or of each folder and suffix."""
    of_folder: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        of_folder[_kind(path) if by_suffix else _folder(path)].append(path)
    return {folder: _spread(of_folder[folder], _OF_FOLDER) for folder in list(of_folder)[:_FOLDERS]}


def _spread(paths: Sequence[str], count: int) -> list[str]:
    chosen = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[number] for number in dict.fromkeys(chosen.tolist())]


def _opened(path: Path) -> NDArray[np.uint8] | None:
    try:
        pixels = read(path)
    except CarpetDataError:
        return None  # damaged files are reported by who reads them all
    return pixels.max(axis=2) if pixels.ndim == 3 else pixels


def _may_be_mask(path: Path) -> bool:
    """Whether a file may be a mask, by its type and its size alone."""
    suffix = path.suffix.lower()
    if suffix in _LOSSY:
        return False
    if suffix != ".png":
        return True
    from carpet_data.core.images import probe

    try:
        info = probe(path)
        return path.stat().st_size < max(1024, _BYTES_PER_PIXEL * info.width * info.height)
    except (CarpetDataError, OSError):
        return False


def _is_picture(pixels: NDArray[np.uint8]) -> bool:
    levels = np.bincount(pixels.reshape(-1), minlength=256)
    flat = np.sort(levels)[-2:].sum() / max(1, pixels.size)
    return bool((levels > 0).sum() > _PICTURE_LEVELS and flat < _FLAT_SHARE)


def _is_mask(pixels: NDArray[np.uint8]) -> bool:
    """Two values, or a few small ones: a binary or a class-index mask; not one flat color, which says nothing."""
    values = np.flatnonzero(np.bincount(pixels.reshape(-1), minlength=256))
    return len(values) == 2 or (2 < len(values) <= _FEW_LEVELS and int(values[values < 255].max()) <= 2 * _FEW_LEVELS)


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _without_suffix(path: str) -> str:
    return path.rpartition(".")[0].casefold()


def _kind(path: str) -> str:
    """The folder and the suffix, in lower case."""
    return f"{_folder(path)}/*{Path(path).suffix.lower()}"
