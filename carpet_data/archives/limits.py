"""How much an archive may unpack to: guards against archives made to fill a disk or a memory."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.errors import FetchError

__all__ = ["Limits"]

_RATIO_FROM_BYTES = 64 * 2**20
"""Below this, a high ratio does no harm, and small archives of blank masks reach one honestly."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one archive may hold. MVTec AD whole is 6,600 images and 5 GB, hardly compressed.

    Attributes:
        total_bytes: Bytes unpacked in all.
        file_bytes: Bytes of one unpacked file.
        members: Files and folders.
        ratio: Unpacked bytes for each byte of the archive, asked once 64 MiB are unpacked.
    """

    total_bytes: int = 20 * 2**30
    file_bytes: int = 2 * 2**30
    members: int = 100_000
    ratio: float = 200.0

    def check_members(self, count: int, archive: str) -> None:
        """Raise FetchError where an archive has too many members."""
        if count > self.members:
            raise _bomb(f"it holds more than {self.members:,} files and folders", archive, "--max-members")

    def check_file(self, size: int, name: str, archive: str) -> None:
        """Raise FetchError where one file is too large."""
        if size > self.file_bytes:
            what = f"its member {name!r} is {size:,} bytes, more than {self.file_bytes:,}"
            raise _bomb(what, archive, "--max-file-size")

    def check_total(self, unpacked: int, packed: int, archive: str) -> None:
        """Raise FetchError where `unpacked` bytes out of an archive of `packed` bytes are too many."""
        if unpacked > self.total_bytes:
            raise _bomb(f"it unpacks to more than {self.total_bytes:,} bytes", archive, "--max-size")
        if unpacked > _RATIO_FROM_BYTES and unpacked > self.ratio * max(packed, 1):
            raise _bomb(f"it unpacks to more than {self.ratio:g} times its own size", archive, "--max-ratio")


def _bomb(what: str, archive: str, option: str) -> FetchError:
    return FetchError(
        f"{what}, so nothing was unpacked",
        where=archive,
        hint=f"if you trust this archive, raise the limit by {option}",
    )
