"""`carpet-data fetch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carpet_data.cli.common import Ui, json_option, out_option, overwrite_option, quiet_option
from carpet_data.cli.unpack import limit_options, limits_of, megabytes, told
from carpet_data.cli.unpack import size as size_type
from carpet_data.errors import UsageError

if TYPE_CHECKING:
    from carpet_data.archives.fetch import FetchResult, Source


@click.command()
@click.argument("name", metavar="[NAME|URL]", required=False)
@out_option()
@click.option("--url", metavar="URL", help="The archive's address, where the known one has moved.")
@click.option("--sha256", metavar="HEX", help="SHA-256 that the archive must have.  [default: the known one]")
@click.option(
    "--size", type=size_type, metavar="SIZE", help="Bytes the archive must have.  [default: the known number]"
)
@click.option("--accept-license", is_flag=True, help="Accept the licence without being asked.")
@click.option("--no-unpack", is_flag=True, help="Leave the archive in OUT without unpacking it.")
@click.option("--keep-archive", is_flag=True, help="Keep the archive, beside OUT, after unpacking it.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=30,
    show_default=True,
    help="Seconds without data before a try has failed.",
)
@click.option(
    "--retries", type=click.IntRange(min=0), default=5, show_default=True, help="Failures in a row before giving up."
)
@overwrite_option
@limit_options
@json_option
@quiet_option
def fetch(
    name: str | None,
    out: Path,
    url: str | None,
    sha256: str | None,
    size: int | None,
    accept_license: bool,
    no_unpack: bool,
    keep_archive: bool,
    timeout: float,
    retries: int,
    overwrite: bool,
    max_size: int | None,
    max_file_size: int | None,
    max_members: int | None,
    max_ratio: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Download an archive, verify it and unpack it into OUT.

    NAME is a category of MVTec AD (carpet, grid, leather …), or mvtec_ad for all fifteen, 5 GB. The download is
    checked by sha256 or size, and an interrupted one resumes when the command is run again.

    \b
    Example:
      carpet-data fetch carpet -o mvtec
      carpet-data doctor mvtec/carpet

    MVTec moves its files now and then. Then download the archive with your browser and unpack it, or give the new
    address; the page that has them is

    \b
      https://www.mvtec.com/company/research/datasets/mvtec-ad/downloads
      carpet-data unpack carpet.tar.xz -o mvtec
      carpet-data fetch carpet --url https://… -o mvtec
    """
    from carpet_data.archives.download import Patience
    from carpet_data.archives.fetch import fetch as run
    from carpet_data.archives.fetch import find_source
    from carpet_data.formats.output import check_free

    ui = Ui(as_json=as_json, quiet=quiet)
    source = find_source(name, url=url, sha256=sha256, size=size)
    if not no_unpack:
        # Before the question, so that nobody reads a licence for nothing.
        check_free(out, overwrite=overwrite)
    _settle_license(source, ui, accepted=accept_license)
    with ui.progress(f"{source.name}, MiB") as progress:
        result = run(
            name,
            out,
            url=url,
            sha256=sha256,
            size=size,
            accept_license=True,
            extract=not no_unpack,
            keep_archive=keep_archive,
            overwrite=overwrite,
            limits=limits_of(max_size, max_file_size, max_members, max_ratio),
            patience=Patience(timeout_s=timeout, retries=retries),
            progress=progress,
        )
    ui.result(result.to_json(), _text(result))


def _settle_license(source: Source, ui: Ui, *, accepted: bool) -> None:
    """Show the licence and have it accepted.

    Raises:
        UsageError: It is not accepted, or there is nobody to ask.
    """
    if source.license is None:
        ui.note(f"The licence of {source.url} is not known here: make sure that you may use it.")
        return
    if accepted:
        ui.note(source.license)
        return
    click.echo(source.license, err=True)
    if not sys.stdin.isatty():
        raise UsageError(
            "the licence must be accepted, and there is no terminal to ask at",
            where=source.url,
            hint="read it above, then give --accept-license",
        )
    if not click.confirm("Do you accept this licence?", err=True):
        raise UsageError("the licence was not accepted, so nothing was downloaded", where=source.url)


_PROOFS = {
    "sha256": "its sha256 is the one expected",
    "size": "its size is the one expected",
    "content-length": "its size is the one the server announced",
    "nothing": "nothing to compare it with: neither digest nor size is known",
}


def _text(result: FetchResult) -> str:
    lines = [f"fetched {megabytes(result.size)}: {_PROOFS[result.verified]}", f"sha256: {result.sha256}"]
    if result.resumed_from:
        lines.append(f"{megabytes(result.resumed_from)} of it were there from an earlier run")
    if result.archive is not None:
        lines.append(f"archive: {result.archive}")
    if result.unpacked is not None:
        lines.append(told(result.unpacked))
    return "\n".join(lines)
