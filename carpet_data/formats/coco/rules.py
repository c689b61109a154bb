"""What a COCO file must hold to be read as it was meant: ids, references and names, before a mask is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from carpet_data.core.problems import Problem, Severity
from carpet_data.core.text import counted
from carpet_data.formats.annotated import is_text
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.coco.ids import id_of, same_id, whole
from carpet_data.formats.coco.sizes import is_stated

__all__ = ["is_ours", "leads_out", "structure"]

_NAMES = "write paths relative to the images' folder, with forward slashes"


def is_ours(document: CocoDocument) -> bool:
    """Whether carpet-data wrote the file, so that every number in it must be exact."""
    return str(document.info.get("generator", "")).startswith("carpet-data")


def structure(document: CocoDocument) -> Iterator[Problem]:
    """Ids, references and names: what can be judged without decoding a mask."""
    strict: Severity = "error" if is_ours(document) else "warning"
    yield from _ids(document, strict)
    yield from _references(document)
    yield from _file_names(document)
    yield from _sizes(document, strict)
    crowds = sum(annotation.get("iscrowd") not in (0, None) for annotation in document.annotations)
    if crowds:
        yield Problem(
            "warning",
            "coco-crowd",
            f"{counted(crowds, 'annotation')} with iscrowd 1: detectors skip them in training",
            str(document.path),
            "set iscrowd to 0 where the annotation is one object",
        )


def _ids(document: CocoDocument, strict: Severity) -> Iterator[Problem]:
    where = str(document.path)
    for kind in ("images", "annotations", "categories"):
        ids = [entry.get("id") for entry in getattr(document, kind)]
        bad = sorted({repr(value) for value in ids if id_of(value) is None})
        if bad:
            what = f"{kind}: ids that are neither whole numbers nor text: {_few(bad)}"
            yield Problem("error", "coco-id", what, where, "number from 1")
        unusual = sorted({repr(value) for value in ids if id_of(value) is not None and type(value) is not int})
        if unusual:
            what = f"{kind}: ids that are not written as whole numbers, which some readers refuse: {_few(unusual)}"
            yield Problem(strict, "coco-id", what, where, "number from 1")
        repeated = sorted(repr(key) for key, count in Counter(map(id_of, ids)).items() if count > 1 and key is not None)
        if repeated:
            what = f"{kind}: ids used twice: {_few(repeated)}"
            yield Problem("error", "coco-id-repeated", what, where, "give each its own id")
        if any(isinstance(key := whole(value), int) and key < 1 for value in ids):
            severity: Severity = strict if kind == "categories" else "warning"
            what = f"{kind}: an id below 1; many readers treat category 0 as background"
            yield Problem(severity, "coco-id-zero", what, where, "number from 1")


def _references(document: CocoDocument) -> Iterator[Problem]:
    pairs: tuple[tuple[str, Literal["images", "categories"]], ...] = (
        ("image_id", "images"),
        ("category_id", "categories"),
    )
    for key, kind in pairs:
        known = document.ids(kind)
        lost = [repr(a.get("id")) for a in document.annotations if same_id(a.get(key), known) is None]
        kinds = [a for a in document.annotations if same_id(a.get(key), known) not in (None, id_of(a.get(key)))]
        if kinds:
            what = (
                f"{counted(len(kinds), 'annotation')} whose {key} is text where the {kind} have a number, or the "
                f"reverse ({kinds[0].get(key)!r}): other readers do not find them"
            )
            yield Problem("error", "coco-reference", what, str(document.path), "write both as numbers")
        if lost:
            what = f"{counted(len(lost), 'annotation')} whose {key} is not among the {kind}: {_few(lost)}"
            yield Problem("error", "coco-reference", what, str(document.path), "export the file again")


def _file_names(document: CocoDocument) -> Iterator[Problem]:
    names: Counter[str] = Counter()
    backslashes: list[str] = []
    for image in document.images:
        where = f"{document.path} (image {image.get('id')!r})"
        name = image.get("file_name")
        if not is_text(name):
            yield Problem("error", "coco-file-name", "the image has no file_name", where, _NAMES)
            continue
        names[name] += 1
        if leads_out(name):
            what = f"{name!r} leads outside the data set, so the file was not opened"
            yield Problem("error", "coco-file-name", what, where, _NAMES)
        elif "\\" in name:
            backslashes.append(repr(name))
    if backslashes:
        what = f"{counted(len(backslashes), 'file name')} with backslashes: {_few(backslashes)}"
        yield Problem("warning", "coco-file-name", what, str(document.path), _NAMES)
    for name, count in names.items():
        if count > 1:
            what = f"{name!r} is listed {count} times"
            yield Problem("error", "coco-file-name", what, str(document.path), "list each image once")


def _sizes(document: CocoDocument, strict: Severity) -> Iterator[Problem]:
    unstated = 0
    for image in document.images:
        values = (image.get("width"), image.get("height"))
        if not all(map(is_stated, values)):
            unstated += 1
        elif not all((whole(value) or 0) > 0 for value in values):
            where = f"{document.path} (image {image.get('id')!r})"
            what = f"its width and height are {values[0]!r} and {values[1]!r}, not numbers of pixels"
            yield Problem("error", "coco-size", what, where, "write the size of the file")
    if unstated:
        what = f"{counted(unstated, 'image')} without width and height, which pycocotools needs to decode polygons"
        yield Problem(strict, "coco-size", what, str(document.path), "write the sizes of the files")


def leads_out(name: str) -> bool:
    """Whether a file name is absolute or climbs out of its folder, in the ways of any system."""
    return name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in name.replace("\\", "/").split("/")


def _few(values: list[Any]) -> str:
    return ", ".join(values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
