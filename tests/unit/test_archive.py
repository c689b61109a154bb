"""Archives as honest people pack them: every kind comes out as it went in."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from helpers.examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carpet_data.archives import Limits
from carpet_data.archives.unpack import dataset_roots, unpack
from carpet_data.errors import FetchError, OutputError
from carpet_data.store.output import MARKER

KINDS = ("tar", "tar.xz", "tar.gz", "tar.bz2", "zip")
CARPET = {
    "carpet/train/good/000.png": b"\x89PNG good" * 50,
    "carpet/test/good/000.png": b"\x89PNG test" * 50,
    "carpet/test/hole/000.png": os.urandom(70_000),
    "carpet/ground_truth/hole/000_mask.png": b"\x89PNG mask" * 50,
    "carpet/license.txt": b"CC BY-NC-SA 4.0\n",
    "carpet/empty.txt": b"",
}


def packed(kind: str, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, data in files.items():
                zipped.writestr(name, data)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w" + kind.replace("tar", "", 1).replace(".", ":")) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_out_as_it_went_in(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "named.wrongly"
    archive.write_bytes(packed(kind, CARPET))
    done: list[tuple[int, int | None]] = []

    result = unpack(archive, tmp_path / "out", progress=lambda step: done.append((step.done, step.total)))

    assert tree(tmp_path / "out") == CARPET
    assert (result.kind, result.files, result.bytes) == (kind, 6, sum(map(len, CARPET.values())))
    assert result.roots == (tmp_path / "out" / "carpet",)
    assert result.to_json()["roots"] == [str(tmp_path / "out" / "carpet")]
    assert done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named.wrongly", "out"]


names = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\:"), min_size=1, max_size=20).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=4,
).map("/".join)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(names, st.binary(max_size=3000), min_size=1, max_size=6), kind=st.sampled_from(KINDS))
def test_any_tree_comes_out_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "archive").write_bytes(packed(kind, files))
    fault = ""
    try:
        unpack(folder / "archive", folder / "out")
    except (FetchError, OutputError) as error:
        fault = error.what
    if fault:
        # Names that no file system can hold together, or that are too long: those alone may be refused.
        assert any(why in fault for why in ("would be one file", "exists", "directory", "too long"))
        assert not (folder / "out").exists()
    else:
        assert tree(folder / "out") == files


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_archive_is_refused_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    whole = packed(kind, CARPET)
    # The zeros that pad a plain tar after its end mark prove nothing when they are missing.
    needed = len(whole.rstrip(b"\x00")) if kind == "tar" else len(whole)
    for length in {0, 1, 5, 17, 300, 512, 1024, needed // 3, needed // 2, needed - 5000, needed - 300, needed - 1}:
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(FetchError):
            unpack(tmp_path / "cut", tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["cut"], length


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tar"])
def test_a_flipped_bit_never_changes_a_file_unnoticed(tmp_path: Path, kind: str) -> None:
    whole = packed(kind, CARPET)
    for position in range(0, len(whole), max(1, len(whole) // 150)):
        hurt = bytearray(whole)
        hurt[position] ^= 0x10
        (tmp_path / "hurt").write_bytes(hurt)
        try:
            unpack(tmp_path / "hurt", tmp_path / "out", overwrite=True)
        except FetchError:
            assert [path.name for path in tmp_path.iterdir() if path.name != "out"] == ["hurt"]
        else:
            assert sorted(tree(tmp_path / "out").values()) == sorted(CARPET.values()), position


def test_a_damaged_header_in_the_middle_of_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    whole = bytearray(packed("tar", {"a.png": b"1" * 512, "b.png": b"2" * 512}))
    assert whole[1024:1029] == b"b.png"
    whole[1024] ^= 0xFF
    (tmp_path / "hurt.tar").write_bytes(whole)
    with pytest.raises(FetchError, match="no end mark"):
        unpack(tmp_path / "hurt.tar", tmp_path / "out")


def test_two_tars_one_after_the_other_are_refused_rather_than_half_read(tmp_path: Path) -> None:
    (tmp_path / "both.tar").write_bytes(packed("tar", {"a": b"1"}) + packed("tar", {"b": b"2"}))
    with pytest.raises(FetchError, match="other data follow"):
        unpack(tmp_path / "both.tar", tmp_path / "out")


@pytest.mark.parametrize(("pack", "pad"), [(lzma.compress, b""), (bz2.compress, b""), (gzip.compress, b"")])
def test_compressed_streams_in_several_pieces(tmp_path: Path, pack: object, pad: bytes) -> None:
    assert callable(pack)
    plain = packed("tar", CARPET)
    pieces = [plain[begin : begin + 20_000] for begin in range(0, len(plain), 20_000)]
    (tmp_path / "pieces").write_bytes(b"".join(pack(piece) + pad for piece in pieces))
    unpack(tmp_path / "pieces", tmp_path / "out")
    assert tree(tmp_path / "out") == CARPET


def test_permissions_become_those_of_new_files(tmp_path: Path) -> None:
    # MVTec's own archives hold read-only folders, which nothing could be written into or deleted from.
    with tarfile.open(tmp_path / "modes.tar", "w") as tar:
        folder = tarfile.TarInfo("carpet")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o555
        tar.addfile(folder)
        for name, mode in (("carpet/a.png", 0o6777), ("carpet/b.png", 0o000)):
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, 3
            tar.addfile(member, io.BytesIO(b"abc"))
    old = os.umask(0o027)
    try:
        unpack(tmp_path / "modes.tar", tmp_path / "out")
    finally:
        os.umask(old)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "out").rglob("[!.]*")}
    assert modes == {"carpet": 0o750, "a.png": 0o640, "b.png": 0o640}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


def test_names_beyond_ascii(tmp_path: Path) -> None:
    files = {"Teppich/größe.png": b"1", "絨毯/穴.png": b"2", "x" * 200 + ".png": b"3"}
    for kind in KINDS:
        (tmp_path / "archive").write_bytes(packed(kind, files))
        unpack(tmp_path / "archive", tmp_path / "out", overwrite=True)
        assert tree(tmp_path / "out") == files


def test_zip_names_in_utf8_without_the_mark(tmp_path: Path) -> None:
    # As macOS writes them: UTF-8 bytes, but not the bit that says so.
    raw = packed("zip", {"gr__e.png": b"1"}).replace(b"gr__e.png", "grüe.png".encode())
    (tmp_path / "mac.zip").write_bytes(raw)
    unpack(tmp_path / "mac.zip", tmp_path / "out")
    assert tree(tmp_path / "out") == {"grüe.png": b"1"}


def test_members_that_begin_with_a_dot_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "dot.tar.gz", "w:gz") as tar:
        (tmp_path / "src" / "train" / "good").mkdir(parents=True)
        (tmp_path / "src" / "train" / "good" / "0.png").write_bytes(b"0")
        tar.add(tmp_path / "src", arcname=".")
    result = unpack(tmp_path / "dot.tar.gz", tmp_path / "out")
    assert result.roots == (tmp_path / "out",)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    import tracemalloc

    for kind in ("tar.gz", "zip"):
        (tmp_path / "large").write_bytes(packed(kind, {"large.bin": bytes(40 * 2**20)}))
        tracemalloc.start()
        unpack(tmp_path / "large", tmp_path / "out", overwrite=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (tmp_path / "out" / "large.bin").stat().st_size == 40 * 2**20
        assert peak < 6 * 2**20, kind


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "unknown kind"),
        (b"<!DOCTYPE html><html>Please log in</html>", "web page"),
        (b"\n  <html>", "web page"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(600), "unknown kind"),
        (b"\x89PNG\r\n\x1a\n" + bytes(600), "unknown kind"),
        (bytes(1024), "unknown kind"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path: Path, head: bytes, words: str) -> None:
    (tmp_path / "what.tar.xz").write_bytes(head)
    with pytest.raises(FetchError) as caught:
        unpack(tmp_path / "what.tar.xz", tmp_path / "out")
    assert words in f"{caught.value.what} {caught.value.hint}"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tar"])
def test_an_archive_without_files_does_not_replace_anything(tmp_path: Path, kind: str) -> None:
    (tmp_path / "none").write_bytes(packed(kind, {}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    (tmp_path / "out" / MARKER).touch()
    with pytest.raises(FetchError, match="no files"):
        unpack(tmp_path / "none", tmp_path / "out", overwrite=True)
    assert tree(tmp_path / "out") == {"mine.txt": b"mine"}


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no such"):
        unpack(tmp_path / "none.zip", tmp_path / "out")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FetchError, match="not a file"):
        unpack(tmp_path / "folder", tmp_path / "out")


def test_old_tar_without_magic(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.png")
    member.size = 1
    header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    header[257:345] = bytes(88)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\x00 " % sum(header)
    (tmp_path / "v7.tar").write_bytes(bytes(header) + b"1" + bytes(511 + 1024))
    assert unpack(tmp_path / "v7.tar", tmp_path / "out").files == 1


def test_output_that_holds_something_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed("zip", {"new.png": b"1"}))
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "a.zip", tmp_path / "out")  # an empty folder is fine
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert tree(tmp_path / "out") == {"new.png": b"1", "mine.txt": b"mine"}
    unpack(tmp_path / "a.zip", tmp_path / "out", overwrite=True)
    assert tree(tmp_path / "out") == {"new.png": b"1"}


def test_the_current_folder_and_the_home_folder_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip").write_bytes(packed("zip", {"new.png": b"1"}))
    home = tmp_path / "users" / "me"
    (home / "work").mkdir(parents=True)
    (home / "mine.txt").write_text("mine")
    monkeypatch.setenv("HOME", str(home))
    for place in (home, home.parent):
        with pytest.raises(OutputError, match="home folder"):
            unpack(tmp_path / "a.zip", place, overwrite=True)
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(home / "work")
    with pytest.raises(OutputError, match="current folder"):
        unpack(tmp_path / "a.zip", home, overwrite=True)
    assert (home / "mine.txt").read_text() == "mine"


def test_too_little_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    (tmp_path / "a.zip").write_bytes(packed("zip", {"a.bin": bytes(10**6)}))
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=500_000))
    with pytest.raises(OutputError, match="1,000,000 bytes, and the disk has 500,000"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    import resource
    import signal

    (tmp_path / "a.tar.gz").write_bytes(packed("tar.gz", {"a.bin": bytes(10**6)}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_roots(tmp_path: Path) -> None:
    for made in (
        "mvtec/carpet/train/good",
        "mvtec/screw/test/hole",
        "mvtec/screw/ground_truth/hole",
        "mvtec/yolo/images/train",
        "mvtec/yolo/images/test",
        "__MACOSX/mvtec/carpet/train/good",
        ".hidden/train/good",
    ):
        (tmp_path / made).mkdir(parents=True)
    assert dataset_roots(tmp_path) == (tmp_path / "mvtec" / "carpet", tmp_path / "mvtec" / "screw")
    assert dataset_roots(tmp_path / "mvtec" / "screw") == (tmp_path / "mvtec" / "screw",)
    assert dataset_roots(tmp_path / "mvtec" / "yolo") == ()


def test_python_without_extraction_filters_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tar").write_bytes(packed("tar", {"a.png": b"1"}))
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(FetchError, match="cannot unpack tar archives safely") as caught:
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert "update Python" in (caught.value.hint or "")


def test_limits_of_a_whole_mvtec() -> None:
    # 6,612 images, 5.3 GB, hardly compressed: the defaults let it pass with room for its successors.
    assert Limits().max_files > 2 * 8_000
    assert Limits().max_bytes > 2 * 5_300_000_000
