"""Options and output that the commands share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from carpet_data.errors import DataError, UsageError

if TYPE_CHECKING:
    from carpet_data.core.executor import Engine
    from carpet_data.core.progress import Progress

F = TypeVar("F", bound=Callable[..., Any])

ENVIRONMENT_ROOT = "CARPET_DATA_ROOT"

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
skip_faulty_option = click.option(
    "--skip-faulty", is_flag=True, help="Skip images with errors instead of failing; they are listed."
)
split_option = click.option("--split", default=None, help="Named split.  [default: main, else the source's own]")
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")


def workers_option(command: F) -> F:
    """The options --workers and --engine; only the first reaches the command, the engine holds for all that follows."""
    command = click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        expose_value=False,
        callback=_choose_engine,
        help="Where workers run: processes here, or a Ray cluster.",
    )(command)
    return click.option(
        "--workers", type=click.IntRange(min=1), default=None, help="Worker processes.  [default: the number of cores]"
    )(command)


def _choose_engine(context: click.Context, parameter: click.Parameter, value: Engine) -> None:  # noqa: ARG001
    if value != "local":
        from carpet_data.core import executor

        context.with_resource(executor.engine(value))


def root_argument(name: str = "root") -> Callable[[F], F]:
    """The optional ROOT argument, a path that exists; `resolve_root` finds what a missing one means."""
    return click.argument(name, required=False, type=click.Path(path_type=Path), callback=existing)


def existing(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:  # noqa: ARG001
    """Refuse a path that is not there, before a command loads what it needs, which can take seconds.

    Raises:
        DataError: There is nothing at this path.
    """
    if value is not None and not os.path.lexists(value):
        raise DataError("no such file or folder", where=value, hint="check the path")
    return value


def out_option(default: str | None = None) -> Callable[[F], F]:
    """The option -o/--out, a path; without a default it is required."""
    extra: dict[str, Any] = {"required": True} if default is None else {"default": default, "show_default": True}
    return click.option("-o", "--out", type=click.Path(path_type=Path), help="Output path.", **extra)


def run_folder_option(command_name: str) -> Callable[[F], F]:
    """The option -o/--out of a command that writes a run folder."""
    return click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        default=None,
        help=f"The run folder.  [default: ROOT/runs/{command_name}-001, …]",
    )


def resolve_root(root: Path | None) -> Path:
    """ROOT if given, else $CARPET_DATA_ROOT, else the current folder if it is a data set.

    Raises:
        UsageError: None of them is there.
    """
    if root is not None:
        return root
    from_environment = os.environ.get(ENVIRONMENT_ROOT)
    if from_environment:
        return Path(from_environment)
    from carpet_data.formats import reading

    here = Path.cwd()
    if reading.looks_like_dataset(here):
        return here
    raise UsageError(
        "no data set given, and the current folder is not a data set",
        where=here,
        hint=f"give its folder (carpet-data … ROOT), set {ENVIRONMENT_ROOT}, or change into a data folder",
    )


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sees what is written; a stream that the caller closed is None."""
    return stream is not None and stream.isatty()


def json_text(values: dict[str, Any]) -> str:
    """JSON that standard output can take: with letters as they are where it is UTF-8, else escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return json.dumps(values, ensure_ascii=encoding.lower().replace("-", "") != "utf8", indent=2)


class Ui:
    """What a command prints: results on stdout, progress and notes on stderr."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def result(self, values: dict[str, Any], text: str) -> None:
        """Print the result: `values` under --json, `text` otherwise, nothing under --quiet."""
        if self.as_json:
            click.echo(json_text(values))
        elif not self.quiet:
            click.echo(text)

    def note(self, text: str) -> None:
        """Print a note on stderr, unless --quiet or --json."""
        if not self.quiet and not self.as_json:
            click.echo(text, err=True)

    @contextmanager
    def progress(self, description: str) -> Iterator[Progress]:
        """Show a progress bar with metrics and time left; yields what is called with each `Step`.

        Files that are written on the way are named. Where stderr is not a terminal, a line every ten seconds tells how
        far the command is. Under --quiet nothing is shown. `description` is shown where a step does not say what is
        being done.
        """
        if self.quiet:
            yield lambda step: None  # noqa: ARG005
        elif not is_terminal(sys.stderr):
            from carpet_data.cli.progress import Lines

            context = click.get_current_context(silent=True)
            yield Lines((context.info_name if context is not None else None) or description, description)
        elif self.as_json:
            yield lambda step: None  # noqa: ARG005
        else:
            from carpet_data.cli.progress import bar

            with bar(description) as show:
                yield show
