"""Every problem that `doctor` reports: a stable code, its severity, what it means and how to fix it.

The table is `codes.md` beside this file, as docs/doctor.md shows it. The codes of prepared folders are found by
`store.verify`, which knows the hint of each case.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from carpet_data.core.problems import SEVERITIES, Problem, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem.

    Attributes:
        severity: "error" is what `prepare` and the exports refuse; "warning" can distort results, and they carry on;
            "info" is good to know.
    """

    name: str
    severity: Severity
    meaning: str
    hint: str


def _code(row: str) -> Code:
    name, severity, meaning, hint = row.removeprefix("| ").removesuffix(" |").split(" | ")
    return Code(name.strip("`"), SEVERITIES[SEVERITIES.index(severity)], meaning, hint)


TABLE = resources.files("carpet_data.diagnosis").joinpath("codes.md").read_text("utf-8")
CODES: dict[str, Code] = {code.name: code for code in map(_code, TABLE.splitlines()[2:])}
"""Every code by its name, in the order of the report."""


def problem(code: str, where: str, what: str, *, hint: str | None = None, files: tuple[str, ...] = ()) -> Problem:
    """A problem of a known code, with the hint of the table unless another is given."""
    known = CODES[code]
    return Problem(known.severity, code, what, where, hint or known.hint, files)
