"""The errors of carpet-data, one tree.

CarpetDataError
├── DataError              the input data are invalid (a file, a folder, a value in it)
│   ├── ImageError         an image or mask cannot be read
│   ├── ClassNumbersError  masks hold class numbers instead of one defect
│   ├── OverlapError       annotations of different classes claim the same pixels
│   ├── LeakError          a sample of val or test would reach training
│   ├── WeightsError       weights of a network are missing, or do not fit it
│   ├── DeviceMemoryError  a batch does not fit into memory
│   └── ProblemsError      several problems, collected so that one run shows them all
├── UsageError             the request is invalid, whatever the data (exit code 2, like click's own)
├── OutputError            the output exists already, or cannot be written
│   └── LockedError        another process is writing the same data set
├── FetchError             a download or an archive failed
└── MissingExtraError      an optional package is not installed

Every error says what is wrong, where (a file or folder), and how to fix it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = [
    "CarpetDataError",
    "ClassNumbersError",
    "DataError",
    "DeviceMemoryError",
    "FetchError",
    "ImageError",
    "LeakError",
    "LockedError",
    "MissingExtraError",
    "OutputError",
    "OverlapError",
    "ProblemsError",
    "UsageError",
    "WeightsError",
    "nearest",
]

_SHOWN_PROBLEMS = 20


class CarpetDataError(Exception):
    """Base of every error a user can cause.

    Args:
        what: One sentence: what is wrong.
        where: The file or folder, or another place such as "labels.csv, line 3".
        hint: How to fix it, as an imperative.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | os.PathLike[str] | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else os.fspath(where)
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        return text if self.hint is None else f"{text}\n  hint: {self.hint}"

    def __reduce__(self) -> tuple[Callable[..., CarpetDataError], tuple[Any, ...]]:
        # Keyword-only arguments would be lost by Exception's own pickling, and workers send errors back.
        return _rebuild, (type(self), self.what, self.where, self.hint)

    def to_json(self) -> dict[str, Any]:
        """The error as plain values, for `--json`."""
        return {"error": type(self).__name__, "what": self.what, "where": self.where, "hint": self.hint}


def _rebuild(kind: type[CarpetDataError], what: str, where: str | None, hint: str | None) -> CarpetDataError:
    return kind(what, where=where, hint=hint)


class DataError(CarpetDataError):
    """The input data are invalid."""


class ImageError(DataError):
    """An image or a mask cannot be read."""


class ClassNumbersError(DataError):
    """Masks hold class numbers instead of one defect, and nothing names the classes."""


class OverlapError(DataError):
    """Annotations of different classes claim the same pixels."""


class LeakError(DataError):
    """A sample of val or test would reach training."""


class WeightsError(DataError):
    """The weights of a network are missing, or do not fit it."""


class DeviceMemoryError(DataError):
    """A batch does not fit into the memory of the device."""


class ProblemsError(DataError):
    """Several problems at once.

    Args:
        problems: The errors found, in order; the text shows the first 20 and counts the rest.
    """

    def __init__(self, problems: Sequence[CarpetDataError]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{len(self.problems)} problems" if len(self.problems) != 1 else "1 problem")

    @classmethod
    def of(cls, problems: Sequence[CarpetDataError]) -> CarpetDataError:
        """One problem as it is, several as one error."""
        return problems[0] if len(problems) == 1 else cls(problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:_SHOWN_PROBLEMS]]
        if len(self.problems) > _SHOWN_PROBLEMS:
            lines.append(f"… and {len(self.problems) - _SHOWN_PROBLEMS} more")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Callable[..., CarpetDataError], tuple[Any, ...]]:
        return ProblemsError, (self.problems,)

    def to_json(self) -> dict[str, Any]:
        """The error as plain values, each problem with its own file and hint."""
        return {**super().to_json(), "problems": [problem.to_json() for problem in self.problems]}


class UsageError(CarpetDataError):
    """The request is invalid, whatever the data."""

    exit_code = 2


class OutputError(CarpetDataError):
    """The output exists already, or cannot be written."""


class LockedError(OutputError):
    """Another process is writing the same data set."""


class FetchError(CarpetDataError):
    """A download or an archive failed."""


class MissingExtraError(CarpetDataError):
    """An optional package is not installed."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingExtraError:
        """The error for a missing `package` that belongs to the extra `extra`."""
        return cls(f"{purpose} needs the package {package}", hint=f"pip install 'carpet-data[{extra}]'")

    @classmethod
    def require(cls, packages: Iterable[str], extra: str, purpose: str) -> None:
        """Check that the packages of an extra are installed, without importing them.

        Raises:
            MissingExtraError: The first missing package is named.
        """
        import importlib.util

        for package in packages:
            if importlib.util.find_spec(package) is None:
                raise cls.of(package, extra, purpose)


def nearest(name: str, known: Iterable[str]) -> str:
    """The start of a hint for a mistyped name; empty where no known name is near.

    Example:
        >>> nearest("hol", ["hole", "thread"])
        "did you mean 'hole'? "
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""
