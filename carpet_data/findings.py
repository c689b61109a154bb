"""What an inspection found: one fault, its place and its mend, under a stable code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: "error" (results would be wrong), "warning" (look at it) or "info".
        code: Stable and short, such as "mask-empty"; what scripts match on.
        what: What is wrong, in one sentence.
        where: The file or place.
        mend: What the user can do about it.
        files: The other files concerned, such as the copies of an image.
    """

    severity: Severity
    code: str
    what: str
    where: str
    mend: str = ""
    files: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {
            "code": self.code,
            "severity": self.severity,
            "where": printable(self.where),
            "what": printable(self.what),
            "mend": self.mend,
            "files": [printable(name) for name in self.files],
        }


def counted(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Text that any stream can print: file names may hold bytes that are no UTF-8, and control characters."""
    safe = text.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in safe)
