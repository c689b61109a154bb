"""Where the images of a COCO file lie: the one place that the reader, `check` and `browse` ask."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from urllib.parse import unquote

from carpet_data.errors import DataError
from carpet_data.formats.annotated import Fault, inside, is_text
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.folders import side_of
from carpet_data.formats.glance import IMAGE_FOLDERS, Folder
from carpet_data.formats.listing import composed, is_image, walk

__all__ = ["Places", "Surroundings", "root_of"]

_INSTANCES, _ANNOTATIONS, _IMAGES = "instances", "annotations", "images"
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
_IMAGE_FOLDERS = IMAGE_FOLDERS | {"data", "jpegimages"}  # FiftyOne writes data/ beside labels.json
_MOST_NAMED = 3
_LONGEST_SHOWN = 255


def root_of(document: CocoDocument) -> Path:
    """The folder that one JSON file stands for: its own, or the one above where that is where its images are."""
    folder = document.path.parent
    if folder.name.casefold() == _ANNOTATIONS:
        return folder.parent
    names = [name.replace("\\", "/") for image in document.images if is_text(name := image.get("file_name"))]
    here, above = (
        any(_is_file(base / place / name) for name in names[:1] for place in ("", _IMAGES))
        for base in (folder, folder.parent)
    )
    return folder if here or not above else folder.parent


class Surroundings:
    """The folders and images of a data set, looked at once for all of its JSON files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.whole = root.resolve()
        self._of_images: dict[Path, tuple[Path, ...]] = {}
        self._of_sides: dict[Path, tuple[Path, ...]] = {}

    def image_folders(self, base: Path) -> tuple[Path, ...]:
        """The folders called `images` or alike, in any case, in this one."""
        if base not in self._of_images:
            folders = Folder(base).folders.items()
            self._of_images[base] = tuple(path for name, path in folders if name in _IMAGE_FOLDERS)
        return self._of_images[base]

    def sides(self, base: Path) -> tuple[Path, ...]:
        """The folders called train, val, test or alike in this one."""
        if base not in self._of_sides:
            self._of_sides[base] = tuple(Folder(base).sides)
        return self._of_sides[base]

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """Image file name, and its stem -> paths, whatever the case; only looked for once an image is missing."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        try:
            listing = walk(self.root)
        except DataError:
            return {}  # a hint less; that the folder cannot be listed is said by those who read it
        for path in filter(is_image, listing.files):
            name = _folded(path.rpartition("/")[2])
            found[name].append(path)
            found[PurePosixPath(name).stem].append(path)
        return found


class Places:
    """The folders in which images of one JSON file may lie; the one that held the last is tried first."""

    def __init__(self, document: CocoDocument, around: Surroundings) -> None:
        self.root = around.root
        self._around = around
        folder = document.path.parent.resolve()
        rest = document.path.stem.removeprefix(_INSTANCES).lstrip("_-")
        named = [folder.parent / _IMAGES / rest, folder.parent / rest] if rest else []
        whole = around.whole
        plain = (folder.parent / _IMAGES, *named, folder / _IMAGES, folder, folder.parent, whole / _IMAGES, whole)
        within = [each for each in (folder.parent, folder, whole) if each.is_relative_to(whole)]
        places = (*plain, *_alike(within, rest, around))
        relative = (inside(whole, str(place)) if place != whole else "" for place in places)
        self._places = list(dict.fromkeys(place for place in relative if place is not None))

    def find(self, name: str) -> str | Fault:
        """The image's path relative to the root, or why there is none."""
        # Tools on Windows write backslashes, and file systems spell accents in two ways.
        forward = name.replace("\\", "/")
        for spelling in dict.fromkeys((name, forward, normalize("NFC", forward), normalize("NFD", forward))):
            for place in self._places:
                path = inside(self.root, str(PurePosixPath(place) / spelling))
                if path is not None and _is_file(self.root / path):
                    self._places.remove(place)
                    self._places.insert(0, place)
                    return path
        return self._lost(name)

    def _lost(self, name: str) -> Fault:
        near = self._near(name)
        if _URL.match(name):
            hint = near or "download the image into the data set, and write its path there"
            return Fault(f"the image is named by an address, {_shown(name)}, and nothing is downloaded", hint)
        tried = name.replace("\\", "/")
        away = all(inside(self.root, str(PurePosixPath(place) / tried)) is None for place in self._places)
        if away or ":" in tried[:3]:
            return Fault(
                f"the path {_shown(name)} leaves the data set", near or "write a path relative to the images' folder"
            )
        places = ", ".join(place or "." for place in self._places)
        return Fault(f"the image {_shown(name)} was not found (looked in {places})", near or "put the image there")

    def _near(self, name: str) -> str:
        """A hint that names the files of the data set that are called so, in whatever folder; empty without any."""
        bases = [_folded(base) for base in _base_names(name)]
        # Images that were converted after the export have another suffix, some exports have none.
        wanted = (*bases, *(PurePosixPath(base).stem for base in bases))
        found = next(filter(None, (self._around.by_name.get(each) for each in wanted)), None)
        if found is None:
            return ""
        shown = ", ".join(found[:_MOST_NAMED]) + (", …" if len(found) > _MOST_NAMED else "")
        return f"correct file_name: the data set has {shown}"


def _is_file(path: Path) -> bool:
    """Whether a file is there; also where no file could have that name: a NUL in it, or too long."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _base_names(name: str) -> Iterator[str]:
    """What the file may be called: the end of the path, without what addresses and Label Studio's uploads add to it."""
    base = name.replace("\\", "/").rpartition("/")[2]
    yield base
    plain = unquote(name.partition("?")[0].replace("\\", "/").rpartition("/")[2])
    yield plain
    yield _UPLOADED.sub("", plain)


def _alike(folders: Iterable[Path], rest: str, around: Surroundings) -> Iterator[Path]:
    """Folders for images with other names: `Images`, `imgs`; for a file of one side also those of that side."""
    side = next((side for word in _WORD.findall(rest) if (side := side_of(word)) is not None), None)
    for base in dict.fromkeys(folders):
        images = around.image_folders(base)
        yield from images
        if side is not None:
            yield from (path for place in (*images, base) for path in around.sides(place) if side_of(path.name) == side)


def _shown(name: str) -> str:
    """A name for a message, cut where it is longer than any path."""
    return repr(name) if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]!r}…"


def _folded(name: str) -> str:
    return composed(name).casefold()
