"""Write a prepared folder.

It grows in a hidden folder beside its place and is renamed when it is whole. A killed command leaves that folder with
a journal, and the same command resumes from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import IndexFile, MaskFile, Sample, Split
from carpet_data.errors import OutputError
from carpet_data.store import description, manifest, names, splits
from carpet_data.store.conversion import MaskForm, render
from carpet_data.store.description import Description
from carpet_data.store.files import making, place, remove_partials, sha256, sync_folder, write_bytes
from carpet_data.store.journal import Journal, unfinished
from carpet_data.store.lock import Lock, locked
from carpet_data.store.manifest import Entry
from carpet_data.store.output import check_folder

_CHUNK = 64


class Contents(Protocol):
    """All that a prepared folder will hold, before anything is written."""

    @property
    def splits(self) -> Sequence[Split]:
        """Its splits."""
        ...

    @property
    def links(self) -> Sequence[Mapping[str, Any]]:
        """Why samples are grouped, as plain values."""
        ...

    @property
    def links_made(self) -> Mapping[str, Any] | None:
        """How the links were found."""
        ...

    def identity(self) -> str:
        """A hex digest of everything that decides what is written."""
        ...

    def ids(self) -> Collection[str]:
        """The ids of the samples that will be there."""
        ...

    def jobs(self, target: Path, done: Container[str]) -> Iterator[Any]:
        """What workers are to write into `target`; ids in `done` are there already."""
        ...

    @property
    def write(self) -> Callable[[Any], Sequence[Sample]]:
        """Writes the files of a job and returns its samples; a function of a module, so that workers can import it."""
        ...

    def entry(self, sample: Sample) -> Entry:
        """The sample as it stands in the manifest."""
        ...

    def finish(self, target: Path) -> Description:
        """Write further documents once all samples are in the manifest, and describe the whole."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """One sample to be written: its id in the prepared folder, and what was found in the source."""

    id: str
    source: Sample
    source_sha256: str
    mask_form: MaskForm
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What `prepare` writes: the images of a source as they are; samples are sorted by id.

    Attributes:
        links: Why samples are grouped, as plain values; `links_made` says how they were found.
    """

    root: Path
    description: Description
    samples: tuple[Planned, ...]
    splits: tuple[Split, ...]
    links: tuple[Mapping[str, Any], ...] = ()
    links_made: Mapping[str, Any] | None = None

    def identity(self) -> str:
        """A hex digest of everything that decides what is written."""
        digest = hashlib.sha256()
        about = self.description
        parts: list[Any] = [
            [about.name, about.license, about.connectivity, about.classes, about.categories, about.prepared],
            [self.links_made, self.links],
        ]
        parts += [[split.name, split.made, sorted(split.sides.items())] for split in self.splits]
        for planned in self.samples:
            raw, mask_form = planned.source, planned.mask_form
            parts.append([planned.id, raw.image_path, raw.class_name, raw.width, raw.height, raw.side, raw.origin])
            parts.append([planned.source_sha256, mask_form.form, mask_form.digest, planned.group])
        for part in parts:
            digest.update(json.dumps(part, sort_keys=True).encode() + b"\n")
        return digest.hexdigest()

    def ids(self) -> Collection[str]:
        """The ids of the samples that will be there."""
        return [planned.id for planned in self.samples]

    def jobs(self, target: Path, done: Container[str]) -> Iterator[tuple[str, str, Planned]]:
        """What workers are to write."""
        root, folder = str(self.root), str(target)
        return ((root, folder, planned) for planned in self.samples if planned.id not in done)

    @property
    def write(self) -> Callable[[Any], Sequence[Sample]]:
        """Brings one image and its mask into the folder."""
        return _write

    def entry(self, sample: Sample) -> Entry:
        """The sample itself."""
        return sample

    def finish(self, target: Path) -> Description:  # noqa: ARG002  (nothing further is written)
        """The description of the draft."""
        return self.description


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that must not be replaced.

    Raises:
        OutputError: See `check_folder`; with `overwrite`, prepared data sets may be replaced.
    """
    _put_back(out)
    check_folder(out, overwrite=overwrite, ours=description.is_prepared, kind="prepared data sets")


def create(
    out: Path,
    draft: Contents,
    *,
    command: str,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Write a prepared folder, or complete it where the same work was killed before.

    The result does not depend on the number of workers. With `overwrite`, a prepared data set that is there is
    replaced.

    Returns:
        Number of samples that an earlier, killed run had written.

    Raises:
        OutputError: The output exists, or holds the unfinished work of another command.
        LockedError: Another process is writing it.
        ImageError: A source file changed for the worse since it was looked at.
    """
    check_out(out, overwrite=overwrite)
    scratch = scratch_of(out)
    with making(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(exist_ok=True)
    try:
        with locked(scratch, command) as lock:
            # Another process may have finished between the first look and the lock.
            check_out(out, overwrite=overwrite)
            resumed = _fill(scratch, draft, command, overwrite=overwrite, workers=workers, progress=progress)
            _move(scratch, out, lock, command)
    finally:
        with contextlib.suppress(OSError):
            scratch.rmdir()  # where nothing was written, nothing is left
    return resumed


def scratch_of(out: Path) -> Path:
    """Where a prepared folder grows."""
    out = out.resolve()
    return out.parent / f".{out.name}.unfinished"


def _replaced_of(out: Path) -> Path:
    out = out.resolve()
    return out.parent / f".{out.name}.replaced"


def _fill(
    scratch: Path,
    draft: Contents,
    command: str,
    *,
    overwrite: bool,
    workers: int | None,
    progress: Progress | None,
) -> int:
    begun = unfinished(scratch)
    identity = draft.identity()
    _empty_unless_resumed(scratch, begun, identity, overwrite=overwrite)
    journal = Journal.open(scratch, command, identity)
    try:
        planned = frozenset(draft.ids())
        for sample in list(journal.entries()):
            if sample.id not in planned or not _in_place(scratch, sample):
                journal.forget(sample.id)
        resumed = len(journal)
        _write_missing(scratch, draft, len(planned), journal, workers, progress)
        manifest.write(scratch / names.MANIFEST, map(draft.entry, journal.entries()))
    finally:
        journal.close()
    if draft.links_made is not None:
        splits.write_links(scratch, draft.links_made, draft.links)
    (scratch / names.SPLITS).mkdir(exist_ok=True)
    for split in draft.splits:
        splits.write(scratch, split, overwrite=True)
    if begun is not None:
        remove_partials(scratch)
    description.write(scratch, draft.finish(scratch))
    journal.remove()
    return resumed


def _empty_unless_resumed(scratch: Path, begun: tuple[str, str] | None, identity: str, *, overwrite: bool) -> None:
    """Keep only what an interrupted run of the same draft has written; refuse to discard that of another command."""
    if begun is not None and begun[1] == identity:
        return
    if begun is not None and not overwrite:
        raise OutputError(
            f"another command was interrupted here: {begun[0]}",
            where=scratch,
            hint="run that command again to complete it (its source must be as it was), "
            "or use --overwrite to discard what it has written",
        )
    _empty(scratch)


def _write_missing(
    scratch: Path,
    draft: Contents,
    total: int,
    journal: Journal,
    workers: int | None,
    progress: Progress | None,
) -> None:
    done, there = len(journal), journal.ids
    chunk: list[Sample] = []
    for samples in executor.run(draft.write, draft.jobs(scratch, there), workers=workers):
        # The samples of one job are committed together, so that a killed command has all of them or none.
        chunk += samples
        done += sum(sample.id not in there for sample in samples)
        if len(chunk) >= _CHUNK:
            journal.commit(chunk)
            chunk.clear()
        if progress is not None:
            progress(Step(done, total, "writing"))
    journal.commit(chunk)


def _write(job: tuple[str, str, Planned]) -> tuple[Sample]:
    root, target, planned = Path(job[0]), Path(job[1]), job[2]
    source, mask_form = planned.source, planned.mask_form
    image = names.image_path(planned.id, source.class_name, PurePosixPath(source.image_path).suffix)
    place(root / source.image_path, target / image)
    annotation: MaskFile | IndexFile | None = None
    if mask_form.form != "none":
        mask = names.mask_path(planned.id, source.class_name)
        if mask_form.form == "kept":
            assert source.mask_path is not None
            place(root / source.mask_path, target / mask)
        else:
            write_bytes(target / mask, render(root, source, mask_form.form))
        annotation = IndexFile(mask, mask_form.table) if mask_form.form == "index" else MaskFile(mask)
    sample = Sample(
        id=planned.id,
        image_path=image,
        class_name=source.class_name,
        width=source.width,
        height=source.height,
        annotation=annotation,
        origin=source.origin,
        side=source.side,
        source=source.image_path,
        image_sha256=sha256(target / image),
        mask_sha256=None if annotation is None else sha256(target / annotation.path),
        group=planned.group,
    )
    return (sample,)


def _in_place(root: Path, sample: Sample) -> bool:
    """Whether the files of a committed sample survived (after a power failure they may not have)."""
    pairs = [(sample.image_path, sample.image_sha256), (sample.mask_path, sample.mask_sha256)]
    return all((root / path).is_file() and sha256(root / path) == digest for path, digest in pairs if path is not None)


def _empty(folder: Path) -> None:
    """Remove all but the lock; the journal's record first, so that what remains is known to be incomplete."""
    entries: Sequence[Path] = sorted(folder.iterdir(), key=lambda path: path.name != names.JOURNAL)
    for path in entries:
        if path.name in names.LOCK_FILES:
            continue
        if path.is_dir() and not path.is_symlink():
            if path.name == names.JOURNAL:
                (path / "command.json").unlink(missing_ok=True)
            shutil.rmtree(path)
        else:
            path.unlink()


def _move(scratch: Path, out: Path, lock: Lock, command: str) -> None:
    replaced = _replaced_of(out)
    if out.is_dir() and any(out.iterdir()):
        with locked(out, command) as old_lock:
            shutil.rmtree(replaced, ignore_errors=True)
            out.replace(replaced)
            old_lock.moved(replaced)
            scratch.replace(out)
            lock.moved(out)
    else:
        scratch.replace(out)
        lock.moved(out)
    sync_folder(out.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _put_back(out: Path) -> None:
    """Undo a replacement that was killed between its two renames."""
    replaced = _replaced_of(out)
    if replaced.is_dir() and not out.exists():
        replaced.replace(out)
