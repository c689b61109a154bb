"""Drop: take samples out of a prepared data set by what its manifest records about them; their files stay."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data import store
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import DataFolder, Sample, folder_of
from carpet_data.errors import UsageError, nearest

__all__ = ["FIELDS", "DropResult", "drop"]

FIELDS = {
    "id": "the sample's id",
    "class": "its class",
    "origin": "real or synthetic",
    "source": "the image's path in the source",
    "group": "its group",
    "width": "width in pixels",
    "height": "height in pixels",
    "method": "the method that made it, such as donor-paste",
    "recipe": "hash of the recipe; its beginning is enough",
    "split": "the split it was made for",
    "seed": "the seed it was made with",
    "k": "its number among the images of its recipe, class and seed",
    "host": "id of the host",
    "donors": "id of one of its donors",
    "plate": "true where its host is a defect image with the defect removed",
    "plate_from": "id of an image that lent pixels to that host",
    "model": "the fitted model it was sampled from, a name under models/",
    "null": "true for null samples",
    "gates.NAME": "score in a quality check",
    "parameters.NAME": "a parameter that was drawn for it",
}
_CONDITION = re.compile(r"([A-Za-z_][\w.-]*)\s*(!=|<=|>=|=|<|>)\s*(.*)", re.DOTALL)
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_DOTTED = ("gates.", "parameters.")
_OF_SAMPLE = ("id", "class", "origin", "source", "group", "width", "height")


@dataclass(frozen=True, slots=True)
class DropResult(Result):
    """What `drop` did.

    Attributes:
        root: The prepared folder.
        ids: The dropped samples, sorted.
        classes: class -> number of dropped samples.
        dry_run: Nothing was written.
    """

    root: Path
    ids: tuple[str, ...]
    classes: Mapping[str, int]
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {**Result.to_json(self), "dropped": len(self.ids)}

    def text(self) -> str:
        """The result in words."""
        counts = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        done = "would be dropped" if self.dry_run else "dropped"
        images = counted(len(self.ids), "image")
        if not self.ids:
            return f"no sample of {self.root} meets the conditions: nothing {done}"
        return f"{images} {done}{f' ({counts})' if counts else ''} in {self.root}; their files stay"


@dataclass(frozen=True, slots=True)
class _Condition:
    field: str
    operator: str
    value: str

    def holds(self, sample: Sample) -> bool:
        found = _lookup(sample, self.field)
        if found is None:
            return False
        values = found if isinstance(found, list | tuple) else [found]
        if self.operator == "!=":
            return not any(self._equal(value) for value in values)
        return any(self._equal(value) if self.operator == "=" else self._compares(value) for value in values)

    def _equal(self, value: Any) -> bool:
        if isinstance(value, bool):
            return str(value).lower() == self.value.lower()
        if isinstance(value, int | float):
            number = _number(self.value)
            return number is not None and float(value) == number
        if self.field == "recipe":
            return bool(self.value) and str(value).startswith(self.value)
        return fnmatch.fnmatchcase(str(value), self.value)

    def _compares(self, value: Any) -> bool:
        number = _number(self.value)
        if number is None or isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return bool(_ORDER[self.operator](value, number))


def drop(root: DataFolder, where: Sequence[str], *, reason: str = "", dry_run: bool = False) -> DropResult:
    """Drop the samples of a prepared data set for which every condition holds.

    They stay in the manifest, marked as dropped, and their files stay; no command reads them any more, and their ids
    are not used again.

    Args:
        root: The prepared folder, or its Dataset.
        where: Conditions FIELD=VALUE, also with != < <= > >=; VALUE may contain the wildcards * and ?. The fields are
            those of `FIELDS`.
        reason: Stored with the dropped samples; by default the conditions.
        dry_run: Show what would be dropped and write nothing.

    Raises:
        UsageError: There is no condition, or one is invalid.
        DataError: The folder is not a prepared data set.
        LockedError: Another process is writing it.
    """
    conditions = [_condition(text) for text in where]
    if not conditions:
        raise UsageError("no condition was given", hint="give one, such as --where origin=synthetic")
    root = folder_of(root)
    # store.read checks that it is a prepared folder; the manifest alone would do for the rest.
    found = [sample for sample in store.read(root) if all(condition.holds(sample) for condition in conditions)]
    ids = tuple(sample.id for sample in found)
    if ids and not dry_run:
        store.drop(root, ids, reason or " and ".join(where), command=f"drop {root}")
    counts = Counter(sample.class_name for sample in found)
    return DropResult(root, ids, dict(sorted(counts.items())), dry_run)


def _condition(text: str) -> _Condition:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"invalid condition {text!r}", hint="write FIELD=VALUE, such as class=hole or gates.visible<1")
    field, symbol, value = match.groups()
    if field not in FIELDS and not (field.startswith(_DOTTED) and not field.endswith(".")):
        raise UsageError(f"unknown field {field!r}", hint=f"{nearest(field, FIELDS)}the fields are {', '.join(FIELDS)}")
    value = value.strip()
    if symbol in _ORDER and _number(value) is None:
        raise UsageError(f"invalid number {value!r}", hint=f"compare {field} with a number")
    return _Condition(field, symbol, value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _lookup(sample: Sample, field: str) -> Any:
    if field in _OF_SAMPLE:
        return sample.class_name if field == "class" else getattr(sample, field)
    value: Any = sample.provenance or {}
    field = "fitted.model" if field == "model" else field
    # The name of a quality check may contain a hyphen but no dot, so dots only ever lead down.
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None and field in ("null", "plate") and sample.origin == "synthetic" and sample.provenance:
        return False
    return value
