"""`carpet-data synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.synthesis_options import synthesis_options


@click.command(short_help="Make synthetic images of rare defects.")
@common.root_argument()
@click.option("--class", "class_names", multiple=True, required=True, metavar="CLASS", help="Defect class. Repeatable.")
@click.option("--n", type=int, required=True, help="Images of each class by this recipe, split and seed, in all.")
@synthesis_options
def synthesize(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Add synthetic images of defect classes to ROOT, each with an exact mask and a record of where it came from.

    They join the train side of a split, and are made from its train images alone. Asking again makes nothing new;
    asking for more makes only the rest; a run that was stopped goes on where it was. If ROOT is a raw data set, one is
    prepared beside it first. A contact sheet of each class is written under ROOT/previews.

    \b
    Example, inside a data folder:
      carpet-data synthesize --class hole --n 200
      carpet-data synthesize carpet-prepared --class hole --class cut --n 50 --recipe procedural
      carpet-data synthesize carpet-prepared --class thread --n 20 --recipe my-thread.yaml --seed 7 --dry-run
    """
    from carpet_data.synthesis.engine.synthesize import synthesize as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    with ui.progress("synthesizing") as progress:
        result = run(common.resolve_root(root), progress=progress, **values)
    ui.result(result.to_json(), result.text())
