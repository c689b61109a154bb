"""`carpet-data split`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.splitting_options import SplittingCommand, splitting_options


@click.command(cls=SplittingCommand)
@common.root_argument("dataset")
@click.option("--name", required=True, help="Name of the split; of several the stem, numbered from 0.")
@splitting_options
@click.option(
    "--repeats", type=click.IntRange(min=1), default=None, metavar="N", help="N random partitions: seeds S, S + 1 …"
)
@click.option("--dry-run", is_flag=True, help="Only say what would be written; write nothing.")
@common.overwrite_option
@common.json_option
@common.quiet_option
def split(dataset: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Add a named split, or several, to the prepared data set DATASET.

    The groups that DATASET was prepared with stay whole in every split.

    \b
    Example:
      carpet-data split carpet-prepared --name val --fractions 0.6 0.2 0.2
      carpet-data split carpet-prepared --name repeat --repeats 10 --seed 1
      carpet-data split carpet-prepared --name shot --k-shot 1
      carpet-data split carpet-prepared --name rotation --protocol rotations
    """
    from carpet_data.preparation.split import split as run

    result = run(common.resolve_root(dataset), **values)
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())
