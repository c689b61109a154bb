"""`carpet-data preview`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.options import options, take
from carpet_data.formats import ReadOptions


@click.command()
@common.root_argument()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="PNG, JPEG or WebP to write.  [default: ROOT-preview.png, beside ROOT]",
)
@click.option("--class", "class_names", multiple=True, metavar="CLASS", help="Only this class. Repeatable.")
@click.option(
    "--origin", type=click.Choice(["real", "synthetic"]), default=None, help="Only real or only synthetic samples."
)
@click.option("--n", type=int, default=12, show_default=True, help="Maximum number of samples, evenly spaced.")
@options(ReadOptions)
@common.overwrite_option
@common.json_option
@common.quiet_option
def preview(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Draw a contact sheet of ROOT: each sample as image, with its mask's outline, and its largest defect enlarged.

    \b
    Example:
      carpet-data preview carpet-prepared --class hole --origin synthetic
      carpet-data preview mvtec/carpet -o carpet.png --n 24
    """
    from carpet_data.synthesis.engine.preview import preview as run

    read_options = take(ReadOptions, values)
    result = run(common.resolve_root(root), read_options=read_options, **values)
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())
