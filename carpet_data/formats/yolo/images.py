"""Which images a YOLO data set has, and on which side each is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from carpet_data.core.text import counted
from carpet_data.dataset import Side
from carpet_data.errors import DataError
from carpet_data.formats.folders import side_of
from carpet_data.formats.glance import IMAGE_FOLDERS, MASK_FOLDERS
from carpet_data.formats.listing import is_image
from carpet_data.formats.problems import Problems
from carpet_data.formats.yolo.alike import Trouble, say_all
from carpet_data.formats.yolo.config import Config
from carpet_data.formats.yolo.darknet import found, trailing
from carpet_data.formats.yolo.text import is_label_text, text_of

IMAGES = IMAGE_FOLDERS | {"jpegimages", "imagenes", "pictures"}
"""Folders (lower case) that hold images, beside or instead of which one of labels lies; Darknet knows JPEGImages."""

LABELS = frozenset({"labels", "label", "labels_txt", "yolo_labels", "labels_yolo", "labeltxt", "txt"})
"""Folders (lower case) that hold labels."""

_ALL = "all"
_MOST_MISSING = 10


def sides_of_images(config: Config, files: tuple[str, ...], problems: Problems) -> dict[str, Side | None]:
    """image -> side, for the images that the configuration names, or for all where it names none.

    Problems: images on two sides, images on none while others are, and lists that name images which are not there.

    Raises:
        DataError: A list of images cannot be read.
    """
    if not config.places:
        return _by_folders(config, files, problems)
    sides: dict[str, Side | None] = {}
    twice: list[Trouble] = []
    known: set[frozenset[str]] = set()
    for side, place in config.places:
        path = config.root / place
        images = list(_listed(path, config, problems) if path.is_file() else _below(place, files))
        # YOLO demands a val entry; a copy of the list of train says that there is none.
        if frozenset(images) in known:
            continue
        known.add(frozenset(images))
        for image in images:
            other = sides.setdefault(image, side)
            if other != side:
                twice.append(_on_two_sides(config.root / image, other, side, "list each image once"))
    say_all(problems, twice)
    return sides


def _on_two_sides(image: Path, one: Side | None, other: Side | None, hint: str) -> Trouble:
    return Trouble(image, image, f"the image is on two sides: {one} and {other}", hint)


def lists_beside(root: Path, files: tuple[str, ...]) -> tuple[tuple[Side | None, str], ...]:
    """train.txt, val.txt and test.txt in the root, where these list images: Darknet's way, without its obj.data.

    Nothing where folders say the sides.
    """
    if any(side_of(folder) is not None for path in files if is_image(path) for folder in _folders(path)):
        return ()
    names = [path for path in files if "/" not in path and path.casefold().endswith(".txt")]
    sides = {path: side_of(PurePosixPath(path).stem) for path in names}
    return tuple((side, path) for path, side in sides.items() if side is not None and _lists_images(root / path))


def _lists_images(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4096)
    lines = [line.strip() for line in start.decode("utf-8", "replace").splitlines() if line.strip()]
    return bool(lines) and is_image(lines[0]) and not is_label_text(start)


def _below(place: str, files: Iterable[str]) -> Iterator[str]:
    prefix = f"{place}/" if place else ""
    return (path for path in files if path.startswith(prefix) and is_image(path))


def _by_folders(config: Config, files: tuple[str, ...], problems: Problems) -> dict[str, Side | None]:
    """All images below folders called images, or all but masks where there is none; the folders above say the side."""
    images = [path for path in files if is_image(path) and not in_mask_folder(path)]
    inner = [path for path in images if not IMAGES.isdisjoint(_folders(path))]
    sides: dict[str, Side | None] = {}
    twice: list[Trouble] = []
    for path in inner or images:
        said = dict.fromkeys(side for folder in _folders(path) if (side := side_of(folder)) is not None)
        if len(said) > 1:
            one, other, *_ = said
            hint = "move it, so that one folder above it is called train, val or test"
            twice.append(_on_two_sides(config.root / path, one, other, hint))
        sides[path] = next(iter(said), None)
    say_all(problems, twice)
    _check_sideless(config.root, sides, problems)
    return sides


def in_mask_folder(path: str) -> bool:
    """Whether a folder above is called masks."""
    return not MASK_FOLDERS.isdisjoint(_folders(path))


def _folders(path: str) -> list[str]:
    return path.casefold().split("/")[:-1]


def _check_sideless(root: Path, sides: Mapping[str, Side | None], problems: Problems) -> None:
    if all(side is None for side in sides.values()):
        return
    left: defaultdict[str, int] = defaultdict(int)
    for path, side in sides.items():
        if side is None and _ALL not in _folders(path):
            left[path.rpartition("/")[0] or "."] += 1
    for folder, count in left.items():
        problems.say(
            f"{counted(count, 'image')} here {'is' if count == 1 else 'are'} on no side, while others are",
            root / folder,
            "call the folder train, val or test, or name the folders in data.yaml",
        )


def _listed(path: Path, config: Config, problems: Problems) -> list[str]:
    """The images that a text file lists, a path a line, relative to it or to the root."""
    root = config.root
    images: dict[str, None] = {}
    missing: list[tuple[int, str]] = []
    lines = 0
    try:
        text = text_of(path)
    except DataError as error:
        raise DataError(f"the list of images cannot be used: {error.what}", where=path, hint=error.hint) from error
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.strip()
        if not name:
            continue
        lines += 1
        place = found(root, name, path.parent)
        if place is None or not is_image(place):
            missing.append((number, name))
        else:
            images[place] = None
    _say_missing(path, root, missing, lines, problems)
    return list(images)


def _say_missing(path: Path, root: Path, missing: list[tuple[int, str]], lines: int, problems: Problems) -> None:
    """One problem for each line, or one for all lines where they have the same cause."""
    if len(missing) > _MOST_MISSING or (len(missing) > 1 and len(missing) == lines):
        number, name = missing[0]
        where = f"{path} (line {number})"
        problems.say(
            f"{len(missing)} of the {lines} images that it lists were not found, such as {name!r}",
            where,
            _missing_hint(root, name),
        )
        return
    for number, name in missing:
        problems.say(f"the image {name!r} was not found", f"{path} (line {number})", _missing_hint(root, name))


def _missing_hint(root: Path, name: str) -> str:
    near = trailing(root, name)
    if near is not None and is_image(near):
        return f"write paths relative to this file, such as {near}"
    return "put the image there, or export again with the images"
