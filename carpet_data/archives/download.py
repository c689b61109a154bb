"""Download one file: resumable, verified, and in place only when whole.

The bytes gather in `NAME.part`, with `NAME.part.json` beside it, which says of which version of the file they are. A
later run goes on from there if the server still has that version (HTTP Range and If-Range), else it starts anew.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from carpet_data.archives.http import RangeError, TransientError, check_url, open_url, whole_size
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import FetchError, LockedError, OutputError
from carpet_data.store.files import sha256 as file_sha256

__all__ = ["Download", "Patience", "Verified", "download"]

Verified: TypeAlias = Literal["sha256", "size", "content-length", "nothing"]

_CHUNK = 2**18
_MIB = 2**20
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with a server.

    Attributes:
        timeout_s: Seconds without an answer or a byte, after which a connection is given up.
        retries: Failures in a row that are tried again; a failure after another MiB begins a new row.
        pause_s: Seconds before the first retry; each pause is twice the one before, up to 30.
    """

    timeout_s: float = 30.0
    retries: int = 5
    pause_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was downloaded.

    Attributes:
        path: Where it is.
        size: Bytes.
        sha256: Hex digest.
        verified: The strongest thing it was checked against.
        resumed_from: Bytes an earlier run had left and this one kept.
    """

    path: Path
    size: int
    sha256: str
    verified: Verified
    resumed_from: int


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    size: int | None,
    max_bytes: int,
    patience: Patience,
    progress: Progress,
) -> Download:
    """Download `url` to `target`, replacing it.

    Args:
        url: An http or https address.
        target: The file to write; `.part` and `.part.json` are put beside it meanwhile.
        sha256: Hex digest the file must have; None where unknown.
        size: Bytes the file must have; None where unknown.
        max_bytes: More are refused.
        patience: Timeouts and retries.
        progress: Told (done, total) in MiB.

    Raises:
        FetchError: The server fails, or sends another file than expected. What came is kept for the next run unless it
            is wrong.
        LockedError: Another process is downloading to the same place.
        OutputError: The disk has no room for it.
    """
    url = check_url(url)
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(part) as file:
        transfer = _Transfer(url, file, part, sha256=sha256, size=size, max_bytes=max_bytes, progress=progress)
        try:
            resumed_from = transfer.kept()
            transfer.run(patience)
            digest = file_sha256(part)
            if sha256 is not None and digest != sha256.lower() and resumed_from:
                # The bytes kept from an earlier run may be of another version of the file.
                transfer.start_over()
                resumed_from = 0
                transfer.run(patience)
                digest = file_sha256(part)
            transfer.check(digest)
            os.fsync(file.fileno())
            part.replace(target)
            transfer.forget()
        finally:
            transfer.tidy()
        return Download(
            path=target,
            size=target.stat().st_size,
            sha256=digest,
            verified=transfer.verified,
            resumed_from=resumed_from,
        )


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open the partial file for this process alone."""
    while True:
        with part.open("ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise LockedError(
                    "another process is downloading to the same place", where=part, hint="wait until it is done"
                ) from None
            try:
                same = os.path.samestat(part.stat(), os.fstat(file.fileno()))
            except FileNotFoundError:
                same = False
            if same:
                yield file
                return
            # The other process finished and renamed the file between our opening and locking it.


class _Transfer:
    """One file on its way: what is there, of which version, and what it should become."""

    def __init__(
        self,
        url: str,
        file: BinaryIO,
        part: Path,
        *,
        sha256: str | None,
        size: int | None,
        max_bytes: int,
        progress: Progress,
    ) -> None:
        self._url = url
        self._file = file
        self._part = part
        self._notes = part.with_name(part.name + ".json")
        self._sha256 = sha256
        self._size = size
        self._max_bytes = max_bytes
        self._progress = progress
        self._validator: str | None = None
        self._total: int | None = None

    @property
    def verified(self) -> Verified:
        """The strongest thing the file is checked against."""
        if self._sha256 is not None:
            return "sha256"
        if self._size is not None:
            return "size"
        return "nothing" if self._total is None else "content-length"

    def kept(self) -> int:
        """How many bytes of an earlier run can be gone on from; others are dropped."""
        notes = self._read_notes()
        self._validator = notes.get("validator")
        self._total = notes.get("total")
        have = self._have()
        # Without a validator only the digest can tell whether old and new bytes belong together.
        usable = notes.get("url") == self._url and (self._validator is not None or self._sha256 is not None)
        if not usable or have > (self._total or self._max_bytes):
            self.start_over()
            return 0
        return have

    def start_over(self) -> None:
        """Drop what is there."""
        self._file.truncate(0)
        self._validator = None
        self._total = None

    def run(self, patience: Patience) -> None:
        """Get what is missing, trying again as `patience` says."""
        failures = 0
        while self._total is None or self._have() != self._total:
            before = self._have()
            try:
                self._continue(patience.timeout_s)
            except TransientError as error:
                failures = 1 if self._have() - before >= _MIB else failures + 1
                if failures > patience.retries:
                    raise self._gave_up(error, patience) from error
                pause = min(patience.pause_s * 2 ** (failures - 1), _LONGEST_PAUSE_S)
                time.sleep(pause if error.wait_s is None else error.wait_s)
            else:
                return

    def check(self, digest: str) -> None:
        """Compare the whole file with what it should be; a wrong one is deleted."""
        have = self._have()
        if self._size is not None and have != self._size:
            problem = f"it is {have:,} bytes, expected {self._size:,}"
        elif self._sha256 is not None and digest != self._sha256.lower():
            problem = f"its sha256 is {digest}, expected {self._sha256.lower()}"
        else:
            return
        self.start_over()
        raise _unexpected(problem, self._url)

    def forget(self) -> None:
        """Remove the notes, after the file is in its place."""
        self._notes.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove the partial file and its notes where it holds nothing."""
        if self._have() == 0 and self._part.exists():
            self._part.unlink()
            self.forget()

    def _have(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _continue(self, timeout_s: float) -> None:
        """One connection: from the bytes that are there to the end."""
        have = self._have()
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and self._validator is not None:
            headers["If-Range"] = self._validator
        try:
            response = open_url(self._url, headers, timeout_s)
        except RangeError:
            self.start_over()
            raise
        with response:
            self._agree(response, have)
            self._receive(response)

    def _agree(self, response: http.client.HTTPResponse, have: int) -> None:
        """Learn from an answer's headers what comes: the rest of the file we have, or the file from its start."""
        try:
            goes_on, total = whole_size(response, have)
            if goes_on and self._total not in (None, total):
                raise RangeError("the file on the server changed")
        except RangeError:
            self.start_over()
            raise
        if not goes_on and have:
            self.start_over()
            have = 0
        self._total = total
        self._validator = _validator(response)
        self._check_announced(have)
        self._write_notes()

    def _check_announced(self, have: int) -> None:
        """Refuse a file that cannot be the right one, or cannot be stored, before its bytes are spent."""
        if self._total is None:
            return
        if self._size is not None and self._total != self._size:
            announced = self._total
            self.start_over()
            raise _unexpected(f"the server announces {announced:,} bytes, expected {self._size:,}", self._url)
        if self._total > self._max_bytes:
            raise self._too_large()
        free = shutil.disk_usage(self._part.parent).free
        if self._total - have > free:
            raise OutputError(
                f"the download needs {self._total - have:,} bytes, and the disk has {free:,} free",
                where=self._part.parent,
                hint="free some disk space, or choose an output on another disk",
            )

    def _receive(self, response: http.client.HTTPResponse) -> None:
        have = self._have()
        total_mib = None if self._total is None else self._total // _MIB
        while True:
            try:
                block = response.read(_CHUNK)
            except http.client.IncompleteRead as error:
                raise TransientError("the connection broke") from error
            except (OSError, http.client.HTTPException) as error:
                raise TransientError(str(error) or "the connection broke") from error
            if not block:
                break
            have += len(block)
            if have > self._max_bytes:
                self.start_over()
                raise self._too_large()
            self._file.write(block)
            self._file.flush()
            self._progress(Step(have // _MIB, total_mib, "downloading (MiB)"))
        # http.client takes an early end for the end.
        if self._total is not None and have < self._total:
            raise TransientError(f"the connection ended after {have:,} of {self._total:,} bytes")

    def _too_large(self) -> FetchError:
        return FetchError(
            f"the file is larger than {self._max_bytes:,} bytes",
            where=self._url,
            hint="if you trust this address, raise the limit by --max-size",
        )

    def _gave_up(self, error: TransientError, patience: Patience) -> FetchError:
        kept = self._have()
        resumable = kept and (self._validator is not None or self._sha256 is not None)
        again = f"run the same command again: it goes on from the {kept:,} bytes that came" if resumable else ""
        return FetchError(
            f"{error} (given up after {patience.retries + 1} attempts)",
            where=self._url,
            hint=again or "check the network and the address, then run the same command again",
        )

    def _read_notes(self) -> dict[str, Any]:
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # none, or cut off by a crash: the download starts anew
        if not isinstance(notes, dict):
            return {}
        total, validator = notes.get("total"), notes.get("validator")
        sound = isinstance(total, int | None) and isinstance(validator, str | None)
        return notes if sound else {}

    def _write_notes(self) -> None:
        notes = {"url": self._url, "validator": self._validator, "total": self._total}
        scratch = self._notes.with_name(self._notes.name + ".tmp")
        scratch.write_text(json.dumps(notes), encoding="utf-8")
        scratch.replace(self._notes)


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What names this version of the file: a strong ETag, else the date (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")


def _unexpected(problem: str, url: str) -> FetchError:
    return FetchError(
        f"this is not the file expected: {problem}",
        where=url,
        hint="check the address; if the publisher replaced the file and you trust the new one, "
        "give its own --sha256 or --size",
    )
