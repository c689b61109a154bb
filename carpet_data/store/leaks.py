"""What would let a held-out image reach training: by the manifest, the splits, and the cards of fitted models."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carpet_data.core.problems import Problem
from carpet_data.core.text import counted
from carpet_data.dataset import Dataset, Sample, Split
from carpet_data.errors import DataError, LeakError
from carpet_data.store import manifest, names
from carpet_data.store.json_files import read_json
from carpet_data.store.names import CARD, MODELS

__all__ = ["ancestors", "leaks", "of_models", "of_provenance", "of_split", "refuse_leaks", "trained_on"]

_REMAKE = "make the split again (carpet-data split)"

Samples = Mapping[str, Sample]
"""Sample id -> sample."""


def refuse_leaks(dataset: Dataset, split: str) -> None:
    """Refuse a split by which an image of val or test, or a part of one, would reach training.

    That is: a synthetic image outside train; one whose host or donor is held out or unknown; one of a model that was
    trained on a held-out image or a group of one, or without a training record; a group on two sides; or equal bytes
    on two sides.

    Raises:
        LeakError: The first leak is named, with their number.
    """
    found = list(leaks(dataset.root, dataset.splits[split]))
    if found:
        raise LeakError(
            f"the data leak between train, val and test, so no result would be valid: {found[0].what}{_more(found)}",
            where=dataset.root / (found[0].where or ""),
            hint=found[0].hint or _REMAKE,
        )


def leaks(root: Path, split: Split) -> Iterator[Problem]:
    """Every leak of one split of a prepared folder.

    Raises:
        DataError: The manifest is missing or damaged.
    """
    samples, dropped = manifest.read(root)
    yield from of_split(split, samples, dropped)
    yield from of_provenance(samples, dropped, [split])
    yield from of_models(root, samples, dropped, [split])
    yield from _same_bytes(split, samples)


def ancestors(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(role, id) of the samples a synthetic one was made from: host, null source, donors, textures, plate sources."""
    for field, role in (("host", "host"), ("null_source", "null source")):
        value = provenance.get(field)
        if isinstance(value, str):
            yield role, value
    for field, role in (("donors", "donor"), ("textures", "texture"), ("plate_from", "plate source")):
        values = provenance.get(field)
        if isinstance(values, Sequence) and not isinstance(values, str):
            for value in values:
                yield role, str(value)


def of_split(split: Split, samples: Samples, dropped: Samples) -> Iterator[Problem]:
    """Ids that the manifest lacks, synthetic samples that are held out, groups on two sides."""
    where = names.split_path(split.name)
    side_of_group: dict[str, str] = {}
    for sample_id, side in split.sides.items():
        sample = samples.get(sample_id)
        if sample is None:
            if sample_id not in dropped:
                yield Problem("error", "split-id-unknown", f"{sample_id!r} is not in the manifest", where, _REMAKE)
            continue
        if sample.origin == "synthetic" and side != "train":
            what = f"the synthetic sample {sample_id} is on the {side} side"
            yield Problem("error", "synthetic-held-out", what, where, _REMAKE)
        if sample.group is not None and side_of_group.setdefault(sample.group, side) != side:
            what = f"the group {sample.group!r} is on two sides, {side_of_group[sample.group]} and {side}"
            yield Problem("error", "group-straddles", what, where, _REMAKE)


def of_provenance(samples: Samples, dropped: Samples, splits: Iterable[Split]) -> Iterator[Problem]:
    """Hosts and donors of synthetic samples that are held out, by id or by bytes, or unknown."""
    splits = tuple(splits)
    known = {**dropped, **samples}
    # An image is held out by its bytes too, whatever id it has there.
    held_out = {split.name: _by(known, "image_sha256", _held_out_ids(split)) for split in splits}
    for sample in samples.values():
        if sample.origin != "synthetic":
            continue
        hint = "drop the sample and make it again from train images"
        its_splits = [split for split in splits if sample.id in split.sides]
        for role, ancestor in ancestors(sample.provenance or {}):
            if ancestor not in known:
                what = f"the {role} {ancestor!r} of {sample.id} is not in the manifest"
                yield Problem("error", "ancestor-unknown", what, names.MANIFEST, hint)
            for split in its_splits:
                side = split.sides.get(ancestor)
                if side in ("val", "test"):
                    what = f"the {role} {ancestor!r} of {sample.id} is on the {side} side of {split.name}"
                    yield Problem("error", "ancestor-held-out", what, names.MANIFEST, hint)
                elif (twin := held_out[split.name].get(_value(known, ancestor, "image_sha256"))) is not None:
                    what = f"the {role} {ancestor!r} of {sample.id} is the image {twin!r}, held out in {split.name}"
                    yield Problem("error", "ancestor-held-out", what, names.MANIFEST, hint)


def of_models(root: Path, samples: Samples, dropped: Samples, splits: Iterable[Split]) -> Iterator[Problem]:
    """What of val or test a model was trained on whose samples are in a split: by id, by group, or by bytes."""
    splits = tuple(splits)
    known = {**dropped, **samples}
    made: dict[str, list[str]] = {}
    for sample in samples.values():
        model = _model_of(sample.provenance or {}) if sample.origin == "synthetic" else None
        if model is not None:
            made.setdefault(model, []).append(sample.id)
    for model, ids in made.items():
        where = f"{MODELS}/{model}/{CARD}"
        its = f"the model {model}, the source of {counted(len(ids), 'synthetic sample')},"
        hint = f"drop its samples ({_drop(root, model)}) and make others by a model of the train side"
        try:
            trained = trained_on(root, model)
        except DataError as error:
            yield Problem("error", "model-unknown", error.what, where, error.hint or hint)
            continue
        strange = sorted(trained - known.keys())
        if strange:
            what = f"{its} was trained on {strange[0]!r}{_more(strange)}, which is not in the manifest"
            yield Problem("error", "ancestor-unknown", what, where, hint)
        for split in splits:
            if any(sample_id in split.sides for sample_id in ids):
                leaked = list(_seen_of(trained, split, known))
                if leaked:
                    what = f"{its} was trained on {leaked[0]} of {split.name}{_more(leaked)}"
                    yield Problem("error", "ancestor-held-out", what, where, hint)


def trained_on(root: Path, model: str) -> frozenset[str]:
    """The ids of the samples that a model of a prepared folder was trained on.

    Raises:
        DataError: The model's card is missing or damaged.
    """
    path = root / MODELS / model / CARD
    hint = f"restore the model's folder, or drop its samples ({_drop(root, model)}) and make them again"
    if names.component(model) != model or not path.is_file():
        raise DataError(f"the model {model!r} has no card that lists its training samples", where=path, hint=hint)
    values = read_json(path, hint=hint, what=f"the card of the model {model!r}")
    samples, read = values.get("samples"), values.get("read")
    if not isinstance(samples, dict) or not isinstance(read, list):
        raise DataError(f"the card of the model {model!r} is damaged", where=path, hint=hint)
    return frozenset(map(str, (*samples, *read)))


def _model_of(provenance: Mapping[str, Any]) -> str | None:
    """The name of the model that a synthetic sample was sampled from; None where none was used."""
    fitted = provenance.get("fitted")
    return None if fitted is None else str(fitted.get("model", "") if isinstance(fitted, Mapping) else fitted)


def _drop(root: Path, model: str) -> str:
    return f"carpet-data drop {shlex.quote(str(root))} --where {shlex.quote(f'model={model}')}"


def _seen_of(trained: frozenset[str], split: Split, known: Samples) -> Iterator[str]:
    """What of the held-out sides a model was trained on, in words."""
    kept = {sample_id: split.sides[sample_id] for sample_id in _held_out_ids(split)}
    groups, digests = _by(known, "group", kept), _by(known, "image_sha256", kept)
    for sample_id in sorted(trained):
        if sample_id in kept:
            yield f"{sample_id!r}, which is on the {kept[sample_id]} side"
        elif (group := _value(known, sample_id, "group")) in groups:
            yield f"{sample_id!r}, whose group {group!r} is on the {kept[groups[group]]} side"
        elif (digest := _value(known, sample_id, "image_sha256")) in digests:
            yield f"{sample_id!r}, which is byte for byte an image on the {kept[digests[digest]]} side"


def _same_bytes(split: Split, samples: Samples) -> Iterator[Problem]:
    train = _by(samples, "image_sha256", split.ids("train"))
    for sample_id in _held_out_ids(split):
        twin = train.get(_value(samples, sample_id, "image_sha256"))
        if twin is not None:
            what = f"{sample_id!r} on the {split.sides[sample_id]} side is, byte for byte, {twin!r} on the train side"
            yield Problem("error", "same-image-on-two-sides", what, names.split_path(split.name), _REMAKE)


def _held_out_ids(split: Split) -> tuple[str, ...]:
    return (*split.ids("val"), *split.ids("test"))


def _by(samples: Samples, field: str, ids: Iterable[str]) -> dict[str, str]:
    """The value of a field -> the id of a sample, of samples that have one."""
    return {value: sample_id for sample_id in ids if (value := _value(samples, sample_id, field))}


def _value(samples: Samples, sample_id: str, field: str) -> str:
    """A field of a sample; empty where there is no such sample, or it has none."""
    sample = samples.get(sample_id)
    return "" if sample is None else getattr(sample, field) or ""


def _more(found: Sequence[object]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
