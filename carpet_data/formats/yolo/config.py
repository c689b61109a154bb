"""The layout of a YOLO data set: its data.yaml, or its folders where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from carpet_data.dataset import Side
from carpet_data.errors import DataError
from carpet_data.formats.annotated import inside, is_text
from carpet_data.formats.folders import SIDE_FOLDERS

CLASSES = "classes.txt"

_USUAL_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NAMES_HINT = "write names: as a list, or as number: name"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Config:
    """Where images are, and what classes are called.

    Attributes:
        path: The data.yaml; None without one.
        names: Class number -> name; None where nothing says.
        places: (side, folder or list of images relative to the root).
    """

    root: Path
    path: Path | None
    names: Mapping[int, str] | None
    places: tuple[tuple[Side | None, str], ...]


def read_config(root: Path) -> Config:
    """The configuration of a folder, or of the YAML file that stands for it.

    Raises:
        DataError: The file is not YAML (with line and column), or its content is invalid.
    """
    if not root.exists():
        raise DataError("no such file or folder", where=root, hint="check the path")
    path = root if root.is_file() else _yaml_of(root)
    if path is None:
        return Config(root, None, _classes(root), _usual_places(root))
    document = _load(path)
    base = _base(document, path)
    names = _names(document, path)
    places = _places(document, base, path) or _usual_places(base)
    return Config(base, path, names if names is not None else _classes(base), places)


def _yaml_of(root: Path) -> Path | None:
    found = {
        path.name.lower(): path
        for path in sorted(root.iterdir())
        if path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith(".") and path.is_file()
    }
    usual = next((found[name] for name in _USUAL_NAMES if name in found), None)
    if usual is not None or len(found) < 2:
        return usual or next(iter(found.values()), None)
    raise DataError(
        f"several YAML files: {', '.join(path.name for path in found.values())}",
        where=root,
        hint="name the one to read",
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise DataError(f"it is not YAML ({error.problem}{place})", where=path, hint="fix the file") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DataError(f"it is not YAML ({error})", where=path, hint="fix the file") from error
    except OSError as error:
        raise DataError(f"it cannot be read ({error.strerror})", where=path, hint="check its permissions") from error
    if not isinstance(document, dict):
        raise DataError(
            "it is YAML, but not a YOLO data.yaml: the top level is not a mapping", where=path, hint=_NAMES_HINT
        )
    return document


def _base(document: Mapping[str, Any], path: Path) -> Path:
    """The folder of the data: `path`, where it exists here; else the folder of the file itself."""
    stated = document.get("path")
    if stated is not None and not is_text(stated):
        raise DataError(f"`path` is {stated!r}, not a folder", where=path, hint="write the folder, or leave it out")
    # Files are moved between machines, and then `path` still names the old one.
    return path.parent / stated if stated and (path.parent / stated).is_dir() else path.parent


def _names(document: Mapping[str, Any], path: Path) -> dict[int, str] | None:
    stated = document.get("names")
    if stated is None:
        return None
    pairs = list(stated.items()) if isinstance(stated, dict) else None
    if isinstance(stated, list):
        pairs = list(enumerate(stated))
    if pairs is None:
        raise DataError("`names` is neither a list nor a mapping", where=path, hint=_NAMES_HINT)
    names: dict[int, str] = {}
    for key, name in pairs:
        number = int(key) if isinstance(key, str) and key.isascii() and key.isdigit() else key
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise DataError(f"`names` holds {key!r}, which is not a class number", where=path, hint=_NAMES_HINT)
        if isinstance(name, bool) or not isinstance(name, str | int | float) or not is_text(str(name)):
            # YAML reads an unquoted `no` as a truth value.
            raise DataError(
                f"class {number} is called {name!r}, which is not text", where=path, hint="put it in quotes"
            )
        if number in names or str(name) in names.values():
            raise DataError(
                f"duplicate entry {number}: {name} in `names`", where=path, hint="give each class its own name"
            )
        names[number] = str(name)
    return dict(sorted(names.items()))


def _classes(root: Path) -> dict[int, str] | None:
    """The names in classes.txt, one per line, as labeling tools write it."""
    for path in (root / CLASSES, root / "labels" / CLASSES):
        if path.is_file():
            try:
                lines = path.read_text(encoding="utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise DataError("it is not UTF-8 text", where=path, hint="save it as UTF-8") from error
            names = [line.strip() for line in lines if line.strip()]
            if len(set(names)) < len(names):
                raise DataError("a class is listed twice", where=path, hint="give each class its own name")
            return dict(enumerate(names))
    return None


def _places(document: Mapping[str, Any], base: Path, path: Path) -> tuple[tuple[Side | None, str], ...]:
    places: dict[str, Side | None] = {}
    for key, side in SIDE_FOLDERS.items():
        stated = document.get(key)
        if stated is None or stated == "":
            continue
        for text in stated if isinstance(stated, list) else [stated]:
            if not is_text(text):
                raise DataError(f"`{key}` holds {text!r}, which is not a folder", where=path, hint="write a folder")
            place = _existing(base, text, key, path)
            # YOLO demands a val entry; naming train (or all images) again is how one says that there is none.
            places.setdefault(place, None if place.rpartition("/")[2].casefold() == _ALL else side)
    return tuple((side, place) for place, side in places.items())


def _existing(base: Path, text: str, key: str, path: Path) -> str:
    # Roboflow writes ../train/images for a folder that lies beside the file. No path can hold a NUL.
    for spelling in (text, text.removeprefix("../")) if "\0" not in text else ():
        place = "" if (base / spelling).resolve() == base.resolve() else inside(base, spelling.replace("\\", "/"))
        if place is not None and (base / place).exists():
            return place
    plain = text.replace("\\", "/")
    if inside(base, plain) is None:
        raise DataError(
            f"`{key}` names {text!r}, which leaves the data set {base}", where=path, hint="write a folder inside of it"
        )
    raise DataError(f"`{key}` names {text!r}, which does not exist", where=path, hint="fix the entry")


def _usual_places(root: Path) -> tuple[tuple[Side | None, str], ...]:
    """images/SIDE, SIDE/images, or images/."""
    places: list[tuple[Side | None, str]] = []
    for folder, side in SIDE_FOLDERS.items():
        places += [(side, place) for place in (f"images/{folder}", f"{folder}/images") if (root / place).is_dir()]
    if not places and (root / "images").is_dir():
        places = [(None, "images")]
    if not places:
        raise DataError(
            "no data.yaml and no folder images/",
            where=root,
            hint="name the folder that holds images/ and labels/",
        )
    return tuple(places)
