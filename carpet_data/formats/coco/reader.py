"""COCO instances (Lin et al., 2014, "Microsoft COCO: Common Objects in Context").

Every annotation becomes one instance, whatever its `iscrowd`. Where several files lie together, each is a side,
recognized by its name (instances_train.json) or its folder (train/_annotations.coco.json). Nothing in a file is
believed unseen.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from carpet_data.core.images import ImageInfo
from carpet_data.dataset import GOOD, Dataset, Origin, Shape, Side
from carpet_data.errors import DataError
from carpet_data.formats import annotated
from carpet_data.formats.annotated import Picture, inside, is_text, measure, polygon_problem
from carpet_data.formats.coco import file as coco_file
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.folders import SIDE_FOLDERS, side_of
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import ReadOptions

_SIDE_IN_NAME = re.compile(r"(?:^|[^a-z])(train|validation|valid|val|test)(?![a-z])")
_INSTANCES = "instances"
_ANNOTATIONS = "annotations"


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read COCO instances; image headers are opened, masks are not decoded.

    Args:
        root: The folder, or one JSON file, which then stands for its data set.
        options: Only the connectivity is used.

    Raises:
        DataError: No COCO file is there, or one is not JSON (with line and column) or not COCO.
        ProblemsError: Entries with problems: unknown or repeated ids, missing images, paths that leave the data set,
            boxes without a mask, polygons and run-length counts that cannot be.
    """
    root = Path(root)
    files = _files(root)
    documents = [coco_file.load(path) for path in files]
    if root.is_file():
        root = _root_of(documents[0])
    problems = Problems(skip_faulty=options.skip_faulty)
    pictures: list[Picture] = []
    categories: dict[str, None] = {}
    licenses: dict[str, None] = {}
    for document in documents:
        names = _categories(document, problems)
        # Names stand in the order of their ids; a second file adds what the first did not have.
        categories.update(dict.fromkeys(names[key] for key in sorted(names) if names[key] != GOOD))
        licenses.update(dict.fromkeys(_licenses(document)))
        pictures += _pictures(document, root, names, problems)
    _check_repeated(pictures, root, problems)
    used = (inside(root, str(path.resolve())) for path in files)
    return annotated.dataset(
        pictures,
        tuple(categories),
        root=root,
        license="; ".join(licenses),
        options=options,
        problems=problems,
        format="coco",
        documents=[path for path in used if path is not None],
    )


def _files(root: Path) -> tuple[Path, ...]:
    """The JSON files; those called instances* where captions and keypoints lie beside them."""
    if root.is_dir():
        places = [path for path in sorted(root.iterdir()) if path.is_dir() and side_of(path.name) is not None]
        beside = [path for place in places for path in sorted(place.glob("*.json")) if not path.name.startswith(".")]
        try:
            found = coco_file.json_files(root)
        except DataError:
            if not beside:
                raise
            found = tuple(beside)
    else:
        found = coco_file.json_files(root)
    instances = tuple(path for path in found if path.name.startswith(_INSTANCES))
    return instances or found


def _root_of(document: CocoDocument) -> Path:
    """The folder that one JSON file stands for: its own, or the one above where that is where its images are."""
    folder = document.path.parent
    if folder.name.casefold() == _ANNOTATIONS:
        return folder.parent
    names = [name for image in document.images if is_text(name := image.get("file_name"))]
    here = any((folder / place / name).is_file() for name in names[:1] for place in ("", "images"))
    above = any((folder.parent / place / name).is_file() for name in names[:1] for place in ("", "images"))
    return folder if here or not above else folder.parent


def _side(path: Path, root: Path) -> Side | None:
    match = _SIDE_IN_NAME.search(path.stem.casefold())
    if match:
        return SIDE_FOLDERS[match[1]]
    return None if path.parent == root else side_of(path.parent.name)


def _is_id(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or is_text(value)


def _categories(document: CocoDocument, problems: Problems) -> dict[Any, str]:
    """category id -> name."""
    names: dict[Any, str] = {}
    for position, category in enumerate(document.categories):
        where = f"{document.path} (category {category.get('id', f'at position {position}')})"
        key, name = category.get("id"), category.get("name")
        if not isinstance(key, int) or isinstance(key, bool):
            problems.say("the category's id is not a whole number", where)
        elif not is_text(name):
            problems.say("the category has no name", where)
        elif key in names:
            problems.say(f"two categories have the id {key}: {names[key]} and {name}", where)
        elif name in names.values():
            problems.say(f"two categories have the name {name}", where, "give each category its own name")
        else:
            names[key] = name
    return names


def _licenses(document: CocoDocument) -> list[str]:
    return [name for entry in document.licenses if is_text(name := entry.get("name"))]


def _pictures(document: CocoDocument, root: Path, names: Mapping[Any, str], problems: Problems) -> list[Picture]:
    by_image = _annotations(document, problems)
    finder = _Finder(document, root)
    side = _side(document.path, root)
    pictures: list[Picture] = []
    seen: set[Any] = set()
    for position, image in enumerate(document.images):
        key = image.get("id")
        where = f"{document.path} (image {key if _is_id(key) else f'at position {position}'})"
        annotations = by_image.pop(key, []) if _is_id(key) else []
        if not _is_id(key):
            problems.say("the image has no id, or its id is neither a number nor text", where)
        elif key in seen:
            problems.say(f"two images have the id {key!r}", where)
        else:
            seen.add(key)
            picture = _picture(image, annotations, finder, names, side, where, problems)
            if picture is not None:
                pictures.append(picture)
    for key, annotations in by_image.items():
        hint = ""
        if (str(key) in seen) or (isinstance(key, str) and key.isdigit() and int(key) in seen):
            hint = ": one is text, the other a number"
        for annotation in annotations:
            problems.say(
                f"its image_id {key!r} is not among the images{hint}",
                f"{document.path} (annotation {annotation.get('id')})",
            )
    return pictures


def _annotations(document: CocoDocument, problems: Problems) -> dict[Any, list[dict[str, Any]]]:
    """image id -> its annotations; every annotation has an id and an image id."""
    found: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    seen: set[Any] = set()
    for position, annotation in enumerate(document.annotations):
        key, image_id = annotation.get("id"), annotation.get("image_id")
        where = f"{document.path} (annotation {key if _is_id(key) else f'at position {position}'})"
        if not _is_id(key):
            problems.say("the annotation has no id, or its id is neither a number nor text", where)
        elif key in seen:
            problems.say(f"two annotations have the id {key!r}", where)
        elif not _is_id(image_id):
            problems.say("the annotation has no image_id, or its image_id is neither a number nor text", where)
        else:
            seen.add(key)
            found[image_id].append(annotation)
    return dict(found)


def _picture(
    image: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    finder: _Finder,
    names: Mapping[Any, str],
    side: Side | None,
    where: str,
    problems: Problems,
) -> Picture | None:
    name = image.get("file_name")
    if not is_text(name):
        problems.say("the image has no file_name", where)
        return None
    path = finder.find(name, where, problems)
    info = None if path is None else measure(finder.root / path, problems)
    if path is None or info is None:
        return None
    if not _has_size(image, info, where, path, problems):
        return None
    shapes = []
    for annotation in annotations:
        label = f"annotation {annotation.get('id')}"
        shape = _shape(annotation, names, label, info.width, info.height)
        if isinstance(shape, Shape):
            shapes.append(shape)
        else:
            problems.say(shape, f"{where} ({label})")
    origin = image.get("origin")
    known: tuple[Origin, ...] = get_args(Origin)
    class_name = image.get("class_name")
    # Our own exports name the class, which tells an empty mask from a good image; annotations on `good` outweigh it.
    named = is_text(class_name) and not (class_name == GOOD and shapes)
    return Picture(
        path,
        side,
        info,
        tuple(shapes),
        class_name=str(class_name) if named else None,
        origin=next((value for value in known if value == origin), "real"),
    )


def _has_size(image: Mapping[str, Any], info: ImageInfo, where: str, path: str, problems: Problems) -> bool:
    """Whether the file has the size that the JSON states, if any."""
    stated = (image.get("width", info.width), image.get("height", info.height))
    if any(isinstance(size, bool) or not isinstance(size, int | float) for size in stated):
        problems.say(f"its width and height are {stated[0]!r} and {stated[1]!r}, not numbers", where)
        return False
    if stated != (info.width, info.height):
        turned = " once its EXIF orientation is applied" if info.orientation != 1 else ""
        problems.say(
            f"the JSON says {stated[0]}x{stated[1]} pixels, the file has {info.width}x{info.height}{turned}",
            f"{where} {path}",
            "make both the same; masks of another size would lie in the wrong place",
        )
        return False
    return True


def _shape(annotation: Mapping[str, Any], names: Mapping[Any, str], label: str, width: int, height: int) -> Shape | str:
    """The instance, or what is wrong with it."""
    category = annotation.get("category_id")
    if not _is_id(category) or category not in names:
        return f"its category_id {category!r} is not among the categories"
    name = names[category]
    if name == GOOD:
        return f"a defect cannot be of the category {GOOD!r}, the class without defects; rename the category"
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        for polygon in segmentation:
            problem = polygon_problem(polygon, width, height)
            if problem is not None:
                return problem
        polygons = tuple(tuple(float(value) for value in polygon) for polygon in segmentation)
        return Shape(name, polygons=polygons, label=label)
    if isinstance(segmentation, Mapping):
        return _run_lengths(segmentation, name, label, width, height)
    if annotation.get("bbox"):
        return "it has a box but no segmentation, and a box does not tell which pixels are defect"
    return "it has no segmentation"


def _run_lengths(segmentation: Mapping[str, Any], name: str, label: str, width: int, height: int) -> Shape | str:
    if segmentation.get("size") != [height, width]:
        return f"its run-length size is {segmentation.get('size')!r}, the image's is [{height}, {width}]"
    counts = segmentation.get("counts")
    if isinstance(counts, str) and counts:
        return Shape(name, rle=counts, label=label)
    if isinstance(counts, list) and counts:
        if all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
            if sum(counts) == width * height:
                return Shape(name, rle=tuple(counts), label=label)
            return f"its run-length counts do not fill the image of {width}x{height} pixels"
        return "its run-length counts hold something other than whole numbers"
    return "its segmentation has no run-length counts"


class _Finder:
    """Where the images of one JSON file lie; the folder that held the last one is tried first."""

    def __init__(self, document: CocoDocument, root: Path) -> None:
        self.root = root
        folder = document.path.parent.resolve()
        rest = document.path.stem.removeprefix(_INSTANCES).lstrip("_-")
        named = [folder.parent / "images" / rest, folder.parent / rest] if rest else []
        whole = root.resolve()
        places = (folder.parent / "images", *named, folder / "images", folder, folder.parent, whole / "images", whole)
        relative = (inside(whole, str(place)) if place != whole else "" for place in places)
        self._places = list(dict.fromkeys(place for place in relative if place is not None))

    def find(self, name: str, where: str, problems: Problems) -> str | None:
        """The image's path relative to the root; None, and a problem, where it is nowhere."""
        # Tools on Windows write backslashes.
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            for place in self._places:
                path = inside(self.root, str(PurePosixPath(place) / spelling))
                if path is not None and (self.root / path).is_file():
                    self._places.remove(place)
                    self._places.insert(0, place)
                    return path
        tried = name.replace("\\", "/")
        if (
            all(inside(self.root, str(PurePosixPath(place) / tried)) is None for place in self._places)
            or ":" in tried[:3]
        ):
            problems.say(f"the path {name!r} leaves the data set", where, "write a path relative to the images' folder")
        else:
            shown = ", ".join(place or "." for place in self._places)
            problems.say(f"the image {name!r} was not found (looked in {shown})", where, "put the image there")
        return None


def _check_repeated(pictures: Sequence[Picture], root: Path, problems: Problems) -> None:
    first: dict[str, Picture] = {}
    for picture in pictures:
        other = first.setdefault(picture.path, picture)
        if other is not picture:
            sides = sorted({str(side) for side in (picture.side, other.side) if side is not None})
            what = (
                f"the image is listed on two sides: {' and '.join(sides)}" if len(sides) > 1 else "it is listed twice"
            )
            problems.say(what, root / picture.path, "list each image once")
