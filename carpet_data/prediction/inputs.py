"""Which images `predict` is asked for: files, folders, prepared folders and patterns, each file once."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.images import SUFFIXES
from carpet_data.core.text import counted
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError, UsageError
from carpet_data.prediction.names import PREDICTIONS
from carpet_data.store import reading
from carpet_data.store.description import is_prepared
from carpet_data.store.output import MARKER

__all__ = ["Found", "ImageFile", "find", "images_below", "is_image_name", "not_regular"]

_TRUTH = "ground_truth"
"""The folder of masks in MVTec AD's layout."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image to predict.

    Attributes:
        path: As the user wrote it, or below the folder that the user named.
        name: The path below that folder, with forward slashes; of a single file its name.
        sample_id: Its id where it is of a prepared folder; else None.
    """

    path: Path
    name: str
    sample_id: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The images that were asked for.

    Attributes:
        images: In the order of the arguments, those of a folder sorted by path; each file once.
        notes: What was left out on purpose.
        classes: Those of the prepared folders among the arguments, by folder.
    """

    images: tuple[ImageFile, ...]
    notes: tuple[str, ...]
    classes: tuple[tuple[Path, tuple[str, ...]], ...] = ()


def find(arguments: Sequence[str | os.PathLike[str]]) -> Found:
    """Find the images of arguments: files, folders (searched to any depth), prepared folders, and patterns.

    Of a prepared folder, the images of its samples; in other folders, files with the suffix of an image, except masks
    in a folder `ground_truth`, hidden files and what `predict` wrote.

    Raises:
        DataError: A path does not exist, a folder cannot be listed, or there is no image.
    """
    skipped: Counter[str] = Counter()
    classes: list[tuple[Path, tuple[str, ...]]] = []
    images: dict[Path, ImageFile] = {}
    for path in _expanded(arguments):
        if path.is_dir():
            if is_prepared(path):
                dataset = reading.read(path)
                classes.append((path, tuple(dict.fromkeys((*dataset.classes, *dataset.categories)))))
                files: Iterable[ImageFile] = _samples(dataset, path)
            else:
                files = images_below(path, skipped)
        else:
            files = (ImageFile(path, path.name),)
        for file in files:
            key = file.path.resolve()
            if key in images:
                skipped["named twice, predicted once"] += 1
            else:
                images[key] = file
    notes = tuple(f"{counted(count, 'file')} {why}" for why, count in skipped.items())
    if not images:
        shown = ", ".join(str(argument) for argument in arguments[:3]) or "nothing"
        hint = f"name image files ({', '.join(sorted(SUFFIXES))}) or folders with some"
        raise DataError(f"no images found ({'; '.join(notes)})" if notes else "no images found", where=shown, hint=hint)
    return Found(tuple(images.values()), notes, tuple(classes))


def _expanded(arguments: Sequence[str | os.PathLike[str]]) -> Iterator[Path]:
    for argument in arguments:
        text = os.fspath(argument)
        if not text:
            raise UsageError("a path is empty", hint="name image files or folders")
        if os.path.lexists(text):
            yield Path(text)
            continue
        # A name that exists may hold brackets and stars itself, so patterns come second.
        matches = sorted(glob.glob(text, recursive=True)) if glob.has_magic(text) else []  # noqa: PTH207 - any root
        if not matches:
            what = "the pattern matches nothing" if glob.has_magic(text) else "no such file or folder"
            raise DataError(what, where=text, hint="check the path")
        yield from map(Path, matches)


def _samples(dataset: Dataset, root: Path) -> Iterator[ImageFile]:
    for sample in dataset:
        yield ImageFile(root / sample.image_path, sample.image_path, sample.id)


def images_below(root: Path, skipped: Counter[str]) -> Iterator[ImageFile]:
    """The images in a folder and all folders in it, sorted by path; `skipped` counts the rest by reason.

    Raises:
        DataError: A folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        where = error.filename or root
        raise DataError(f"it cannot be listed ({error.strerror})", where=where, hint="check its permissions") from error

    found: list[tuple[str, Path]] = []
    for folder, folders, files in os.walk(root, onerror=refuse):
        here = Path(folder)
        # Folders that are links are not followed, so that no circle of them is walked.
        folders[:] = [name for name in folders if not _leave_out(here / name, skipped)]
        for name in files:
            path = here / name
            if name.startswith("."):
                continue
            if not is_image_name(name):
                skipped["skipped: not an image by their suffix"] += 1
            elif not path.is_file():
                skipped["skipped: neither a regular file nor a link to one"] += 1
            else:
                found.append((path.relative_to(root).as_posix(), path))
    yield from (ImageFile(path, name) for name, path in sorted(found))


def _leave_out(folder: Path, skipped: Counter[str]) -> bool:
    if folder.name.startswith("."):
        return True
    if folder.name == _TRUTH:
        skipped["skipped: masks in a folder ground_truth"] += sum(is_image_name(name) for name in _names(folder))
        return True
    return (folder / PREDICTIONS).is_file() and (folder / MARKER).is_file()


def _names(folder: Path) -> Iterator[str]:
    for _, _, files in os.walk(folder):
        yield from files


def is_image_name(name: str) -> bool:
    """Whether a file name ends as an image's does and is not hidden."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")  # noqa: PTH122 - a plain name


def not_regular(path: Path) -> str | None:
    """Why a path cannot be read as a file: opening a FIFO would wait forever. None where it can be tried."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return None if stat.S_ISREG(mode) else "not a regular file"
