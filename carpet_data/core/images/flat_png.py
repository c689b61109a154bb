"""A quick way into PNGs that are mostly one value, as masks are.

Undoing PNG's row filters takes a general decoder most of its time: it visits every pixel. In a mask almost every
filtered byte is 0, "as predicted", so only the others need work. The pixels are the same, byte for byte, as any other
decoder's (PNG specification, third edition, W3C 2025, section 9).

This pays for files whose rows hold differences to the left neighbor, as OpenCV, and so this package, writes them.
Encoders that choose a filter for each row leave OpenCV little to do; such files are left to it.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images.limits import max_pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_CHUNK = struct.Struct(">I4s")
_NONE, _SUB = 0, 1
_FLAT = 8
"""A file counts as flat when at most one filtered byte in this many is not 0."""

_MOST_INFLATION = 1032
"""Deflate's largest ratio; it bounds what a file that lies about its size could unpack to."""
_HARMLESS = 1 << 25


def decode(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels (uint8 HxW) of an 8-bit gray, not interlaced, flat PNG whose rows use the filters None and Sub.

    None where the data are not of such a file, or damaged: a general decoder then decides.
    """
    found = _scanlines(data)
    if found is None:
        return None
    lines, height, width = found
    nonzero = np.flatnonzero(lines != 0)
    if len(nonzero) > height + height * width // _FLAT:
        return None
    rows = lines.reshape(height, width + 1)
    filters = rows[:, 0]
    if (filters > _SUB).any():
        return None
    pixels = np.zeros((height, width), np.uint8)
    plain = np.flatnonzero(filters == _NONE)
    pixels[plain] = rows[plain, 1:]
    row, column = np.divmod(nonzero, width + 1)
    differs = (column > 0) & (filters[row] == _SUB)
    if differs.any():
        _undo_sub(rows, row[differs], column[differs] - 1, pixels)
    return pixels


def _scanlines(data: bytes) -> tuple[NDArray[np.uint8], int, int] | None:
    """The filtered bytes with each row's filter before it, height, width."""
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height, bits, color, _, _, interlaced = _HEADER.unpack_from(data, 16)
    if (bits, color, interlaced) != (8, 0, 0) or not 0 < width * height <= max_pixels():
        return None
    pieces: list[bytes] = []
    position = 8
    while True:
        if position + 12 > len(data):
            return None
        length, kind = _CHUNK.unpack_from(data, position)
        end = position + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return None
        if kind == b"IDAT":
            pieces.append(data[position + 8 : end])
        elif kind == b"IEND":
            break
        elif kind in (b"eXIf", b"tRNS", b"acTL"):
            return None  # turned, transparent or animated
        position = end + 4
    packed = b"".join(pieces)
    if _first_filter(packed) != _SUB:
        return None
    expected = height * (width + 1)
    if len(packed) * _MOST_INFLATION > max(8 * expected, _HARMLESS):
        return None
    try:
        # With the size known, zlib fills one buffer; it grows only for a file that lies.
        lines = zlib.decompress(packed, bufsize=expected)
    except zlib.error:
        return None
    if len(lines) != expected:
        return None
    return np.frombuffer(lines, np.uint8), height, width


def _first_filter(packed: bytes) -> int:
    """The filter of the first row, which tells what kind of encoder wrote the file; -1 for a damaged one."""
    try:
        return zlib.decompressobj().decompress(packed, 1)[0]
    except (zlib.error, IndexError):
        return -1


def _undo_sub(
    rows: NDArray[np.uint8], row: NDArray[np.int64], column: NDArray[np.int64], pixels: NDArray[np.uint8]
) -> None:
    """Rows of differences to the left neighbor: between two bytes that are not 0, the value stays."""
    total = np.cumsum(rows[row, column + 1], dtype=np.int64)
    opens_row = np.empty(len(row), np.bool_)
    opens_row[0] = True
    np.not_equal(row[1:], row[:-1], out=opens_row[1:])
    first = np.flatnonzero(opens_row)
    before = np.concatenate((np.zeros(1, np.int64), total))[first]
    value = (total - np.repeat(before, np.diff(np.append(first, len(row))))) & 255
    width = pixels.shape[1]
    start = row * width + column
    # A value holds up to the next change, or to the end of the row.
    stop = np.append(start[1:], 0)
    last = np.append(opens_row[1:], True)
    stop[last] = (row[last] + 1) * width
    flat = pixels.reshape(-1)
    shown = value > 0
    for a, b, v in zip(start[shown].tolist(), stop[shown].tolist(), value[shown].tolist(), strict=True):
        flat[a:b] = v
