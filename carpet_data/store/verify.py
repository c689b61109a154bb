"""Every problem of a prepared folder: files that are missing or changed, unknown names, leaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from carpet_data.core.problems import Problem
from carpet_data.dataset import GOOD, Sample, Split
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.store import description, leaks, manifest, names, splits
from carpet_data.store.files import sha256
from carpet_data.store.journal import unfinished

_AGAIN = "prepare the data set again from its source"


def verify(root: Path, *, hashes: bool = True) -> Iterator[Problem]:
    """Every problem of a prepared folder; without `hashes`, only the presence of files is checked."""
    read = _Read(root)
    yield from read.structure()
    if read.samples is None:
        return
    for sample in read.samples.values():
        yield from _files(root, sample, hashes=hashes)
    yield from _unknown_files(root, read.samples, read.dropped)
    yield from read.splits()


def refuse_errors(root: Path) -> None:
    """Refuse a prepared folder that is damaged, or leaks by one of its splits; its images and masks are not opened.

    Raises:
        ProblemsError: What `verify` calls an error, but for single files.
    """
    read = _Read(root)
    found = [*read.structure(), *(read.splits() if read.samples is not None else ())]
    errors = [
        DataError(each.what, where=root / each.where, hint=each.hint) for each in found if each.severity == "error"
    ]
    if errors:
        raise ProblemsError(errors)


class _Read:
    """The documents of a prepared folder, as far as they can be read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.samples: dict[str, Sample] | None = None
        self.dropped: dict[str, Sample] = {}

    def structure(self) -> Iterator[Problem]:
        """Problems of the description, the journal and the manifest."""
        problems = [*_description(self.root), *_journal(self.root)]
        yield from problems
        try:
            self.samples, self.dropped = manifest.read(self.root)
        except CarpetDataError as error:
            yield _from_error(self.root, "manifest-damaged", error)
            return
        if not any(problem.code == "description-damaged" for problem in problems):
            yield from _classes(self.root, self.samples)

    def splits(self) -> Iterator[Problem]:
        """Problems of the splits: damage and leaks."""
        assert self.samples is not None
        partitions: list[Split] = []
        for name in splits.names(self.root):
            try:
                partitions.append(splits.read(self.root, name))
            except CarpetDataError as error:  # noqa: PERF203  (one damaged split must not hide the others)
                yield _from_error(self.root, "split-damaged", error)
        for split in partitions:
            yield from leaks.of_split(split, self.samples, self.dropped)
        yield from leaks.of_provenance(self.samples, self.dropped, partitions)
        yield from leaks.of_models(self.root, self.samples, self.dropped, partitions)


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
            f"a command was interrupted: {begun[0]}",
            names.JOURNAL,
            f"run that command again to complete it, or remove {names.JOURNAL} to discard what it has written",
        )


def _classes(root: Path, samples: Mapping[str, Sample]) -> Iterator[Problem]:
    about = description.read(root)
    for class_name in sorted({sample.class_name for sample in samples.values()} - set(about.classes) - {GOOD}):
        yield Problem(
            "error",
            "class-unknown",
            f"samples are of the class {class_name!r}, which dataset.json does not list",
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
            what = f"the {kind} of {sample.id} has changed since it was prepared: its hash differs"
            yield Problem("error", "hash-mismatch", what, path, _AGAIN)


def _unknown_files(root: Path, samples: Mapping[str, Sample], dropped: Mapping[str, Sample]) -> Iterator[Problem]:
    known = {
        path for s in (*samples.values(), *dropped.values()) for path in (s.image_path, s.mask_path) if path is not None
    }
    for folder in (names.IMAGES, names.MASKS):
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if relative not in known and not path.is_dir():
                what = "the file belongs to no sample"
                yield Problem("warning", "file-unknown", what, relative, "remove it, or add it to the source instead")
