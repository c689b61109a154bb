"""`carpet-data report`."""

from __future__ import annotations

from pathlib import Path

import click

from carpet_data.cli import common
from carpet_data.cli.data_options import split_option


@click.command()
@common.root_argument("dataset")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The HTML file.  [default: DATASET-report.html, beside DATASET]",
)
@split_option
@click.option(
    "--score",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output of carpet-data score --json.  [default: DATASET/score.json where it is there]",
)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@common.overwrite_option
@common.workers_option
@common.json_option
@common.quiet_option
def report(
    dataset: Path | None,
    out: Path | None,
    split: str | None,
    score: Path | None,
    open_it: bool,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write one HTML page about a data set, with the verdict on it.

    What DATASET holds, the long tail before and after synthesis, contact sheets, the score, the last validation with
    its evidence, the last training, licence, recipes and hashes. The page is one file and needs no network.

    \b
    Example:
      carpet-data report carpet-prepared --open
      carpet-data score carpet-prepared --json > carpet-prepared/score.json
      carpet-data report carpet-prepared -o carpet.html --overwrite
    """
    from carpet_data.reporting.report import report as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    source = common.resolve_root(dataset)
    with ui.progress("measuring") as update:
        result = run(source, out, split=split, score=score, overwrite=overwrite, workers=workers, progress=update)
    ui.result(result.to_json(), result.text())
    if open_it:
        import webbrowser

        if not webbrowser.open(result.out.resolve().as_uri()):
            ui.note(f"no browser could be started; open {result.out} yourself")
