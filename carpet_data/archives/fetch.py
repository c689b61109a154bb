"""Fetch an archive by name or address, verify it and unpack it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.archives.addresses import ADDRESSES, MVTEC_LICENSE, is_mvtec
from carpet_data.archives.download import Download, Patience, download
from carpet_data.archives.http import check_url, name_in
from carpet_data.archives.limits import Limits
from carpet_data.archives.unpack import UnpackResult, unpack
from carpet_data.core.progress import Progress
from carpet_data.errors import OutputError, UsageError
from carpet_data.formats.output import check_free
from carpet_data.store.files import sha256 as file_sha256

__all__ = ["FetchResult", "Source", "fetch", "find_source"]


@dataclass(frozen=True, slots=True)
class Source:
    """What to fetch, and what is known of it.

    Attributes:
        name: The file's name here.
        url: Its address.
        sha256: Hex digest it must have; None where unknown.
        size: Bytes it must have; None where unknown.
        license: The licence to accept; None where none is known.
    """

    name: str
    url: str
    sha256: str | None
    size: int | None
    license: str | None


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What was fetched.

    Attributes:
        url: Where from.
        license: The licence that was accepted; None where none is known.
        archive: The archive, where it was kept; None where it was unpacked and deleted.
        size: Its bytes.
        sha256: Its hex digest.
        verified: What it was checked against: "sha256", "size", "content-length" or "nothing".
        resumed_from: Bytes that an earlier run had left.
        unpacked: What it became; None where it was not unpacked.
    """

    url: str
    license: str | None
    archive: Path | None
    size: int
    sha256: str
    verified: str
    resumed_from: int
    unpacked: UnpackResult | None

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "url": self.url,
            "license": self.license,
            "archive": None if self.archive is None else str(self.archive),
            "size": self.size,
            "sha256": self.sha256,
            "verified": self.verified,
            "resumed_from": self.resumed_from,
            "unpacked": None if self.unpacked is None else self.unpacked.to_json(),
        }


def find_source(
    name: str | None, *, url: str | None = None, sha256: str | None = None, size: int | None = None
) -> Source:
    """Tell what a name or an address stands for.

    Args:
        name: A category of MVTec AD, "mvtec_ad" for all of them, or an address; None with `url`.
        url: The address; replaces the known one of `name`.
        sha256: Hex digest; replaces the known one.
        size: Bytes; replaces the known number.

    Raises:
        UsageError: No such name, neither name nor address, or a digest that is none.
        FetchError: The address is none, or not one of http and https.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"{sha256!r} is no sha256", hint="give its 64 hexadecimal digits")
    if name is not None and _is_address(name):
        if url is not None:
            raise UsageError("two addresses were given", hint="give one of them")
        name, url = None, name
    if name is None:
        if url is None:
            raise UsageError("nothing to fetch was named", hint=f"name one of {', '.join(ADDRESSES)}, or an address")
        return Source(name_in(check_url(url)), url, sha256, size, MVTEC_LICENSE if is_mvtec(url) else None)
    known = ADDRESSES.get(name)
    if known is None:
        near = difflib.get_close_matches(name, ADDRESSES, n=1)
        hint = f"did you mean {near[0]!r}? There are" if near else "there are"
        raise UsageError(
            f"no archive is called {name!r}", hint=f"{hint} {', '.join(ADDRESSES)}; others by their address"
        )
    if url is not None:
        check_url(url)
    # Who gives a digest of their own fetches another file than the one we know the size of.
    known_size = known.size if sha256 is None else None
    return Source(
        name=name_in(known.url),
        url=url or known.url,
        sha256=sha256 or (known.sha256 if size is None else None),
        size=size if size is not None else known_size,
        license=MVTEC_LICENSE,
    )


def _is_address(name: str) -> bool:
    return "://" in name or name.startswith("file:")


def fetch(
    name: str | None,
    out: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    size: int | None = None,
    accept_license: bool = False,
    extract: bool = True,
    keep_archive: bool = False,
    overwrite: bool = False,
    limits: Limits | None = None,
    patience: Patience | None = None,
    progress: Progress = lambda step: None,  # noqa: ARG005
) -> FetchResult:
    """Download an archive, verify it, and unpack it into `out`.

    The archive is downloaded beside `out` (into it where it is not unpacked) and deleted once it is unpacked. What an
    interrupted download left is gone on from, if the server still has the same file.

    Args:
        name: A category of MVTec AD such as "carpet", "mvtec_ad" for all of them, or an address.
        out: A folder that does not exist or is empty; without `extract`, the folder that gets the archive.
        url: The address, where the known one of `name` has moved.
        sha256: Hex digest the archive must have; None for the known one, if any.
        size: Bytes the archive must have; None for the known number, if any.
        accept_license: Whether the licence is accepted; needed where one is known.
        extract: Whether to unpack the archive.
        keep_archive: Keep the archive after unpacking it.
        overwrite: Replace all that is in `out`, and an archive of the same name.
        limits: How much the archive may hold; its `total_bytes` bounds the download too. None for the defaults.
        patience: Timeouts and retries; None for the defaults.
        progress: Told (done, total) in MiB, first of the download, then of the unpacking.

    Raises:
        FetchError: The server fails, the file is not the one expected, or the archive is not safe.
        LockedError: Another process is downloading to the same place.
        OutputError: `out` is not empty, the archive exists already, or the disk is full.
        UsageError: The licence is not accepted, or nothing of that name is known.
    """
    limits = limits or Limits()
    source = find_source(name, url=url, sha256=sha256, size=size)
    if source.license is not None and not accept_license:
        raise UsageError(
            f"the licence must be accepted first:\n{source.license}",
            where=source.url,
            hint="give --accept-license (in Python: accept_license=True)",
        )
    if extract:
        check_free(out, overwrite=overwrite)
    elif out.exists() and not out.is_dir():
        raise OutputError("it exists and is not a folder", where=out, hint="name the folder for the archive")
    archive = (out.resolve().parent if extract else out) / source.name
    if archive.resolve() == out.resolve():
        raise UsageError(
            "the archive would have the output's own name", where=out, hint="name a folder, such as -o mvtec"
        )
    got = None if overwrite else _already(archive, source)
    if got is None:
        got = download(
            source.url,
            archive,
            sha256=source.sha256,
            size=source.size,
            max_bytes=limits.total_bytes,
            patience=patience or Patience(),
            progress=progress,
        )
    result = None
    if extract:
        result = unpack(archive, out, overwrite=overwrite, limits=limits, progress=progress)
        if not keep_archive:
            archive.unlink()
    return FetchResult(
        url=source.url,
        license=source.license,
        archive=archive if archive.exists() else None,
        size=got.size,
        sha256=got.sha256,
        verified=got.verified,
        resumed_from=got.resumed_from,
        unpacked=result,
    )


def _already(archive: Path, source: Source) -> Download | None:
    """The archive that an earlier run left, if it is the one wanted; None where there is none.

    Raises:
        OutputError: Something of that name is there, and nothing proves it is the file wanted.
    """
    if not archive.exists():
        return None
    if archive.is_file() and source.sha256 is not None:
        digest = file_sha256(archive)
        if digest == source.sha256.lower():
            size = archive.stat().st_size
            return Download(archive, size=size, sha256=digest, verified="sha256", resumed_from=size)
    raise OutputError(
        "an archive of this name is there already, and nothing proves that it is the one wanted",
        where=archive,
        hint="unpack it by `carpet-data unpack`, move it away, or give --overwrite to download it again",
    )
