"""A COCO JSON file as it stands, before anything in it is believed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from carpet_data.core.files import regular
from carpet_data.errors import DataError
from carpet_data.formats.coco.ids import Id, id_of

__all__ = ["CocoDocument", "NotCocoError", "load", "no_file"]

_LISTS = ("images", "annotations", "categories")
_NOT_COCO = "it is JSON, but not a COCO file"


@dataclass(frozen=True, slots=True)
class CocoDocument:
    """The lists of one COCO file, as in the file; their entries are dicts, and nothing else about them is promised."""

    path: Path
    images: tuple[dict[str, Any], ...]
    annotations: tuple[dict[str, Any], ...]
    categories: tuple[dict[str, Any], ...]
    info: dict[str, Any]
    licenses: tuple[dict[str, Any], ...] = ()

    def ids(self, kind: Literal["images", "annotations", "categories"]) -> frozenset[Id]:
        """The sound ids of one list."""
        entries: tuple[dict[str, Any], ...] = getattr(self, kind)
        return frozenset(key for entry in entries if (key := id_of(entry.get("id"))) is not None)


class NotCocoError(DataError):
    """A JSON file that is whole, but not COCO instances.

    Attributes:
        kind: What it is instead, in a few words.
        half: Whether it has some of COCO's lists, so that it was meant to be COCO.
    """

    kind: str = "not COCO"
    half: bool = False


def no_file(path: Path) -> DataError:
    """The error for a folder without any COCO file."""
    return DataError(
        "no COCO file was found" if path.exists() else "no such file or folder",
        where=path,
        hint="name the JSON file, or the folder that holds annotations/*.json",
    )


def load(path: Path) -> CocoDocument:
    """Read a COCO file.

    Raises:
        DataError: It cannot be read or is not JSON (with line and column).
        NotCocoError: It has no lists of images, annotations and categories.
    """
    document = _parse(path)
    if not isinstance(document, dict):
        raise _foreign(path, "the top level is not an object", _kind_of_list(document), hint="name a COCO file")
    _check_lists(path, document)
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


class _TwiceError(Exception):
    """A key that an object holds twice."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; JSON itself would keep the last of equal keys, and lose what the first held."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _TwiceError(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return made


def _parse(path: Path) -> Any:
    try:
        return json.loads(regular(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        raise DataError(f"it cannot be read ({error.strerror})", where=path, hint="check the path") from error
    except UnicodeDecodeError as error:
        raise DataError("it is not UTF-8 text", where=path, hint="save it as UTF-8") from error
    except _TwiceError as error:
        what = f"it holds the key {error.key[:60]!r} twice in one object, and only one of the two would be read"
        raise DataError(what, where=path, hint="join or remove one of them") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"it is not JSON ({error.msg}, line {error.lineno}, column {error.colno})",
            where=path,
            hint="export the file again",
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(
            f"{_NOT_COCO}: it is nested too deeply, or holds a number that is too long",
            where=path,
            hint="name a COCO file",
        ) from error


def _check_lists(path: Path, document: dict[str, Any]) -> None:
    present = [key for key in _LISTS if _is_objects(document.get(key))]
    if len(present) == len(_LISTS):
        if any("segments_info" in annotation for annotation in document["annotations"][:1]):
            raise _foreign(path, "its segments are PNG files (panoptic)", "panoptic", hint="export instances")
        return
    missing = next(key for key in _LISTS if key not in present)
    annotations = document.get("annotations")
    first = annotations[:1] if isinstance(annotations, list) and _is_objects(annotations) else []
    captions = any("caption" in annotation for annotation in first)
    what = f"{missing!r} is not a list of objects"
    hint = "export COCO instances, or name another file"
    if missing not in document:
        what = f"it has no list {missing!r}"
    if missing == "annotations" and document.get(missing) is None and "images" in present:
        hint = 'export the annotations too, or add "annotations": [] if all of its images are good'
    kind = "captions" if captions else "images without annotations" if "images" in present else "not COCO"
    raise _foreign(path, what, kind, hint=hint, half="images" in present and not captions)


def _is_objects(entries: Any) -> bool:
    return isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)


def _kind_of_list(document: Any) -> str:
    results = _is_objects(document) and any("image_id" in entry for entry in document[:1])
    return "detection results" if results else "not COCO"


def _foreign(path: Path, what: str, kind: str, *, hint: str, half: bool = False) -> NotCocoError:
    error = NotCocoError(f"{_NOT_COCO}: {what}", where=path, hint=hint)
    error.kind, error.half = kind, half
    return error
