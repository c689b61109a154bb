"""What the values of a class-index mask stand for, as `--mask-classes` says it.

Either in the option itself, `1=inclusion,2=patches`, or in a file: a name on each line, `1: name`, CSV, JSON, the
classes.json and labels.txt of our own masks, or Pascal VOC's labelmap.txt.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core.files import regular
from carpet_data.core.masks.classes import IGNORED
from carpet_data.dataset import GOOD, ClassFile
from carpet_data.errors import DataError, UsageError

__all__ = ["MaskClasses", "parse", "read_file"]

_BACKGROUND = frozenset({"background", "_background_", "__background__"})
_UNDECIDED = frozenset({"ignore", "__ignore__", "void", "unlabeled", "undefined"})
_LARGEST = 65535
_NUMBERED = re.compile(r"\s*(\d+)\s*[:=\t,;]\s*(.+?)\s*$")
_LABELMAP = re.compile(r"(.+?):\d+,\d+,\d+:[^:]*:[^:]*$")
_FORMS = (
    "it should have one name per line (the first is 1, or 0 where it is called background), lines such as 1: name, "
    'two columns of CSV, or JSON such as {"name": 1}'
)


@dataclass(frozen=True, slots=True)
class MaskClasses:
    """Value -> what it stands for.

    Attributes:
        table: (value, class_name) of the defect classes, by value.
        background: Values without a defect.
        ignored: Values that the annotators left undecided; never a defect.
    """

    table: tuple[tuple[int, str], ...]
    background: tuple[int, ...] = (0,)
    ignored: tuple[int, ...] = (IGNORED,)

    def annotation(self, path: str, present: Iterable[int]) -> ClassFile:
        """The annotation of a mask file that holds these values."""
        here = set(present)
        table = tuple((value, name) for value, name in self.table if value in here)
        return ClassFile(path, table, tuple(sorted({*self.background, *self.ignored})))


def parse(text: str) -> MaskClasses:
    """The value of `--mask-classes`: pairs, or the path of a file.

    Raises:
        UsageError: It is neither pairs nor an existing file, or a value or a name is there twice.
        DataError: The file cannot be understood.

    Examples:
        >>> parse("1=inclusion,2=patches,9=ignore").table
        ((1, 'inclusion'), (2, 'patches'))
    """
    if "=" not in text or Path(text).is_file():
        return read_file(Path(text))
    pairs: list[tuple[int, str]] = []
    for part in text.split(","):
        value, _, name = part.partition("=")
        if not value.strip().isdecimal() or not name.strip():
            raise UsageError(
                f"invalid --mask-classes value {text!r}", hint="give pairs such as 1=inclusion,2=patches, or a file"
            )
        pairs.append((int(value), name.strip()))
    try:
        return _of_pairs(pairs)
    except ValueError as error:
        raise UsageError(f"invalid --mask-classes value {text!r}: {error}", hint="name each class once") from error


def read_file(path: Path) -> MaskClasses:
    """The classes that a file lists.

    Raises:
        UsageError: There is no such file.
        DataError: It cannot be read or understood.
    """
    try:
        text = regular(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(
            f"invalid --mask-classes value {str(path)!r}: there is no such file",
            hint="give pairs such as 1=inclusion,2=patches, or the path of a file that lists the classes",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read ({error})", where=path, hint=_FORMS) from error
    try:
        pairs = _of_json(json.loads(text)) if text.lstrip()[:1] in ("{", "[") else _of_lines(text)
        return _of_pairs(pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the list of classes cannot be parsed ({error})", where=path, hint=_FORMS) from error


def _of_pairs(pairs: Iterable[tuple[int, str]]) -> MaskClasses:
    names: dict[int, str] = {}
    for value, name in pairs:
        if not 0 <= value <= _LARGEST:
            raise ValueError(f"the value {value} is not between 0 and {_LARGEST}")
        if name.casefold() == GOOD:
            raise ValueError(f"{GOOD} is the class without defects; call it background")
        if value in names:
            raise ValueError(f"the value {value} stands for {names[value]} and for {name}")
        names[value] = name
    background = [value for value, name in names.items() if name.casefold() in _BACKGROUND]
    ignored = [value for value, name in names.items() if name.casefold() in _UNDECIDED]
    table = tuple(sorted((value, name) for value, name in names.items() if value not in {*background, *ignored}))
    if not table:
        raise ValueError("it does not name a class")
    if len({name for _, name in table}) < len(table):
        raise ValueError("two values have the same name")
    if 0 not in names:
        background.append(0)
    if IGNORED not in names:
        ignored.append(IGNORED)
    return MaskClasses(table, tuple(sorted(background)), tuple(sorted(ignored)))


def _of_json(document: Any) -> list[tuple[int, str]]:
    """{"name": 1}, {"1": "name"}, ["name", …] or [{"id": 1, "name": "name"}, …]."""
    if isinstance(document, Mapping):
        return [_pair(key, value) for key, value in document.items()]
    if not isinstance(document, list):
        raise ValueError("neither an object nor a list")
    if all(isinstance(each, str) for each in document):
        return _counted(document)
    entries = [each if isinstance(each, Mapping) else {} for each in document]
    return [_pair(each.get("id", each.get("value")), each.get("name")) for each in entries]


def _pair(one: Any, other: Any) -> tuple[int, str]:
    """A value and a name, in either order."""
    for value, name in ((one, other), (other, one)):
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and not isinstance(number, bool) and isinstance(name, str) and name.strip():
            return number, name.strip()
    raise ValueError(f"{one!r} and {other!r} are not a value and a name")


def _of_lines(text: str) -> list[tuple[int, str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(_LABELMAP.match(line) for line in lines):
        return list(enumerate(_LABELMAP.sub(r"\1", line) for line in lines))
    numbered = [_NUMBERED.match(line) for line in lines]
    if any(numbered):
        # The first line of a table may be its header.
        rows = numbered if numbered[0] is not None else numbered[1:]
        return [(int(row[1]), row[2].strip("\"'")) if row else _unmatched() for row in rows]
    if any("," in line for line in lines):
        rows_of_text = [row for row in csv.reader(lines) if row]
        first = 0 if any(cell.strip().isdecimal() for cell in rows_of_text[0]) else 1
        return [
            _pair(*[cell.strip() for cell in row[:2]]) if len(row) > 1 else _unmatched() for row in rows_of_text[first:]
        ]
    return _counted(lines)


def _unmatched() -> tuple[int, str]:
    raise ValueError("some lines have a number and some do not")


def _counted(names: list[str]) -> list[tuple[int, str]]:
    """Names in the order of their values: from 1, or from 0 where the background is named."""
    # labelme's lists begin with __ignore__, which no mask holds.
    names = names[1:] if names and names[0].casefold() == "__ignore__" else names
    first = 0 if names and names[0].casefold() in _BACKGROUND else 1
    return list(enumerate(names, start=first))
