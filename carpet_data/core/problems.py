"""A problem that an inspection found: its place and how to fix it, under a stable code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from carpet_data.core.text import printable

Severity: TypeAlias = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Attributes:
        severity: "error" (other commands refuse it), "warning" (worth a look) or "info".
        code: Stable and short, such as "mask-empty"; what scripts match on.
        what: What is wrong, in one sentence.
        where: The file or place.
        hint: How to fix it.
        files: The other files concerned, such as the copies of an image.
    """

    severity: Severity
    code: str
    what: str
    where: str
    hint: str = ""
    files: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The problem as plain values."""
        return {
            "code": self.code,
            "severity": self.severity,
            "where": printable(self.where),
            "what": printable(self.what),
            "hint": self.hint,
            "files": [printable(name) for name in self.files],
        }
