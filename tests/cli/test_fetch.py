"""`carpet-data fetch` against a real HTTP server that behaves, and misbehaves, as servers do."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
import requests
from helpers.command import exit_code

from carpet_data.archives.addresses import ADDRESSES, MVTEC_LICENSE, is_mvtec
from carpet_data.archives.download import download
from carpet_data.archives.fetch import FetchResult, fetch, find_source
from carpet_data.errors import FetchError, OutputError, UsageError

ATTEMPTS = 6


def a_zip(seed: int) -> bytes:
    """An archive in MVTec's layout, 300 kB that do not compress; every seed gives the same size."""
    noise = hashlib.shake_256(str(seed).encode()).digest(300_000)
    buffer = BytesIO()
    with ZipFile(buffer, "w") as zipped:
        zipped.writestr("carpet/train/good/000.png", noise)
        zipped.writestr("carpet/test/hole/000.png", b"hole")
    return buffer.getvalue()


ARCHIVE = a_zip(1)
OTHER = a_zip(2)
SHA = hashlib.sha256(ARCHIVE).hexdigest()


@dataclass
class Site:
    """What the server does; tests change it between requests."""

    body: bytes = ARCHIVE
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True
    heeds_if_range: bool = True
    length: bool = True
    announced: int | None = None
    shift: int = 0
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    url: str = ""
    log: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent: int = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        site = self.site
        self.close_connection = True
        site.log.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        if site.statuses:
            self.answer_error(site.statuses.pop(0))
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", site.headers["Location"])
            self.send_header("Connection", "close")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer_file()

    def answer_error(self, status: int) -> None:
        self.send_response(status)
        for name, value in self.site.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer_file(self) -> None:
        site, begin, body = self.site, 0, self.site.body
        asked = self.headers.get("Range")
        stale = self.headers.get("If-Range") not in (None, site.etag, site.modified)
        if asked and site.ranges and not (stale and site.heeds_if_range):
            begin = int(asked.removeprefix("bytes=").removesuffix("-")) + site.shift
            if begin >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.modified:
            self.send_header("Last-Modified", site.modified)
        rest = body[begin:]
        if site.length:
            self.send_header("Content-Length", str(site.announced or len(rest)))
        self.end_headers()
        rest = rest[: site.cuts.pop(0)] if site.cuts else rest
        try:
            for at in range(0, len(rest), 16_384):
                self.wfile.write(rest[at : at + 16_384])
                site.sent += len(rest[at : at + 16_384])
                time.sleep(site.pause_s)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client was killed, or has seen enough


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    what = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": what}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    what.url = f"http://127.0.0.1:{server.server_port}/shares/carpet.zip"
    yield what
    server.shutdown()
    thread.join()
    server.server_close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def get(site: Site, tmp_path: Path, **options: object) -> FetchResult:
    return fetch(site.url, tmp_path / "out", **options)  # type: ignore[arg-type]


def arrived(tmp_path: Path, body: bytes = ARCHIVE) -> bool:
    """Whether the archive came out whole, and nothing else is left."""
    with ZipFile(BytesIO(body)) as zipped:
        whole = zipped.read("carpet/train/good/000.png")
    found = (tmp_path / "out" / "carpet" / "train" / "good" / "000.png").read_bytes()
    return found == whole and names(tmp_path) == ["out"]


def cut(site: Site, tmp_path: Path, after: int = 98_304, sha256: str = SHA) -> None:
    """A run that breaks off and leaves `after` bytes."""
    site.cuts = [after]
    with pytest.raises(FetchError, match="98304 bytes read") as caught:
        download(site.url, tmp_path / "carpet.zip", sha256=sha256, retries=0)
    assert "resumes from 98,304 bytes" in (caught.value.hint or "")
    assert names(tmp_path) == ["carpet.zip.part"]
    site.log.clear()
    site.sent = 0


def test_fetch_unpacks_and_says_what_next(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("fetch", site.url, "-o", tmp_path / "out", "--sha256", SHA.upper()) == 0
    shown = capsys.readouterr()
    assert "its SHA-256 is the expected one" in shown.out
    assert f"next: carpet-data doctor {tmp_path / 'out' / 'carpet'}" in shown.out
    assert "license" in shown.err
    assert arrived(tmp_path)
    assert len(site.log) == 1
    assert site.log[0][1]["user-agent"].startswith("carpet-data/")


def test_json(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("fetch", site.url, "-o", tmp_path / "out", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["sha256"] == SHA
    assert values["size"] == len(ARCHIVE)
    assert values["verified"] is False
    assert values["archive"] is None
    assert values["unpacked"]["roots"] == [str(tmp_path / "out" / "carpet")]


def test_what_stays_of_the_archive(site: Site, tmp_path: Path) -> None:
    kept = get(site, tmp_path, keep_archive=True)
    assert kept.archive == tmp_path / "carpet.zip"
    assert kept.archive.read_bytes() == ARCHIVE
    alone = fetch(site.url, tmp_path / "alone", extract=False)
    assert names(tmp_path / "alone") == ["carpet.zip"]
    assert alone.unpacked is None
    assert alone.archive == tmp_path / "alone" / "carpet.zip"


def test_a_broken_download_resumes_in_the_next_run(site: Site, tmp_path: Path) -> None:
    cut(site, tmp_path)
    result = get(site, tmp_path, sha256=SHA)
    assert site.log[-1][1]["range"] == "bytes=98304-"
    assert site.sent == len(ARCHIVE) - 98_304
    assert (result.sha256, result.verified) == (SHA, True)
    assert arrived(tmp_path)


def test_a_broken_download_resumes_in_the_same_run(site: Site, tmp_path: Path) -> None:
    site.cuts = [98_304, 49_152, 0]
    assert get(site, tmp_path, sha256=SHA).sha256 == SHA
    ranges = [headers.get("range") for _, headers in site.log]
    assert ranges == [None, "bytes=98304-", "bytes=147456-", "bytes=147456-"]
    assert arrived(tmp_path)


def test_without_a_digest_every_attempt_starts_over(site: Site, tmp_path: Path) -> None:
    site.cuts = [100_000, 50_000]
    assert get(site, tmp_path).sha256 == SHA
    assert [headers.get("range") for _, headers in site.log] == [None, None, None]
    assert arrived(tmp_path)


def test_a_server_without_ranges_starts_over(site: Site, tmp_path: Path) -> None:
    cut(site, tmp_path)
    site.ranges = False
    assert get(site, tmp_path, sha256=SHA).sha256 == SHA
    assert site.sent == len(ARCHIVE)
    assert arrived(tmp_path)


def test_the_digest_finds_a_file_pieced_together_from_two(site: Site, tmp_path: Path) -> None:
    digest = hashlib.sha256(OTHER).hexdigest()
    cut(site, tmp_path, sha256=digest)
    site.body = OTHER
    assert get(site, tmp_path, sha256=digest).sha256 == digest
    assert [headers.get("range") for _, headers in site.log] == ["bytes=98304-", None]
    assert arrived(tmp_path, OTHER)


def test_a_wrong_part_starts_over(site: Site, tmp_path: Path) -> None:
    cut(site, tmp_path)
    site.shift = 512
    assert get(site, tmp_path, sha256=SHA).sha256 == SHA
    assert arrived(tmp_path)


def test_a_file_that_shrank_starts_over(site: Site, tmp_path: Path) -> None:
    cut(site, tmp_path)
    site.body = a_small_zip()
    result = get(site, tmp_path, sha256=hashlib.sha256(site.body).hexdigest())
    assert [headers.get("range") for _, headers in site.log] == ["bytes=98304-", None]
    assert result.size == len(site.body)


def a_small_zip() -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as zipped:
        zipped.writestr("carpet/train/good/000.png", b"small")
    return buffer.getvalue()


def test_a_whole_partial_file_needs_no_further_byte(site: Site, tmp_path: Path) -> None:
    cut(site, tmp_path)
    (tmp_path / "carpet.zip.part").write_bytes(ARCHIVE)  # killed between the last byte and the renaming
    get(site, tmp_path, sha256=SHA)
    assert site.log == []
    assert arrived(tmp_path)


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_the_download_of_a_killed_process_resumes(site: Site, tmp_path: Path, kill: signal.Signals) -> None:
    site.pause_s = 0.05
    code = "from carpet_data.cli import main; main()"
    command = [sys.executable, "-c", code, "fetch", site.url, "-o", str(tmp_path / "out"), "--sha256", SHA]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    part = tmp_path / "carpet.zip.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(kill)
    _, shown = process.communicate(timeout=20)
    assert process.returncode == (130 if kill == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in shown
    have = part.stat().st_size
    assert 0 < have < len(ARCHIVE)
    site.pause_s = 0.0
    site.log.clear()
    get(site, tmp_path, sha256=SHA)
    assert site.log[0][1]["range"] == f"bytes={have}-"
    for path in tmp_path.glob("tmp*"):  # pooch's own, empty; its cleaning was killed too
        assert path.stat().st_size == 0
        path.unlink()
    assert arrived(tmp_path)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_an_answer_that_stays_is_reported_at_once(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    site.statuses = [status] * 9
    assert exit_code("fetch", site.url, "-o", tmp_path / "out") == 1
    shown = capsys.readouterr().err
    assert f"answers {status}" in shown
    assert "--url" in shown
    assert len(site.log) == 1
    assert names(tmp_path) == []


def test_a_busy_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [500, 503, 429]
    get(site, tmp_path)
    assert len(site.log) == 4
    assert arrived(tmp_path)


def test_a_server_that_stays_busy_is_given_up(site: Site, tmp_path: Path) -> None:
    site.statuses = [503] * 99
    with pytest.raises(FetchError, match=r"503.*6 attempts"):
        get(site, tmp_path)
    assert len(site.log) == ATTEMPTS
    assert names(tmp_path) == []


def test_a_connection_that_always_breaks_is_given_up(site: Site, tmp_path: Path) -> None:
    site.cuts = [16_384] * 99
    with pytest.raises(FetchError, match="attempts"):
        get(site, tmp_path, sha256=SHA)
    assert len(site.log) == ATTEMPTS
    assert (tmp_path / "carpet.zip.part").stat().st_size == 16_384 * ATTEMPTS


def test_a_server_that_falls_silent_is_given_up(site: Site, tmp_path: Path) -> None:
    site.pause_s = 1.0
    begun = time.monotonic()
    with pytest.raises(FetchError, match=r"in time|timed out"):
        download(site.url, tmp_path / "carpet.zip", timeout_s=0.2, retries=1)
    assert time.monotonic() - begun < 5
    assert names(tmp_path) == []


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="refused"):
        download("http://127.0.0.1:9/a.zip", tmp_path / "a.zip", retries=0)
    assert names(tmp_path) == []


def test_redirects(site: Site, tmp_path: Path) -> None:
    site.headers = {"Location": "/shares/carpet.zip"}
    fetch(site.url.replace("/shares/", "/to/"), tmp_path / "out")
    assert arrived(tmp_path)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a.zip", "data:text/plain,hi", "/to/carpet.zip"]
)
def test_redirects_that_are_not_followed(site: Site, tmp_path: Path, target: str) -> None:
    site.headers = {"Location": target}
    with pytest.raises(FetchError, match="redirect"):
        fetch(site.url.replace("/shares/", "/to/"), tmp_path / "out")
    assert names(tmp_path) == []


def test_https_is_never_left_for_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hop, end = requests.Response(), requests.Response()
    hop.url, end.url, end.status_code, end.history = "https://www.mydrive.ch/a.zip", "http://evil.example/", 200, [hop]
    end.raw = BytesIO(b"evil")
    monkeypatch.setattr(requests, "get", lambda *arguments, **options: end)
    with pytest.raises(FetchError, match="from https to http://evil"):
        download(hop.url, tmp_path / "a.zip")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("file:///etc/passwd", "'file'"),
        ("ftp://127.0.0.1/a.zip", "'ftp'"),
        ("https:///a.zip", "names no server"),
        ("http://me:secret@127.0.0.1/a.zip", "user name"),
        ("http://127.0.0.1:port/a.zip", "invalid address"),
    ],
)
def test_addresses_that_are_not_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, words: str
) -> None:
    assert exit_code("fetch", address, "-o", tmp_path / "out", "--accept-license") == 1
    shown = capsys.readouterr().err
    assert words in shown
    assert "secret" not in shown


def test_spaces_and_letters_in_an_address(site: Site, tmp_path: Path) -> None:
    site.url = site.url.replace("carpet.zip", "grüner Teppich.zip")
    assert get(site, tmp_path, keep_archive=True).archive == tmp_path / "grüner_Teppich.zip"
    assert site.log[0][0] == "/shares/gr%C3%BCner%20Teppich.zip"


def test_a_wrong_digest_leaves_nothing(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("fetch", site.url, "-o", tmp_path / "out", "--sha256", "0" * 64) == 1
    shown = capsys.readouterr().err
    assert SHA in shown
    assert "0" * 64 in shown
    assert names(tmp_path) == []


def test_a_server_that_names_no_size(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.length = False
    assert exit_code("fetch", site.url, "-o", tmp_path / "out") == 0
    assert "not verified" in capsys.readouterr().out
    site.cuts = [100_000]
    with pytest.raises(FetchError, match="damaged"):
        fetch(site.url, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


def test_a_file_without_end_is_cut_off(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for site.length in (True, False):
        assert exit_code("fetch", site.url, "-o", tmp_path / "out", "--max-bytes", "200000") == 1
        assert "--max-bytes" in capsys.readouterr().err
        assert names(tmp_path) == []


def test_too_little_disk(site: Site, tmp_path: Path) -> None:
    site.announced = 10**17
    with pytest.raises(FetchError, match="larger than"):
        get(site, tmp_path)
    from carpet_data.archives import Limits

    with pytest.raises(OutputError, match="and the disk has"):
        get(site, tmp_path, limits=Limits(max_bytes=10**18))
    assert names(tmp_path) == []


def test_a_web_page_instead_of_an_archive(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.body = b"<!DOCTYPE html><html>Please accept our cookies</html>"
    assert exit_code("fetch", site.url, "-o", tmp_path / "out") == 1
    assert "web page" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_archive_that_is_there_already(site: Site, tmp_path: Path) -> None:
    (tmp_path / "carpet.zip").write_bytes(ARCHIVE)
    with pytest.raises(OutputError, match="cannot be verified"):
        get(site, tmp_path)
    with pytest.raises(OutputError, match="cannot be verified"):
        get(site, tmp_path, sha256="0" * 64)
    assert get(site, tmp_path, sha256=SHA, keep_archive=True).verified
    assert site.log == []
    site.body = OTHER
    assert get(site, tmp_path, overwrite=True).sha256 == hashlib.sha256(OTHER).hexdigest()
    assert arrived(tmp_path, OTHER)


def test_an_output_in_use_is_refused_before_anything_is_asked(site: Site, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        get(site, tmp_path)
    with pytest.raises(OutputError, match="holds something else"):
        get(site, tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="own name"):
        fetch(site.url, tmp_path / "carpet.zip")
    assert site.log == []


def test_proxy(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url.removesuffix("/shares/carpet.zip"))
    monkeypatch.setenv("no_proxy", "")
    fetch("http://carpets.invalid/carpet.zip", tmp_path / "out")
    assert site.log[0][0] == "http://carpets.invalid/carpet.zip"
    assert arrived(tmp_path)


def test_license_without_a_terminal(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("fetch", "carpet", "--url", site.url, "-o", tmp_path / "out", "--sha256", SHA) == 2
    shown = capsys.readouterr().err
    assert "BY-NC-SA" in shown
    assert "--accept-license" in shown
    assert site.log == []
    with pytest.raises(UsageError, match="license"):
        fetch("carpet", tmp_path / "out")


def test_license_accepted_by_the_option(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("fetch", "carpet", "--url", site.url, "-o", tmp_path / "out", "--sha256", SHA, "--accept-license")
    site.url = "unused"
    assert exit_code(*arguments) == 0
    assert "BY-NC-SA 4.0" in capsys.readouterr().err
    assert arrived(tmp_path)


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 2)])
def test_license_asked_at_a_terminal(site: Site, tmp_path: Path, answer: bytes, code: int) -> None:
    program = "from carpet_data.cli import main; main()"
    command = [sys.executable, "-c", program, "fetch", "carpet", "--url", site.url, "--sha256", SHA, "-o"]
    keyboard, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [*command, str(tmp_path / "out")], stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        os.write(keyboard, answer)
        _, shown = process.communicate(timeout=30)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert process.returncode == code, shown
    assert b"Do you accept this license?" in shown
    assert (tmp_path / "out").exists() == (code == 0)
    assert len(site.log) == (code == 0)


def test_a_name_keeps_its_known_digest_wherever_it_comes_from(site: Site, tmp_path: Path) -> None:
    source = find_source("carpet", url=site.url)
    assert source.sha256 == ADDRESSES["carpet"].sha256
    with pytest.raises(FetchError, match=ADDRESSES["carpet"].sha256):
        fetch("carpet", tmp_path / "out", url=site.url, accept_license=True)
    assert names(tmp_path) == []


def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (("karpet",), "did you mean 'carpet'?"),
        ((), "no archive given"),
        (("https://a.example/x.zip", "--url", "https://b.example/y.zip"), "two addresses"),
        (("carpet", "--sha256", "abc"), "invalid SHA-256"),
    ):
        assert exit_code("fetch", *arguments, "-o", tmp_path / "out") == 2
        assert words in capsys.readouterr().err
    assert exit_code("fetch", "--help") == 0
    assert "Example:" in capsys.readouterr().out


def test_the_table_of_addresses() -> None:
    assert len(ADDRESSES) == 16
    assert len({row.sha256 for row in ADDRESSES.values()}) == len({row.url for row in ADDRESSES.values()}) == 16
    for name, row in ADDRESSES.items():
        assert row.name == name
        assert is_mvtec(row.url)
        assert row.url.startswith("https://")
        assert row.url.endswith("/mvtec_anomaly_detection.tar.xz" if name == "mvtec_ad" else f"/{name}.tar.xz")
        assert len(bytes.fromhex(row.sha256)) == 32
    assert not is_mvtec("https://mydrive.ch.evil.example/a.zip")
    assert not is_mvtec("https://notmvtec.com/a.zip")
    assert find_source("https://www.mydrive.ch/shares/1/a.zip").license == MVTEC_LICENSE
