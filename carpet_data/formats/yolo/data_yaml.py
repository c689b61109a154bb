"""The data.yaml of Ultralytics, as Roboflow, CVAT and people write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from carpet_data.dataset import Side
from carpet_data.errors import DataError
from carpet_data.formats.annotated import inside, is_text
from carpet_data.formats.folders import side_of
from carpet_data.formats.yolo import safe_yaml
from carpet_data.formats.yolo.class_names import names_in
from carpet_data.formats.yolo.darknet import trailing
from carpet_data.formats.yolo.text import exists, text_of

_USUAL_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NAMES_HINT = "write names: as a list, or as number: name"
_ALL = "all"
_SIDE_KEYS = ("train", "val", "valid", "validation", "test")
_KEYS = frozenset({"names", "nc"})


def find(root: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The YAML file of a folder that describes its data, and notes on others that do.

    Raises:
        DataError: Several do, and none of them has a usual name.
    """
    found = {
        path.name.lower(): path
        for path in sorted(root.iterdir())
        if path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith(".") and path.is_file()
    }
    if len(found) < 2:
        return next(iter(found.values()), None), ()
    described = {name: document for name, path in found.items() if (document := _glance(path)) is not None}
    usual = next((name for name in _USUAL_NAMES if name in found), None)
    chosen = usual or (next(iter(described)) if len(described) == 1 else None)
    if chosen is None:
        raise DataError(
            f"several YAML files: {', '.join(path.name for path in found.values())}",
            where=root,
            hint="name the one to read",
        )
    # Settings of a training lie beside it too; only another that names classes says something else.
    others = [name for name in described if name != chosen and described[name] != described.get(chosen)]
    notes = [f"{found[name].name} describes the data otherwise; {found[chosen].name} is used" for name in others]
    return found[chosen], tuple(notes)


def _glance(path: Path) -> dict[str, Any] | None:
    """What a YAML file says of classes and sides; None where it says nothing of classes, or cannot be read."""
    try:
        document = load(path)
    except DataError:
        return None  # the file that is chosen is loaded again, and then says what is wrong
    known = {key: value for key, value in document.items() if key in _KEYS or key in _SIDE_KEYS}
    return known if not _KEYS.isdisjoint(known) else None


def load(path: Path) -> dict[str, Any]:
    """The content of the file.

    Raises:
        DataError: It is not UTF-8, not YAML (with line and column), or no mapping.
    """
    try:
        document = safe_yaml.load(text_of(path))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise DataError(f"it is not YAML ({error.problem}{place})", where=path, hint="correct the file") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"it is not YAML ({error})", where=path, hint="correct the file") from error
    if not isinstance(document, dict):
        raise DataError(
            "it is YAML, but not a YOLO data.yaml: the top level is not a mapping", where=path, hint=_NAMES_HINT
        )
    return document


def base(document: Mapping[str, Any], path: Path) -> Path:
    """The folder of the data: `path`, where it exists here; else the folder of the file itself."""
    stated = document.get("path")
    if stated is not None and not is_text(stated):
        raise DataError(f"`path` is {stated!r}, not a folder", where=path, hint="write the folder, or leave it out")
    # Files are moved between machines, and then `path` still names the old one.
    folder = path.parent / stated if stated else path.parent
    return folder if exists(folder) and folder.is_dir() else path.parent


def names(document: Mapping[str, Any], path: Path) -> dict[int, str] | None:
    """Class number -> name; None where the file does not say.

    Raises:
        DataError: They are neither a list, a mapping, nor a file that lists them; or two classes have one name.
    """
    stated = document.get("names")
    if stated is None:
        return None
    if is_text(stated) and exists(path.parent / stated):
        return names_in(path.parent / stated)
    pairs = list(stated.items()) if isinstance(stated, dict) else None
    if isinstance(stated, list):
        pairs = list(enumerate(stated))
    if pairs is None:
        raise DataError("`names` is neither a list nor a mapping", where=path, hint=_NAMES_HINT)
    found: dict[int, str] = {}
    for key, name in pairs:
        number = int(key) if isinstance(key, str) and key.isascii() and key.isdigit() else key
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise DataError(f"`names` holds {key!r}, which is not a class number", where=path, hint=_NAMES_HINT)
        if isinstance(name, bool) or not isinstance(name, str | int | float) or not is_text(str(name)):
            # YAML reads an unquoted `no` as a truth value.
            raise DataError(
                f"class {number} is called {name!r}, which is not text", where=path, hint="put it in quotes"
            )
        if number in found or str(name) in found.values():
            raise DataError(
                f"duplicate entry {number}: {name} in `names`", where=path, hint="give each class its own name"
            )
        found[number] = str(name)
    return dict(sorted(found.items()))


def number_of_classes(document: Mapping[str, Any], path: Path) -> int | None:
    """`nc`; None where it is not stated."""
    stated = document.get("nc")
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int) or stated < 0:
        raise DataError(f"`nc` is {stated!r}, not a number of classes", where=path, hint="write the number of classes")
    return stated


def key_points(document: Mapping[str, Any], path: Path) -> tuple[int, int] | None:
    """`kpt_shape`: how many key points a line has, and how many numbers each; None where it is not stated."""
    stated = document.get("kpt_shape")
    if not stated:
        return None
    whole = isinstance(stated, list) and all(isinstance(each, int) and each > 0 for each in stated)
    if not whole or len(stated) != 2:
        raise DataError(
            f"`kpt_shape` is {stated!r}, not [key points, numbers each]",
            where=path,
            hint="remove it where the labels are outlines",
        )
    return stated[0], stated[1]


def places(document: Mapping[str, Any], base: Path, path: Path) -> tuple[tuple[Side | None, str], ...]:
    """(side, folder or list of images relative to `base`) of train, val and test.

    Raises:
        DataError: An entry is not text, does not exist, or leaves the data set.
    """
    found: dict[str, Side | None] = {}
    for key, side in _sides_in(document, base).items():
        stated = document[key]
        for text in stated if isinstance(stated, list) else [stated]:
            if not is_text(text):
                raise DataError(f"`{key}` holds {text!r}, which is not a folder", where=path, hint="write a folder")
            place = _existing(base, text, key, path)
            # YOLO demands a val entry; naming train (or all images) again is how one says that there is none.
            found.setdefault(place, None if place.rpartition("/")[2].casefold() == _ALL else side)
    return tuple((side, place) for place, side in found.items())


def _sides_in(document: Mapping[str, Any], base: Path) -> dict[str, Side]:
    """Keys that name images of a side: those of YOLO, and others of which the folder is there, such as holdout."""
    sides: dict[str, Side] = {}
    for key in sorted(filter(is_text, document), key=lambda key: key not in _SIDE_KEYS):
        side, stated = side_of(key), document[key]
        if side is not None and stated not in (None, "", []) and (key in _SIDE_KEYS or _is_there(base, stated)):
            sides[key] = side
    return sides


def _is_there(base: Path, stated: object) -> bool:
    return is_text(stated) and exists(base / stated)


def _existing(base: Path, text: str, key: str, path: Path) -> str:
    # Roboflow writes ../train/images for a folder that lies beside the file. No path can hold a NUL.
    for spelling in (text, text.removeprefix("../")) if "\0" not in text else ():
        plain = spelling.replace("\\", "/")
        place = "" if (base / plain).resolve() == base.resolve() else inside(base, plain)
        if place is not None and exists(base / place):
            return place
    near = trailing(base, text)
    hint = f"write {near}" if near else None
    plain = text.replace("\\", "/")
    # ../valid/images of Roboflow means a folder beside the file, which may be missing.
    meant = plain if exists(base / plain) else plain.removeprefix("../")
    if inside(base, meant) is None:
        raise DataError(
            f"`{key}` names {text!r}, which leaves the data set {base}",
            where=path,
            hint=hint or "write a folder inside of it",
        )
    hint = hint or "correct the entry, or remove it if there is no such side"
    raise DataError(f"`{key}` names {text!r}, which does not exist", where=path, hint=hint)
