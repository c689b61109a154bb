"""Unpack a local archive safely: regular files and folders only, below one folder, up to a limit.

`tarfile`'s data filter and `zipfile` keep members inside of the folder. On top of that, links and devices are refused
rather than handled with care (data sets need none, and every known escape goes through one), and so is whatever those
libraries would rename, skip or mistake for the end of the archive without a word.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from carpet_data.archives import Limits
from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.errors import FetchError, OutputError
from carpet_data.store.output import check_apart, check_folder, fresh_folder

__all__ = ["UnpackResult", "dataset_roots", "unpack"]

_CHUNK = 2**18
_MIB = 2**20
_LARGEST_HEADER = 2**20
"""The most that one read of a tar header may ask for: an honest name or PAX header is far below."""

_KINDS = (
    (b"\xfd7zXZ\x00", "tar.xz"),
    (b"\x1f\x8b", "tar.gz"),
    (b"BZh", "tar.bz2"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_OPENERS: dict[str, Any] = {"tar.xz": lzma.open, "tar.gz": gzip.open, "tar.bz2": bz2.open, "tar": open}
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\\]|^/|^[A-Za-z]:|(^|/)\.\.(/|$)")
_DEEPEST_ROOT = 4


@dataclass(frozen=True, slots=True)
class UnpackResult(Result):
    """What an archive became.

    Attributes:
        archive: The archive.
        kind: By its bytes: "tar", "tar.xz", "tar.gz", "tar.bz2" or "zip".
        out: The folder it was unpacked into.
        files: Files written.
        bytes: Bytes written.
        roots: The folders in MVTec's layout found inside, sorted: what the other commands take as ROOT.
    """

    archive: Path
    kind: str
    out: Path
    files: int
    bytes: int
    roots: tuple[Path, ...]


def unpack(
    archive: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> UnpackResult:
    """Unpack an archive into `out`, all of it or nothing.

    The archive's own layout is kept. Only regular files and folders are written, with the permissions of new files;
    anything else in the archive (links, devices, names that leave the folder) is an error that names the member.

    Args:
        archive: A .tar.xz, .tar.gz, .tar.bz2, .tar or .zip; recognized by its content, not by its name.
        out: A folder that does not exist or is empty.
        overwrite: Replace all that is in `out`.
        limits: How much the archive may hold; None for the defaults of `Limits`.
        progress: Called with (done, total) in MiB of the archive.

    Raises:
        FetchError: The archive is missing, damaged, encrypted, of another kind, beyond the limits, or not safe.
        OutputError: `out` is not empty, cannot be replaced, or the disk is full.
        UsageError: The archive lies inside `out`.
    """
    archive, out = Path(archive), Path(out)
    check_folder(out, overwrite=overwrite)
    check_apart(out, archive)
    kind = _kind_of(archive)
    with fresh_folder(out, overwrite=overwrite) as folder:
        members = _Members(archive, folder, limits or Limits())
        # A packed image hardly packs further, so the archive's own size tells roughly what will be needed.
        members.check_room(archive.stat().st_size)
        with archive.open("rb") as file, _as_fetch_errors(archive, folder):
            shown = _shower(file, archive, progress)
            (_unpack_zip if kind == "zip" else _unpack_tar)(file, kind, members, shown)
        if not members.files:
            raise FetchError("the archive holds no files", where=archive, hint="get it from its official source")
    return UnpackResult(archive, kind, out, members.files, members.bytes, dataset_roots(out))


class _Members:
    """Judges every member before it is written, and counts."""

    def __init__(self, archive: Path, folder: Path, limits: Limits) -> None:
        self.archive = archive
        self.folder = folder
        self.limits = limits
        self.files = self.bytes = self._count = 0
        self._seen: dict[str, str] = {}

    def add(self, name: str, size: int, kind: str) -> None:
        """Refuse a member that is not safe; `kind` is "file", "folder", or what else it is."""
        if kind not in ("file", "folder"):
            hint = "pack it again with regular files and folders only (tar --dereference follows links)"
            raise self.refused(f"the member {_shown(name)} is {kind}", hint)
        if not name or not _is_utf8(name) or _BAD_NAME.search(name):
            raise self.refused(
                f"the member {_shown(name)} has an unsafe name", "pack it again with plain relative names"
            )
        self._count += 1
        self.check_limits(self.bytes + size, self._count)
        if kind == "file":
            # As on a file system that ignores case and Unicode form: an archive unpacks to the same files everywhere.
            plain = "/".join(part for part in name.split("/") if part not in ("", "."))
            key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", plain).casefold())
            if key in self._seen:
                what = f"the members {_shown(self._seen[key])} and {_shown(name)} would be one file"
                raise self.refused(what, "pack it again so that every name occurs once")
            self._seen[key] = name
            self.files += 1
            self.bytes += size

    def check_limits(self, size: int, count: int) -> None:
        """Refuse more than the limits allow."""
        for value, most, what, flag in (
            (size, self.limits.max_bytes, "bytes", "--max-bytes"),
            (count, self.limits.max_files, "files and folders", "--max-files"),
        ):
            if value > most:
                hint = f"if you trust this archive, raise the limit with {flag}"
                raise self.refused(f"the archive unpacks to more than {most:,} {what}", hint)

    def check_room(self, needed: int) -> None:
        """Refuse what the disk cannot hold."""
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise OutputError(
                f"unpacking needs {needed:,} bytes, and the disk has {free:,} free",
                where=self.folder.parent,
                hint="free some disk space, or choose an output on another disk",
            )

    def refused(self, what: str, hint: str) -> FetchError:
        """The error for an archive that is not to be trusted."""
        return FetchError(f"{what}, so nothing was unpacked", where=self.archive, hint=hint)


def _unpack_tar(file: IO[bytes], kind: str, members: _Members, show: Any) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise FetchError(
            "this Python cannot unpack tar archives safely",
            where=members.archive,
            hint="update Python (3.10.12, 3.11.4 or newer), or pack the data as .zip",
        )
    stream = _TarStream(file if kind == "tar" else _OPENERS[kind](file), members)
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:", encoding="utf-8") as tar:
        for member in tar:
            if member.size < 0:
                raise _damaged(members.archive, f"{member.name!r} has a negative size")
            is_file = member.isreg() and not member.issparse()
            members.add(member.name, member.size, "file" if is_file else "folder" if member.isdir() else _other(member))
            tar.extract(member, members.folder, set_attrs=False, filter="data")
            show()
        stream.check_end()


def _other(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "a sparse file"
    kinds = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.FIFOTYPE: "a pipe"}
    return kinds.get(member.type, "a device" if member.isdev() else "of an unknown kind")


class _TarStream:
    """The plain bytes of a tar as `tarfile` reads them: forward only, metered, in small reads.

    `tarfile` trusts a header's sizes: a hostile one makes it read gigabytes into memory, or walk backwards forever.
    """

    def __init__(self, source: IO[bytes], members: _Members) -> None:
        self._source = source
        self._members = members
        self._position = 0
        self._last_block = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise _damaged(self._members.archive, f"a header asks for {size:,} bytes")
        self._last_block = self._source.read(size)
        self._position += len(self._last_block)
        # Headers and padding come on top of the files: 4 KiB covers a member with PAX headers.
        self._members.check_limits(self._position - 4096 * self._members.limits.max_files, 0)
        return self._last_block

    def seek(self, position: int) -> int:
        if position < self._position:
            raise _damaged(self._members.archive, "a header points backwards")
        while self._position < position and self.read(min(_LARGEST_HEADER, position - self._position)):
            pass
        return self._position

    def check_end(self) -> None:
        """Read to the end: `tarfile` takes a damaged header for it, and a compressed file proves its checksum there."""
        if len(self._last_block) != 512 or self._last_block.strip(b"\x00"):
            raise _damaged(self._members.archive, "it has no end mark")
        while rest := self.read(_LARGEST_HEADER):
            if rest.strip(b"\x00"):
                raise _damaged(self._members.archive, "other data follow its end mark")


def _unpack_zip(file: IO[bytes], _: str, members: _Members, show: Any) -> None:
    with zipfile.ZipFile(file) as zipped:
        entries = zipped.infolist()
        announced = sum(entry.file_size for entry in entries)
        members.check_limits(announced, len(entries))
        members.check_room(announced)
        for entry in entries:
            # As it was written: zipfile cuts it at a zero byte, and reads unmarked UTF-8 as cp437.
            name = entry.orig_filename
            if not entry.flag_bits & 0x800 and not name.isascii():
                name = name.encode("cp437").decode("utf-8", "surrogateescape")
            mode = stat.S_IFMT(entry.external_attr >> 16)
            kind = "a symbolic link" if mode == stat.S_IFLNK else "a device, pipe or socket"
            if mode in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "folder" if name.endswith("/") else "file"
            if entry.flag_bits & 0x1:
                raise members.refused(f"the member {_shown(name)} is encrypted", "unpack it with another program")
            members.add(name, entry.file_size, kind)
            target = members.folder / name
            if kind == "folder":
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with zipped.open(entry) as source, target.open("xb") as copy:
                # zipfile compares the checksum at the end, and never gives more bytes than announced.
                shutil.copyfileobj(source, copy, _CHUNK)
            if target.stat().st_size != entry.file_size:
                raise _damaged(members.archive, f"{name!r} is shorter than announced")
            show()


def _shower(file: IO[bytes], archive: Path, progress: Progress | None) -> Any:
    total = archive.stat().st_size // _MIB
    return lambda: progress(Step(file.tell() // _MIB, total, "unpacking (MiB)")) if progress is not None else None


def _kind_of(path: Path) -> str:
    """The archive's kind by its first bytes, since names lie."""
    if not path.is_file():
        what = "the path is not a file" if path.exists() else "no such archive"
        raise FetchError(what, where=path, hint="name the .tar.xz, .tar.gz, .tar.bz2, .tar or .zip")
    with path.open("rb") as file:
        head = file.read(512)
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar" or _has_checksum(head):
        return "tar"
    hint = "download it again, or pack the folder as .zip or .tar.xz"
    if head.lstrip()[:1] == b"<":
        hint = "it is a web page: open the address in a browser, save the archive itself, then run `carpet-data unpack`"
    raise FetchError(
        "unknown kind of archive; supported are tar, tar.xz, tar.gz, tar.bz2 and zip", where=path, hint=hint
    )


def _has_checksum(head: bytes) -> bool:
    """Whether a block is a header of tar as it was before POSIX: the checksum holds."""
    field = head[148:156].strip(b" \x00")
    if len(head) < 512 or not field or field.strip(b"01234567"):
        return False
    return int(field, 8) == sum(head[:148]) + 8 * 32 + sum(head[156:512])


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    # Escaped, because a hostile name may carry terminal control sequences; short, because it may be megabytes long.
    return ascii(name[:120]) if not name.isprintable() or len(name) > 120 else repr(name)


def _damaged(archive: Path, why: str) -> FetchError:
    return FetchError(
        f"the archive is damaged or not complete ({why}), so nothing was unpacked",
        where=archive,
        hint="download it again; with a known SHA-256, `carpet-data fetch --sha256` verifies the download",
    )


@contextmanager
def _as_fetch_errors(archive: Path, folder: Path) -> Iterator[None]:
    """Turn what tarfile, zipfile and the decompressors raise on damaged bytes into our error."""
    try:
        yield
    except NotImplementedError as error:
        raise FetchError(
            f"unsupported compression ({error})",
            where=archive,
            hint="pack it again with the usual method (deflate), or unpack it with its own program",
        ) from error
    except OSError as error:
        if error.errno is None or isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            # gzip and bz2 report damaged data without a number; the others are one name for a file and a folder
            raise _damaged(archive, error.strerror or str(error)) from error
        raise OutputError(
            f"cannot write: {error.strerror}",
            where=error.filename or folder,
            hint="free some disk space, check the permissions, or choose another output",
        ) from error
    except (
        *(tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError),
        # Header fields that are not numbers, names that are not what their flag says, an unknown encryption.
        *(ValueError, struct.error, IndexError, OverflowError, RuntimeError, MemoryError),
    ) as error:
        raise _damaged(archive, str(error) or type(error).__name__) from error


def dataset_roots(folder: Path) -> tuple[Path, ...]:
    """The folders at or below `folder` in MVTec's layout, sorted: at most four levels down, none inside another.

    A folder counts when it holds train/good or test/good, or ground_truth beside train or test.
    """
    if _is_root(folder):
        return (folder,)
    roots: list[Path] = []
    level = [folder]
    for _ in range(_DEEPEST_ROOT):
        # macOS puts a shadow of every folder below __MACOSX.
        children = [
            child
            for parent in level
            for child in sorted(parent.iterdir())
            if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
        ]
        roots += [child for child in children if _is_root(child)]
        level = [child for child in children if not _is_root(child)]
    return tuple(sorted(roots))


def _is_root(folder: Path) -> bool:
    if (folder / "train" / "good").is_dir() or (folder / "test" / "good").is_dir():
        return True
    sides = any((folder / name).is_dir() for name in ("train", "test"))
    return sides and (folder / "ground_truth").is_dir()
