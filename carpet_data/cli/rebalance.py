"""`carpet-data rebalance`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.synthesis_options import synthesis_options


@click.command(short_help="Bring the rare classes to one number.")
@common.root_argument("dataset")
@click.option(
    "--to",
    required=True,
    metavar="N|max|RATIO",
    help="Train images of each defect class: a number; max, as many as the largest class has; or a share of that, "
    "such as 0.5 or 50%.",
)
@synthesis_options
def rebalance(dataset: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Synthesize for every defect class of DATASET what it lacks to a number of train images.

    Synthetic images that are there count, so running it again makes nothing new. Classes that have more are left as
    they are.

    \b
    Example:
      carpet-data rebalance carpet-prepared --to max
      carpet-data rebalance carpet-prepared --to 100 --recipe procedural
      carpet-data rebalance carpet-prepared --to 0.5 --dry-run
    """
    from carpet_data.synthesis.engine.rebalance import rebalance as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    with ui.progress("synthesizing") as progress:
        result = run(common.resolve_root(dataset), progress=progress, **values)
    ui.result(result.to_json(), result.text())
