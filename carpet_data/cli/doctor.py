"""`carpet-data doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carpet_data.cli.common import Ui, json_option, quiet_option, resolve_root, root_argument, workers_option
from carpet_data.cli.options import options, take
from carpet_data.formats import ReadOptions

if TYPE_CHECKING:
    from carpet_data.core.problems import Problem, Severity
    from carpet_data.diagnosis.doctor import Diagnosis
    from carpet_data.formats.account.roles import Account

_SHOWN = 3
_COLORS = {"error": "red", "warning": "yellow", "info": "cyan"}


@click.command()
@root_argument()
@options(ReadOptions, skip=("skip_faulty",))
@click.option(
    "--near-duplicates/--no-near-duplicates",
    default=True,
    show_default=True,
    help="Find near-duplicate images.",
)
@click.option("--all", "show_all", is_flag=True, help="List every file instead of the first few per problem.")
@workers_option
@json_option
@quiet_option
def doctor(
    root: Path | None,
    near_duplicates: bool,
    show_all: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> int:
    """Check a data set and report every problem, with the file and how to fix it.

    Exits with 1 if there are errors; warnings and info alone exit with 0. ROOT is only read.

    \b
    Example:
      carpet-data doctor carpet
      carpet-data doctor carpet --all --json > problems.json
    """
    from carpet_data.diagnosis.doctor import doctor as examine

    read_options = take(ReadOptions, values)
    ui = Ui(as_json=as_json, quiet=quiet)
    with ui.progress("examining") as update:
        diagnosis = examine(
            resolve_root(root), read_options, near_duplicates=near_duplicates, workers=workers, progress=update
        )
    ui.result(diagnosis.to_json(), _text(diagnosis, show_all=show_all))
    return diagnosis.exit_code


def _text(diagnosis: Diagnosis, *, show_all: bool) -> str:
    from carpet_data.core.text import counted, printable

    classes = ", ".join(f"{printable(name)} {count}" for name, count in diagnosis.classes.items())
    lines = [
        f"{printable(diagnosis.name)} ({diagnosis.format}): {counted(diagnosis.images, 'image')}, "
        f"{counted(diagnosis.masks, _noun(diagnosis))}" + (f"; {classes}" if classes else "")
    ]
    if diagnosis.source is not None:
        lines += _roles(diagnosis.source)
    by_code: dict[str, list[Problem]] = {}
    for problem in diagnosis.problems:
        by_code.setdefault(problem.code, []).append(problem)
    for problems in by_code.values():
        lines += ["", *_block(problems, len(problems) if show_all else _SHOWN)]
    counts = diagnosis.counts()
    words = (counted(counts["error"], "error"), counted(counts["warning"], "warning"), f"{counts['info']} info")
    summary = ", ".join(word for word in words if not word.startswith("0 "))
    return "\n".join([*lines, "", summary or "no problems found"])


def _noun(diagnosis: Diagnosis) -> str:
    """What holds the defects: mask files, or the annotations of images in a document."""
    source = diagnosis.source
    return "annotated image" if source is not None and source.count("annotations") else "mask"


def _roles(source: Account) -> list[str]:
    """What each folder was taken for, as a table."""
    from carpet_data.core.text import counted, printable

    rows = [("folder", "role", "files", "note")]
    rows += [(printable(row.folder), row.role, str(row.files), printable(row.note)) for row in source.roles]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"  {folder:<{widths[0]}}  {role:<{widths[1]}}  {files:>{widths[2]}}  {note}".rstrip()
        for folder, role, files, note in rows
    ]
    if source.not_read_count:
        lines.append(f"  {counted(source.not_read_count, 'file')} not read, such as {printable(source.not_read[0])}")
    return lines + [f"  note: {printable(note)}" for note in source.notes]


def _block(problems: list[Problem], shown: int) -> list[str]:
    """The problems of one code: a heading, the first few files, the hints."""
    from carpet_data.core.text import printable
    from carpet_data.diagnosis.codes import CODES

    first = problems[0]
    known = CODES.get(first.code)
    count = f" ({len(problems)})" if len(problems) > 1 else ""
    heading = f"{_tag(first.severity)} {click.style(first.code, bold=True)}{count}"
    lines = [heading + (f": {known.meaning}" if known else "")]
    for number, problem in enumerate(problems[:shown]):
        place = "" if problem.where == "." else f"{printable(problem.where)}: "
        lines.append(f"  {place}{printable(problem.what)}")
        # One hint for all where it is the same, else each below its own problem.
        following = problems[number + 1] if number + 1 < min(len(problems), shown) else None
        if following is not None and following.hint != problem.hint:
            lines.append(f"  hint: {problem.hint}")
    if len(problems) > shown:
        lines.append(f"  … and {len(problems) - shown} more (--all shows them)")
    return [*lines, f"  hint: {problems[: max(shown, 1)][-1].hint}"]


def _tag(severity: Severity) -> str:
    return click.style(severity.upper(), fg=_COLORS[severity], bold=True)
