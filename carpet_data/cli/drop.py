"""`carpet-data drop`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common


@click.command(short_help="Take samples out of a prepared data set.")
@common.root_argument("dataset")
@click.option(
    "--where",
    multiple=True,
    required=True,
    metavar="FIELD=VALUE",
    help="Which; repeated, all must hold. Also !=, <, <=, >, >=; VALUE may hold * and ?.",
)
@click.option("--reason", default="", help="Kept with them.  [default: the conditions]")
@click.option("--dry-run", is_flag=True, help="Only say which.")
@common.json_option
@common.quiet_option
def drop(dataset: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Drop samples of the prepared data set DATASET by what its manifest says of them.

    Nothing is deleted: they stay in the manifest, marked, and their files stay; no command reads them any more.
    Fields: id, class, origin, source, group, width, height, and of synthetic samples method, recipe, split, seed, k,
    host, donors, model, null, gates.NAME, parameters.NAME.

    \b
    Example:
      carpet-data drop carpet-prepared --where origin=synthetic --where class=hole
      carpet-data drop carpet-prepared --where 'gates.visible<0.8' --reason "hardly visible"
      carpet-data drop carpet-prepared --where 'donors=hole-003' --dry-run
    """
    from carpet_data.preparation.drop import drop as run

    result = run(common.resolve_root(dataset), **values)
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())
