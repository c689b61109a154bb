"""What a file of a folder of images and masks is, by its place and name: an image, a mask, or neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeAlias

from carpet_data.dataset import Side
from carpet_data.errors import UsageError
from carpet_data.formats.account.role_names import Role, role_by_name
from carpet_data.formats.folders import side_of
from carpet_data.formats.listing import composed
from carpet_data.formats.pairing import stem
from carpet_data.formats.registry import ReadOptions

RoleOf: TypeAlias = Callable[[Sequence[str]], tuple[Role | None, Sequence[str]]]

MASK_ENDINGS = (
    *("_mask", "-mask", "_masks", "_gt", "-gt", "_label", "-label", "_seg", "_annotation"),
    *("_segmentation", "_ground_truth", "_groundtruth", "_msk"),
)
"""What masks usually have behind the stem of their image."""

_NUMBER = re.compile(r"[-_ .(]*\d{1,4}\)?$")
_ALL = "all"
"""How exports call the one part of a data set without a split."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A file by its place, relative to the root.

    Attributes:
        role: What the folders above say that it is; "either" where they say nothing.
        side: The side that a folder above names.
        folder: The class folder; None without one.
    """

    path: str
    role: Role
    side: Side | None
    folder: str | None


def spots_of(paths: Iterable[str], role_of: RoleOf, *, deep: bool = False) -> tuple[list[Spot], list[str]]:
    """The spots of image files, and the paths that lie too deep or outside of what the roles say.

    Where folders do not say the class, they may be `deep`: then all of them together tell where a mask lies.
    """
    spots: list[Spot] = []
    unknown: list[str] = []
    for path in paths:
        role, folders = role_of(path.split("/")[:-1])
        side: Side | None = None
        rest = list(folders)
        for number, folder in enumerate(folders):
            if side_of(folder) is not None or folder.casefold() == _ALL:
                side = side_of(folder)
                del rest[number]
                break
        if role is None or (len(rest) > 1 and not deep):
            unknown.append(path)
        else:
            spots.append(Spot(path, role, side, "/".join(rest) or None))
    return spots, unknown


def by_name(paths: Iterable[str]) -> RoleOf:
    """The roles that folders have by their names: images, masks, X_mask beside X, train_images; of all these files."""
    folders = {folder for path in paths for folder in path.split("/")[:-1]}
    siblings = frozenset(folder.casefold() for folder in folders)
    known = {folder: named for folder in folders if (named := role_by_name(folder, siblings)) is not None}

    def role_of(folders: Sequence[str]) -> tuple[Role | None, Sequence[str]]:
        for number, folder in enumerate(folders):
            if folder in known:
                role, more = known[folder]
                return role, [*folders[:number], *more, *folders[number + 1 :]]
        return "either", folders

    return role_of


def without_roles(folders: Sequence[str]) -> tuple[Role | None, Sequence[str]]:
    """No folder has a role; all may be classes."""
    return "either", folders


def by_options(options: ReadOptions, paths: Iterable[str]) -> RoleOf:
    """The roles that the options give to folders.

    Raises:
        UsageError: A folder of the options leaves the root.
    """
    images = None if options.images_dir is None else _folders_of(options.images_dir)
    masks = None if options.masks_dir is None else _folders_of(options.masks_dir)
    named = by_name(paths)

    def role_of(folders: Sequence[str]) -> tuple[Role | None, Sequence[str]]:
        in_images = images is not None and list(folders[: len(images)]) == images
        in_masks = masks is not None and list(folders[: len(masks)]) == masks
        # The longer of two matches is the closer; where both are one folder, the names tell images and masks apart.
        if masks is not None and in_masks and not (in_images and images is not None and len(images) >= len(masks)):
            return "mask", folders[len(masks) :]
        if images is not None and in_images:
            return "image", folders[len(images) :]
        role, rest = named(folders)
        if images is None:
            return (None if role == "mask" else "image"), rest
        return ("mask" if role == "mask" and masks is None else None), rest

    return role_of


def _folders_of(text: str) -> list[str]:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"the folder {text!r} leaves the data set", hint="name it relative to ROOT")
    return list(path.parts)


def settle(spots: Sequence[Spot], mask_suffix: str | None) -> list[Spot]:
    """Decide by name what each spot is, where no folder of masks does it.

    `mask_suffix` is what masks have behind the image's stem; None to try the usual, with or without a number, which
    count only where some file without the ending has the same name.
    """
    if any(spot.role == "mask" for spot in spots):
        endings: tuple[str, ...] = ()
    elif mask_suffix is not None:
        endings = (mask_suffix,) if mask_suffix else ()
    else:
        endings = endings_in_use([spot.path for spot in spots])
    return [replace(spot, role=_settled(spot, endings)) for spot in spots]


def _settled(spot: Spot, endings: Collection[str]) -> Role:
    if spot.role == "mask":
        return "mask"
    return "mask" if any(_bare(stem(spot.path), ending) is not None for ending in endings) else "image"


def _bare(name: str, ending: str) -> str | None:
    """The name without the ending and a number behind it, in lower case; None where it does not end so."""
    folded, ending = composed(name).casefold(), ending.casefold()
    for plain in (folded, _NUMBER.sub("", folded)):
        if len(plain) > len(ending) and plain.endswith(ending):
            return plain[: -len(ending)]
    return None


def endings_in_use(paths: Iterable[str]) -> tuple[str, ...]:
    """The usual endings of masks that some file has, beside a file without."""
    places: dict[str, set[str]] = {}
    for path in paths:
        places.setdefault(str(PurePosixPath(path).parent), set()).add(composed(stem(path)).casefold())
    return tuple(
        ending
        for ending in MASK_ENDINGS
        if any(_bare(name, ending) in names for names in places.values() for name in names)
    )
