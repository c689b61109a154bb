"""What a person chose about the samples of a prepared folder: which to drop, which are of another class.

A neutral document, so that choices can come from any viewer, travel as a file, and be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.errors import DataError
from carpet_data.store.json_files import read_json, write_json

SCHEMA = 1
_HINT = 'write {"schema": 1, "reject": ["ID", …], "relabel": {"ID": "CLASS"}, "keep": null or ["ID", …]}'
_KEYS = frozenset({"schema", "fingerprint", "split", "reject", "reasons", "relabel", "keep"})


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices about samples, by their ids.

    Attributes:
        reject: Samples to drop, named one by one: real ones go too.
        relabel: id -> the class that the image is of.
        keep: Where given, the synthetic train samples that are not in it are to be dropped as well.
        fingerprint: Of the data set when the choices were made; None where it is not known.
        split: The split that the fingerprint and `keep` speak of; None for none.
        reasons: id -> why it is rejected, where more is known than that it is.
    """

    reject: tuple[str, ...] = ()
    relabel: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] | None = None
    fingerprint: str | None = None
    split: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The choices as plain values."""
        return {
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "split": self.split,
            "reject": sorted(self.reject),
            "reasons": dict(sorted(self.reasons.items())),
            "relabel": dict(sorted(self.relabel.items())),
            "keep": None if self.keep is None else sorted(self.keep),
        }


def save(path: Path, choices: Choices) -> None:
    """Write the choices into a JSON file."""
    write_json(path, choices.to_json())


def load(path: Path) -> Choices:
    """Read choices from a JSON file.

    Raises:
        DataError: The file is missing, or holds something else.
    """
    values = read_json(path, hint=_HINT, what="the file of choices")
    try:
        return _parsed(values)
    except ValueError as error:
        raise DataError(f"invalid choices: {error}", where=path, hint=_HINT) from error


def _parsed(values: dict[str, Any]) -> Choices:
    unknown = sorted(set(values) - _KEYS)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    if values.get("schema") != SCHEMA:
        raise ValueError(f"unknown schema {values.get('schema')!r}; this program reads {SCHEMA}")
    relabel = values.get("relabel", {})
    if not isinstance(relabel, dict) or not all(isinstance(name, str) and name for name in relabel.values()):
        raise ValueError("relabel must be an object, id to class")
    reject = _ids(values.get("reject", []), "reject")
    reasons = values.get("reasons", {})
    if not isinstance(reasons, dict) or not all(isinstance(reason, str) for reason in reasons.values()):
        raise ValueError("reasons must be an object, id to text")
    stray = sorted(set(reasons) - set(reject))
    if stray:
        raise ValueError(f"there is a reason for {stray[0]!r}, which is not rejected")
    for key in ("fingerprint", "split"):
        if not isinstance(values.get(key), str | None):
            raise ValueError(f"{key} must be text or null")
    keep = values.get("keep")
    return Choices(
        reject=reject,
        relabel=relabel,
        keep=None if keep is None else _ids(keep, "keep"),
        fingerprint=values.get("fingerprint"),
        split=values.get("split"),
        reasons=reasons,
    )


def _ids(values: object, key: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} must be a list of ids")
    return tuple(dict.fromkeys(values))
