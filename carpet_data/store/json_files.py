"""JSON files and files of JSON lines, which appear whole and are read with file, line and hint in every error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from carpet_data.core.files import regular
from carpet_data.errors import DataError
from carpet_data.store.files import replacing, write_bytes

__all__ = ["parse_line", "read_json", "read_lines", "to_line", "write_json", "write_lines"]


def write_json(path: Path, values: Mapping[str, Any], *, durable: bool = False) -> None:
    """Write an object, indented, in place of what is there."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    write_bytes(path, text.encode(errors="backslashreplace"), durable=durable)


def read_json(path: Path, *, hint: str, what: str = "the file") -> dict[str, Any]:
    """Read an object; `hint` and `what` (such as "the recipe") are for errors.

    Raises:
        DataError: The file is missing or unreadable, or holds something else.
    """
    try:
        values = json.loads(regular(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{what} is missing", where=path, hint=hint) from error
    except OSError as error:
        raise DataError(f"{what} cannot be read ({error.strerror})", where=path, hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{what} is not JSON ({error})", where=path, hint=hint) from error
    if not isinstance(values, dict):
        raise DataError(f"{what} is not a JSON object", where=path, hint=hint)
    return values


def to_line(values: Mapping[str, Any]) -> bytes:
    """An object as one line, UTF-8, with its newline."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A file name that is not UTF-8 has characters that only an escape can hold.
        return (json.dumps(values, separators=(",", ":"), allow_nan=False) + "\n").encode()


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write objects, one a line, in place of what is there."""
    with replacing(path) as file:
        for row in rows:
            file.write(to_line(row))


def parse_line(line: bytes, where: str, hint: str) -> dict[str, Any]:
    """The object in a line.

    Raises:
        DataError: The line holds something else; it is named by `where`.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the line is not JSON ({error})", where=where, hint=hint) from error
    if not isinstance(row, dict):
        raise DataError("the line is not a JSON object", where=where, hint=hint)
    return row


def read_lines(path: Path, hint: str, what: str = "the file") -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, object) of each line, one in memory at a time.

    Raises:
        DataError: The file is missing, or a line is damaged; it is named.
    """
    try:
        file = regular(path).open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{what} is missing", where=path, hint=hint) from error
    except OSError as error:
        raise DataError(f"{what} cannot be read ({error.strerror})", where=path, hint=hint) from error
    with file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            yield where, parse_line(line, where, hint)
