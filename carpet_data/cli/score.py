"""`carpet-data score`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from carpet_data.cli.common import (
    Ui,
    is_terminal,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    workers_option,
)
from carpet_data.cli.options import options, take
from carpet_data.core.text import counted
from carpet_data.experiments.options import ScoreOptions


@click.command()
@root_argument()
@options(ScoreOptions)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG file for a plot of the scores.")
@overwrite_option
@workers_option
@json_option
@quiet_option
def score(root: Path | None, plot: Path | None, overwrite: bool, as_json: bool, quiet: bool, **values: Any) -> None:
    """Score synthetic defects against real ones, for each class and recipe.

    Reports the number of draws they took, their distance from each other (diversity), from the nearest real defect (far
    below the distance among real ones means copies), and from all real ones in texture, color and area.

    \b
    Example:
      carpet-data score carpet-prepared
      carpet-data score carpet-prepared --plot score.png --json > score.json
    """
    from carpet_data.experiments.quality import score_plot
    from carpet_data.experiments.quality.score import score as run

    ui = Ui(as_json=as_json, quiet=quiet)
    source = resolve_root(root)
    if plot is not None:
        score_plot.check_plot(plot, source, overwrite=overwrite)
    with ui.progress("measuring") as progress:
        found = run(source, take(ScoreOptions, values), progress=progress)
    drawn = {} if plot is None else {"plot": str(score_plot.write_plot(found, plot))}
    width = {"width": shutil.get_terminal_size().columns} if is_terminal(sys.stdout) else {}
    ui.result(found.to_json() | drawn, found.text(**width))
    if plot is not None:
        ui.note(f"wrote {plot}")
    if found.skipped:
        ui.note(f"skipped {counted(len(found.skipped), 'unreadable image')}, such as {found.skipped[0]}")
