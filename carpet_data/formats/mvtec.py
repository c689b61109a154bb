"""The layout of MVTec AD.

ROOT/{train,test}/CLASS/STEM.png, and ROOT/ground_truth/CLASS/STEM_mask.png for the defects (Bergmann et al., 2019,
"MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.dataset import GOOD, Dataset, Side
from carpet_data.formats import tree
from carpet_data.formats.folders import GROUND_TRUTH, good_names, license_of, side_of
from carpet_data.formats.listing import Listing, is_image, is_known, walk
from carpet_data.formats.pairing import Named, pair, stem
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.tree import Entry, Tree

MASK_ENDINGS = ("_mask", "")


@dataclass(frozen=True, slots=True)
class Shot:
    """An image by its place: side, class folder, path."""

    side: Side
    folder: str
    path: str


def entries_of(shots: Sequence[Shot], mask_of: Mapping[str, str]) -> tuple[Entry, ...]:
    """What each image is of, by its folder, and its mask.

    Args:
        shots: The images.
        mask_of: image path -> mask path, for those that have one.
    """
    good = good_names({shot.folder for shot in shots})
    entries = []
    for shot in shots:
        class_name = GOOD if shot.folder in good else shot.folder
        mask = mask_of.get(shot.path)
        entries.append(Entry(shot.path, class_name, shot.side, () if mask is None else ((mask, class_name),)))
    return tuple(entries)


def scan(root: Path) -> Tree:
    """The images and masks of a folder in MVTec AD layout, by names alone.

    Raises:
        DataError: The folder is missing or may not be read.
    """
    listing = walk(root)
    shots, rest = shots_of(listing)
    masks: list[Named] = []
    unknown: list[str] = []
    for path in rest:
        parts = path.split("/")
        place = _mask_place(parts) if is_image(path) else None
        if place is not None:
            masks.append(Named(path, stem(path), (place,)))
        elif not is_known(path):
            unknown.append(path)
    images = [Named(shot.path, stem(shot.path), ((shot.side, shot.folder), (None, shot.folder))) for shot in shots]
    paired = pair(root, images, masks, MASK_ENDINGS)
    return Tree(
        root,
        "mvtec",
        listing.name,
        entries_of(shots, paired.mask_of),
        orphans=paired.orphans,
        unknown=(*unknown, *listing.others),
        license=license_of(listing),
        # A folder without any ground truth is a classification set, in which no single mask is missing.
        masked_classes=any(path.split("/", 1)[0].casefold() == GROUND_TRUTH for path in listing.files),
        problems=paired.problems,
    )


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read a folder in MVTec AD layout; only image headers are opened.

    Raises:
        DataError: The folder is missing, may not be read or holds no images.
        ProblemsError: Images that cannot be read, and masks whose image the names leave open.
    """
    return tree.dataset(
        scan(root), threshold=options.threshold, connectivity=options.connectivity, on_problem=options.on_problem
    )


def shots_of(listing: Listing) -> tuple[list[Shot], list[str]]:
    """The images at SIDE/CLASS/NAME, and all other files, both sorted by path."""
    shots: list[Shot] = []
    rest: list[str] = []
    for path in listing.files:
        parts = path.split("/")
        side = side_of(parts[0])
        if side is not None and len(parts) == 3 and is_image(path):
            shots.append(Shot(side, parts[1], path))
        else:
            rest.append(path)
    return shots, rest


def _mask_place(parts: list[str]) -> tuple[Side | None, str] | None:
    """(side, class) of ground_truth/CLASS/NAME or ground_truth/SIDE/CLASS/NAME."""
    if parts[0].casefold() != GROUND_TRUTH:
        return None
    if len(parts) == 3:
        return None, parts[1]
    side = side_of(parts[1])
    return (side, parts[2]) if len(parts) == 4 and side is not None else None
