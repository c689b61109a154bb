"""Is a prepared folder what it says? Every problem found, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from carpet_data.core.problems import Problem
from carpet_data.dataset import GOOD, Sample, Split
from carpet_data.errors import CarpetDataError
from carpet_data.store import description, manifest, models, names, splits
from carpet_data.store.append import ancestors
from carpet_data.store.files import sha256
from carpet_data.store.journal import unfinished
from carpet_data.store.manifest import Tombstone

_AGAIN = "prepare the data set again from its source"
_REMAKE = "make the split again (carpet-data split)"


def verify(root: Path, *, hashes: bool = True) -> Iterator[Problem]:
    """Every problem of a prepared folder.

    Args:
        root: The folder.
        hashes: Also read every file and compare its hash; without it, only their presence is checked.
    """
    problems = [*_description(root), *_journal(root)]
    yield from problems
    samples: dict[str, Sample] = {}
    dropped: dict[str, Sample] = {}
    try:
        for entry in manifest.stream(root / names.MANIFEST):
            if isinstance(entry, Tombstone):
                dropped[entry.id] = entry.sample
            else:
                samples[entry.id] = entry
    except CarpetDataError as error:
        yield _from_error(root, "manifest-damaged", error)
        return
    if not any(problem.code == "description-damaged" for problem in problems):
        yield from _classes(root, samples)
    for sample in samples.values():
        yield from _files(root, sample, hashes=hashes)
    yield from _unknown_files(root, samples, dropped)
    partitions: dict[str, Split] = {}
    for name in splits.names(root):
        split = _read_split(root, name)
        if isinstance(split, Problem):
            yield split
        else:
            partitions[name] = split
    for split in partitions.values():
        yield from _split(split, samples, dropped)
    yield from _provenance(samples, dropped, partitions)
    yield from models.problems(root, samples, dropped, partitions)


def leaks(root: Path, split: Split) -> Iterator[Problem]:
    """What would let a held-out image of one split reach training, by the manifest and the cards of models.

    Args:
        root: The folder.
        split: One of its splits, as it is read.

    Raises:
        DataError: The manifest is missing or damaged.
    """
    samples: dict[str, Sample] = {}
    dropped: dict[str, Sample] = {}
    for entry in manifest.stream(root / names.MANIFEST):
        if isinstance(entry, Tombstone):
            dropped[entry.id] = entry.sample
        else:
            samples[entry.id] = entry
    yield from _split(split, samples, dropped)
    yield from _provenance(samples, dropped, {split.name: split})
    yield from models.problems(root, samples, dropped, {split.name: split})
    yield from _same_bytes(split, samples)


def _same_bytes(split: Split, samples: Mapping[str, Sample]) -> Iterator[Problem]:
    taught = {
        sample.image_sha256: sample.id
        for sample_id in split.ids("train")
        if (sample := samples.get(sample_id)) is not None and sample.image_sha256
    }
    for side in ("val", "test"):
        for sample_id in split.ids(side):
            twin = taught.get(_bytes_of(samples.get(sample_id)))
            if twin is not None:
                what = f"{sample_id!r} on the {side} side is, byte for byte, {twin!r} on the train side"
                yield Problem("error", "same-image-on-two-sides", what, names.split_path(split.name), _REMAKE)


def _from_error(root: Path, code: str, error: CarpetDataError) -> Problem:
    where = (error.where or str(root)).removeprefix(f"{root}/")
    return Problem("error", code, error.what, where, error.hint or _AGAIN)


def _description(root: Path) -> Iterator[Problem]:
    try:
        description.read(root)
    except CarpetDataError as error:
        yield _from_error(root, "description-damaged", error)


def _journal(root: Path) -> Iterator[Problem]:
    try:
        begun = unfinished(root)
    except CarpetDataError as error:
        yield _from_error(root, "journal-damaged", error)
        return
    if begun is not None:
        yield Problem(
            "warning",
            "unfinished-command",
            f"a command was stopped before it had finished: {begun[0]}",
            names.JOURNAL,
            f"run that command again to complete it, or remove {names.JOURNAL} to give up what it had written",
        )


def _classes(root: Path, samples: Mapping[str, Sample]) -> Iterator[Problem]:
    about = description.read(root)
    for class_name in sorted({sample.class_name for sample in samples.values()} - set(about.classes) - {GOOD}):
        yield Problem(
            "error",
            "class-unknown",
            f"samples are of the class {class_name!r}, which dataset.json does not name",
            names.DESCRIPTION,
            _AGAIN,
        )


def _files(root: Path, sample: Sample, *, hashes: bool) -> Iterator[Problem]:
    for kind, path, digest in (
        ("image", sample.image_path, sample.image_sha256),
        ("mask", sample.mask_path, sample.mask_sha256),
    ):
        if path is None:
            continue
        if not (root / path).is_file():
            yield Problem("error", "file-missing", f"the {kind} of {sample.id} is missing", path, _AGAIN)
        elif hashes and digest is not None and sha256(root / path) != digest:
            what = f"the {kind} of {sample.id} is not the file that was prepared: its hash differs"
            yield Problem("error", "hash-mismatch", what, path, _AGAIN)


def _unknown_files(root: Path, samples: Mapping[str, Sample], dropped: Mapping[str, Sample]) -> Iterator[Problem]:
    known = {
        path for s in (*samples.values(), *dropped.values()) for path in (s.image_path, s.mask_path) if path is not None
    }
    for folder in (names.IMAGES, names.MASKS):
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if relative not in known and not path.is_dir():
                what = "no sample has this file"
                yield Problem("warning", "file-unknown", what, relative, "remove it, or add it to the source instead")


def _read_split(root: Path, name: str) -> Split | Problem:
    try:
        return splits.read(root, name)
    except CarpetDataError as error:
        return _from_error(root, "split-damaged", error)


def _split(split: Split, samples: Mapping[str, Sample], dropped: Mapping[str, Sample]) -> Iterator[Problem]:
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


def _bytes_of(sample: Sample | None) -> str:
    return "" if sample is None else sample.image_sha256 or ""


def _provenance(
    samples: Mapping[str, Sample], dropped: Mapping[str, Sample], partitions: Mapping[str, Split]
) -> Iterator[Problem]:
    known = {**dropped, **samples}
    # An image is held out by its bytes too, whatever id it has there.
    held_out = {
        split.name: {
            sample.image_sha256: sample.id
            for sample_id, side in split.sides.items()
            if side in ("val", "test") and (sample := known.get(sample_id)) is not None and sample.image_sha256
        }
        for split in partitions.values()
    }
    for sample in samples.values():
        if sample.origin != "synthetic":
            continue
        hint = "drop the sample and make it again from train images"
        provenance = sample.provenance or {}
        its_splits = [split for split in partitions.values() if sample.id in split.sides]
        for role, ancestor in ancestors(provenance):
            if ancestor not in samples and ancestor not in dropped:
                what = f"the {role} {ancestor!r} of {sample.id} is not in the manifest"
                yield Problem("error", "ancestor-unknown", what, names.MANIFEST, hint)
            for split in its_splits:
                side = split.sides.get(ancestor)
                if side in ("val", "test"):
                    what = f"the {role} {ancestor!r} of {sample.id} is on the {side} side of {split.name}"
                    yield Problem("error", "ancestor-held-out", what, names.MANIFEST, hint)
                elif (twin := held_out[split.name].get(_bytes_of(known.get(ancestor)))) is not None:
                    what = f"the {role} {ancestor!r} of {sample.id} is the image {twin!r}, held out in {split.name}"
                    yield Problem("error", "ancestor-held-out", what, names.MANIFEST, hint)
