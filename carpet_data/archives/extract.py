"""Unpack one archive into an empty folder: regular files and folders only, everything else is refused.

Links are refused rather than followed with care: data sets need none, and every known escape goes through one.
"""

from __future__ import annotations

import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from carpet_data.archives.limits import Limits
from carpet_data.archives.names import Names, safe_parts
from carpet_data.archives.streams import CappedFile, Kind, TarStream, corrupt, kind_of
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import FetchError, OutputError

__all__ = ["Contents", "extract"]

_CHUNK = 2**18
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Contents:
    """What came out of an archive.

    Attributes:
        kind: What the archive is, by its bytes.
        files: Files written.
        folders: Folders the archive names itself.
        bytes: Bytes written.
    """

    kind: Kind
    files: int
    folders: int
    bytes: int


def extract(archive: Path, folder: Path, *, limits: Limits, progress: Progress) -> Contents:
    """Unpack `archive` into the empty folder `folder`.

    Files get the permissions of new files: set-uid, read-only and executable bits of the archive are not kept. A
    failure leaves what was written so far; the caller owns the folder.

    Raises:
        FetchError: The archive is damaged, encrypted, of an unknown kind, beyond the limits, or holds a member that
            is not safe to write.
        OutputError: The disk is, or will be, full.
    """
    kind = kind_of(archive)
    packed_bytes = archive.stat().st_size
    # A packed image hardly packs further, so the archive's own size tells at least roughly what will be needed.
    _check_space(folder, packed_bytes)
    writer = _Writer(archive, folder, limits, packed_bytes)
    with archive.open("rb") as file, _as_ours(archive, folder):
        if kind == "zip":
            _extract_zip(file, writer, progress)
        else:
            _extract_tar(file, kind, writer, progress)
    if not writer.files:
        raise FetchError("the archive holds no files", where=archive, hint="get the archive from its official source")
    return Contents(kind=kind, files=writer.files, folders=writer.folders, bytes=writer.bytes)


class _Writer:
    """Writes members below one folder and keeps count of what they cost."""

    def __init__(self, archive: Path, folder: Path, limits: Limits, packed_bytes: int) -> None:
        self.archive = str(archive)
        self.folder = folder
        self.limits = limits
        self.packed_bytes = packed_bytes
        self.names = Names(self.archive)
        self.files = 0
        self.folders = 0
        self.bytes = 0

    def add(self, name: str, size: int, *, is_folder: bool) -> Path:
        """Check a member against names and limits; where to write it."""
        parts = safe_parts(name, archive=self.archive)
        self.limits.check_members(self.files + self.folders + 1, self.archive)
        self.names.add(parts, folder=is_folder)
        if is_folder:
            self.folders += 1
        else:
            self.files += 1
            self.limits.check_file(size, name, self.archive)
            self.limits.check_total(self.bytes + size, self.packed_bytes, self.archive)
        return self.folder.joinpath(*parts)

    def write(self, path: Path, source: IO[bytes], size: int, tick: Callable[[], None]) -> None:
        """Copy exactly `size` bytes into a new file; a source that gives more or fewer is damaged."""
        path.parent.mkdir(parents=True, exist_ok=True)
        left = size
        with path.open("xb") as target:
            while left:
                block = source.read(min(_CHUNK, left))
                if not block:
                    raise corrupt(self.archive, f"{path.name!r} is {left:,} bytes short")
                target.write(block)
                left -= len(block)
                self.bytes += len(block)
                tick()
        # zipfile compares the checksum of a member said to be empty only when it is read.
        if source.read(1):
            raise corrupt(self.archive, f"{path.name!r} is longer than announced")


def _extract_tar(file: BinaryIO, kind: Kind, writer: _Writer, progress: Progress) -> None:
    stream = TarStream(file, kind, archive=writer.archive, packed_bytes=writer.packed_bytes, limits=writer.limits)
    total = writer.packed_bytes // _MIB
    # tarfile asks for read, seek and tell alone.
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:", encoding="utf-8") as tar:
        # Opening has looked for the first member; where there is none, Python 3.10 walks backwards to look again.
        empty = cast("Any", tar).firstmember is None
        while not empty and (member := tar.next()) is not None:
            # tarfile keeps every member it has seen; we go forward only.
            cast("Any", tar).members.clear()
            if member.size < 0:
                raise corrupt(writer.archive, f"{member.name!r} has a size below zero")
            if member.isdir():
                writer.add(member.name, 0, is_folder=True).mkdir(parents=True, exist_ok=True)
                continue
            if not member.isreg() or member.issparse():
                raise _refused(member.name, _tar_kind(member), writer.archive)
            path = writer.add(member.name, member.size, is_folder=False)
            source = tar.extractfile(member)
            assert source is not None
            writer.write(
                path, source, member.size, lambda: progress(Step(file.tell() // _MIB, total, "unpacking (MiB)"))
            )
        stream.check_end()


def _tar_kind(member: tarfile.TarInfo) -> str:
    kinds = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a hard link",
        tarfile.CHRTYPE: "a device",
        tarfile.BLKTYPE: "a device",
        tarfile.FIFOTYPE: "a pipe",
        tarfile.GNUTYPE_SPARSE: "a sparse file",
    }
    return kinds.get(member.type, "a sparse file" if member.issparse() else "of an unknown kind")


def _extract_zip(file: BinaryIO, writer: _Writer, progress: Progress) -> None:
    capped = CappedFile(file, archive=writer.archive, limits=writer.limits)
    with zipfile.ZipFile(cast("IO[bytes]", capped)) as zipped:
        members = zipped.infolist()
        writer.limits.check_members(len(members), writer.archive)
        announced = sum(member.file_size for member in members)
        writer.limits.check_total(announced, writer.packed_bytes, writer.archive)
        _check_space(writer.folder, announced)
        for member in members:
            name = _zip_name(member, writer.archive)
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "a device, pipe or socket"
                raise _refused(name, kind, writer.archive)
            if member.flag_bits & 0x1:
                raise FetchError(
                    f"the member {name!r} is encrypted, so nothing was unpacked",
                    where=writer.archive,
                    hint="unpack it with its password by another program; the folder works with every command",
                )
            if name.endswith("/"):
                writer.add(name, 0, is_folder=True).mkdir(parents=True, exist_ok=True)
                continue
            path = writer.add(name, member.file_size, is_folder=False)
            with zipped.open(member) as source:
                writer.write(
                    path,
                    source,
                    member.file_size,
                    lambda: progress(Step(writer.bytes // _MIB, announced // _MIB, "unpacking (MiB)")),
                )


def _zip_name(member: zipfile.ZipInfo, archive: str) -> str:
    """A member's name as written: zipfile cuts it at a zero byte, and reads unmarked UTF-8 as cp437."""
    name = member.orig_filename
    if member.flag_bits & 0x800 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise FetchError(
            f"the name of the member {name!r} is not UTF-8, so nothing was unpacked",
            where=archive,
            hint="pack it again with UTF-8 names (zip, 7z and file managers do so today)",
        ) from None


def _refused(name: str, kind: str, archive: str) -> FetchError:
    return FetchError(
        f"the member {name[:200]!a} is {kind}, so nothing was unpacked",
        where=archive,
        hint="pack it again with regular files and folders only (tar --dereference follows links)",
    )


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"unpacking needs {needed:,} bytes, and the disk has {free:,} free",
            where=folder.parent,
            hint="free some disk space, or choose an output on another disk",
        )


@contextmanager
def _as_ours(archive: Path, folder: Path) -> Iterator[None]:
    """Turn what tarfile, zipfile and the decompressors raise on damaged bytes into our error."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, LZMAError, EOFError) as error:
        raise corrupt(str(archive), str(error) or type(error).__name__) from error
    except NotImplementedError as error:
        raise FetchError(
            f"the archive is packed by a method that cannot be read here ({error})",
            where=archive,
            hint="pack it again with the usual method (deflate), or unpack it by its own program",
        ) from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 report damaged data so
            raise corrupt(str(archive), str(error)) from error
        raise OutputError(
            f"cannot write: {error.strerror}",
            where=error.filename or folder,
            hint="free some disk space, check the permissions, or choose another output",
        ) from error
    except (ValueError, struct.error, IndexError, OverflowError, RuntimeError) as error:
        # Header fields that are no numbers, names that are not what their flag says, an unknown encryption.
        raise corrupt(str(archive), str(error)) from error
