"""Is an image file whole? Answered from its bytes, before any decoder fills the missing part with gray.

`doctor`, the decoder and the exports all ask here, so that an image is at fault for all of them or for none.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["FileFault", "ends_early", "fault_of", "proves_pixels"]

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
_JPEG = b"\xff\xd8"
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_END = b"\xff\xd9"
_SCAN, _QUANTIZATION, _HUFFMAN = 0xDA, 0xDB, 0xC4
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive, all Huffman-coded: what every decoder takes."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """Why a file is not whole.

    Attributes:
        kind: "truncated": its end is missing; "damaged": a checksum in it is wrong.
    """

    kind: Literal["truncated", "damaged"]
    what: str


def fault_of(data: bytes) -> FileFault | None:
    """What shows that the bytes of an image file are not whole; None for a whole file, or one of an unknown format.

    Examples:
        >>> fault_of(b"\\xff\\xd8\\xff").what
        'the file is truncated: the end of the header is missing after its 3 bytes'
    """
    missing = _missing(data)
    if missing is not None:
        return FileFault("truncated", f"the file is truncated: {missing} is missing after its {len(data)} bytes")
    if data.startswith(_PNG):
        for name, at in _wrong_chunks(data):
            return FileFault("damaged", f"the file is damaged: the checksum of its {name} chunk at byte {at} is wrong")
    return None


def ends_early(data: bytes) -> bool:
    """Whether a PNG lacks last bytes that no decoder needs: it is at no fault, but may still be growing."""
    chunks = _png_chunks(data) if data.startswith(_PNG) else []
    return bool(chunks) and chunks[-1][2] + 4 > len(data)


def proves_pixels(data: bytes) -> bool:
    """Whether a file without a fault is known to decode by its structure alone.

    A PNG whose checksums are right is what its encoder wrote, and a JPEG with all its tables always gives pixels. Of
    other files only a decoder can tell.
    """
    if data.startswith(_PNG):
        return _proves_png(data)
    if data.startswith(_JPEG):
        markers = dict(_jpeg_segments(data))
        return _QUANTIZATION in markers and _HUFFMAN in markers and _jpeg_frame(data, markers)
    return False


def _proves_png(data: bytes) -> bool:
    if data[12:16] != b"IHDR" or len(data) < 33:
        return False
    bits, color = data[24], data[25]
    bodies = {kind: (start, stop) for kind, start, stop in reversed(_png_chunks(data))}
    if bits not in _PNG_BITS.get(color, ()) or b"IDAT" not in bodies or (color == _PALETTE and b"PLTE" not in bodies):
        return False
    start, stop = bodies[b"IDAT"]
    try:
        return len(zlib.decompressobj().decompress(data[start:stop], 1)) == 1
    except zlib.error:
        return False


def _jpeg_frame(data: bytes, markers: dict[int, int]) -> bool:
    """Whether the frame is of a kind that every decoder takes, with 8 bits a channel."""
    starts = [at for marker, at in markers.items() if marker in _FRAMES]
    return len(starts) == 1 and data[starts[0] + 4 : starts[0] + 5] == b"\x08"


def _wrong_chunks(data: bytes) -> Iterator[tuple[str, int]]:
    """(type, place) of the chunks that do not match their checksum."""
    for kind, start, stop in _png_chunks(data):
        if stop + 4 > len(data):
            return  # truncated
        if zlib.crc32(memoryview(data)[start - 4 : stop]) != int.from_bytes(data[stop : stop + 4], "big"):
            yield kind.decode("ascii", "replace"), start - 8


def _missing(data: bytes) -> str | None:
    """What a file of a known format lacks at its end; None where it is whole or of another format."""
    if data.startswith(_PNG):
        return _missing_of_png(data)
    if data.startswith(_JPEG):
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


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, place) of each segment up to the pixels; the last one is the scan, or what comes after a cut."""
    at = len(_JPEG)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        yield marker, at
        if marker == _SCAN:
            return
        at += 2 if marker in _JPEG_STANDALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    yield -1, at


def _missing_of_jpeg(data: bytes) -> str | None:
    """The end marker is looked for behind the start of the pixels: a thumbnail in the header has one of its own."""
    *_, (marker, at) = _jpeg_segments(data)
    if marker == _SCAN:
        # Inside entropy-coded pixels FF is followed by 0 or a restart marker, so this finds the end alone.
        begin = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        return None if data.find(_JPEG_END, begin) >= 0 else "the end of the image (EOI)"
    return "the end of the header" if at + 4 > len(data) else None


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
