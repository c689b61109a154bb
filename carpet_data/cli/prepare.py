"""`carpet-data prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.options import options, take
from carpet_data.cli.splitting_options import SplittingCommand, splitting_options
from carpet_data.formats import ReadOptions


@click.command(cls=SplittingCommand)
@common.root_argument()
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The folder to write.  [default: ROOT-prepared, beside ROOT]"
)
@splitting_options
@click.option("--group-by", metavar="REGEX", help="Images whose paths give the same captured text are one group.")
@click.option("--group-runs", metavar="REGEX", help="Captures a frame number; each run of numbers is one group.")
@click.option(
    "--gap", type=click.IntRange(min=0), default=None, help="The largest step of numbers inside a run.  [default: 1]"
)
@click.option(
    "--near-duplicates/--no-near-duplicates",
    default=True,
    show_default=True,
    help="Find images that show the same thing and group them.",
)
@click.option("--skip-faulty", is_flag=True, help="Leave out images at fault instead of refusing all; they are listed.")
@options(ReadOptions)
@click.option("--dry-run", is_flag=True, help="Only say what would be written; write nothing.")
@common.overwrite_option
@common.workers_option
@common.json_option
@common.quiet_option
def prepare(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Check, group and split the images of ROOT, and write a prepared data set.

    Real images keep their bytes, masks become exact PNGs. Images that show the same thing, and groups you name, are
    never torn between train and test. ROOT is only read.

    \b
    Example:
      carpet-data prepare mvtec/carpet -o carpet-prepared --per-class 17 --fractions 0.8 0.2
      carpet-data prepare mtd --group-runs 'num_(\\d+)' --gap 100
      carpet-data prepare mvtec/carpet --k-fold 5 --dry-run
    """
    from carpet_data.preparation.prepare import prepare as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    read_options = take(ReadOptions, values)
    with ui.progress("preparing") as progress:
        result = run(common.resolve_root(root), read_options=read_options, progress=progress, **values)
    ui.result(result.to_json(), result.text())
