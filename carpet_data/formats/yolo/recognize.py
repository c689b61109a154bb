"""Whether a folder is a YOLO data set, by a few of its names and the first lines of a few files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from carpet_data.formats.folders import GROUND_TRUTH, side_of
from carpet_data.formats.glance import Folder
from carpet_data.formats.listing import is_image
from carpet_data.formats.yolo.class_names import is_class_list
from carpet_data.formats.yolo.images import IMAGES, LABELS
from carpet_data.formats.yolo.text import holds_labels

_SNIFFED_BYTES = 1 << 16
_MOST_NAMES = 2000
_MOST_SNIFFED = 5
_MOST_FOLDERS = 50


class _Place(Folder):
    """A folder of which the first names are looked at once."""

    @cached_property
    def names(self) -> list[str]:
        return [entry.name for entry in islice(self.entries(), _MOST_NAMES)]

    @cached_property
    def texts(self) -> list[Path]:
        """Text files that list no classes."""
        found = (self.path / name for name in self.names if name.lower().endswith(".txt"))
        return [path for path in found if not is_class_list(path)]

    @cached_property
    def places(self) -> list[_Place]:
        """The folders in it, a bounded number."""
        return [_Place(path) for path in islice(self.folders.values(), _MOST_FOLDERS)]

    @property
    def is_usual(self) -> bool:
        """Whether images are usually in a folder of this name."""
        name = self.path.name.casefold()
        return name in IMAGES or side_of(name) is not None or name.startswith("obj_")

    @property
    def is_for_labels(self) -> bool:
        """Whether a folder of this name holds labels."""
        return self.path.name.casefold() in LABELS


def looks_like(folder: Folder) -> bool:
    """Whether data.yaml or obj.data names classes, or labels lie in a folder beside the images or beside each image.

    Ground truth beside sides is MVTec's.
    """
    if GROUND_TRUTH in folder.folders and folder.sides:
        return False
    if _names_classes(folder):
        return True
    root = _Place(folder.path)
    usual = list(_usual_places(root))
    if any(map(_has_label_folder, usual)) or any(map(_has_labels_beside, usual)):
        return True
    # Other folders count only if they are not data sets of their own.
    others = [place for place in root.places if not _describes_itself(place)]
    return any(map(_has_labels_beside, others)) or _has_labels_apart([root, *others], root.places)


def _usual_places(root: _Place) -> Iterator[_Place]:
    """The folder, and those in it where images usually lie."""
    yield root
    for inner in root.places:
        if inner.is_usual:
            yield inner
            yield from (place for place in inner.places if place.is_usual)


def _names_classes(folder: Folder) -> bool:
    """Whether a file of it names the classes of a data set; all names are looked at."""
    for path in folder.files(".yaml", ".yml"):
        if any(line.startswith((b"names:", b"names :", b"nc:", b"nc :")) for line in _start(path).splitlines()):
            return True
    lists = any(path.name.lower() in ("train.txt", "valid.txt", "test.txt") for path in folder.files(".txt"))
    if lists and next(folder.files(".names"), None) is not None:
        return True
    return any(b"names" in _start(path) and b"train" in _start(path) for path in folder.files(".data"))


def _describes_itself(place: _Place) -> bool:
    """Whether a folder looks like a data set of its own: it lists classes, beside whatever it holds."""
    found = [name for name in place.names if name.lower().endswith((".yaml", ".yml", ".txt", ".names", ".labels"))]
    return bool(found) and (_names_classes(place) or any(is_class_list(place.path / name) for name in found))


def _has_label_folder(place: _Place) -> bool:
    """Whether a folder of labels lies beside one of images, or beside images."""
    labels = [inner for inner in place.places if inner.is_for_labels]
    first = [path for each in labels for inner in (each, *each.places) for path in inner.texts[:_MOST_SNIFFED]]
    if not first:
        return False
    if "labels" in place.folders and not IMAGES.isdisjoint(place.folders):
        return True
    # Other data sets have folders of this name too (DAGM keeps masks in Label/), so the files must be labels.
    beside = bool(place.sides) or not IMAGES.isdisjoint(place.folders) or any(map(is_image, place.names))
    return beside and any(map(holds_labels, first[:_MOST_SNIFFED]))


def _has_labels_beside(place: _Place) -> bool:
    """Whether labels lie beside images, with the names of these."""
    return bool(place.texts) and _are_labels(place.texts, place)


def _has_labels_apart(of_images: list[_Place], of_labels: list[_Place]) -> bool:
    """Whether images lie in one folder, and labels with their names in one of another name."""
    with_texts = [place for place in of_labels if place.texts]
    return any(_are_labels(place.texts, images) for place in with_texts for images in of_images)


def _are_labels(texts: list[Path], images: _Place) -> bool:
    stems = {PurePosixPath(name).stem for name in images.names if is_image(name)}
    return any(map(holds_labels, [path for path in texts if path.stem in stems][:_MOST_SNIFFED]))


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SNIFFED_BYTES)
