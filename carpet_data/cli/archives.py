"""`carpet-data fetch` and `carpet-data unpack`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carpet_data.archives import Limits
from carpet_data.cli.common import Ui, json_option, out_option, overwrite_option, quiet_option
from carpet_data.cli.options import options, take
from carpet_data.errors import UsageError

if TYPE_CHECKING:
    from carpet_data.archives.fetch import FetchResult, Source
    from carpet_data.archives.unpack import UnpackResult


@click.command(short_help="Unpack a local .tar.xz, .tar.gz or .zip safely.")
@click.argument("archive", type=click.Path(path_type=Path))
@out_option()
@overwrite_option
@options(Limits)
@json_option
@quiet_option
def unpack(archive: Path, out: Path, overwrite: bool, as_json: bool, quiet: bool, **values: Any) -> None:
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
        result = run(archive, out, overwrite=overwrite, limits=take(Limits, values), progress=progress)
    ui.result(result.to_json(), _unpacked_text(result))


@click.command(short_help="Download an MVTec AD archive, verify it and unpack it.")
@click.argument("name", metavar="[NAME|URL]", required=False)
@out_option()
@click.option("--url", metavar="URL", help="Address of the archive, where the known one has moved.")
@click.option("--sha256", metavar="HEX", help="SHA-256 that the archive must have.  [default: the known one]")
@click.option("--accept-license", is_flag=True, help="Accept the license without being asked.")
@click.option("--no-unpack", is_flag=True, help="Leave the archive in OUT without unpacking it.")
@click.option("--keep-archive", is_flag=True, help="Keep the archive, beside OUT, after unpacking it.")
@overwrite_option
@options(Limits)
@json_option
@quiet_option
def fetch(
    name: str | None,
    out: Path,
    url: str | None,
    sha256: str | None,
    accept_license: bool,
    no_unpack: bool,
    keep_archive: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Download an archive, verify it and unpack it into OUT.

    NAME is a category of MVTec AD (carpet, grid, leather …), or mvtec_ad for all fifteen, 5 GB. The download is
    verified by its SHA-256 where that is known; an interrupted one then resumes when the command is run again.

    \b
    Example:
      carpet-data fetch carpet -o mvtec
      carpet-data doctor mvtec/carpet

    MVTec moves its files now and then. Then download the archive with your browser and unpack it, or give the new
    address; both are on this page:

    \b
      https://www.mvtec.com/company/research/datasets/mvtec-ad/downloads
      carpet-data unpack carpet.tar.xz -o mvtec
      carpet-data fetch carpet --url https://… -o mvtec
    """
    from carpet_data.archives.fetch import fetch as run
    from carpet_data.archives.fetch import find_source
    from carpet_data.store.output import check_folder

    ui = Ui(as_json=as_json, quiet=quiet)
    source = find_source(name, url=url, sha256=sha256)
    if not no_unpack:
        # Before the question, so that nobody reads a license for nothing.
        check_folder(out, overwrite=overwrite)
    _accept_license(source, ui, accepted=accept_license)
    with ui.progress(f"{source.name}, MiB") as progress:
        result = run(
            name,
            out,
            url=url,
            sha256=sha256,
            accept_license=True,
            extract=not no_unpack,
            keep_archive=keep_archive,
            overwrite=overwrite,
            limits=take(Limits, values),
            progress=progress,
        )
    ui.result(result.to_json(), _fetched_text(result))


def _accept_license(source: Source, ui: Ui, *, accepted: bool) -> None:
    """Show the license and have it accepted.

    Raises:
        UsageError: It is not accepted, or there is nobody to ask.
    """
    if source.license is None:
        ui.note(f"The license of {source.url} is unknown: make sure that you may use it.")
        return
    if accepted:
        ui.note(source.license)
        return
    click.echo(source.license, err=True)
    if not sys.stdin.isatty():
        raise UsageError(
            "the license must be accepted, but there is no terminal to ask on",
            where=source.url,
            hint="read it above, then give --accept-license",
        )
    if not click.confirm("Do you accept this license?", err=True):
        raise UsageError("the license was not accepted, so nothing was downloaded", where=source.url)


def _fetched_text(result: FetchResult) -> str:
    proof = "its SHA-256 is the expected one" if result.verified else "not verified, since no SHA-256 is known"
    lines = [f"fetched {_size(result.size)}: {proof}", f"sha256: {result.sha256}"]
    if result.archive is not None:
        lines.append(f"archive: {result.archive}")
    if result.unpacked is not None:
        lines.append(_unpacked_text(result.unpacked))
    return "\n".join(lines)


def _unpacked_text(result: UnpackResult) -> str:
    lines = [f"unpacked {result.files:,} files, {_size(result.bytes)}, into {result.out}"]
    if not result.roots:
        lines.append("it holds no folder in MVTec's layout (train/good, or ground_truth beside test)")
    elif len(result.roots) == 1:
        lines += [f"data set: {result.roots[0]}", f"next: carpet-data doctor {result.roots[0]}"]
    else:
        lines.append(f"{len(result.roots)} data sets:")
        lines += [f"  {root}" for root in result.roots]
        lines.append(f"next, with one of them: carpet-data doctor {result.roots[0]}")
    return "\n".join(lines)


def _size(count: int) -> str:
    return f"{count:,} bytes" if count < 10**6 else f"{count / 10**6:,.1f} MB"
