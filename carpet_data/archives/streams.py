"""Bytes out of a compressed file: what kind it is, and a forward-only stream that memory and bomb limits watch."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias

from carpet_data.archives.limits import Limits
from carpet_data.errors import FetchError

__all__ = ["LARGEST_READ", "CappedFile", "Kind", "TarStream", "corrupt", "kind_of"]

Kind: TypeAlias = Literal["tar", "tar.xz", "tar.gz", "tar.bz2", "zip"]

LARGEST_READ = 2**20
"""The most bytes that one read of a header may ask for: an honest name or PAX header is far below."""

_XZ_MEMORY = 256 * 2**20
"""`xz -9` needs 65 MiB to unpack; a header may ask for 4 GiB."""

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xfd7zXZ\x00", "tar.xz"),
    (b"\x1f\x8b", "tar.gz"),
    (b"BZh", "tar.bz2"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
)


def corrupt(archive: str, why: str) -> FetchError:
    """The error for an archive whose bytes are damaged or missing."""
    return FetchError(
        f"the archive is damaged or not complete ({why}), so nothing was unpacked",
        where=archive,
        hint="download it again; with a known sha256, `carpet-data fetch --sha256` proves the download",
    )


def kind_of(path: Path) -> Kind:
    """Tell an archive's kind by its first bytes, since names lie.

    Raises:
        FetchError: The file is not there, is no file, or is no archive that can be read.
    """
    where = str(path)
    if not path.exists():
        raise FetchError("there is no such archive", where=where, hint="check the path")
    if not path.is_file():
        raise FetchError("this is not a file", where=where, hint="name the .tar.xz, .tar.gz, .tar.bz2, .tar or .zip")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise FetchError("the archive is empty", where=where, hint="download it again")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar" or _is_old_tar(head):
        return "tar"
    foreign = next((name for magic, name in _FOREIGN if head.startswith(magic)), None)
    if foreign is not None:
        raise FetchError(
            f"the file is {foreign}, which cannot be read here",
            where=where,
            hint="unpack it by its own program; the folder works with every command, or pack it as .zip",
        )
    if head.lstrip()[:1] == b"<":
        raise FetchError(
            "the file is a web page, not an archive: the address shows a page, or asks for a login or consent",
            where=where,
            hint="open the address in a browser, save the archive itself, then `carpet-data unpack` it",
        )
    raise FetchError(
        "the file is no archive that can be read: its first bytes are none of tar, xz, gzip, bzip2, zip",
        where=where,
        hint="download it again, or pack the folder as .zip or .tar.xz",
    )


def _is_old_tar(head: bytes) -> bool:
    """Whether a block is a header of tar as it was before POSIX: the checksum holds."""
    if len(head) < 512:
        return False
    field = head[148:156].strip(b" \x00")
    if not field or any(digit not in b"01234567" for digit in field):
        return False
    return int(field, 8) == sum(head[:148]) + 8 * 32 + sum(head[156:512])


class _Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Inflated:
    """xz or bzip2 streams, one after the other, as plain bytes; unlike lzma.open it bounds the memory."""

    def __init__(self, file: _Reads, make: Callable[[], lzma.LZMADecompressor | bz2.BZ2Decompressor]) -> None:
        self._file = file
        self._make = make
        self._inflater = make()
        self._packed = b""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, empty at the end.

        Raises:
            EOFError: The file stops in the middle of a stream.
        """
        while True:
            if self._inflater.eof and not self._begin_next():
                return b""
            if self._inflater.needs_input and not self._packed:
                self._packed = self._file.read(2**16)
                if not self._packed:
                    raise EOFError("it stops in the middle of the data")
            plain = self._inflater.decompress(self._packed, size)
            self._packed = b""
            if plain:
                return plain

    def _begin_next(self) -> bool:
        """Begin the stream that follows; False at the end of the file. xz pads its streams by zeros."""
        rest = self._inflater.unused_data.lstrip(b"\x00")
        while not rest:
            more = self._file.read(2**16)
            if not more:
                return False
            rest = more.lstrip(b"\x00")
        self._inflater = self._make()
        self._packed = rest
        return True


class TarStream:
    """The plain bytes of a tar, compressed or not, as `tarfile` reads them: forward only, metered, in small reads.

    `tarfile` trusts a header's sizes: a hostile one makes it read gigabytes into memory, or walk backwards for ever.
    """

    def __init__(self, file: BinaryIO, kind: Kind, *, archive: str, packed_bytes: int, limits: Limits) -> None:
        self._archive = archive
        self._packed_bytes = packed_bytes
        self._limits = limits
        # Headers and padding come on top of the files: 4 KiB covers a member with PAX headers.
        self._slack = 4096 * limits.members
        self._position = 0
        self.last_block = b""
        self._source: _Reads
        match kind:
            case "tar.xz":
                self._source = _Inflated(
                    file, lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
                )
            case "tar.bz2":
                self._source = _Inflated(file, bz2.BZ2Decompressor)
            case "tar.gz":
                self._source = gzip.GzipFile(fileobj=file, mode="rb")
            case _:
                self._source = file

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer at the end alone."""
        if not 0 <= size <= LARGEST_READ:
            raise corrupt(self._archive, f"a header asks for {size:,} bytes")
        blocks = []
        missing = size
        while missing:
            block = self._source.read(missing)
            if not block:
                break
            blocks.append(block)
            missing -= len(block)
        data = b"".join(blocks)
        self._position += len(data)
        self._limits.check_total(self._position - self._slack, self._packed_bytes, self._archive)
        self.last_block = data
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        """Skip forward to `position`."""
        if whence != 0 or position < self._position:
            raise corrupt(self._archive, "a header points backwards")
        while self._position < position:
            if not self.read(min(LARGEST_READ, position - self._position)):
                break
        return self._position

    def check_end(self) -> None:
        """Read to the end, after the last member.

        `tarfile` takes a damaged header for the end, and needs none; and only at its end does a compressed file
        prove its checksum.

        Raises:
            FetchError: The end mark is missing, or other data follow it.
        """
        if len(self.last_block) != 512 or self.last_block.strip(b"\x00"):
            raise corrupt(self._archive, "it has no end mark")
        while rest := self.read(LARGEST_READ):
            if rest.strip(b"\x00"):
                raise corrupt(self._archive, "other data follow its end mark")


class CappedFile:
    """A file as `zipfile` reads it, with every read bounded: its table of members is read in one piece."""

    def __init__(self, file: BinaryIO, *, archive: str, limits: Limits) -> None:
        self._file = file
        self._archive = archive
        self._largest = max(LARGEST_READ, 256 * limits.members)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all that is left without a size."""
        if size < 0:
            here = self._file.tell()
            size = self._file.seek(0, 2) - here
            self._file.seek(here)
        if size > self._largest:
            raise corrupt(self._archive, f"its table of members asks for {size:,} bytes")
        return self._file.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        """As a file's."""
        return self._file.seek(position, whence)

    def tell(self) -> int:
        """As a file's."""
        return self._file.tell()

    def seekable(self) -> bool:
        """True: the archive is a file."""
        return True
