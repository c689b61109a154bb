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
    seed_option,
    workers_option,
)
from carpet_data.cli.data_options import split_option


@click.command()
@root_argument()
@click.option(
    "--table",
    default="homework",
    show_default=True,
    metavar="NAME|FILE",
    help="A shipped table, or a YAML file with rows, a grid, or both.",
)
@split_option
@seed_option
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings of each row.")
@click.option(
    "--freeze", default=None, metavar="WHAT", help="backbone, none, or 'until STAGE'.  [default: the table's]"
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")
@click.option(
    "--fallback",
    default=None,
    metavar="NETWORK",
    help="Runs in place of rows whose weights are not here; none for none.  [default: the table's]",
)
@click.option("--download", is_flag=True, help="Fetch torchvision's weights that are not here.")
@run_folder_option("sweep")
@overwrite_option
@workers_option
@json_option
@quiet_option
def sweep(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train the rows of a table, and show them side by side.

    The table homework has 13 rows: ResNet18 and ResNet50, 32 to 256 px, 50 to 300 epochs. Rows share decoded images and
    the features of frozen backbones. The run folder keeps the table as Markdown and CSV, the 95 % interval of each test
    accuracy as a plot, and every prediction.

    Nothing is downloaded unless asked for: a row whose weights are not here says so. An interrupted sweep goes on when
    the same command is run again; finished rows are not trained again.

    \b
    Example:
      carpet-data sweep carpet-prepared --table homework
      carpet-data sweep carpet-prepared --table my-grid.yaml --seeds 5
    """
    from carpet_data.experiments.sweep import sweep as run

    ui = Ui(as_json=as_json, quiet=quiet)
    with ui.progress("training, epochs") as update:
        done = run(resolve_root(root), progress=update, **values)
    ui.result(done.to_json(), done.text())
