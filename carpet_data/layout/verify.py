"""Is a prepared folder what it says? Every problem found, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from carpet_data.errors import CarpetDataError
from carpet_data.findings import Finding
from carpet_data.layout import description, manifest, models, names, splits
from carpet_data.layout.append import ancestors
from carpet_data.layout.files import sha256
from carpet_data.layout.journal import unfinished
from carpet_data.layout.manifest import Tombstone
from carpet_data.samples import GOOD, Sample, Split

_AGAIN = "prepare the data set again from its source"
_REMAKE = "make the split again (carpet-data split)"


def verify(root: Path, *, hashes: bool = True) -> Iterator[Finding]:
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
        if isinstance(split, Finding):
            yield split
        else:
            partitions[name] = split
    for split in partitions.values():
        yield from _split(split, samples, dropped)
    yield from _provenance(samples, dropped, partitions)
    yield from models.findings(root, samples, dropped, partitions)


def leaks(root: Path, split: Split) -> Iterator[Finding]:
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
    yield from models.findings(root, samples, dropped, {split.name: split})
    yield from _same_bytes(split, samples)


def _same_bytes(split: Split, samples: Mapping[str, Sample]) -> Iterator[Finding]:
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
                yield Finding("error", "same-image-on-two-sides", what, names.split_path(split.name), _REMAKE)


def _from_error(root: Path, code: str, error: CarpetDataError) -> Finding:
    where = (error.where or str(root)).removeprefix(f"{root}/")
    return Finding("error", code, error.what, where, error.mend or _AGAIN)


def _description(root: Path) -> Iterator[Finding]:
    try:
        description.read(root)
    except CarpetDataError as error:
        yield _from_error(root, "description-damaged", error)


def _journal(root: Path) -> Iterator[Finding]:
    try:
        begun = unfinished(root)
    except CarpetDataError as error:
        yield _from_error(root, "journal-damaged", error)
        return
    if begun is not None:
        yield Finding(
            "warning",
            "unfinished-command",
            f"a command was stopped before it had finished: {begun[0]}",
            names.JOURNAL,
            f"run that command again to complete it, or remove {names.JOURNAL} to give up what it had written",
        )


def _classes(root: Path, samples: Mapping[str, Sample]) -> Iterator[Finding]:
    about = description.read(root)
    for class_name in sorted({sample.class_name for sample in samples.values()} - set(about.classes) - {GOOD}):
        yield Finding(
            "error",
            "class-unknown",
            f"samples are of the class {class_name!r}, which dataset.json does not name",
            names.DESCRIPTION,
            _AGAIN,
        )


def _files(root: Path, sample: Sample, *, hashes: bool) -> Iterator[Finding]:
    for kind, path, digest in (
        ("image", sample.image, sample.image_sha256),
        ("mask", sample.mask, sample.mask_sha256),
    ):
        if path is None:
            continue
        if not (root / path).is_file():
            yield Finding("error", "file-missing", f"the {kind} of {sample.id} is missing", path, _AGAIN)
        elif hashes and digest is not None and sha256(root / path) != digest:
            what = f"the {kind} of {sample.id} is not the file that was prepared: its hash differs"
            yield Finding("error", "hash-mismatch", what, path, _AGAIN)


def _unknown_files(root: Path, samples: Mapping[str, Sample], dropped: Mapping[str, Sample]) -> Iterator[Finding]:
    known = {path for s in (*samples.values(), *dropped.values()) for path in (s.image, s.mask) if path is not None}
    for folder in (names.IMAGES, names.MASKS):
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if relative not in known and not path.is_dir():
                what = "no sample has this file"
                yield Finding("warning", "file-unknown", what, relative, "remove it, or add it to the source instead")


def _read_split(root: Path, name: str) -> Split | Finding:
    try:
        return splits.read(root, name)
    except CarpetDataError as error:
        return _from_error(root, "split-damaged", error)


def _split(split: Split, samples: Mapping[str, Sample], dropped: Mapping[str, Sample]) -> Iterator[Finding]:
    where = names.split_path(split.name)
    side_of_group: dict[str, str] = {}
    for sample_id, side in split.sides.items():
        sample = samples.get(sample_id)
        if sample is None:
            if sample_id not in dropped:
                yield Finding("error", "split-id-unknown", f"{sample_id!r} is not in the manifest", where, _REMAKE)
            continue
        if sample.origin == "synthetic" and side != "train":
            what = f"the synthetic sample {sample_id} is on the {side} side"
            yield Finding("error", "synthetic-held-out", what, where, _REMAKE)
        if sample.group is not None and side_of_group.setdefault(sample.group, side) != side:
            what = f"the group {sample.group!r} is on two sides, {side_of_group[sample.group]} and {side}"
            yield Finding("error", "group-straddles", what, where, _REMAKE)


def _bytes_of(sample: Sample | None) -> str:
    return "" if sample is None else sample.image_sha256 or ""


def _provenance(
    samples: Mapping[str, Sample], dropped: Mapping[str, Sample], partitions: Mapping[str, Split]
) -> Iterator[Finding]:
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
        mend = "drop the sample and make it again from train images"
        provenance = sample.provenance or {}
        its_splits = [split for split in partitions.values() if sample.id in split.sides]
        for role, ancestor in ancestors(provenance):
            if ancestor not in samples and ancestor not in dropped:
                what = f"the {role} {ancestor!r} of {sample.id} is not in the manifest"
                yield Finding("error", "ancestor-unknown", what, names.MANIFEST, mend)
            for split in its_splits:
                side = split.sides.get(ancestor)
                if side in ("val", "test"):
                    what = f"the {role} {ancestor!r} of {sample.id} is on the {side} side of {split.name}"
                    yield Finding("error", "ancestor-held-out", what, names.MANIFEST, mend)
                elif (twin := held_out[split.name].get(_bytes_of(known.get(ancestor)))) is not None:
                    what = f"the {role} {ancestor!r} of {sample.id} is the image {twin!r}, held out in {split.name}"
                    yield Finding("error", "ancestor-held-out", what, names.MANIFEST, mend)
