"""The names in a folder, sorted: one walk, and nothing is opened."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from carpet_data.errors import DataError

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_KNOWN_STEMS = frozenset({"license", "licence", "readme"})


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, at any depth.

    Attributes:
        files: Regular files, and links to files that are missing; POSIX paths relative to the root, sorted.
        others: Sockets, pipes and devices, which are never opened.
    """

    root: Path
    files: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the data set is called: the folder's own name."""
        return self.root.resolve().name or "data"


def is_ignored(name: str) -> bool:
    """Whether a file or folder is of no interest: hidden, or left there by a desktop."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FILES


def is_image(name: str) -> bool:
    """Whether the suffix is that of an image."""
    from carpet_data.core.images import SUFFIXES

    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 (a million times, and a Path each is slow)


def is_known(name: str) -> bool:
    """Whether a file belongs to a data set without being part of it: a license or a readme."""
    # Roboflow writes README.dataset.txt.
    return PurePosixPath(name).name.partition(".")[0].casefold() in _KNOWN_STEMS


def composed(text: str) -> str:
    """The text with its accents composed (NFC), as two file systems may spell one name differently."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


_KEPT: ContextVar[dict[Path, Listing] | None] = ContextVar("_KEPT", default=None)


@contextmanager
def walking_once() -> Iterator[None]:
    """Within this, a folder that was listed is not listed again: who reads it and who accounts for it share a walk."""
    if _KEPT.get() is not None:
        yield
        return
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def walk(root: Path) -> Listing:
    """List a folder and all below it, hidden files left out; links to folders are followed, but never in a circle.

    Raises:
        DataError: The folder is missing or no folder, a folder below it may not be read, or a name is not UTF-8.
    """
    kept = _KEPT.get()
    if kept is None:
        return _walk(root)
    if root not in kept:
        kept[root] = _walk(root)
    return kept[root]


def beside(root: Path, paths: Iterable[str]) -> Listing:
    """The files that lie beside some files, in the same folders, without what is below these.

    For a data set that is named by one file: around it may lie whatever a home folder holds.
    """
    files: list[str] = []
    for folder in sorted({path.rpartition("/")[0] for path in paths}):
        with os.scandir(root / folder) as entries:
            names = [entry.name for entry in entries if not is_ignored(entry.name) and _kind(entry) == "file"]
        files += [f"{folder}/{name}" if folder else name for name in names if _is_text(name)]
    return Listing(root, tuple(sorted(files)))


def _is_text(name: str) -> bool:
    return name.encode("utf-8", "replace").decode() == name


def _walk(root: Path) -> Listing:
    if not root.is_dir():
        raise DataError(
            "this is a file, not a folder" if root.exists() else "no such folder",
            where=root,
            hint="name the folder that holds the data set",
        )
    files: list[str] = []
    others: list[str] = []
    # Each folder carries the identity of those above it: a link back to one of them would never end.
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        folder, above = waiting.pop()
        path = os.path.join(root, folder) if folder else os.fspath(root)  # noqa: PTH118
        try:
            status = os.stat(path)  # noqa: PTH116
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                continue
            with os.scandir(path) as entries:
                found = list(entries)
        except OSError as error:
            raise DataError(
                f"the folder cannot be read ({error.strerror})", where=path, hint="check the permissions of this folder"
            ) from error
        for entry in found:
            if is_ignored(entry.name):
                continue
            relative = f"{folder}/{entry.name}" if folder else entry.name
            _check_text(relative, root)
            kind = _kind(entry)
            if kind == "folder":
                waiting.append((relative, above | {identity}))
            else:
                (files if kind == "file" else others).append(relative)
    return Listing(root, tuple(sorted(files)), tuple(sorted(others)))


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
        # A broken link stays in the list, so that it is reported as an image that is missing.
        return "file" if entry.is_symlink() and not Path(entry.path).exists() else "other"
    except OSError:  # a link in a circle
        return "file"


def _check_text(relative: str, root: Path) -> None:
    if relative.isascii():
        return
    try:
        relative.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(relative).decode("utf-8", "backslashreplace")
        raise DataError(
            f"the name {shown!r} is not UTF-8", where=root, hint="rename the file (convmv can do it for a whole folder)"
        ) from error
