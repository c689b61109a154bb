"""Lines of the small text files of a YOLO data set: labels, class names, lists of images."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from carpet_data.core.files import regular
from carpet_data.errors import DataError

_WIDE = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16", codecs.BOM_UTF32_BE: "UTF-32"}

_SNIFFED_BYTES = 4096


def text_of(path: Path) -> str:
    """The content of a text file, without a byte-order mark.

    Raises:
        DataError: It cannot be read, or is not UTF-8: the first line that is not is named.
    """
    try:
        data = regular(path).read_bytes()
    except OSError as error:
        raise DataError(f"it cannot be read ({error.strerror})", where=path, hint="check its permissions") from error
    wide = next((name for mark, name in _WIDE.items() if data.startswith(mark)), None)
    if wide is not None:
        raise DataError(f"it is {wide} text, not UTF-8", where=path, hint="save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"it is not UTF-8 text (byte 0x{data[error.start]:02x} in line {line})",
            where=path,
            hint="save it as UTF-8: editors call it the encoding",
        ) from error


def is_label_text(data: bytes) -> bool:
    """Whether the start of a file looks like labels: lines of a class and at least four numbers, or DOTA's."""
    lines = [line for line in data.decode("utf-8", "replace").lstrip("\ufeff").splitlines() if line.strip()]
    # The last line may be cut off.
    looked_at = lines[:5] if len(lines) > 5 else lines[: max(len(lines) - 1, 1)]
    return bool(looked_at) and all(_is_label_line(line.split()) for line in looked_at)


def is_dota_line(words: Sequence[str]) -> bool:
    """Whether a line is DOTA's: four corners in pixels, a class name, and whether it is difficult."""
    return len(words) in (9, 10) and are_numbers(words[:8]) and not are_numbers(words[8:9])


def are_numbers(words: Sequence[str]) -> bool:
    """Whether all of these are numbers."""
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


def holds_labels(path: Path) -> bool:
    """Whether a file looks like YOLO labels: `is_label_text` of its start."""
    try:
        with regular(path).open("rb") as file:
            return is_label_text(file.read(_SNIFFED_BYTES))
    except OSError:  # a broken link, or no permission: whoever reads all of it says so
        return False


def _is_label_line(words: Sequence[str]) -> bool:
    return (len(words) >= 5 and are_numbers(words[1:])) or is_dota_line(words)


def exists(path: Path) -> bool:
    """Whether a path exists that a file names: also where no file could have that name."""
    try:
        return path.exists()
    except (ValueError, OSError):  # a NUL in it, or longer than a file system allows
        return False
