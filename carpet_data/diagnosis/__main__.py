"""`python -m carpet_data.diagnosis` prints the table of problems as Markdown, for docs/doctor.md."""

from __future__ import annotations

import sys

from carpet_data.diagnosis.codes import CODES


def table() -> str:
    """Every code: severity, meaning, hint."""
    rows = [f"| `{each.name}` | {each.severity} | {each.meaning} | {each.hint} |" for each in CODES.values()]
    return "\n".join(["| code | severity | meaning | how to fix |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
