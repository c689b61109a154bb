"""The models that synthetic samples of a prepared folder were sampled from, and what those were trained on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carpet_data.core.problems import Problem
from carpet_data.core.text import counted
from carpet_data.dataset import Sample, Split
from carpet_data.errors import DataError
from carpet_data.store import names

__all__ = ["CARD", "MODELS", "model_of", "problems", "trained_on"]

MODELS = "models"
"""The folder of a data set that holds its fitted models, each in a folder of its own."""
CARD = "card.json"
"""What says, in the folder of a model, where it came from."""


def model_of(provenance: Mapping[str, Any]) -> str | None:
    """The name of the model that a synthetic sample was sampled from; None where none was used."""
    fitted = provenance.get("fitted")
    return None if fitted is None else str(fitted.get("model", "") if isinstance(fitted, Mapping) else fitted)


def trained_on(root: Path, model: str) -> frozenset[str]:
    """The ids of the samples that a model was trained on.

    Args:
        root: The prepared folder.
        model: Name of the model's folder.

    Raises:
        DataError: The model's card is missing or damaged.
    """
    path = root / MODELS / model / CARD
    hint = f"bring the model's folder back, or drop its samples ({_drop(root, model)}) and make them again"
    if names.component(model) != model or not path.is_file():
        raise DataError(f"the model {model!r} has no card that says what it was trained on", where=path, hint=hint)
    try:
        values = json.loads(path.read_bytes())
        samples, read = values["samples"], values["read"]
        if not isinstance(samples, dict) or not isinstance(read, list):
            raise ValueError("samples and read are not an object and a list")
        return frozenset(map(str, (*samples, *read)))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"the card of the model {model!r} is damaged ({error})", where=path, hint=hint) from error


def problems(
    root: Path, samples: Mapping[str, Sample], dropped: Mapping[str, Sample], splits: Mapping[str, Split]
) -> Iterator[Problem]:
    """What of val or test may have taught a model whose samples are in a split: ids, groups and bytes are looked at.

    Args:
        root: The prepared folder.
        samples: id -> sample.
        dropped: id -> sample, of those that were dropped.
        splits: Looked at.
    """
    known = {**dropped, **samples}
    made: dict[str, list[str]] = {}
    for sample in samples.values():
        model = model_of(sample.provenance or {}) if sample.origin == "synthetic" else None
        if model is not None:
            made.setdefault(model, []).append(sample.id)
    for model, ids in made.items():
        where = f"{MODELS}/{model}/{CARD}"
        its = f"the model {model}, of which {counted(len(ids), 'synthetic sample')} came,"
        hint = f"drop its samples ({_drop(root, model)}) and make others by a model of the train side"
        try:
            taught = trained_on(root, model)
        except DataError as error:
            yield Problem("error", "model-unknown", error.what, where, error.hint or hint)
            continue
        strange = sorted(taught - known.keys())
        if strange:
            more = f" (and {len(strange) - 1} more)" if strange[1:] else ""
            what = f"{its} was trained on {strange[0]!r}{more}, which is not in the manifest"
            yield Problem("error", "ancestor-unknown", what, where, hint)
        for split in splits.values():
            if any(sample_id in split.sides for sample_id in ids):
                leaked = list(_held_out(taught, split, known))
                if leaked:
                    more = f" (and {len(leaked) - 1} more)" if leaked[1:] else ""
                    what = f"{its} was trained on {leaked[0]} of {split.name}{more}"
                    yield Problem("error", "ancestor-held-out", what, where, hint)


def _drop(root: Path, model: str) -> str:
    return f"carpet-data drop {shlex.quote(str(root))} --where {shlex.quote(f'model={model}')}"


def _held_out(taught: frozenset[str], split: Split, known: Mapping[str, Sample]) -> Iterator[str]:
    """What of the held-out sides a model has seen, in words."""
    kept = {sample_id: side for sample_id, side in split.sides.items() if side != "train"}
    groups = {group: side for sample_id, side in kept.items() if (group := _of(known, sample_id, "group"))}
    bytes_ = {digest: side for sample_id, side in kept.items() if (digest := _of(known, sample_id, "image_sha256"))}
    for sample_id in sorted(taught):
        if sample_id in kept:
            yield f"{sample_id!r}, which is on the {kept[sample_id]} side"
        elif (group := _of(known, sample_id, "group")) in groups:
            yield f"{sample_id!r}, whose group {group!r} is on the {groups[str(group)]} side"
        elif (digest := _of(known, sample_id, "image_sha256")) in bytes_:
            yield f"{sample_id!r}, which is byte for byte an image on the {bytes_[str(digest)]} side"


def _of(known: Mapping[str, Sample], sample_id: str, field: str) -> str | None:
    sample = known.get(sample_id)
    return None if sample is None else getattr(sample, field)
