"""`carpet-data curate`."""

from __future__ import annotations

from pathlib import Path

import click

from carpet_data.cli import common
from carpet_data.errors import UsageError


@click.command(short_help="Bring choices made in FiftyOne back into a data set.")
@common.root_argument("dataset")
@click.option("--tag", metavar="TAG", help="Drop the samples with this tag.  [default: reject, unless --view is given]")
@click.option("--view", metavar="NAME", help="Drop the samples of this saved view.")
@click.option("--keep", metavar="TAG", help="Drop the synthetic train samples that do not have this tag.")
@click.option("--real", is_flag=True, help="Let --view and --keep drop real samples as well.")
@click.option(
    "--choices", type=click.Path(path_type=Path, dir_okay=False), help="Take the choices from this JSON file instead."
)
@click.option(
    "--export-choices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the choices into this JSON file; the data set stays as it is.",
)
@click.option("--database-uri", metavar="URI", help="FiftyOne's MongoDB.  [default: its own]")
@click.option("--undo", is_flag=True, help="Take the last curation back.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@common.overwrite_option
@common.json_option
@common.quiet_option
def curate(
    dataset: Path | None,
    tag: str | None,
    view: str | None,
    keep: str | None,
    real: bool,
    choices: Path | None,
    export_choices: Path | None,
    database_uri: str | None,
    undo: bool,
    dry_run: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring choices made in FiftyOne back into a data set.

    Samples tagged `reject` in the App are dropped from the prepared data set DATASET, and samples whose field `class`
    (or the labels of whose ground_truth) was edited take their new class. Real samples are dropped only where they
    carry the tag themselves. Files that go are kept under undo/, and --undo brings all back; no source is touched.

    \b
    Example:
      carpet-data curate carpet-prepared --dry-run
      carpet-data curate carpet-prepared
      carpet-data curate carpet-prepared --undo
      carpet-data curate carpet-prepared --keep realistic --view "looks memorised"
    """
    from carpet_data.fiftyone import curate as verb

    ui = common.Ui(as_json=as_json, quiet=quiet)
    root = common.resolve_root(dataset)
    asked = {"tag": tag, "view": view, "keep": keep, "database_uri": database_uri}
    if undo:
        given = [name for name, value in {**asked, "choices": choices, "export": export_choices}.items() if value]
        if given or real or dry_run:
            raise UsageError("--undo takes the last curation back as a whole", hint="give it alone")
        result = verb.undo_curation(root)
    elif export_choices is not None:
        if choices is not None or dry_run:
            raise UsageError("--export-choices only writes a file", hint="leave --choices and --dry-run out")
        made = verb.export_choices(root, export_choices, real=real, overwrite=overwrite, **asked)
        counts = f"{len(made.reject)} to drop, {len(made.relabel)} to relabel"
        kept = "" if made.keep is None else f", {len(made.keep)} to keep"
        ui.result(made.to_json() | {"file": str(export_choices)}, f"{counts}{kept}: written to {export_choices}")
        return
    else:
        result = verb.curate(root, choices, real=real, dry_run=dry_run, **asked)
    ui.result(result.to_json(), result.text())
