"""`carpet-data doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carpet_data.cli.common import Ui, json_option, quiet_option, resolve_root, root_argument, workers_option
from carpet_data.cli.data_options import read_options, take_read_options

if TYPE_CHECKING:
    from carpet_data.findings import Finding, Severity
    from carpet_data.verbs.doctor import Diagnosis

_SHOWN = 3
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


@click.command()
@root_argument()
@read_options
@click.option("--near/--no-near", default=True, show_default=True, help="Look for images that show the same thing.")
@click.option("--all", "show_all", is_flag=True, help="Show every file, not the first few of each kind.")
@workers_option
@json_option
@quiet_option
def doctor(
    root: Path | None, near: bool, show_all: bool, workers: int | None, as_json: bool, quiet: bool, **values: Any
) -> int:
    """Find every fault of a data set, with its file and its mend.

    Exits with 1 when there are errors; warnings and infos alone do not count as failure. Nothing in ROOT is changed.

    \b
    Example:
      carpet-data doctor carpet
      carpet-data doctor carpet --all --json > faults.json
    """
    from carpet_data.verbs.doctor import doctor as examine

    options = take_read_options(values)
    ui = Ui(as_json=as_json, quiet=quiet)
    with ui.progress("examining") as update:
        diagnosis = examine(resolve_root(root), options, near_duplicates=near, workers=workers, progress=update)
    ui.result(diagnosis.to_json(), _text(diagnosis, show_all=show_all))
    return diagnosis.exit_code


def _text(diagnosis: Diagnosis, *, show_all: bool) -> str:
    from carpet_data.findings import counted, printable

    classes = ", ".join(f"{printable(name)} {count}" for name, count in diagnosis.classes.items())
    lines = [
        f"{printable(diagnosis.name)} ({diagnosis.format}): {counted(diagnosis.images, 'image')}, "
        f"{counted(diagnosis.masks, 'mask')}" + (f"; {classes}" if classes else "")
    ]
    by_code: dict[str, list[Finding]] = {}
    for fault in diagnosis.faults:
        by_code.setdefault(fault.code, []).append(fault)
    for faults in by_code.values():
        lines += ["", *_block(faults, len(faults) if show_all else _SHOWN)]
    counts = diagnosis.counts()
    summary = ", ".join(counted(count, severity) for severity, count in counts.items())
    return "\n".join([*lines, "", summary])


def _block(faults: list[Finding], shown: int) -> list[str]:
    """The faults of one code: a heading, the first few files, the mends."""
    from carpet_data.diagnosis.codes import CODES
    from carpet_data.findings import printable

    first = faults[0]
    known = CODES.get(first.code)
    count = f" ({len(faults)})" if len(faults) > 1 else ""
    heading = f"{_tag(first.severity)} {click.style(first.code, bold=True)}{count}"
    lines = [heading + (f": {known.meaning}" if known else "")]
    for number, fault in enumerate(faults[:shown]):
        place = "" if fault.where == "." else f"{printable(fault.where)}: "
        lines.append(f"  {place}{printable(fault.what)}")
        # One mend for all where it is the same, else each below its own fault.
        following = faults[number + 1] if number + 1 < min(len(faults), shown) else None
        if following is not None and following.mend != fault.mend:
            lines.append(f"  mend: {fault.mend}")
    if len(faults) > shown:
        lines.append(f"  … and {len(faults) - shown} more (--all shows them)")
    return [*lines, f"  mend: {faults[: max(shown, 1)][-1].mend}"]


def _tag(severity: Severity) -> str:
    return click.style(severity.upper(), fg=_COLOURS[severity], bold=True)
