"""A pipe or a device in place of a file: it is named as a problem, and nothing waits for it or reads it for ever."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.command import Called
from helpers.sources import write_source

import carpet_data as cd
from carpet_data.core.files import regular

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in its file system")

_SECONDS = 60


@pytest.fixture(autouse=True)
def _never_waits() -> Iterator[None]:
    """A test that waits for a pipe fails instead."""

    def stop(*_: object) -> None:
        raise AssertionError(f"still waiting after {_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder, a folder of tiles, and exports that are read back."""
    folder = tmp_path_factory.mktemp("special")
    raw = write_source(folder / "raw", {"train/good": 2, "test/hole": 2})
    cd.prepare(raw, folder / "set", near_duplicates=False, protocol="source", workers=1)
    cd.tile(folder / "set", folder / "tiles", size=24, overlap=8, workers=1)
    cd.to_coco(raw, folder / "coco", workers=1)
    cd.to_masks(raw, folder / "masks", workers=1)
    return folder


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("special", [_pipe, _device])
@pytest.mark.parametrize(
    ("folder", "file", "command"),
    [
        ("set", "images/hole/test_hole_000.png", "doctor"),
        ("set", "images/hole/test_hole_000.png", "preview"),
        ("set", "images/hole/test_hole_000.png", "tile"),
        ("set", "images/hole/test_hole_000.png", "to-coco"),
        ("set", "masks/hole/test_hole_000.png", "doctor"),
        ("set", "masks/hole/test_hole_000.png", "tile"),
        ("set", "dataset.json", "doctor"),
        ("set", "manifest.jsonl", "stats"),
        ("set", "splits/main.jsonl", "stats"),
        ("set", "groups.jsonl", "groups"),
        ("tiles", "images/good/train_good_000_y0000_x0000.png", "untile"),
        ("tiles", "tiles.jsonl", "untile"),
        ("coco", "annotations/instances_train.json", "stats"),
        ("masks", "samples.jsonl", "stats"),
        ("masks", "classes.json", "stats"),
    ],
)
def test_every_command_ends_with_an_error(
    place: Path,
    tmp_path: Path,
    run: Callable[..., Called],
    special: Callable[[Path], None],
    folder: str,
    file: str,
    command: str,
) -> None:
    root = tmp_path / folder
    shutil.copytree(place / folder, root)
    (root / file).unlink()
    special(root / file)
    more = {
        "preview": ("-o", tmp_path / "sheet.png"),
        "tile": ("-o", tmp_path / "out", "--size", 24, "--overlap", 8, "--workers", 1),
        "untile": ("-o", tmp_path / "out", "--workers", 1),
        "to-coco": ("-o", tmp_path / "out", "--workers", 1),
        "doctor": ("--workers", 1),
    }
    called = run(command, root, *more.get(command, ()))
    assert called.code in (1, 2), called.out
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in called.err


def test_what_is_not_a_file_is_named(tmp_path: Path) -> None:
    _pipe(tmp_path / "a")
    with pytest.raises(OSError, match=r"it is a pipe \(FIFO\), not a file"):
        regular(tmp_path / "a")
    _device(tmp_path / "b")
    with pytest.raises(OSError, match="it is a device, not a file"):
        regular(tmp_path / "b")
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(tmp_path)  # the paths of sockets are short
        try:
            listening.bind("c")
        finally:
            os.chdir(before)
        with pytest.raises(OSError, match="it is a socket, not a file"):
            regular(tmp_path / "c")
    with pytest.raises(FileNotFoundError):
        regular(tmp_path / "d")
    assert regular(Path(__file__)) == Path(__file__)
