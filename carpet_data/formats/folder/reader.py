"""Folders of images and masks, paired by name.

Known shapes: images/ + masks/ (flat, or with class folders in both), CLASS/images + CLASS/masks, CLASS/ with images
and their *_mask files, and plain class folders without masks; each also below train/, val/, test/. Where no folder
says the class, it is "defect" for images whose mask marks a pixel, and "good" for the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from carpet_data.core.patterns import capturing
from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats import tree
from carpet_data.formats.classes.rules import DEFECT
from carpet_data.formats.entries import ImageEntry
from carpet_data.formats.folder.roles import MASK_ENDINGS, Spot, by_name, by_options, settle, spots_of, without_roles
from carpet_data.formats.folders import good_names, license_of
from carpet_data.formats.listing import is_image, is_known, walk
from carpet_data.formats.pairing import Named, Pairing, PairingError, Place, pair, stem
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.tree import Tree

_MASK_PREFIX = re.compile(r"(?:mask|gt|label|seg)[-_ ]", re.IGNORECASE)
_IMAGE_PREFIX = re.compile(r"(?:image|img|im|frame|photo)[-_ ]", re.IGNORECASE)


def scan(root: Path, options: ReadOptions | None = None) -> Tree:
    """The images and masks of a folder, by names alone; without class folders an image with a mask is "defect".

    Raises:
        DataError: The folder is missing or may not be read, or a folder of the options holds no images.
        UsageError: `images` or `masks` leave the root, or `pair_by` is not a regular expression with a group.
    """
    return _scan(root, options or ReadOptions())


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read folders of images and masks. Without class folders every mask is opened, to see whether it is empty.

    Raises:
        DataError: As `scan`, and for a folder without images.
        ProblemsError: Images and masks that cannot be read, and masks whose image is ambiguous by name.
        UsageError: As `scan`.
    """
    return tree.dataset(_scan(root, options), options)


def _scan(root: Path, options: ReadOptions) -> Tree:
    listing = walk(root)
    files = [path for path in listing.files if is_image(path)]
    if options.images_dir is not None or options.masks_dir is not None:
        spots, unknown = spots_of(files, by_options(options, files), deep=_is_deep(options))
        _check_options(root, spots, options)
        spots = settle(spots, options.mask_suffix)
        paired = _paired(root, spots, options)
    else:
        spots, unknown, paired = _recognized(root, files, options)
    images = [spot for spot in spots if spot.role == "image"]
    good = good_names({spot.folder for spot in images if spot.folder is not None})
    entries = []
    for spot in images:
        masks = paired.masks_of(spot.path)
        if spot.folder is None:
            class_name = DEFECT if masks else GOOD
        else:
            class_name = GOOD if spot.folder in good else spot.folder
        named = tuple((mask, class_name) for mask in masks)
        entries.append(ImageEntry(spot.path, class_name, spot.side, named, by_mask=spot.folder is None))
    unknown += [path for path in listing.files if not is_image(path) and not is_known(path)]
    return Tree(
        root,
        "folder",
        listing.name,
        tuple(entries),
        orphans=paired.orphans,
        unknown=(*sorted(unknown), *listing.others),
        license=license_of(listing),
        masked_classes=bool(paired.mask_of or paired.orphans),
        problems=paired.problems,
        notes=paired.notes(),
        aside=(*paired.beside(), *_outside(listing.files, options)),
    )


def _outside(paths: Sequence[str], options: ReadOptions) -> Iterator[tuple[str, str]]:
    """Files outside of the folders of images and masks, where both are named: who names them leaves the rest out."""
    if options.images_dir is None or options.masks_dir is None:
        return
    inside = tuple(PurePosixPath(folder).parts for folder in (options.images_dir, options.masks_dir))
    for path in paths:
        parts = tuple(path.split("/"))
        if not is_known(path) and not any(parts[: len(folder)] == folder for folder in inside):
            yield path, "outside of --images-dir and --masks-dir"


def _recognized(root: Path, files: Sequence[str], options: ReadOptions) -> tuple[list[Spot], list[str], Pairing]:
    """Images and masks by the usual names of folders and files, and what is neither."""
    spots, unknown = spots_of(files, by_name(files), deep=_is_deep(options))
    roles = {spot.role for spot in spots}
    if "image" in roles:
        unknown += [spot.path for spot in spots if spot.role == "either"]
        spots = [spot for spot in spots if spot.role != "either"]
    settled = settle(spots, options.mask_suffix)
    paired = _paired(root, settled, options)
    if "mask" in roles and "image" not in roles and not paired.mask_of:
        # Classes may be called "mask" and "no mask": a folder of masks that belong to no image is one of those.
        spots, unknown = spots_of(files, without_roles, deep=_is_deep(options))
        settled = settle(spots, options.mask_suffix)
        paired = _paired(root, settled, options)
    if "image" not in roles and any(spot.folder is not None for spot in settled if spot.role == "image"):
        stray = {spot.path for spot in settled if spot.role == "image" and "/" not in spot.path}
        unknown += stray - paired.mask_of.keys()
        settled = [spot for spot in settled if spot.path not in stray or spot.path in paired.mask_of]
    return settled, unknown, paired


def _is_deep(options: ReadOptions) -> bool:
    return options.class_by is not None or options.class_from_mask


def _check_options(root: Path, spots: Sequence[Spot], options: ReadOptions) -> None:
    for role, folder in (("image", options.images_dir), ("mask", options.masks_dir)):
        if folder is not None and options.images_dir != options.masks_dir and all(spot.role != role for spot in spots):
            raise DataError(f"the folder of {role}s holds no image files", where=root / folder, hint="check its name")


def _paired(root: Path, spots: Sequence[Spot], options: ReadOptions) -> Pairing:
    if options.pair_by is not None:
        hint = r"put what an image and its mask share in parentheses, such as '(\d+)'"
        return _paired_by_pattern(root, spots, capturing(options.pair_by, "--pair-by", hint))
    endings = ("", *MASK_ENDINGS) if options.mask_suffix is None else (options.mask_suffix,)
    images = [Named(spot.path, stem(spot.path), _places(spot)) for spot in spots if spot.role == "image"]
    masks = [Named(spot.path, stem(spot.path), ((spot.side, spot.folder),)) for spot in spots if spot.role == "mask"]
    paired = pair(root, images, masks, endings)
    if masks and options.mask_suffix is None and not paired.mask_of:
        # Where all masks begin with mask_, the rest of their names is that of the image, or what follows image_.
        bare = _without_prefix(masks, _MASK_PREFIX)
        for named in (_without_prefix(images, _IMAGE_PREFIX), images) if bare is not None else ():
            again = pair(root, named, bare or masks, endings) if named is not None else paired
            if again.mask_of:
                return again
    return paired


def _without_prefix(named: Sequence[Named], prefix: re.Pattern[str]) -> list[Named] | None:
    """The same with keys that lack a prefix that all of them have; None where one has none."""
    found = [prefix.match(each.key) for each in named]
    if not all(found):
        return None
    return [replace(each, key=each.key[match.end() :]) for each, match in zip(named, found, strict=True) if match]


def _places(spot: Spot) -> tuple[Place, ...]:
    """Where the mask of an image may lie: in the folders of its side and class, else in fewer of them."""
    side, folder = spot.side, spot.folder
    return tuple(dict.fromkeys([(side, folder), (None, folder), (side, None), (None, None)]))


def _paired_by_pattern(root: Path, spots: Sequence[Spot], pattern: re.Pattern[str]) -> Pairing:
    images: list[Named] = []
    masks: list[Named] = []
    problems: list[CarpetDataError] = []
    lost: list[str] = []
    for spot in spots:
        match = pattern.search(stem(spot.path))
        if match is not None:
            key = "\0".join(text or "" for text in match.groups())
            if spot.role == "image":
                images.append(Named(spot.path, key, _places(spot)))
            else:
                masks.append(Named(spot.path, key, ((spot.side, spot.folder),)))
        elif spot.role == "mask":
            lost.append(spot.path)
        else:
            problems.append(
                PairingError.about(
                    [spot.path],
                    f"the expression {pattern.pattern!r} is not found in the name of this image",
                    where=root / spot.path,
                    hint="widen the expression",
                )
            )
    paired = pair(root, images, masks, ("",))
    return replace(paired, orphans=tuple(sorted([*paired.orphans, *lost])), problems=(*problems, *paired.problems))
