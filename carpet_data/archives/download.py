"""Download one file: retried, verified, and in place only when whole.

requests speaks HTTP, pooch retries and moves the finished file into place. Where the digest is known, the bytes gather
in `NAME.part`, and a later run resumes from there: should the server have changed the file meanwhile, the digest tells.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from carpet_data.archives.addresses import DOWNLOAD_PAGE, is_mvtec
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import FetchError, OutputError
from carpet_data.store.files import sha256 as file_sha256
from carpet_data.version import __version__

__all__ = ["check_url", "download"]

_CHUNK = 2**14
"""What a broken connection costs at most: the piece that had begun to arrive is lost."""

_MIB = 2**20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    max_bytes: int | None = None,
    timeout_s: float = 30.0,
    retries: int = 5,
) -> str:
    """Download `url` to `path`; a file that is there already is kept if it has the digest, else replaced.

    Args:
        url: An http or https address.
        path: The file to write.
        sha256: Hex digest the file must have; None where unknown, and then an interrupted download starts over.
        progress: Called with (done, total) in MiB.
        max_bytes: Maximum size of the file; None for any.
        timeout_s: Seconds without an answer or a byte, after which an attempt fails.
        retries: Further attempts after the first one failed.

    Returns:
        The file's SHA-256, 64 lower-case hexadecimal digits.

    Raises:
        FetchError: The server fails, or sends another file than expected.
        OutputError: The disk has no room for it.
    """
    import pooch
    import requests

    path = Path(path)
    check_url(url)
    transfer = _Transfer(path, sha256 and sha256.lower(), progress, max_bytes, timeout_s)
    if path.exists():
        if sha256 and file_sha256(path) == sha256.lower():
            return sha256.lower()
        path.unlink()
    manager = pooch.create(
        path.parent, base_url="", registry={path.name: None}, urls={path.name: url}, retry_if_failed=retries
    )
    try:
        with _quiet(pooch.get_logger()):
            manager.fetch(path.name, downloader=transfer)
    except (requests.RequestException, ValueError) as error:
        raise FetchError(
            f"{_reason(error)} (gave up after {retries + 1} attempts)", where=url, hint=transfer.hint()
        ) from error
    return transfer.digest


def check_url(url: str) -> None:
    """Refuse what is not an http or https address.

    Raises:
        FetchError: It is not, names no server, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise FetchError(f"invalid address ({error})", where=url, hint="check the address") from None
    if parts.scheme not in ("http", "https"):
        raise FetchError(
            f"unsupported kind of address {parts.scheme or 'without http'!r}",
            where=url,
            hint="use an https:// address; unpack a local archive with `carpet-data unpack ARCHIVE -o OUT`",
        )
    if not host:
        raise FetchError("the address names no server", where=url, hint="check the address")
    if "@" in parts.netloc:
        raise FetchError(
            "addresses with a user name are not supported",
            where=f"{parts.scheme}://{host}{parts.path}",
            hint="download the archive with your browser, then run `carpet-data unpack` on it",
        )


class _Transfer:
    def __init__(
        self, path: Path, sha256: str | None, progress: Progress | None, max_bytes: int | None, timeout_s: float
    ) -> None:
        self._part = path.with_name(f"{path.name}.part")
        self._sha256 = sha256
        self._progress = progress
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self.digest = ""

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """One attempt; what may pass raises as requests does, what will not raises FetchError."""
        if self._sha256 is None:
            self._receive(url, Path(output_file), 0)
            self.digest = file_sha256(Path(output_file))
            return
        have = self._part.stat().st_size if self._part.exists() else 0
        if not have or (digest := file_sha256(self._part)) != self._sha256:
            resumed = self._receive(url, self._part, have)
            digest = file_sha256(self._part)
            if digest != self._sha256:
                self._part.unlink()
                problem = f"its SHA-256 is {digest}, expected {self._sha256}"
                if resumed:  # The part may be of another version of the file, so the next attempt starts over.
                    raise ValueError(problem)
                raise FetchError(
                    f"unexpected file: {problem}",
                    where=url,
                    hint="check the address; if the publisher replaced the file and you trust the new one, "
                    "pass its digest with --sha256",
                )
        self.digest = digest
        self._part.replace(output_file)

    def hint(self) -> str:
        """What helps after the last attempt."""
        if self._part.exists() and self._part.stat().st_size:
            return f"run the same command again: it resumes from {self._part.stat().st_size:,} bytes"
        self._part.unlink(missing_ok=True)
        return "check the network and the address, then run the same command again"

    def _receive(self, url: str, target: Path, have: int) -> bool:
        """Write the body to `target`; whether it resumed from the `have` bytes that were there."""
        import requests

        headers = {"User-Agent": f"carpet-data/{__version__}", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with _checked(url, headers, self._timeout_s) as response:
            resumed: bool = response.status_code == 206
            if response.status_code == 416 or (
                resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            ):
                self._part.unlink(missing_ok=True)
                raise ValueError("the server cannot resume from the bytes that are there")
            have = have if resumed else 0
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isdecimal() else None
            self._check_room(url, have, total)
            with target.open("ab" if resumed else "wb") as file:
                for block in response.iter_content(_CHUNK):
                    have += len(block)
                    self._check_limit(url, have, target)
                    file.write(block)
                    if self._progress is not None:
                        mib = None if total is None else total // _MIB
                        self._progress(Step(have // _MIB, mib, "downloading (MiB)"))
        if total is not None and have < total:
            raise requests.ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")
        return resumed

    def _check_limit(self, url: str, size: int, target: Path) -> None:
        if self._max_bytes is not None and size > self._max_bytes:
            target.unlink(missing_ok=True)
            raise FetchError(
                f"the file is larger than {self._max_bytes:,} bytes",
                where=url,
                hint="if you trust this address, raise the limit with --max-bytes",
            )

    def _check_room(self, url: str, have: int, total: int | None) -> None:
        if total is None:
            return
        self._check_limit(url, total, self._part)
        free = shutil.disk_usage(self._part.parent).free
        if total - have > free:
            raise OutputError(
                f"the download needs {total - have:,} bytes, and the disk has {free:,} free",
                where=self._part.parent,
                hint="free some disk space, or choose an output on another disk",
            )


def _checked(url: str, headers: dict[str, str], timeout_s: float) -> Any:
    """The response; what trying again cannot help is a FetchError."""
    import requests

    try:
        response = requests.get(url, headers=headers, stream=True, timeout=timeout_s)
    except requests.exceptions.SSLError as error:
        raise FetchError(
            f"the server's certificate is not valid ({error})",
            where=url,
            hint="check the clock of this machine and its certificates (REQUESTS_CA_BUNDLE names another store)",
        ) from error
    except (requests.TooManyRedirects, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise FetchError(
            f"the server redirects in a way that is not followed ({error})",
            where=url,
            hint="give the https:// address of the archive itself",
        ) from error
    hops = [urlsplit(each.url).scheme for each in (*response.history, response)]
    if hops[0] == "https" and "http" in hops:
        response.close()
        raise FetchError(
            f"the server redirects from https to {response.url}, which is not followed",
            where=url,
            hint="give the https:// address of the archive itself",
        )
    if response.status_code in _TRANSIENT or response.status_code < 400 or response.status_code == 416:
        if response.status_code != 416:
            response.raise_for_status()
        return response
    response.close()
    page = f" (MVTec's page: {DOWNLOAD_PAGE})" if is_mvtec(url) else ""
    raise FetchError(
        f"the server answers {response.status_code} {response.reason}",
        where=url,
        hint=f"addresses move: find the new one{page} and pass it with --url, or download with your browser and run "
        "`carpet-data unpack` on the archive",
    )


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}"
    return str(error) or type(error).__name__


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep pooch from writing to stderr that it downloads and retries."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
