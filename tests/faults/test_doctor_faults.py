"""Every fault of a single file, each with a real damaged one."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.cloth import HOLE, HOLE_MASK, SIDE, examine, only, picture, save, spot
from numpy.typing import NDArray
from PIL import Image


def test_a_healthy_data_set_has_no_fault(root: Path) -> None:
    diagnosis = examine(root)
    assert diagnosis.problems == ()
    assert diagnosis.exit_code == 0
    assert (diagnosis.images, diagnosis.masks) == (18, 10)
    assert diagnosis.classes == {"good": 8, "cut": 5, "hole": 5}


def cut_off(path: Path, share: float = 0.7) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def flip(path: Path, share: float, count: int = 8) -> None:
    data = bytearray(path.read_bytes())
    start = int(len(data) * share)
    for at in range(start, start + count):
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))


def as_jpeg(root: Path, name: str = "test/hole/002") -> Path:
    path = root / f"{name}.jpg"
    save(path, picture(202))
    (root / f"{name}.png").unlink()
    return path


def as_(root: Path, suffix: str) -> Path:
    path = root / f"test/hole/002{suffix}"
    (root / HOLE).unlink()
    save(path, picture(202))
    return path


def replace_mask(root: Path, mask: NDArray[np.generic]) -> None:
    save(root / HOLE_MASK, mask)


def with_exif(root: Path, orientation: int, *, wide: bool) -> None:
    pixels = picture(202)[: SIDE // 2 if wide else SIDE]
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(root / "test/hole/002.jpg", exif=exif, quality=95)
    (root / HOLE).unlink()


def palette_mask(root: Path) -> None:
    image = Image.fromarray((spot(1)).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(root / HOLE_MASK)


def alpha_mask(root: Path) -> None:
    grey = spot()
    replace_mask(root, np.dstack([grey, grey, grey, np.full_like(grey, 255)]))


def soft_mask() -> NDArray[np.uint8]:
    return cv2.GaussianBlur(spot(), (0, 0), 1.5).astype(np.uint8)


def color_mask() -> NDArray[np.uint8]:
    mask = np.zeros((SIDE, SIDE, 3), np.uint8)
    mask[..., 2] = spot()
    return mask


def with_thumbnail(root: Path) -> None:
    """A JPEG whose header holds a whole small JPEG, cut off behind it."""
    path = as_jpeg(root)
    small = cv2.imencode(".jpg", picture(1))[1].tobytes()
    data = path.read_bytes()
    segment = b"\xff\xe5" + struct.pack(">H", len(small) + 2) + small
    path.write_bytes((data[:2] + segment + data[2:])[:-200])


def tiff_without_end(root: Path) -> None:
    """A TIFF whose directory stands before its pixels, so that its header is whole."""
    path = as_(root, ".tif")
    Image.fromarray(picture(202)).save(path)
    cut_off(path, 0.9)


def huge_png(path: Path) -> None:
    """A whole PNG of 40000 x 40000 pixels in its header, and hardly any bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40000, 40000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.write_bytes(data)


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone.png")


def animated(root: Path) -> None:
    frames = [Image.fromarray(picture(seed)) for seed in (202, 203)]
    frames[0].save(root / "test/hole/002.tif", save_all=True, append_images=frames[1:])
    (root / HOLE).unlink()


FILE_ROWS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "link": ("broken-link", HOLE, lambda root: link_to_nothing(root / HOLE)),
    "link of a mask": ("broken-link", HOLE_MASK, lambda root: link_to_nothing(root / HOLE_MASK)),
    "empty image": ("empty-file", HOLE, lambda root: (root / HOLE).write_bytes(b"")),
    "empty mask file": ("empty-file", HOLE_MASK, lambda root: (root / HOLE_MASK).write_bytes(b"")),
    "cut PNG": ("truncated", HOLE, lambda root: cut_off(root / HOLE)),
    "PNG without its last bytes": ("truncated", HOLE, lambda root: cut_off(root / HOLE, 0.9995)),
    "PNG header alone": ("truncated", HOLE, lambda root: (root / HOLE).write_bytes((root / HOLE).read_bytes()[:40])),
    "cut PNG mask": ("truncated", HOLE_MASK, lambda root: cut_off(root / HOLE_MASK)),
    "cut JPEG": ("truncated", "test/hole/002.jpg", lambda root: cut_off(as_jpeg(root))),
    "JPEG header alone": ("truncated", "test/hole/002.jpg", lambda root: cut_off(as_jpeg(root), 0.02)),
    "cut JPEG with a thumbnail": ("truncated", "test/hole/002.jpg", with_thumbnail),
    "cut BMP": ("truncated", "test/hole/002.bmp", lambda root: cut_off(as_(root, ".bmp"))),
    "cut WebP": ("truncated", "test/hole/002.webp", lambda root: cut_off(as_(root, ".webp"))),
    "cut TIFF": ("truncated", "test/hole/002.tif", lambda root: cut_off(as_(root, ".tif"))),
    "TIFF without pixels": ("truncated", "test/hole/002.tif", tiff_without_end),
    "text": ("not-an-image", HOLE, lambda root: (root / HOLE).write_text("no picture")),
    "text as a mask": ("not-an-image", HOLE_MASK, lambda root: (root / HOLE_MASK).write_text("no picture")),
    "huge": ("too-large", HOLE, lambda root: huge_png(root / HOLE)),
    "flipped bytes in a PNG": ("damaged", HOLE, lambda root: flip(root / HOLE, 0.5)),
    "flipped bytes in a mask": ("damaged", HOLE_MASK, lambda root: flip(root / HOLE_MASK, 0.6, 2)),
    "flipped bytes in a JPEG": ("suspect-pixels", "test/hole/002.jpg", lambda root: flip(as_jpeg(root), 0.6, 40)),
    "PNG named .jpg": (
        "wrong-suffix",
        "test/hole/002.jpg",
        lambda root: (root / HOLE).rename(root / "test/hole/002.jpg"),
    ),
    "EXIF": ("rotated", "test/hole/002.jpg", lambda root: with_exif(root, 3, wide=False)),
    "two frames": ("several-frames", "test/hole/002.tif", animated),
    "16-bit image": ("deep-image", HOLE, lambda root: save(root / HOLE, picture(202).astype(np.uint16) * 257)),
    "12-bit image": ("deep-range", ".", lambda root: save(root / HOLE, picture(202).astype(np.uint16) * 16)),
    "alpha": (
        "transparent",
        HOLE,
        lambda root: save(root / HOLE, np.dstack([picture(202), np.full((SIDE, SIDE), 255, np.uint8)])),
    ),
    "blank": ("blank-image", HOLE, lambda root: save(root / HOLE, np.full((SIDE, SIDE, 3), 90, np.uint8))),
    "no mask": ("mask-missing", HOLE, lambda root: (root / HOLE_MASK).unlink()),
    "no image": ("mask-orphan", HOLE_MASK, lambda root: (root / HOLE).unlink()),
    "mask of another size": ("mask-size", HOLE_MASK, lambda root: replace_mask(root, spot(side=SIDE + 1))),
    "empty mask": ("mask-empty", HOLE_MASK, lambda root: replace_mask(root, spot(0))),
    "grey edges": ("mask-grey", HOLE_MASK, lambda root: replace_mask(root, soft_mask())),
    "0 and 1": ("mask-lost", HOLE_MASK, lambda root: replace_mask(root, spot(1))),
    "0 and 127": ("mask-lost", HOLE_MASK, lambda root: replace_mask(root, spot(127))),
    "0 and 255 of 16 bits": ("mask-lost", HOLE_MASK, lambda root: replace_mask(root, spot(255, kind=np.uint16))),
    "color mask": ("mask-color", HOLE_MASK, lambda root: replace_mask(root, color_mask())),
    "palette mask": ("mask-palette", HOLE_MASK, palette_mask),
    "alpha mask": ("mask-alpha", HOLE_MASK, alpha_mask),
    "16-bit mask": ("mask-deep", HOLE_MASK, lambda root: replace_mask(root, spot(65535, kind=np.uint16))),
    "inverted mask": ("mask-inverted", HOLE_MASK, lambda root: replace_mask(root, 255 - spot())),
    "mask on good": (
        "mask-on-good",
        "ground_truth/good/005_mask.png",
        lambda root: save(root / "ground_truth/good/005_mask.png", spot()),
    ),
    "other size": (
        "size-unlike-rest",
        HOLE,
        lambda root: (save(root / HOLE, picture(9, side=80)), (root / HOLE_MASK).unlink()),
    ),
    "grey image": ("channels-mixed", HOLE, lambda root: save(root / HOLE, picture(202)[..., 0])),
    "unknown file": ("unknown-file", "notes.docx", lambda root: (root / "notes.docx").write_text("x")),
    "other image": ("unknown-file", "hole.gif", lambda root: (root / "hole.gif").write_bytes(b"GIF89a")),
    "reserved name": (
        "name-not-portable",
        "test/good/a:b.png",
        lambda root: save(root / "test/good/a:b.png", picture(7)),
    ),
    "copy": (
        "duplicate-file",
        "test/good/000.png",
        lambda root: shutil.copy(root / "test/good/000.png", root / "test/good/copy.png"),
    ),
    "saved again": (
        "duplicate-pixels",
        "test/good/000.png",
        lambda root: cv2.imwrite(
            str(root / "test/good/again.png"),
            cv2.imread(str(root / "test/good/000.png")),
            [cv2.IMWRITE_PNG_COMPRESSION, 0],
        ),
    ),
    "under two classes": (
        "class-conflict",
        "test/good/001.png",
        lambda root: shutil.copy(root / "test/good/001.png", root / HOLE),
    ),
    "lighter": (
        "near-duplicates",
        "train/good/000.png",
        lambda root: save(root / "train/good/lighter.png", np.clip(picture(0) * 0.8 + 40, 0, 255).astype(np.uint8)),
    ),
}


@pytest.mark.parametrize("row", FILE_ROWS)
def test_each_fault_is_found_in_its_file(root: Path, row: str) -> None:
    code, where, damage = FILE_ROWS[row]
    damage(root)
    diagnosis = examine(root)
    found = only(diagnosis, code)
    assert found.where == where
    # An error elsewhere would be a false one.
    errors = {fault.code for fault in diagnosis.problems if fault.severity == "error"}
    allowed = {code} | ({"mask-missing"} if row == "other size" else set())
    assert errors <= allowed
    assert diagnosis.exit_code == (1 if errors else 0)
    assert json.loads(json.dumps(diagnosis.to_json()))["counts"] == diagnosis.counts()


def test_a_jpeg_mask_is_lossy(root: Path) -> None:
    (root / HOLE_MASK).unlink()
    save(root / "ground_truth/hole/002_mask.jpg", spot())
    assert only(examine(root), "mask-lossy").where == "ground_truth/hole/002_mask.jpg"


def test_a_mask_whose_shape_is_in_its_alpha_channel_would_be_lost(root: Path) -> None:
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    replace_mask(root, np.dstack([black, spot()]))
    diagnosis = examine(root)
    assert "alpha" in only(diagnosis, "mask-lost").what
    assert diagnosis.of("mask-empty") == ()


def test_a_lower_threshold_makes_a_dark_mask_whole(root: Path) -> None:
    replace_mask(root, spot(1))
    assert examine(root, threshold=1).problems == ()


def test_a_mask_drawn_on_the_stored_pixels_of_a_turned_image(root: Path) -> None:
    with_exif(root, 6, wide=True)
    replace_mask(root, spot()[: SIDE // 2])
    diagnosis = examine(root)
    assert only(diagnosis, "mask-turned").where == HOLE_MASK
    assert diagnosis.of("mask-size") == ()
    replace_mask(root, spot()[:, : SIDE // 2])
    assert examine(root).of("mask-turned") == ()


def test_a_square_turned_image_leaves_open_whether_its_mask_fits(root: Path) -> None:
    with_exif(root, 6, wide=False)
    assert only(examine(root), "mask-turn-unclear").where == HOLE_MASK


def test_a_file_without_permission(root: Path) -> None:
    if os.geteuid() != 0:
        (root / HOLE).chmod(0)
        assert only(examine(root), "no-permission").where == HOLE
        return
    # The superuser may read everything, so another user has to look.
    script = (
        "import os, sys; from pathlib import Path; from carpet_data.diagnosis import integrity; os.seteuid(65534); "
        "print(*(getattr(integrity.read_bytes(Path(path), 'x'), 'code', 'read') for path in sys.argv[1:]))"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        secret, public = Path(folder, "secret.png"), Path(folder, "public.png")
        for path, mode in ((secret, 0o600), (public, 0o644)):
            shutil.copy(root / HOLE, path)
            path.chmod(mode)
        command = [sys.executable, "-c", script, str(secret), str(public)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["no-permission", "read"]


def test_nothing_is_written_on_standard_error_by_decoders(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flip(as_jpeg(root), 0.6, 40)
    cut_off(root / HOLE_MASK)
    examine(root)
    assert capfd.readouterr().err == ""
