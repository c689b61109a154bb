"""What an inspection found: one fault, its place and its mend, under a stable code."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
    """

    severity: Severity
    code: str
    what: str
    where: str
    mend: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return asdict(self)
