"""Is a file whole? Answered from its bytes, before any decoder fills the missing part with gray."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from carpet_data.core.problems import Problem
from carpet_data.diagnosis.codes import problem

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_END = b"\xff\xd9"


def broken_link(path: Path, where: str) -> Problem | None:
    """A symbolic link to a missing file, or to itself."""
    if not path.is_symlink() or path.exists():
        return None
    return problem("broken-link", where, f"its target {os.fspath(path.readlink())} does not exist")


def read_bytes(path: Path, where: str) -> bytes | Problem:
    """The bytes of a file, or why there are none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return problem("missing-file", where, "it does not exist")
    except PermissionError:
        return problem("no-permission", where, "permission denied")
    except OSError as error:
        return problem("damaged", where, f"it cannot be read: {error.strerror}")
    return data or problem("empty-file", where, "it has no bytes")


def truncated(data: bytes, where: str) -> Problem | None:
    """A file that ends earlier than its own structure requires."""
    missing = _missing(data)
    if missing is None:
        return None
    return problem("truncated", where, f"{missing} is missing after its {len(data)} bytes")


def damaged_png(data: bytes, where: str) -> Problem | None:
    """A whole PNG one of whose chunks does not match its checksum."""
    if not data.startswith(_PNG):
        return None
    for kind, start, stop in _png_chunks(data):
        if stop + 4 > len(data):
            return None  # truncated, which has its own code
        if zlib.crc32(data[start - 4 : stop]) != int.from_bytes(data[stop : stop + 4], "big"):
            name = kind.decode("ascii", "replace")
            return problem("damaged", where, f"the checksum of its {name} chunk at byte {start - 8} is wrong")
    return None


def _missing(data: bytes) -> str | None:
    """What a file of a known format lacks at its end; None where it is whole or of another format."""
    if data.startswith(_PNG):
        return _missing_of_png(data)
    if data.startswith(b"\xff\xd8"):
        return _missing_of_jpeg(data)
    if data.startswith(b"BM") and len(data) >= 14:
        return _shorter(data, struct.unpack("<I", data[2:6])[0])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _shorter(data, struct.unpack("<I", data[4:8])[0] + 8)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _missing_of_tiff(data)
    return None


def _shorter(data: bytes, declared: int) -> str | None:
    return f"{declared - len(data)} bytes" if len(data) < declared else None


def _png_chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """(type, first byte of the body, first byte behind it) of each chunk, up to IEND or the end."""
    chunks: list[tuple[bytes, int, int]] = []
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks.append((kind, at + 8, at + 8 + length))
        if kind == b"IEND":
            break
        at += 12 + length
    return chunks


def _missing_of_png(data: bytes) -> str | None:
    chunks = _png_chunks(data)
    if not chunks or chunks[-1][0] != b"IEND":
        return "the end of the image (IEND)"
    return None


def _missing_of_jpeg(data: bytes) -> str | None:
    """The end marker is looked for behind the start of the pixels: a thumbnail in the header has one of its own."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _JPEG_STANDALONE:
            at += 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            # Inside entropy-coded pixels FF is followed by 0 or a restart marker, so this finds the end alone.
            return None if data.find(_JPEG_END, at) >= 0 else "the end of the image (EOI)"
    return "the end of the header" if at >= len(data) else None


def _missing_of_tiff(data: bytes) -> str | None:
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 8:
        return "the header"
    directory = struct.unpack(order + "I", data[4:8])[0]
    if directory + 2 > len(data):
        return "the directory"
    entries = struct.unpack(order + "H", data[directory : directory + 2])[0]
    if directory + 2 + 12 * entries > len(data):
        return "the end of the directory"
    values: dict[int, list[int]] = {}
    for number in range(entries):
        entry = data[directory + 2 + 12 * number : directory + 14 + 12 * number]
        tag, kind, count = struct.unpack(order + "HHI", entry[:8])
        if tag in (273, 279, 324, 325) and kind in (3, 4):  # offsets and sizes of strips and tiles
            size = 2 if kind == 3 else 4
            start = 8 if size * count <= 4 else 0
            place = entry if start else data
            if not start:
                start = struct.unpack(order + "I", entry[8:12])[0]
            if start + size * count > len(place):
                return "a table of the directory"
            letters = order + ("H" if kind == 3 else "I") * count
            values[tag] = list(struct.unpack(letters, place[start : start + size * count]))
    for offsets, sizes in ((273, 279), (324, 325)):
        ends = [a + b for a, b in zip(values.get(offsets, []), values.get(sizes, []), strict=False)]
        if ends and max(ends) > len(data):
            return f"{max(ends) - len(data)} bytes"
    return None
