"""Files that appear whole, and real images that keep their bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from carpet_data.errors import OutputError
from carpet_data.store.names import PARTIAL_SUFFIX

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file, copied when one of them is written
_NO_CLONE = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM})
_devices_without_clone: set[int] = set()

_REFUSED = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "read-only file system",
    errno.ENOENT: "a folder cannot be created here",
    errno.EEXIST: "a file is where a folder should be",
    errno.ENOTDIR: "a file is where a folder should be",
}


@contextmanager
def making(out: Path) -> Iterator[None]:
    """Report an output that cannot be made by its own name, not by that of the hidden file or folder it grows in.

    Raises:
        OutputError: The system refuses.
    """
    try:
        yield
    except OSError as error:
        why = _REFUSED.get(error.errno or 0)
        if why is None:
            raise
        raise OutputError(f"cannot write: {why}", where=out, hint="choose another output folder") from error


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends well, and vanishes when it does not.

    Its folder is made. `durable` waits until the disk has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a whole file at once, see `replacing`."""
    with replacing(path, durable=durable) as file:
        file.write(data)


def place(source: Path, target: Path) -> None:
    """Bring a file into the folder with its bytes as they are: reflink, else hard link, else copy.

    A hard link shares its bytes with the source, so a placed file is never opened for writing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(target)
    source = source.resolve()
    try:
        if not _clone(source, partial):
            link_or_copy(source, partial)
        partial.replace(target)
    finally:
        # Renaming a link onto another link of the same file does nothing, so the name may still be there.
        partial.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target`, which must not be there, a hard link of `source`, or a copy where there can be no link."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        # Another file system, one without hard links, or a source that the system guards.
        shutil.copyfile(source, target)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    # Some network file systems cannot, nor can Windows; the names are then as safe as they make them.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_partials(root: Path) -> None:
    """Remove what a killed command left of files it was writing."""
    for partial in root.rglob(f".*{PARTIAL_SUFFIX}"):
        if partial.is_file():
            partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    # The process id keeps two writers apart: the workers of a killed command may live a moment longer than it.
    return path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")


def _clone(source: Path, target: Path) -> bool:
    device = target.parent.stat().st_dev
    if device in _devices_without_clone:
        return False
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    with source.open("rb") as reader:
        target.unlink(missing_ok=True)
        with target.open("xb") as writer:
            try:
                fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
            except OSError as error:
                if error.errno not in _NO_CLONE:
                    raise
            else:
                return True
    target.unlink()
    if source.stat().st_dev == device:
        _devices_without_clone.add(device)
    return False
