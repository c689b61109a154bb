"""`carpet-data sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli.common import (
    Ui,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    run_folder_option,
    split_option,
    workers_option,
)
from carpet_data.cli.options import options, take
from carpet_data.experiments.options import SweepOptions


@click.command()
@root_argument()
@click.option(
    "--table",
    required=True,
    metavar="NAME|FILE",
    help="YAML file with rows, a grid, or both, or a shipped table: homework.",
)
@split_option
@options(SweepOptions)
@run_folder_option("sweep")
@overwrite_option
@workers_option
@json_option
@quiet_option
def sweep(root: Path | None, table: str, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train every configuration in a table and compare the results.

    Rows share decoded images and the features of frozen backbones. The run folder contains the table as Markdown and
    CSV, a plot of the 95 % interval of each test accuracy, and every prediction.

    Nothing is downloaded without --download: a row whose weights are not available locally is reported and not run.
    Running the command again resumes an interrupted sweep; finished rows are not trained again.

    \b
    Example:
      carpet-data sweep carpet-prepared --table my-grid.yaml --seeds 5
      carpet-data sweep carpet-prepared --table homework
    """
    from carpet_data.experiments.sweep import sweep as run

    ui = Ui(as_json=as_json, quiet=quiet)
    chosen = take(SweepOptions, values)
    with ui.progress("training, epochs") as progress:
        done = run(resolve_root(root), table, options=chosen, progress=progress, **values)
    ui.result(done.to_json(), done.text())
