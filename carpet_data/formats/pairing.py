"""Which mask belongs to which image: by name, never by position in a sorted list."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from carpet_data.core.text import counted
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats.listing import composed

Place: TypeAlias = tuple[str | None, ...]
"""Where names are compared: such as (side, class)."""

_FOLDS: tuple[Callable[[str], str], ...] = (composed, lambda text: composed(text).casefold())

_NUMBER = re.compile(r"(.+?)([-_ .(]*)(\d{1,4})\)?")
"""A name with a number behind it."""


class PairingError(DataError):
    """Names do not tell which mask is whose.

    Attributes:
        images: The images in question, relative to the root.
        code: What `doctor` calls it.
    """

    images: tuple[str, ...] = ()
    code = "pairing"

    @classmethod
    def about(cls, images: Sequence[str], what: str, where: Path, hint: str) -> PairingError:
        """The error of these images."""
        error = cls(what, where=where, hint=hint)
        error.images = tuple(images)
        return error


class MissingMaskError(PairingError):
    """Images without a mask, where only a mask could say what they show."""

    code = "mask-missing"


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
        mask_of: image path -> mask path, the first of several.
        more_of: image path -> its further masks, by their numbers (a_mask_2.png).
        spare: Masks beside the one that was taken, of the same name but another type.
    """

    mask_of: dict[str, str] = field(default_factory=dict)
    more_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spare: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    problems: tuple[CarpetDataError, ...] = ()

    def beside(self) -> tuple[tuple[str, str], ...]:
        """The spare masks and why they are left aside."""
        return tuple((path, "the image has another mask of this name") for path in self.spare)

    def notes(self) -> tuple[str, ...]:
        """What should be known of it."""
        count = len(self.more_of)
        if not count:
            return ()
        first = min(self.more_of)
        return (f"{counted(count, 'image')} with several masks, such as {first}: together they mark its defects",)

    def masks_of(self, image: str) -> tuple[str, ...]:
        """All masks of an image: their union is its defect."""
        first = self.mask_of.get(image)
        return () if first is None else (first, *self.more_of.get(image, ()))


def stem(path: str) -> str:
    """The name without folder and suffix."""
    # As pathlib has it, which is slow for each of a million.
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[:dot] if 0 < dot < len(name) - 1 else name


def pair(root: Path, images: Sequence[Named], masks: Sequence[Named], endings: Sequence[str]) -> Pairing:
    """Pair images and masks.

    An image's mask has the image's key and one of the endings, the likeliest first; "" stands for equal names. Equal
    spelling comes first; what then remains is compared without regard to case, so that `A.PNG` finds `a_Mask.png`, but
    never takes it from `a.png`. What still remains may be one of several masks of an image, with a number behind the
    ending: `a_mask1.png`, `a_mask_2.png`. The root names files in problems.
    """
    pairing = Pairing()
    problems: list[CarpetDataError] = []
    left_masks, left_images = list(masks), list(images)
    most_places = max((len(image.places) for image in images), default=0)
    for fold in _FOLDS:
        in_use = [each for each in endings if any(fold(mask.key).endswith(fold(each)) for mask in left_masks)]
        for number in range(most_places):
            for ending in in_use:
                if not left_masks or not left_images:
                    break
                taken = _round(root, left_images, left_masks, ending, number, fold, pairing, problems)
                left_images = [image for image in left_images if image.path not in pairing.mask_of]
                left_masks = [mask for mask in left_masks if mask.path not in taken]
    left_masks = _numbered(images, left_masks, endings, pairing)
    pairing.orphans = tuple(sorted(mask.path for mask in left_masks))
    used = {*pairing.mask_of.values(), *itertools.chain(*pairing.more_of.values()), *pairing.orphans}
    pairing.spare = tuple(mask.path for mask in masks if mask.path not in used)
    pairing.problems = tuple(problems)
    return pairing


def _numbered(images: Sequence[Named], masks: Sequence[Named], endings: Sequence[str], pairing: Pairing) -> list[Named]:
    """Give images their numbered masks; those that remain."""
    at: dict[tuple[Place, str], list[str]] = defaultdict(list)
    for image in images if masks else ():
        for place in image.places:
            at[_folded(place, _loosely), _loosely(image.key)].append(image.path)
    left: list[Named] = []
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for mask in masks:
        owner = None
        for base, texts in _numbers(_loosely(mask.key), endings):
            place = _folded(mask.places[0], _loosely)
            claims = at.get((place, base), [])
            # Beside a.png and a_2.png, a_mask_2.png may be the mask of either.
            rivals = any((place, f"{base}{sign}{text}") in at for sign in ("", "_", "-", " ") for text in texts)
            if len(claims) == 1 and not rivals:
                owner = claims[0]
                found[owner].append((int(texts[0]), mask.path))
                break
        if owner is None:
            left.append(mask)
    for image_path, numbered in found.items():
        paths = [path for _, path in sorted(numbered)]
        if image_path not in pairing.mask_of:
            pairing.mask_of[image_path] = paths.pop(0)
        if paths:
            pairing.more_of[image_path] = tuple(paths)
    return left


def _numbers(key: str, endings: Sequence[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """(key of the image, number as it is written and without zeros before it) that the key of a mask may stand for."""
    match = _NUMBER.fullmatch(key)
    if match is None:
        return
    texts = (match[3], str(int(match[3])))
    for ending in endings:
        # Where nothing but a number follows, a sign must stand before it: img12 is not a mask of img1.
        if ending and match[1].endswith(_loosely(ending)):
            yield match[1][: -len(ending)], texts
        elif not ending and match[2]:
            yield match[1], texts


def _loosely(text: str) -> str:
    return composed(text).casefold()


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
    # Most images of a large set are good: their place holds no mask, and their names need not be compared.
    held: dict[Place, bool] = {}
    here = {place for place, _ in at}
    for image in images:
        if number >= len(image.places):
            continue
        place = image.places[number]
        if place not in held:
            held[place] = _folded(place, fold) in here
        if held[place]:
            wanted = (_folded(place, fold), fold(image.key + ending))
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
        yield PairingError.about(
            image_paths,
            f"the image {image_paths[0]} has several masks: {', '.join(mask_paths)}",
            where=root / mask_paths[0],
            hint="keep one of them",
        )
    if len(image_paths) > 1:
        yield PairingError.about(
            image_paths,
            f"the mask fits several images: {', '.join(image_paths[:5])}",
            where=root / mask_paths[0],
            hint="rename the images and give each its own mask "
            "(in the MVTec layout, ground_truth/train/CLASS and ground_truth/test/CLASS keep them apart)",
        )


def _folded(place: Place, fold: Callable[[str], str]) -> Place:
    return tuple(None if part is None else fold(part) for part in place)
