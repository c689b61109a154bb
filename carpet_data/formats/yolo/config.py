"""What a YOLO data set says of itself: in data.yaml, in Darknet's obj.data, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from carpet_data.dataset import Side
from carpet_data.errors import DataError
from carpet_data.formats.annotated import inside
from carpet_data.formats.folders import side_of
from carpet_data.formats.yolo import darknet, data_yaml
from carpet_data.formats.yolo.class_names import names_in


@dataclass(frozen=True, slots=True)
class Config:
    """Where images are, and what classes are called.

    Attributes:
        root: The folder that all paths are relative to.
        path: The data.yaml or obj.data; None without one.
        names: Class number -> name; None if no file says.
        places: (side, folder or list of images relative to the root); empty if no file says.
        classes: The number of classes that is stated; None where none is.
        key_points: How many key points a line has, and numbers each of them; None if the labels are outlines.
        notes: What one should know of it.
    """

    root: Path
    path: Path | None = None
    names: Mapping[int, str] | None = None
    places: tuple[tuple[Side | None, str], ...] = ()
    classes: int | None = None
    key_points: tuple[int, int] | None = None
    documents: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self.path.name if self.path is not None else "the list of images"


def read_config(root: Path) -> Config:
    """The configuration of a folder, or of the YAML or obj.data file that stands for it.

    Raises:
        DataError: The file is not YAML (with line and column), or its content is invalid.
    """
    if not root.exists():
        raise DataError("no such file or folder", where=root, hint="check the path")
    if root.is_file():
        return _of_darknet(root) if root.suffix.lower() == darknet.SUFFIX else _of_yaml(root, ())
    found, notes = data_yaml.find(root)
    if found is not None:
        return _of_yaml(found, notes)
    data = sorted(path for path in root.iterdir() if path.suffix.lower() == darknet.SUFFIX and path.is_file())
    if len(data) > 1:
        names = ", ".join(path.name for path in data)
        raise DataError(f"several .data files: {names}", where=root, hint="name the one to read")
    return _of_darknet(data[0]) if data else Config(root)


def _of_yaml(path: Path, notes: tuple[str, ...]) -> Config:
    document = data_yaml.load(path)
    root = data_yaml.base(document, path)
    names = data_yaml.names(document, path)
    classes = data_yaml.number_of_classes(document, path)
    documents = [inside(root, str(path.resolve()))]
    if isinstance(document.get("names"), str):
        documents.append(inside(root, str((path.parent / document["names"]).resolve())))
    if names is not None and classes is not None and classes != len(names):
        notes = (*notes, f"{path.name} says nc: {classes}, but `names` holds {len(names)}; `names` is used")
    return Config(
        root,
        path,
        names,
        data_yaml.places(document, root, path),
        classes,
        data_yaml.key_points(document, path),
        tuple(each for each in documents if each is not None),
        notes,
    )


def _of_darknet(path: Path) -> Config:
    root = path.parent
    settings = darknet.settings_in(path)
    documents = [path.name]
    names = None
    if settings.get("names"):
        place = _named(root, path, "names", settings["names"])
        names = names_in(root / place)
        documents.append(place)
    places: dict[str, Side | None] = {}
    for key, value in settings.items():
        if value and key in darknet.SIDE_KEYS:
            # Darknet's `valid` may name the list of `train` again, when there is no other.
            places.setdefault(_named(root, path, key, value), side_of(key))
    classes = int(settings["classes"]) if settings.get("classes", "").isdecimal() else None
    return Config(
        root, path, names, tuple((side, place) for place, side in places.items()), classes, documents=tuple(documents)
    )


def _named(root: Path, path: Path, key: str, text: str) -> str:
    place = darknet.found(root, text, root)
    if place is None:
        near = darknet.trailing(root, text)
        raise DataError(
            f"`{key}` names {text!r}, which does not exist",
            where=path,
            hint=f"write {near}" if near else "correct the entry, or restore the file",
        )
    return place
