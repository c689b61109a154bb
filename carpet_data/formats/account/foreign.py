"""What a text file beside images looks like: labels of another annotation tool, or nothing of the kind.

Used for files that no reader took: only their first bytes are looked at, and only of a few in each folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from carpet_data.core.files import regular
from carpet_data.formats.listing import is_known

__all__ = ["ANNOTATION_SUFFIXES", "HARMLESS", "TABLE", "WHOLE_SET", "advice", "annotation_kinds", "kind_of"]

ANNOTATION_SUFFIXES = frozenset({".txt", ".json", ".xml", ".csv"})

_FIRST_BYTES = 1 << 16
_LOOKED_AT = 5
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_YOLO_LINE = re.compile(rf"\w+(?:\s+{_NUMBER}){{4,}}\s*", re.IGNORECASE)
_DOTA_LINE = re.compile(rf"{_NUMBER}(?:[\s,]+{_NUMBER}){{7}}[\s,]+\S+(?:[\s,]+[012])?\s*", re.IGNORECASE)
_IMAGE_NAME = re.compile(r"\.(?:png|jpe?g|bmp|tiff?|webp)\b", re.IGNORECASE)

_JSON_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("COCO JSON", ('"annotations"', '"images"', '"categories"')),
    ("labelme JSON", ('"shapes"', '"imagePath"')),
    ("a VIA project", ('"_via_',)),
    ("VIA JSON", ('"regions"', '"shape_attributes"')),
    ("VIA JSON", ('"regions"', '"filename"')),
    ("Label Studio JSON", ('"from_name"', '"to_name"')),
    ("Label Studio JSON", ('"annotations"', '"result"')),
    ("Supervisely JSON", ('"classTitle"',)),
    ("Supervisely JSON", ('"objects"', '"tags"', '"size"')),
    ("COCO JSON", ('"annotations"', '"images"')),
    ("COCO JSON", ('"image_id"', '"category_id"')),
    ("COCO JSON", ('"categories"', '"images"')),
    ("Datumaro JSON", ('"items"', '"annotations"')),
    ("polygons in JSON", ('"polygon"',)),
    ("polygons in JSON", ('"points"', '"label"')),
)
"""Name -> keys that all stand in the file; the first that fits counts."""

_XML_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CVAT XML", ("<annotations", "<image ")),
    ("CVAT XML", ("<annotations", "<meta")),
    ("Pascal VOC XML", ("<annotation", "<object")),
    ("Pascal VOC XML", ("<annotation", "<filename")),
)

TABLE, _LIST, _RUNS = "a table of images (CSV)", "a list of images", "run lengths in CSV"

HARMLESS = frozenset({TABLE, _LIST})
"""Kinds that say no defect by themselves."""

WHOLE_SET = frozenset(
    {"a VIA project", "VIA JSON", "Label Studio JSON", "COCO JSON", "Datumaro JSON", "CVAT XML", _RUNS, *HARMLESS}
)
"""Kinds of which one file speaks of many images; the others lie beside each image."""


_TOOLS = (
    ("CVAT", "export from CVAT as COCO 1.0"),
    ("Label Studio", "export from Label Studio as COCO"),
    ("VIA", "export from VIA as COCO"),
    ("Supervisely", "export from Supervisely as COCO"),
    ("Datumaro", "convert it with datumaro to COCO"),
    ("labelme", "convert it to COCO (labelme's own examples have labelme2coco.py)"),
    ("table of images", "sort the images into a folder for each class"),
    ("run lengths", "convert the run lengths to masks or to COCO"),
    ("COCO", "name the JSON file itself"),
    ("YOLO", "name the folder or the data.yaml that the labels belong to"),
)


def advice(kinds: Iterable[str]) -> str:
    """What to do with labels that cannot be read; empty for none.

    Examples:
        >>> advice(["CVAT XML"])
        'CVAT XML is not read here: export from CVAT as COCO 1.0'
    """
    found = sorted(set(kinds) - {_LIST})
    if not found:
        return ""
    ways = dict.fromkeys(how for kind in found for name, how in _TOOLS if name in kind)
    verb = "is" if len(found) == 1 and "lengths" not in found[0] and "labels" not in found[0] else "are"
    return f"{' and '.join(found)} {verb} not read here: {'; '.join(ways) or 'convert them to COCO or YOLO'}"


def annotation_kinds(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Path -> what it looks like, of those that look like annotations; paths are relative to the root, sorted.

    Files of one folder and suffix are taken to be alike: a few of them are opened, so that a million label files cost
    no more than a few.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        if not is_known(path):
            at = PurePosixPath(path)
            groups.setdefault((str(at.parent), at.suffix.lower()), []).append(path)
    kinds: dict[str, str] = {}
    for members in groups.values():
        step = max(1, len(members) // _LOOKED_AT)
        looked = {
            path: kind_of(root / path) for path in (members if len(members) <= 2 * _LOOKED_AT else members[::step])
        }
        found = next((kind for kind in looked.values() if kind is not None), None)
        if found is not None:
            kinds.update((path, looked.get(path) or found) for path in members if looked.get(path, found) is not None)
    return kinds


def kind_of(path: Path) -> str | None:
    """What a file looks like, such as "labelme JSON"; None where it does not look like annotations, or is not text."""
    try:
        with regular(path).open("rb") as file:
            text = file.read(_FIRST_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return None  # it is listed as not read all the same
    look = _LOOKS.get(path.suffix.lower())
    return look(text) if look is not None else None


def _json(text: str) -> str | None:
    return next((name for name, keys in _JSON_KINDS if all(key in text for key in keys)), None)


def _xml(text: str) -> str | None:
    return next((name for name, keys in _XML_KINDS if all(key in text for key in keys)), None)


def _csv(text: str) -> str | None:
    head = text.splitlines()[:20]
    if not head:
        return None
    title = head[0].casefold()
    if "encodedpixels" in title or re.search(r"\brle\b", title):
        return _RUNS
    # A table whose rows begin with an image: classes, boxes or masks of these.
    named = sum(bool(_IMAGE_NAME.search(line)) for line in head)
    return TABLE if named >= max(1, len(head) // 2) else None


def _txt(text: str) -> str | None:
    lines = [line.strip() for line in text.splitlines()[:20] if line.strip()]
    if not lines:
        return None
    if all(_YOLO_LINE.fullmatch(line) for line in lines):
        return "YOLO labels"
    if sum(bool(_DOTA_LINE.fullmatch(line)) for line in lines) * 2 > len(lines):
        return "DOTA labels"
    if all(_IMAGE_NAME.search(line) for line in lines):
        return _LIST
    return None


_LOOKS: dict[str, Callable[[str], str | None]] = {".json": _json, ".xml": _xml, ".csv": _csv, ".txt": _txt}
