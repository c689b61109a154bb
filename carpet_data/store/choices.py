"""What a person chose about the samples of a prepared folder: which to drop, which are of another class.

A neutral document, so that choices can come from any viewer, travel as a file, and be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, Sample
from carpet_data.errors import CarpetDataError, DataError, ProblemsError, UsageError
from carpet_data.store import description
from carpet_data.store.curation import SampleChange, relabelled
from carpet_data.store.json_files import read_json, write_json
from carpet_data.store.manifest import Tombstone

SCHEMA = 1
_HINT = 'write {"schema": 1, "reject": ["ID", …], "relabel": {"ID": "CLASS"}, "keep": null or ["ID", …]}'
_KEYS = frozenset({"schema", "fingerprint", "split", "reject", "reasons", "relabel", "keep"})


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices about samples, by their ids.

    Attributes:
        reject: Samples to drop, named one by one: real ones go too.
        relabel: id -> the class that the image is of.
        keep: Where given, the other synthetic training samples are dropped as well.
        fingerprint: Of the data set when the choices were made; None where it is not known.
        split: The split of the fingerprint and of `keep`; None for none.
        reasons: id -> why it is rejected, where that is known.
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
    reject = _ids(values.get("reject", []), "reject")
    relabel, reasons = _texts(values, "relabel"), _texts(values, "reasons")
    if not all(relabel.values()):
        raise ValueError("a class of relabel is empty")
    stray = sorted(set(reasons) - set(reject))
    if stray:
        raise ValueError(f"there is a reason for {stray[0]!r}, which is not rejected")
    for key in ("fingerprint", "split"):
        if not isinstance(values.get(key), str | None):
            raise ValueError(f"{key} must be text or null")
    keep = None if values.get("keep") is None else _ids(values["keep"], "keep")
    return Choices(reject, relabel, keep, values.get("fingerprint"), values.get("split"), reasons)


def _ids(values: object, key: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} must be a list of ids")
    return tuple(dict.fromkeys(values))


def _texts(values: dict[str, Any], key: str) -> dict[str, str]:
    found = values.get(key, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{key} must be an object, id to text")
    return found


def changes_of(dataset: Dataset, choices: Choices, *, real: bool) -> tuple[SampleChange, ...]:
    """What choices change in a prepared data set, sorted by id; with `real`, real samples that are not kept go too.

    Raises:
        DataError: The data set has changed since the choices were made, or one cannot be applied.
        ProblemsError: Several cannot be applied.
        UsageError: Nothing is to be kept.
    """
    _check_unchanged(dataset, choices)
    drops = {sample_id: choices.reasons.get(sample_id, "rejected") for sample_id in choices.reject}
    if choices.keep is not None:
        _check_keep(dataset, choices)
        kept = frozenset(choices.keep)
        train = dataset if choices.split is None else dataset.on_side("train", choices.split)
        for sample in train:
            if sample.id not in kept and (real or sample.origin == "synthetic"):
                drops.setdefault(sample.id, "not kept")
    by_id = dataset.by_id()
    named = {*choices.reject, *choices.relabel, *(choices.keep or ())}
    problems: list[CarpetDataError] = []
    for sample_id in sorted(named - set(by_id)):
        hint = "use ids of its manifest that are not dropped"
        problems.append(DataError(f"unknown sample {sample_id!r}", where=dataset.root, hint=hint))
    relabel = {
        sample_id: class_name
        for sample_id, class_name in sorted(choices.relabel.items())
        if sample_id in by_id and sample_id not in drops and by_id[sample_id].class_name != class_name
    }
    problems += _unknown_classes(dataset, by_id, relabel)
    if problems:
        raise ProblemsError.of(problems)
    changes = [SampleChange(by_id[sample_id], Tombstone(by_id[sample_id], why)) for sample_id, why in drops.items()]
    changes += [
        SampleChange(by_id[sample_id], relabelled(by_id[sample_id], name)) for sample_id, name in relabel.items()
    ]
    return tuple(sorted(changes, key=lambda change: change.before.id))


def _check_unchanged(dataset: Dataset, choices: Choices) -> None:
    missing = choices.split is not None and choices.split not in dataset.splits
    if choices.fingerprint is not None and (missing or dataset.fingerprint(choices.split) != choices.fingerprint):
        hint = "open it again (carpet-data browse), check your choices, then curate"
        raise DataError("the data set has changed since the choices were made", where=dataset.root, hint=hint)
    if missing:
        raise DataError(f"unknown split {choices.split!r}", where=dataset.root, hint="name one of its splits")


def _check_keep(dataset: Dataset, choices: Choices) -> None:
    if not choices.keep:
        raise UsageError(
            "no sample has the keep tag, so every synthetic sample would be dropped",
            where=dataset.root,
            hint="tag what you want to keep, or drop them: carpet-data drop --where origin=synthetic",
        )
    both = sorted(set(choices.keep) & set(choices.reject))
    if both:
        what = f"{counted(len(both), 'sample')} both to be kept and rejected, such as {both[0]}"
        raise DataError(what, where=dataset.root, hint="remove one of the two tags")


def _unknown_classes(
    dataset: Dataset, by_id: Mapping[str, Sample], relabel: Mapping[str, str]
) -> list[CarpetDataError]:
    """The samples that cannot take their new class."""
    classes = (GOOD, *sorted(name for name in description.read(dataset.root).classes if name != GOOD))
    problems: list[CarpetDataError] = []
    for sample_id, class_name in relabel.items():
        shown = relabelled(by_id[sample_id], class_name).defect_classes if class_name in classes else (class_name,)
        if class_name not in classes or not set(shown) <= set(dataset.categories):
            hint = f"use one of {', '.join(classes)}; for a new class, sort the source again and prepare it again"
            what = f"{sample_id} cannot become {class_name!r}: the data set has no such class"
            problems.append(DataError(what, where=dataset.root, hint=hint))
    return problems
