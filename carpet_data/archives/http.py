"""HTTP as downloads need it: safe redirects, no other schemes, and every failure sorted into "again" or "never"."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import urllib.request
from email.message import Message
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit

from carpet_data.archives.addresses import DOWNLOAD_PAGE, is_mvtec
from carpet_data.errors import FetchError
from carpet_data.version import __version__

__all__ = ["RangeError", "TransientError", "check_url", "name_in", "open_url", "whole_size"]

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class TransientError(Exception):
    """A failure that may pass: a dropped connection, a busy server.

    Args:
        why: What happened.
        wait_s: Seconds the server asks to wait; None where it does not say.
    """

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class RangeError(TransientError):
    """The server cannot go on from the bytes that are there: start over."""


def check_url(url: str) -> str:
    """The address with spaces and letters beyond ASCII escaped.

    Raises:
        FetchError: It is none, or not one of http and https.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise FetchError(f"this is no address ({error})", where=url, hint="check the address") from None
    if parts.scheme not in ("http", "https"):
        raise FetchError(
            f"addresses of the kind {parts.scheme or 'without http'}: are not fetched",
            where=url,
            hint="give an https:// address; a local archive is unpacked by `carpet-data unpack ARCHIVE -o OUT`",
        )
    if not host:
        raise FetchError("the address names no server", where=url, hint="check the address")
    if "@" in parts.netloc:
        raise FetchError(
            "an address with a user name in it is not fetched",
            where=f"{parts.scheme}://{host}{parts.path}",
            hint="download the archive with your browser, then `carpet-data unpack` it",
        )
    return quote(url, safe="%/:=&?~#+!$,;'@()*[]")


def name_in(url: str) -> str:
    """A file name for what an address holds."""
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    name = re.sub(r"[^\w.+-]", "_", name).lstrip(".")
    return name[-100:] or "archive"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, never from https down to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage | Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request that follows, or FetchError where it must not."""
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            fp.close()
            raise FetchError(
                f"the server redirects from {req.type} to {newurl}, which is not followed",
                where=req.full_url,
                hint="give the https:// address of the archive itself",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _opener() -> urllib.request.OpenerDirector:
    # urllib's own opener also opens file:, ftp: and data: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def open_url(url: str, headers: dict[str, str], timeout_s: float) -> http.client.HTTPResponse:
    """Open an address; the answer is a 200 or a 206.

    Raises:
        RangeError: The bytes asked for by a Range header are not there.
        TransientError: Trying again may help.
        FetchError: It will not.
    """
    agent = {"User-Agent": f"carpet-data/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**agent, **headers})  # noqa: S310 - check_url saw the scheme
    try:
        response = _opener().open(request, timeout=timeout_s)
    except HTTPError as error:
        with error:
            if error.code in _AGAIN:
                raise TransientError(f"the server answers {error.code} {error.reason}", _retry_after(error)) from None
            if error.code == 416:
                raise RangeError("the server has fewer bytes than were asked for") from None
            raise _final(url, error) from None
    except URLError as error:
        raise _sorted_out(url, error.reason) from error
    except (OSError, http.client.HTTPException) as error:
        raise _sorted_out(url, error) from error
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _retry_after(error: HTTPError) -> float | None:
    value = error.headers.get("Retry-After", "")
    return min(float(value), 60.0) if value.isdecimal() else None


def _final(url: str, error: HTTPError) -> FetchError:
    if 300 <= error.code < 400:
        what = f"the server redirects in a way that is not followed ({error.reason})"
    else:
        what = f"the server answers {error.code} {error.reason}"
    page = f" (MVTec's page: {DOWNLOAD_PAGE})" if is_mvtec(url) else ""
    return FetchError(
        what,
        where=url,
        hint=f"addresses move: find the new one{page} and give it by --url,"
        " or download by your browser and `carpet-data unpack` the archive",
    )


def _sorted_out(url: str, reason: object) -> Exception:
    """An error of the network as one to try again, or one to report."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return FetchError(
            f"the server's certificate does not hold ({reason.verify_message})",
            where=url,
            hint="check the clock of this machine and its certificates (SSL_CERT_FILE names another store)",
        )
    if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
        return FetchError(
            "there is no such server, or no network",
            where=url,
            hint="check the address and the network; HTTPS_PROXY names a proxy",
        )
    if isinstance(reason, http.client.InvalidURL):
        return FetchError(f"this is no address ({reason})", where=url, hint="check the address")
    if isinstance(reason, TimeoutError):
        return TransientError("the server does not answer in time")
    return TransientError(str(reason) or type(reason).__name__)


def whole_size(response: http.client.HTTPResponse, begin: int) -> tuple[bool, int | None]:
    """Where an answer begins, and how large the whole file is.

    Args:
        response: The answer.
        begin: The first byte that was asked for.

    Returns:
        Whether the answer goes on from `begin` (else it is the file from its start), and the file's bytes if known.

    Raises:
        RangeError: The answer is a part, but not the one asked for.
    """
    length = response.headers.get("Content-Length", "")
    body = int(length) if length.isdecimal() else None
    if response.status != 206:
        return False, body
    match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != begin:
        raise RangeError("the server sent another part than the one asked for")
    if match[3] != "*":
        return True, int(match[3])
    return True, None if body is None else begin + body
