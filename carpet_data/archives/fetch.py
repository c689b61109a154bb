"""Fetch an archive by name or address, verify it and unpack it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from carpet_data.archives import Limits
from carpet_data.archives.addresses import ADDRESSES, MVTEC_LICENSE, is_mvtec
from carpet_data.archives.download import check_url, download
from carpet_data.archives.unpack import UnpackResult, unpack
from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.errors import OutputError, UsageError, nearest
from carpet_data.store.files import sha256 as file_sha256
from carpet_data.store.output import check_folder

__all__ = ["FetchResult", "Source", "fetch", "find_source"]


@dataclass(frozen=True, slots=True)
class Source:
    """What to fetch: the file's name here, its address, and its digest and license where they are known."""

    name: str
    url: str
    sha256: str | None
    license: str | None


@dataclass(frozen=True, slots=True)
class FetchResult(Result):
    """What was fetched.

    Attributes:
        url: Where from.
        license: The license that was accepted; None where none is known.
        archive: The archive, where it was kept; None where it was unpacked and deleted.
        size: Its bytes.
        sha256: Its hex digest.
        verified: Whether the digest is the expected one; False where none was known.
        unpacked: What it became; None where it was not unpacked.
    """

    url: str
    license: str | None
    archive: Path | None
    size: int
    sha256: str
    verified: bool
    unpacked: UnpackResult | None


def find_source(name: str | None, *, url: str | None = None, sha256: str | None = None) -> Source:
    """What a name or an address stands for; `url` and `sha256` replace those known of the name.

    `name` is a category of MVTec AD, "mvtec_ad" for all of them, or an address; None with `url`.

    Raises:
        UsageError: An unknown name, neither name nor address, or an invalid digest.
        FetchError: The address is not one of http and https.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"invalid SHA-256 {sha256!r}", hint="give its 64 hexadecimal digits")
    if name is not None and ("://" in name or name.startswith("file:")):
        if url is not None:
            raise UsageError("two addresses were given", hint="give one of them")
        name, url = None, name
    if name is None and url is None:
        raise UsageError("no archive given", hint=f"use an address, or one of: {', '.join(ADDRESSES)}")
    if url is not None:
        check_url(url)
    if name is None:
        assert url is not None
        return Source(_file_name(url), url, sha256, MVTEC_LICENSE if is_mvtec(url) else None)
    known = ADDRESSES.get(name)
    if known is None:
        hint = f"{nearest(name, list(ADDRESSES))}use an address, or one of: {', '.join(ADDRESSES)}"
        raise UsageError(f"unknown archive {name!r}", hint=hint)
    return Source(_file_name(known.url), url or known.url, sha256 or known.sha256, MVTEC_LICENSE)


def _file_name(url: str) -> str:
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    name = re.sub(r"[^\w.+-]", "_", name).lstrip(".")
    return name[-100:] or "archive"


def fetch(
    name: str | None,
    out: str | os.PathLike[str],
    *,
    url: str | None = None,
    sha256: str | None = None,
    accept_license: bool = False,
    extract: bool = True,
    keep_archive: bool = False,
    overwrite: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> FetchResult:
    """Download an archive, verify it, and unpack it into `out`.

    The archive is downloaded beside `out` (into it where it is not unpacked) and deleted once it is unpacked. Where its
    digest is known, an interrupted download resumes.

    Args:
        name: A category of MVTec AD such as "carpet", "mvtec_ad" for all of them, or an address.
        out: A folder that does not exist or is empty; without `extract`, the folder that gets the archive.
        url: The address, where the known one of `name` has moved.
        sha256: Hex digest the archive must have; None for the known one, if any.
        accept_license: Whether the license is accepted; needed where one is known.
        extract: Whether to unpack the archive.
        keep_archive: Keep the archive after unpacking it.
        overwrite: Replace all that is in `out`, and an archive of the same name.
        limits: How much the archive may hold; its `max_bytes` bounds the download too. None for the defaults.
        progress: Called with (done, total) in MiB, first of the download, then of the unpacking.

    Raises:
        FetchError: The server fails, the file is not the one expected, or the archive is not safe.
        OutputError: `out` is not empty, the archive exists already, or the disk is full.
        UsageError: The license is not accepted, or the name is unknown.
    """
    out, limits = Path(out), limits or Limits()
    source = find_source(name, url=url, sha256=sha256)
    archive = _place(source, out, accepted=accept_license, extract=extract, overwrite=overwrite)
    digest = download(source.url, archive, sha256=source.sha256, max_bytes=limits.max_bytes, progress=progress)
    size = archive.stat().st_size
    unpacked = None
    if extract:
        unpacked = unpack(archive, out, overwrite=overwrite, limits=limits, progress=progress)
        if not keep_archive:
            archive.unlink()
    return FetchResult(
        url=source.url,
        license=source.license,
        archive=archive if archive.exists() else None,
        size=size,
        sha256=digest,
        verified=source.sha256 is not None,
        unpacked=unpacked,
    )


def _place(source: Source, out: Path, *, accepted: bool, extract: bool, overwrite: bool) -> Path:
    """Where the archive goes, after all that can be refused before a byte is downloaded."""
    if source.license is not None and not accepted:
        raise UsageError(
            f"the license must be accepted first:\n{source.license}",
            where=source.url,
            hint="give --accept-license (in Python: accept_license=True)",
        )
    if extract:
        check_folder(out, overwrite=overwrite)
    elif out.exists() and not out.is_dir():
        raise OutputError("the output exists and is not a folder", where=out, hint="name the folder for the archive")
    archive = (out.resolve().parent if extract else out) / source.name
    if archive.resolve() == out.resolve():
        raise UsageError("the archive would have the output's own name", where=out, hint="name a folder: -o mvtec")
    if archive.exists() and not overwrite and not _is_wanted(archive, source):
        raise OutputError(
            "an archive with this name exists and cannot be verified",
            where=archive,
            hint="run `carpet-data unpack` on it, move it away, or give --overwrite to download it again",
        )
    return archive


def _is_wanted(archive: Path, source: Source) -> bool:
    return archive.is_file() and source.sha256 is not None and file_sha256(archive) == source.sha256.lower()
