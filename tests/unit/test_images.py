"""Decoding: every kind of file people have, damaged ones too."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from carpet_data.core.images import encode_png, flat_png, probe, read, read_values, write_png
from carpet_data.errors import ImageError, UsageError

RNG = np.random.default_rng(3)
COLOURS: NDArray[np.uint8] = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
GREY: NDArray[np.uint8] = COLOURS[:, :, 0].copy()
ORIENTATION = 0x0112


def saved(path: Path, image: Image.Image, **how: object) -> Path:
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def test_rgb_grey_and_bilevel_keep_their_pixels(tmp_path: Path) -> None:
    assert np.array_equal(read(saved(tmp_path / "rgb.png", Image.fromarray(COLOURS))), COLOURS)
    assert np.array_equal(read(saved(tmp_path / "grey.png", Image.fromarray(GREY))), GREY)
    bilevel = saved(tmp_path / "one bit é.png", Image.fromarray(GREY > 99))
    assert np.array_equal(read(bilevel), np.where(GREY > 99, 255, 0))
    assert probe(bilevel).mode == "bilevel"
    assert np.array_equal(read(saved(tmp_path / "rgb.bmp", Image.fromarray(COLOURS))), COLOURS)
    assert np.array_equal(read(saved(tmp_path / "rgb.tiff", Image.fromarray(COLOURS))), COLOURS)
    lossless = saved(tmp_path / "rgb.webp", Image.fromarray(COLOURS), lossless=True)
    assert np.array_equal(read(lossless), COLOURS)


def test_palette_alpha_and_sixteen_bits(tmp_path: Path) -> None:
    palette = Image.fromarray(COLOURS).quantize(16)
    path = saved(tmp_path / "palette.png", palette)
    assert probe(path).mode == "palette"
    assert np.array_equal(read(path), np.asarray(palette.convert("RGB")))
    alpha = np.dstack((COLOURS, GREY))
    path = saved(tmp_path / "alpha.png", Image.fromarray(alpha))
    assert probe(path).mode == "rgb+alpha"
    assert np.array_equal(read(path), COLOURS)
    path = saved(tmp_path / "grey alpha.png", Image.fromarray(np.dstack((GREY, GREY)), mode=None))
    assert probe(path).mode == "grey+alpha"
    assert np.array_equal(read(path), GREY)
    deep = GREY.astype(np.uint16) * 257
    (tmp_path / "deep.png").write_bytes(encode_png(deep))
    assert probe(tmp_path / "deep.png").bits == 16
    assert np.array_equal(read(tmp_path / "deep.png"), GREY)
    assert np.array_equal(read_values(tmp_path / "deep.png"), deep)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    from PIL import ImageOps

    flat = np.full((16, 24, 3), 40, np.uint8)
    flat[:8, :8] = 220
    path = saved(tmp_path / f"turned.{suffix}", Image.fromarray(flat), exif=exif(orientation))
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    pixels = read(path)
    info = probe(path)
    assert (info.height, info.width) == pixels.shape[:2] == upright.shape[:2]
    assert info.orientation == orientation
    assert np.abs(pixels.astype(int) - upright).max() <= 8


def png(pixels: NDArray[np.uint8], kind: int) -> bytes:
    if kind == 0:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()
    settings = [
        [],
        [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB],
        [cv2.IMWRITE_PNG_COMPRESSION, 3],
        [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FIXED],
    ]
    done, data = cv2.imencode(".png", pixels, settings[kind - 1])
    assert done
    return data.tobytes()


@pytest.mark.parametrize("kind", range(5))
def test_the_short_way_for_flat_pngs_gives_the_same_pixels(kind: int) -> None:
    rng = np.random.default_rng(kind)
    taken = 0
    for _ in range(400):
        height, width = rng.integers(1, 60, 2)
        pixels = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(0, 5)):
            y, x = rng.integers(0, height), rng.integers(0, width)
            pixels[y : y + rng.integers(1, 30), x : x + rng.integers(1, 30)] = rng.choice([1, 3, 127, 200, 255])
        if rng.random() < 0.3:
            pixels[rng.random(pixels.shape) < 0.05] = rng.integers(0, 256)
        data = png(pixels, kind)
        found = flat_png.decode(data)
        if found is not None:
            taken += 1
            assert found.dtype == np.uint8
            assert np.array_equal(found, pixels)
    # Pillow, and OpenCV at a level of its own, choose a filter for each row: those files go the long way.
    assert (taken > 200) == (kind in (1, 2, 4))


def test_the_short_way_leaves_damage_to_the_long_one(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 20:40] = 255
    data = png(mask, 1)
    assert flat_png.decode(data) is not None
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        found = flat_png.decode(bytes(damaged))
        # A byte of a chunk's name or of a CRC aside, nothing may be read from a damaged file.
        assert found is None or np.array_equal(found, mask)
    for length in range(len(data) - 12):
        assert flat_png.decode(data[:length]) is None
    path = tmp_path / "cut.png"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match="truncated"):
        read_values(path)


def test_a_flat_png_that_lies_about_its_size_is_not_inflated(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    bomb = zlib.compress(b"\x01" + bytes(200_000_000), 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100, 100, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", bomb) + chunk(b"IEND", b"")
    assert flat_png.decode(data) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"no image at all" * 9, "not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "damaged|not an image"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken ü.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read(path)
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_missing_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="missing"):
        read(tmp_path / "none.png")
    with pytest.raises(ImageError, match="missing"):
        read_values(tmp_path / "none.png")
    smooth = np.tile(np.linspace(0, 255, 256, dtype=np.uint8), (256, 1))
    for suffix in ("jpg", "png"):
        path = saved(tmp_path / f"cut.{suffix}", Image.fromarray(smooth))
        path.write_bytes(path.read_bytes()[:-900] if suffix == "jpg" else path.read_bytes()[:-40])
        with pytest.raises(ImageError, match="truncated"):
            read(path)


def test_the_limit_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "grey.png", Image.fromarray(GREY))
    monkeypatch.setenv("CARPET_DATA_MAX_PIXELS", "100")
    with pytest.raises(ImageError, match="more than 100 pixels"):
        read(path)
    monkeypatch.setenv("CARPET_DATA_MAX_PIXELS", "many")
    with pytest.raises(UsageError, match="'many'"):
        read(path)


def test_headers_of_large_images_within_the_limit_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("L", (15000, 13000)).save(path, quality=5)
    info = probe(path)
    assert (info.width, info.height) == (15000, 13000)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for pixels in (COLOURS, GREY, GREY.astype(np.uint16) * 100):
        write_png(tmp_path / "x.png", pixels)
        back = read_values(tmp_path / "x.png") if pixels.ndim == 2 else read(tmp_path / "x.png")
        assert np.array_equal(back, pixels)
    with pytest.raises(ValueError, match="float32"):
        encode_png(GREY.astype(np.float32))
