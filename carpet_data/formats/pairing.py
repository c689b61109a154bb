"""Which mask belongs to which image: by name, never by position in a sorted list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats.listing import composed

Place: TypeAlias = tuple[str | None, ...]
"""Where names are compared: such as (side, class)."""

_FOLDS: tuple[Callable[[str], str], ...] = (composed, lambda text: composed(text).casefold())


@dataclass(frozen=True, slots=True)
class Named:
    """A file to be paired, by its path relative to the root.

    Attributes:
        key: What is compared: the stem of its name, or what a regular expression captured.
        places: For an image: where its mask may lie, the likeliest first. For a mask: the one place where it lies.
    """

    path: str
    key: str
    places: tuple[Place, ...]


@dataclass(slots=True)
class Pairing:
    """The outcome.

    Attributes:
        mask_of: image path -> mask path.
    """

    mask_of: dict[str, str] = field(default_factory=dict)
    orphans: tuple[str, ...] = ()
    problems: tuple[CarpetDataError, ...] = ()


def stem(path: str) -> str:
    """The name without folder and suffix."""
    return PurePosixPath(path).stem


def pair(root: Path, images: Sequence[Named], masks: Sequence[Named], endings: Sequence[str]) -> Pairing:
    """Pair images and masks.

    An image's mask has the image's key and one of the endings, the likeliest first; "" stands for equal names. Equal
    spelling comes first; what then remains is compared without regard to case, so that `A.PNG` finds `a_Mask.png`, but
    never takes it from `a.png`. The root names files in problems.
    """
    pairing = Pairing()
    problems: list[CarpetDataError] = []
    left_masks, left_images = list(masks), list(images)
    most_places = max((len(image.places) for image in images), default=0)
    for fold in _FOLDS:
        for number in range(most_places):
            for ending in endings:
                if not left_masks or not left_images:
                    break
                taken = _round(root, left_images, left_masks, ending, number, fold, pairing, problems)
                left_images = [image for image in left_images if image.path not in pairing.mask_of]
                left_masks = [mask for mask in left_masks if mask.path not in taken]
    pairing.orphans = tuple(sorted(mask.path for mask in left_masks))
    pairing.problems = tuple(problems)
    return pairing


def _round(
    root: Path,
    images: Sequence[Named],
    masks: Sequence[Named],
    ending: str,
    number: int,
    fold: Callable[[str], str],
    pairing: Pairing,
    problems: list[CarpetDataError],
) -> set[str]:
    """Pair what has one ending in one place; the masks that found an image."""
    at: dict[tuple[Place, str], list[str]] = defaultdict(list)
    for mask in masks:
        at[_folded(mask.places[0], fold), fold(mask.key)].append(mask.path)
    claims: dict[tuple[Place, str], list[str]] = defaultdict(list)
    for image in images:
        if number < len(image.places):
            wanted = (_folded(image.places[number], fold), fold(image.key + ending))
            if wanted in at:
                claims[wanted].append(image.path)
    taken: set[str] = set()
    for wanted, image_paths in claims.items():
        # A mask beside its PNG in another file type: the PNG is the exact one.
        mask_paths = sorted(at[wanted], key=lambda path: (not path.lower().endswith(".png"), path))
        taken.update(mask_paths)
        pairing.mask_of.update((image, mask_paths[0]) for image in image_paths)
        problems += _ambiguous(root, image_paths, mask_paths)
    return taken


def _ambiguous(root: Path, image_paths: Sequence[str], mask_paths: Sequence[str]) -> Iterator[DataError]:
    """The problems of several masks for one image, and of several images for one mask."""
    if len(mask_paths) > 1:
        yield DataError(
            f"the image {image_paths[0]} has several masks: {', '.join(mask_paths)}",
            where=root / mask_paths[0],
            hint="keep one of them",
        )
    if len(image_paths) > 1:
        yield DataError(
            f"the mask fits several images: {', '.join(image_paths[:5])}",
            where=root / mask_paths[0],
            hint="rename the images and give each its own mask "
            "(in the MVTec layout, ground_truth/train/CLASS and ground_truth/test/CLASS keep them apart)",
        )


def _folded(place: Place, fold: Callable[[str], str]) -> Place:
    return tuple(None if part is None else fold(part) for part in place)
