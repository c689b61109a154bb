"""Whether a folder is a YOLO data set, by a few of its names and the first lines of a few files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from carpet_data.formats.folders import GROUND_TRUTH, side_of
from carpet_data.formats.glance import Folder
from carpet_data.formats.listing import is_image
from carpet_data.formats.yolo.class_names import is_class_list
from carpet_data.formats.yolo.images import IMAGES, LABELS
from carpet_data.formats.yolo.text import holds_labels

_SNIFFED_BYTES = 1 << 16
_MOST_NAMES = 5000
_MOST_SNIFFED = 5
_MOST_FOLDERS = 50


def looks_like(folder: Folder) -> bool:
    """Whether data.yaml or obj.data names classes, or labels lie in a folder beside the images or beside each image.

    Ground truth beside sides is MVTec's.
    """
    if GROUND_TRUTH in folder.folders and folder.sides:
        return False
    if _names_classes(folder):
        return True
    usual = list(_usual_places(folder))
    if any(map(_has_label_folder, usual)) or any(map(_has_labels_beside, usual)):
        return True
    # Of other folders only those that are no data sets of their own.
    others = [each for each in _folders(folder) if not _describes_itself(each)]
    return any(map(_has_labels_beside, others)) or _has_labels_apart([folder, *others], _folders(folder))


def _usual_places(folder: Folder) -> Iterator[Folder]:
    """The folder, and those in it where images usually lie."""
    yield folder
    for inner in _folders(folder):
        if _is_usual(inner.path.name.casefold()):
            yield inner
            yield from (each for each in _folders(inner) if _is_usual(each.path.name.casefold()))


def _is_usual(name: str) -> bool:
    return name in IMAGES or side_of(name) is not None or name.startswith("obj_")


def _folders(folder: Folder) -> list[Folder]:
    return [Folder(path) for path in islice(folder.folders.values(), _MOST_FOLDERS)]


def _describes_itself(folder: Folder) -> bool:
    names = islice(folder.entries(), _MOST_NAMES)
    return _names_classes(folder) or any(is_class_list(folder.path / each.name) for each in names if each.is_file())


def _has_labels_apart(of_images: list[Folder], of_labels: list[Folder]) -> bool:
    """Whether images lie in one folder, and labels with their names in one of another name."""
    for labels in of_labels:
        texts = [path for path in islice(_texts(labels), _MOST_SNIFFED) if holds_labels(path)]
        for images in of_images if texts else ():
            names = {
                PurePosixPath(each.name).stem for each in islice(images.entries(), _MOST_NAMES) if is_image(each.name)
            }
            if any(path.stem in names for path in texts):
                return True
    return False


def _names_classes(folder: Folder) -> bool:
    for path in folder.files(".yaml", ".yml"):
        if any(line.startswith((b"names:", b"names :", b"nc:", b"nc :")) for line in _start(path).splitlines()):
            return True
    lists = any(path.name.lower() in ("train.txt", "valid.txt", "test.txt") for path in folder.files(".txt"))
    if lists and next(folder.files(".names"), None) is not None:
        return True
    return any(b"names" in _start(path) and b"train" in _start(path) for path in folder.files(".data"))


def _has_label_folder(folder: Folder) -> bool:
    """Whether a folder of labels lies beside one of images, or beside images."""
    labels = [Folder(path) for name, path in folder.folders.items() if name in LABELS]
    texts = (path for each in labels for place in (each, *map(Folder, each.folders.values())) for path in _texts(place))
    first = list(islice(texts, _MOST_SNIFFED))
    if not first:
        return False
    if "labels" in folder.folders and not IMAGES.isdisjoint(folder.folders):
        return True
    # Other data sets have folders of this name too (DAGM keeps masks in Label/), so the files must be labels.
    beside = bool(folder.sides) or not IMAGES.isdisjoint(folder.folders) or folder.holds_image()
    return beside and any(map(holds_labels, first))


def _has_labels_beside(folder: Folder) -> bool:
    """Whether labels lie beside images, with the names of these."""
    names = [entry.name for entry in islice(folder.entries(), _MOST_NAMES)]
    texts = {PurePosixPath(name).stem: name for name in names if name.lower().endswith(".txt")}
    both = [texts[stem] for name in names if is_image(name) and (stem := PurePosixPath(name).stem) in texts]
    return any(holds_labels(folder.path / name) for name in both[:_MOST_SNIFFED])


def _texts(folder: Folder) -> Iterator[Path]:
    return (path for path in folder.files(".txt") if not is_class_list(path))


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SNIFFED_BYTES)
