"""`carpet-data report`."""

from __future__ import annotations

from pathlib import Path

import click

from carpet_data.cli import common


@click.command()
@common.root_argument("dataset")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="HTML file to write.  [default: DATASET-report.html, next to DATASET]",
)
@common.split_option
@click.option(
    "--score",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output of carpet-data score --json.  [default: DATASET/score.json if it exists]",
)
@common.skip_faulty_option
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@common.overwrite_option
@common.workers_option
@common.json_option
@common.quiet_option
def report(
    dataset: Path | None,
    out: Path | None,
    split: str | None,
    score: Path | None,
    skip_faulty: bool,
    open_it: bool,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a one-page HTML report of a data set, including the validation result.

    It shows what DATASET contains, the long tail before and after synthesis, contact sheets, the score, the last
    validation with its evidence, the last training, license, recipes and hashes. The page is one self-contained file.

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
        result = run(
            source,
            out,
            split=split,
            score=score,
            skip_faulty=skip_faulty,
            overwrite=overwrite,
            workers=workers,
            progress=update,
        )
    ui.result(result.to_json(), result.text())
    if open_it:
        import webbrowser

        if not webbrowser.open(result.out.resolve().as_uri()):
            ui.note(f"no browser could be started; open {result.out}")
