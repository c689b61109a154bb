"""A COCO JSON file as it stands, before anything in it is believed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.errors import DataError

_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True, slots=True)
class CocoDocument:
    """The lists of one COCO file, as in the file; their entries are dicts, and nothing else about them is promised."""

    path: Path
    images: tuple[dict[str, Any], ...]
    annotations: tuple[dict[str, Any], ...]
    categories: tuple[dict[str, Any], ...]
    info: dict[str, Any]
    licenses: tuple[dict[str, Any], ...] = ()


def json_files(path: Path) -> tuple[Path, ...]:
    """The COCO files that a path means: itself, or those of its annotations folder, or those it holds.

    Raises:
        DataError: There is none.
    """
    if path.is_file():
        return (path,)
    for folder in (path / "annotations", path):
        if folder.is_dir():
            found = tuple(sorted(file for file in folder.glob("*.json") if not file.name.startswith(".")))
            if found:
                return found
    raise DataError(
        "no COCO file was found" if path.exists() else "no such file or folder",
        where=path,
        hint="name the JSON file, or the folder that holds annotations/*.json",
    )


def load(path: Path) -> CocoDocument:
    """Read a COCO file.

    Raises:
        DataError: It cannot be read, is not JSON (with line and column), or has no lists of images,
            annotations and categories.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"it cannot be read ({error.strerror})", where=path, hint="check the path") from error
    except UnicodeDecodeError as error:
        raise DataError("it is not UTF-8 text", where=path, hint="save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"it is not JSON ({error.msg}, line {error.lineno}, column {error.colno})",
            where=path,
            hint="export the file again",
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(
            "it is JSON, but not a COCO file: it is nested too deeply, or holds a number that is too long",
            where=path,
            hint="name a COCO file",
        ) from error
    if not isinstance(document, dict):
        raise DataError(
            "it is JSON, but not a COCO file: the top level is not an object", where=path, hint="name a COCO file"
        )
    for key in _LISTS:
        entries = document.get(key)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"it is JSON, but not a COCO file: {key!r} is not a list of objects", where=path)
    info = document.get("info")
    licenses = document.get("licenses")
    return CocoDocument(
        path,
        tuple(document["images"]),
        tuple(document["annotations"]),
        tuple(document["categories"]),
        info if isinstance(info, dict) else {},
        tuple(entry for entry in licenses if isinstance(entry, dict)) if isinstance(licenses, list) else (),
    )


def image_path(coco: Path, file_name: str) -> Path | None:
    """Where an image of a COCO file lies: images/ beside annotations/, or beside the JSON file; None if nowhere."""
    folder = coco.parent
    split = coco.stem.removeprefix("instances_")
    near = (folder.parent / "images", folder.parent / "images" / split, folder / "images")
    for place in (*near, folder, folder.parent, folder.parent / split):
        candidate = place / file_name
        if candidate.is_file():
            return candidate
    return None
