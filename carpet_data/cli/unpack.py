"""`carpet-data unpack`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from carpet_data.cli.common import Ui, json_option, out_option, overwrite_option, quiet_option

if TYPE_CHECKING:
    from carpet_data.archives.limits import Limits
    from carpet_data.archives.unpack import UnpackResult

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def size(text: str) -> int:
    """The bytes that a text such as 5000000, 500MB or 20GiB stands for: the type of an option."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    if match is None or match[2] not in _UNITS or float(match[1]) == 0:
        raise click.BadParameter(f"{text!r} is no size; write 5000000, 500MB or 20GiB")
    return int(float(match[1]) * _UNITS[match[2]])


def limit_options(command: F) -> F:
    """The options that say how much an archive may hold."""
    for option in (
        click.option(
            "--max-ratio", type=click.FloatRange(min=1), help="Most unpacked bytes per packed byte.  [default: 200]"
        ),
        click.option("--max-members", type=click.IntRange(min=1), help="Most files and folders.  [default: 100000]"),
        click.option("--max-file-size", type=size, metavar="SIZE", help="Most bytes in one file.  [default: 2GiB]"),
        click.option("--max-size", type=size, metavar="SIZE", help="Most bytes unpacked in all.  [default: 20GiB]"),
    ):
        command = option(command)
    return command


def limits_of(
    max_size: int | None, max_file_size: int | None, max_members: int | None, max_ratio: float | None
) -> Limits:
    """The limits as given, the defaults for the rest."""
    from carpet_data.archives.limits import Limits

    default = Limits()
    return Limits(
        total_bytes=max_size or default.total_bytes,
        file_bytes=max_file_size or default.file_bytes,
        members=max_members or default.members,
        ratio=max_ratio or default.ratio,
    )


def told(result: UnpackResult) -> str:
    """What an archive became, and the next command."""
    lines = [f"unpacked {result.files:,} files, {megabytes(result.bytes)}, into {result.out}"]
    if not result.roots:
        lines.append("no folder in MVTec's layout is in it (train/good, or ground_truth beside test)")
    elif len(result.roots) == 1:
        lines += [f"data set: {result.roots[0]}", f"next: carpet-data doctor {result.roots[0]}"]
    else:
        lines.append(f"{len(result.roots)} data sets:")
        lines += [f"  {root}" for root in result.roots]
        lines.append(f"next, with one of them: carpet-data doctor {result.roots[0]}")
    return "\n".join(lines)


def megabytes(count: int) -> str:
    """Bytes as people read them."""
    if count < 10**6:
        return f"{count:,} bytes"
    return f"{count / 10**6:,.1f} MB"


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@out_option()
@overwrite_option
@limit_options
@json_option
@quiet_option
def unpack(
    archive: Path,
    out: Path,
    overwrite: bool,
    max_size: int | None,
    max_file_size: int | None,
    max_members: int | None,
    max_ratio: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Unpack a local ARCHIVE safely: .tar.xz, .tar.gz, .tar.bz2, .tar or .zip.

    Only regular files and folders are written, and only below OUT; links, devices and names that lead elsewhere are
    refused. All or nothing: a failure leaves OUT as it was. The last lines name the data set found inside.

    \b
    Example:
      carpet-data unpack ~/Downloads/carpet.tar.xz -o mvtec
      carpet-data doctor mvtec/carpet
    """
    from carpet_data.archives.unpack import unpack as run

    ui = Ui(as_json=as_json, quiet=quiet)
    with ui.progress("unpacking, MiB") as progress:
        result = run(
            archive,
            out,
            overwrite=overwrite,
            limits=limits_of(max_size, max_file_size, max_members, max_ratio),
            progress=progress,
        )
    ui.result(result.to_json(), told(result))
