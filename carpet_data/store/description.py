"""dataset.json: name, classes and categories of a prepared folder."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.core.files import regular
from carpet_data.dataset import Connectivity
from carpet_data.errors import DataError
from carpet_data.store.json_files import read_json, write_json
from carpet_data.store.names import DESCRIPTION

FORMAT = "carpet-data"
VERSION = 1
_HINT = "prepare the data set again from its source"


@dataclass(frozen=True, slots=True)
class Description:
    """The content of dataset.json.

    Attributes:
        classes: Image classes, `good` first, then sorted.
        categories: Defect types in the order of their COCO ids; fixed when the folder is made.
        prepared: How it was made: reader, threshold, grouping.
    """

    name: str
    classes: tuple[str, ...]
    categories: tuple[str, ...]
    license: str = ""
    connectivity: Connectivity = 8
    prepared: Mapping[str, Any] = field(default_factory=dict)


def is_prepared(root: Path) -> bool:
    """Whether a folder is one that `prepare` made; never an error."""
    try:
        values = json.loads(regular(root / DESCRIPTION).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT


def write(root: Path, description: Description) -> None:
    """Write dataset.json."""
    values = {
        "format": FORMAT,
        "version": VERSION,
        "name": description.name,
        "classes": list(description.classes),
        "categories": list(description.categories),
        "license": description.license,
        "connectivity": description.connectivity,
        "prepared": dict(description.prepared),
    }
    write_json(root / DESCRIPTION, values, durable=True)


def read(root: Path) -> Description:
    """Read dataset.json.

    Raises:
        DataError: There is no such folder, or its dataset.json is missing, damaged, or of a later version.
    """
    path = root / DESCRIPTION
    if not root.exists():
        raise DataError("there is no such folder", where=root, hint="check the path")
    if not path.is_file():
        raise DataError("not a prepared data set: it has no dataset.json", where=root, hint=_prepare_first(root))
    values = read_json(path, hint=_HINT)
    if values.get("format") != FORMAT:
        raise DataError("this dataset.json was not written by carpet-data", where=path, hint=_prepare_first(root))
    version = values.get("version")
    if version != VERSION:
        raise DataError(
            f"unknown format version {version!r}; this program reads version {VERSION}",
            where=path,
            hint="use the version of carpet-data that made it, or prepare the data set again",
        )
    try:
        return _parsed(values)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"missing or invalid field: {error}", where=path, hint=_HINT) from error


def _prepare_first(root: Path) -> str:
    out = f"{root.resolve().name}-prepared"
    return f"prepare it first: {shlex.join(['carpet-data', 'prepare', str(root), '-o', out])}"


def _parsed(values: dict[str, Any]) -> Description:
    if not isinstance(values["name"], str) or not isinstance(values["license"], str):
        raise ValueError("name and license must be text")
    if values["connectivity"] not in (4, 8):
        raise ValueError(f"connectivity is {values['connectivity']!r}")
    if not isinstance(values["prepared"], dict):
        raise ValueError("prepared must be an object")
    return Description(
        name=values["name"],
        classes=_texts(values["classes"]),
        categories=_texts(values["categories"]),
        license=values["license"],
        connectivity=4 if values["connectivity"] == 4 else 8,
        prepared=values["prepared"],
    )


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r} is not a list of names")
    return tuple(values)
