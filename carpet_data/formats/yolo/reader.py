"""YOLO segments as Ultralytics writes them: one text file per image, one line per instance, coordinates as fractions.

data.yaml names the classes and the folders of the sides; without it, images/{train,val,test} (or {train,valid,test}/
images) with labels/ beside are looked for. A line is a class number and a polygon; boxes are refused, since a box does
not say which pixels are defect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from carpet_data.core.images import ImageInfo
from carpet_data.dataset import GOOD, Dataset, Shape, Side
from carpet_data.errors import DataError
from carpet_data.formats import annotated
from carpet_data.formats.annotated import Picture, inside, measure, polygon_problem
from carpet_data.formats.folders import license_of
from carpet_data.formats.listing import is_image, walk
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.yolo.config import CLASSES, Config, read_config

_SLACK = 0.05
"""How far outside of 0..1 a coordinate may be; drawing tools step over the edge a little."""

_IMAGES, _LABELS = "images", "labels"


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read YOLO segments; image headers and label files are opened.

    Args:
        root: The folder, or its data.yaml.
        options: Only the connectivity is used.

    Raises:
        DataError: Folders or data.yaml are missing or damaged.
        ProblemsError: Labels with problems: boxes, invalid numbers, unknown classes, labels without an image.
    """
    config = read_config(Path(root))
    root = config.root
    listing = walk(root)
    files = frozenset(listing.files)
    problems = Problems(skip_faulty=options.skip_faulty)
    sides = _sides(config, listing.files, problems)
    pictures: list[Picture] = []
    used: set[str] = set()
    for path in sorted(sides):
        info = measure(root / path, problems)
        label = _label_of(path)
        if label in used:
            problems.say(f"the labels {label} belong to several images", root / path, "rename the images")
        used.add(label)
        if info is not None:
            shapes = tuple(_shapes(root, label, config.names, info, problems)) if label in files else ()
            pictures.append(Picture(path, sides[path], info, shapes))
    for label in sorted(_labels(listing.files, config) - used):
        problems.say("the labels have no image", root / label, "restore the image, or remove the labels")
    names = config.names if config.names is not None else _numbered(pictures)
    return annotated.dataset(
        pictures,
        [name for name in names.values() if name != GOOD],
        root=root,
        license=license_of(listing),
        options=options,
        problems=problems,
        format="yolo",
        documents=_documents(config, used, listing.files),
    )


def _documents(config: Config, used: set[str], files: Sequence[str]) -> list[str]:
    """The label files that images use, and what says the classes and the images."""
    here = set(files)
    lists = {place for _, place in config.places}
    about = {CLASSES, *lists} | (
        {inside(config.root, str(config.path.resolve()))} if config.path is not None else set()
    )
    return sorted((used | {path for path in about if path is not None}) & here)


def _sides(config: Config, files: tuple[str, ...], problems: Problems) -> dict[str, Side | None]:
    """image -> side."""
    sides: dict[str, Side | None] = {}
    for side, place in config.places:
        listed = config.root / place
        paths = _listed(listed, config, problems) if listed.is_file() else _below(place, files)
        for path in paths:
            if sides.setdefault(path, side) != side:
                problems.say(
                    f"the image is on two sides: {sides[path]} and {side}", config.root / path, "list each image once"
                )
    return sides


def _below(place: str, files: tuple[str, ...]) -> Iterator[str]:
    prefix = f"{place}/" if place else ""
    return (path for path in files if path.startswith(prefix) and is_image(path))


def _listed(path: Path, config: Config, problems: Problems) -> list[str]:
    """The images that a text file lists, a path a line, relative to it or to the root."""
    paths: dict[str, None] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the list of images cannot be read ({error})", where=path, hint="save it as UTF-8") from error
    for number, line in enumerate(lines, start=1):
        text = line.strip().replace("\\", "/")
        if not text:
            continue
        places = (inside(config.root, str(path.parent.resolve() / text)), inside(config.root, text))
        known = [place for place in places if place is not None]
        found = next((place for place in known if (config.root / place).is_file()), None)
        if not known:
            problems.say(f"{text!r} leaves the data set", f"{path} (line {number})", "list images inside of it")
        elif found is None:
            problems.say(f"the image {text!r} was not found", f"{path} (line {number})", "put the image there")
        else:
            paths[found] = None
    return list(paths)


def _label_of(image: str) -> str:
    """images/train/a.png -> labels/train/a.txt; the last folder called images counts, as for YOLO."""
    parts = image.split("/")
    for number in range(len(parts) - 2, -1, -1):
        if parts[number].casefold() == _IMAGES:
            parts[number] = _LABELS
            break
    return str(PurePosixPath(*parts).with_suffix(".txt"))


def _labels(files: tuple[str, ...], config: Config) -> set[str]:
    """Label files of the places that were read."""
    folders = {_label_of(f"{place}/x").rpartition("/")[0] for _, place in config.places}
    return {
        path
        for path in files
        if path.endswith(".txt")
        and path.rpartition("/")[2] != CLASSES
        and _LABELS in path.split("/")[:-1]
        and any(path.startswith(f"{folder}/") for folder in folders)
    }


def _shapes(
    root: Path, label: str, names: Mapping[int, str] | None, info: ImageInfo, problems: Problems
) -> Iterator[Shape]:
    path = root / label
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.say(f"the labels cannot be read ({error})", path, "save them as UTF-8 text")
        return
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if words:
            shape = _shape(words, names, info, f"line {number} of {label}")
            if isinstance(shape, Shape):
                yield shape
            else:
                problems.say(shape, f"{path} (line {number})", _hint(words))


def _hint(words: list[str]) -> str:
    if len(words) == 5:
        return "export segments instead of boxes"
    return "correct or remove the line, or export the labels again"


def _shape(words: list[str], names: Mapping[int, str] | None, info: ImageInfo, label: str) -> Shape | str:
    """The instance of a line, or what is wrong with it."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        return "the line holds something other than numbers"
    if not all(math.isfinite(value) for value in values):
        return "the line holds something other than finite numbers"
    if not values[0].is_integer() or values[0] < 0:
        return f"invalid class number {words[0]}"
    number = int(values[0])
    name = f"class_{number}" if names is None else names.get(number)
    if name is None:
        return f"class {number} has no name"
    if name == GOOD:
        return f"a defect cannot be of the class {GOOD!r}, the class without defects; rename the class"
    if len(values) == 5:
        return "this is a box, and a box does not tell which pixels are defect"
    fractions = values[1:]
    outside = [value for value in fractions if not -_SLACK <= value <= 1 + _SLACK]
    if outside:
        return f"the coordinate {outside[0]:g} is not a fraction of the image (0 to 1)"
    pixels = tuple(
        value * size for value, size in zip(fractions, [info.width, info.height] * len(fractions), strict=False)
    )
    problem = polygon_problem(pixels, info.width, info.height)
    return Shape(name, polygons=(pixels,), label=label) if problem is None else problem


def _numbered(pictures: list[Picture]) -> dict[int, str]:
    """Classes that only have numbers, in the order of these."""
    names = {shape.class_name for picture in pictures for shape in picture.shapes}
    return {int(name.rpartition("_")[2]): name for name in sorted(names, key=lambda name: int(name.rpartition("_")[2]))}
