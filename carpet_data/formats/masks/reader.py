"""Read back what `to-masks` wrote: samples.jsonl lists the images and their masks, classes.json the class numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from carpet_data.core.files import regular
from carpet_data.core.images import probe, read_indices
from carpet_data.core.masks.classes import values_in
from carpet_data.dataset import GOOD, SIDES, ClassFile, Dataset, IndexFile, Sample, Side
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.annotated import inside, is_text
from carpet_data.formats.classes.mask_classes import MaskClasses
from carpet_data.formats.glance import Folder
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.tree import from_samples

__all__ = ["CLASSES", "LABELS", "RECORDS", "looks_like", "read"]

RECORDS = "samples.jsonl"
CLASSES = "classes.json"
LABELS = "labels.txt"

_HINT = "export the data set again with to-masks"


def looks_like(folder: Folder) -> bool:
    """Whether `to-masks` wrote this folder."""
    return (folder.path / RECORDS).is_file() and (folder.path / CLASSES).is_file() and "masks" in folder.folders


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read a folder that `to-masks` wrote.

    Instances are as they were where it wrote instance masks, else the connected components of each class.

    Raises:
        DataError: A list is missing or damaged, or lists no images.
        ProblemsError: Images and masks that are missing or cannot be read.
    """
    classes = _classes(root / CLASSES)
    problems = Problems(skip_faulty=options.skip_faulty)
    samples: list[Sample] = []
    for number, record in _records(root / RECORDS):
        try:
            samples.append(_sample(root, record, classes, f"{root / RECORDS}, line {number}"))
        except CarpetDataError as error:  # noqa: PERF203 (problems are collected, so that one run shows them all)
            problems.add(error, image=root / record["image"] if is_text(record.get("image")) else None)
    skipped = problems.settle()
    _check_unique(samples, root)
    if not samples:
        raise ProblemsError(skipped) if skipped else DataError("no images are listed", where=root / RECORDS, hint=_HINT)
    made = from_samples(
        samples,
        root=root,
        name=root.resolve().name,
        connectivity=options.connectivity,
        format="masks",
        skipped=skipped,
    )
    names = [name for _, name in classes.table]
    # The class masks say nothing that the instance masks do not.
    exact = any(isinstance(sample.annotation, IndexFile) for sample in samples)
    return replace(
        made,
        categories=tuple(dict.fromkeys([*names, *made.categories])),
        documents=(RECORDS, CLASSES, LABELS),
        aside=(("masks", "the instance masks are read"),) if exact else (),
    )


def _classes(path: Path) -> MaskClasses:
    """The numbers of the classes; names mean nothing here, so a defect type may be called "void"."""
    try:
        document = json.loads(regular(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"the list of classes cannot be read ({error})", where=path, hint=_HINT) from error
    numbers = document if isinstance(document, dict) else {}
    if 0 not in numbers.values() or not all(type(value) is int and value >= 0 for value in numbers.values()):
        raise DataError("it does not list the classes by number, from 0 for the background", where=path, hint=_HINT)
    table = sorted((value, name) for name, value in numbers.items() if value)
    if len(dict(table)) < len(table):
        raise DataError("two classes have the same number", where=path, hint=_HINT)
    return MaskClasses(tuple(table), (0,), ())


def _records(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    found: list[tuple[int, Mapping[str, Any]]] = []
    try:
        for number, line in enumerate(regular(path).read_text(encoding="utf-8-sig").split("\n"), start=1):
            if line.strip():
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError(f"line {number} is not an object")
                found.append((number, record))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"the list of images cannot be read ({error})", where=path, hint=_HINT) from error
    return found


def _sample(root: Path, record: Mapping[str, Any], classes: MaskClasses, where: str) -> Sample:
    texts = [record.get(name) for name in ("id", "part", "class_name", "image", "mask")]
    if not all(map(is_text, texts)):
        raise DataError("the record lacks id, part, class_name, image or mask", where=where, hint=_HINT)
    sample_id, part, class_name, image, mask = map(str, texts)
    for path in (image, mask):
        if inside(root, path) is None:
            raise DataError(f"the path {path!r} leaves the data set", where=where, hint=_HINT)
    if not (root / image).is_file():
        raise DataError(
            "the image is missing",
            where=root / image,
            hint="an export with --images none lists paths of its source; export again with --images link",
        )
    info = probe(root / image)
    side: Side | None = next((each for each in SIDES if each == part), None)
    annotation = _annotation(root, record, mask, classes, where)
    if class_name == GOOD and not annotation.table:
        return Sample(sample_id, image, GOOD, info.width, info.height, side=side)
    return Sample(sample_id, image, class_name, info.width, info.height, annotation=annotation, side=side)


def _annotation(
    root: Path, record: Mapping[str, Any], mask: str, classes: MaskClasses, where: str
) -> ClassFile | IndexFile:
    names, path = record.get("instances"), record.get("instance_mask")
    if path is None:
        return classes.annotation(mask, values_in(read_indices(root / mask)))
    if not is_text(path) or inside(root, path) is None or not isinstance(names, list) or not all(map(is_text, names)):
        raise DataError("the record's instance_mask or instances are not valid", where=where, hint=_HINT)
    return IndexFile(path, tuple(enumerate(names, start=1)))


def _check_unique(samples: list[Sample], root: Path) -> None:
    ids = [sample.id for sample in samples]
    twice = sorted({each for each in ids if ids.count(each) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        raise DataError(f"the id {twice[0]!r} is listed twice", where=root / RECORDS, hint=_HINT)
