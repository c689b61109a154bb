"""Archives made to do harm: each is refused by name, and leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carpet_data.archives import Limits
from carpet_data.archives.unpack import unpack
from carpet_data.errors import CarpetDataError, FetchError, UsageError
from carpet_data.store.output import MARKER

MIB = 2**20


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with an OUT that holds something, and a file outside that an attack would like to reach."""
    (tmp_path / "in" / "out").mkdir(parents=True)
    (tmp_path / "in" / "out" / "mine.txt").write_text("mine")
    (tmp_path / "in" / "out" / MARKER).touch()
    (tmp_path / "outside.txt").write_text("untouched")
    yield tmp_path / "in"
    assert (tmp_path / "outside.txt").read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "outside.txt"]


def refused(place: Path, data: bytes, words: str, limits: Limits | None = None) -> CarpetDataError:
    """Unpack into a new folder and over an old one; both must fail and leave all as it was."""
    (place / "attack").write_bytes(data)
    for out in ("new", "out"):
        with pytest.raises(FetchError) as caught:
            unpack(place / "attack", place / out, overwrite=True, limits=limits)
        # Not by `match`, which would also find the words in the path, and the path names the test.
        assert re.search(words, f"{caught.value.what} {caught.value.hint}"), caught.value.what
    assert caught.value.hint
    assert caught.value.where == str(place / "attack")
    assert sorted(path.name for path in place.iterdir()) == ["attack", "out"]
    assert sorted(path.name for path in (place / "out").iterdir()) == [MARKER, "mine.txt"]
    return caught.value


def a_tar(*members: tuple[str, Callable[[tarfile.TarInfo], None] | bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, errors="surrogateescape") as tar:
        for name, what in members:
            member = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                member.size = len(what)
                tar.addfile(member, io.BytesIO(what))
            else:
                what(member)
                tar.addfile(member, io.BytesIO(b""))
    return buffer.getvalue()


def a_zip(*members: tuple[str, bytes], mode: int | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members:
            info = zipfile.ZipInfo("x")
            info.filename = name  # the constructor would cut and clean it
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.create_system = 3
                info.external_attr = mode << 16
            zipped.writestr(info, data)
    return buffer.getvalue()


NAMES = [
    "../outside.txt",
    "carpet/../../../outside.txt",
    "carpet/..",
    "..",
    "/outside.txt",
    "//server/outside.txt",
    "C:/outside.txt",
    "c:outside.txt",
    "..\\outside.txt",
    "carpet\\..\\outside.txt",
    "\\\\server\\share\\x",
    "a\nb.png",
    "a\x1b[31m.png",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_that_lead_elsewhere(place: Path, name: str) -> None:
    refused(place, a_tar(("fine.png", b"1"), (name, b"evil")), "unsafe name")
    refused(place, a_tar(("fine.png", b"1"), (name, b"evil"), format=tarfile.GNU_FORMAT), "unsafe name")
    refused(place, a_zip(("fine.png", b"1"), (name, b"evil")), "unsafe name")


@pytest.mark.parametrize("name", [".", "./", "x/."])
def test_a_file_without_a_name(place: Path, name: str) -> None:
    refused(place, a_tar(("x/fine.png", b"1"), (name, b"evil")), "damaged|would be one file|unsafe")


def test_a_zero_byte_in_a_zip_name(place: Path) -> None:
    data = a_zip(("fine.png", b"1"), ("a.pngXevil", b"1")).replace(b"a.pngXevil", b"a.png\x00evil")
    refused(place, data, "unsafe name")


def test_names_that_are_not_utf8(place: Path) -> None:
    refused(place, a_tar(("gr\udcfce.png", b"1"), format=tarfile.GNU_FORMAT), "unsafe name")
    unmarked = a_zip(("grXe.png", b"1")).replace(b"grXe.png", b"gr\xfce.png")
    refused(place, unmarked, "unsafe name")
    marked = a_zip(("grüe.png", b"1")).replace("grüe.png".encode(), b"gr\xff\xffe.png")
    refused(place, marked, "damaged")


def as_type(kind: bytes, target: str = "") -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.type = kind
        member.linkname = target

    return change


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        (tarfile.SYMTYPE, "/etc", "symbolic link"),
        (tarfile.SYMTYPE, "../..", "symbolic link"),
        (tarfile.SYMTYPE, "fine.png", "symbolic link"),
        (tarfile.LNKTYPE, "../../outside.txt", "hard link"),
        (tarfile.LNKTYPE, "fine.png", "hard link"),
        (tarfile.CHRTYPE, "", "device"),
        (tarfile.BLKTYPE, "", "device"),
        (tarfile.FIFOTYPE, "", "pipe"),
        (b"Q", "", "unknown kind"),
    ],
)
def test_members_that_are_no_files(place: Path, kind: bytes, target: str, words: str) -> None:
    error = refused(
        place, a_tar(("fine.png", b"1"), ("carpet", as_type(kind, target)), ("carpet/x.txt", b"evil")), words
    )
    assert "'carpet'" in error.what


@pytest.mark.parametrize(
    ("kind", "words"), [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "pipe"), (stat.S_IFCHR, "device")]
)
def test_zip_members_that_are_no_files(place: Path, kind: int, words: str) -> None:
    refused(place, a_zip(("carpet", b"/etc/passwd"), mode=kind | 0o777), words)


def test_sparse_members(place: Path) -> None:
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**40)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("huge.bin")
        member.pax_headers = sparse
        table = b"0\n".ljust(512, b"\x00")
        member.size = len(table)
        tar.addfile(member, io.BytesIO(table))
    refused(place, buffer.getvalue(), "sparse")


def test_names_that_collide(place: Path) -> None:
    for first, second, words in (
        ("a.png", "a.png", "would be one file"),
        ("a.png", "./a.png", "would be one file"),
        ("a.png", "A.PNG", "would be one file"),
        ("gr\u00fc.png", "gru\u0308.png", "would be one file"),
        ("a", "a/b.png", "damaged"),
        ("a/b.png", "a", "damaged"),
    ):
        refused(place, a_tar((first, b"1"), (second, b"2")), words)
        if first != second:  # zipfile warns when it writes one name twice
            refused(place, a_zip((first, b"1"), (second, b"2")), words)


def test_bombs(place: Path) -> None:
    zeros, limits = bytes(20 * MIB), Limits(max_bytes=10 * MIB, max_files=10)
    refused(place, gzip.compress(a_tar(("zeros.bin", zeros))), "more than 10,485,760 bytes.*--max-bytes", limits)
    refused(place, a_zip(("zeros.bin", zeros)), "more than 10,485,760 bytes.*--max-bytes", limits)
    refused(place, lzma.compress(a_tar(("zeros.bin", zeros)), preset=0), "more than 10,485,760 bytes", limits)
    after_the_end = gzip.compress(a_tar(("a.png", b"1"))) + gzip.compress(zeros)
    refused(place, after_the_end, "more than 10,485,760 bytes", limits)


def test_limits_are_exact(place: Path) -> None:
    ten = [(f"{k}.bin", bytes(1000)) for k in range(10)]
    for pack in (a_tar, a_zip):
        refused(place, pack(*ten), "more than 9,999 bytes.*--max-bytes", Limits(max_bytes=9_999))
        refused(place, pack(*ten), "more than 9 files.*--max-files", Limits(max_files=9))
    unpack(place / "attack", place / "new", limits=Limits(max_bytes=10_000, max_files=10))
    assert len(list((place / "new").glob("*.bin"))) == 10


def a_header(name: str, kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.size = abs(size)
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        block[124:136] = b"\xff" * 4 + struct.pack(">q", size)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\x00 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_asks_for_gigabytes(place: Path, kind: bytes) -> None:
    data = gzip.compress(a_header("x", kind, 2 * 1024 * MIB) + bytes(64 * MIB))
    tracemalloc.start()
    refused(place, data, "a header asks for 2,147,483,648 bytes")
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, b"Q"])
def test_a_size_below_zero_does_not_run_for_ever(place: Path, kind: bytes) -> None:
    refused(
        place,
        a_tar(("fine.png", b"1"))[:1024] + a_header("loop", kind, -1024) + bytes(2048),
        "damaged|unknown kind|no files",
    )
    refused(place, a_header("loop", kind, -512) + bytes(2048), "damaged|unknown kind|no files")


def test_encrypted_zip(place: Path) -> None:
    data = bytearray(a_zip(("secret.png", b"1")))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(place, bytes(data), "encrypted")


def test_zip_packed_by_an_unknown_method(place: Path) -> None:
    data = bytearray(a_zip(("a.png", b"1")))
    data[8] = 99
    data[data.index(b"PK\x01\x02") + 10] = 99
    refused(place, bytes(data), "unsupported compression")


def test_zip_whose_two_tables_disagree(place: Path) -> None:
    data = a_zip(("fine.png", b"1"))
    central = data.index(b"PK\x01\x02")
    refused(place, data[:central].replace(b"fine.png", b"evil.png") + data[central:], "damaged")


def test_zip_that_lies_about_a_size(place: Path) -> None:
    honest = a_zip(("a.bin", b"abc" * 1000))
    for claimed in (0, 10, 5_000):
        data = bytearray(honest)
        at = data.index(b"PK\x01\x02") + 24
        data[at : at + 4] = struct.pack("<I", claimed)
        refused(place, bytes(data), "damaged")


def test_zip_whose_members_share_their_bytes(place: Path) -> None:
    # Many entries of the central directory on one local member: the idea of the overlapping zip bomb (Fifield, 2019).
    data = a_zip(("a.bin", bytes(MIB)))
    central, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = data[central:end] * 200
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHI", 200, 200, len(entries))
    refused(place, data[:central] + entries + bytes(tail), "would be one file|damaged")


def test_an_archive_inside_its_own_output(place: Path) -> None:
    (place / "out" / "mine.zip").write_bytes(a_zip(("a.png", b"1")))
    with pytest.raises(UsageError):
        unpack(place / "out" / "mine.zip", place / "out", overwrite=True)
    assert sorted(path.name for path in (place / "out").iterdir()) == [MARKER, "mine.txt", "mine.zip"]


def test_an_output_that_is_a_link_or_a_file(place: Path) -> None:
    (place / "a.zip").write_bytes(a_zip(("outside.txt", b"evil")))
    (place / "link").symlink_to(place.parent)
    (place / "file").write_text("mine")
    for out in ("link", "file"):
        with pytest.raises(CarpetDataError, match="not a folder"):
            unpack(place / "a.zip", place / out, overwrite=True)
    assert (place / "file").read_text() == "mine"
