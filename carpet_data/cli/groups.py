"""`carpet-data groups`."""

from __future__ import annotations

from pathlib import Path

import click

from carpet_data.cli import common


@click.command()
@common.root_argument("dataset")
@common.json_option
@common.quiet_option
def groups(dataset: Path | None, as_json: bool, quiet: bool) -> None:
    """Show which images of the prepared data set DATASET were grouped, and why.

    Images of one group are on one side of every split. Groups of a single image are counted only.

    \b
    Example:
      carpet-data groups carpet-prepared
      carpet-data groups carpet-prepared --json
    """
    from carpet_data.preparation.groups import groups as run

    result = run(common.resolve_root(dataset))
    common.Ui(as_json=as_json, quiet=quiet).result(result.to_json(), result.text())
