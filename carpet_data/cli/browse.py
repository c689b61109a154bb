"""`carpet-data browse` and `carpet-data curate`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carpet_data.cli import common
from carpet_data.cli.options import options, take
from carpet_data.errors import UsageError
from carpet_data.fiftyone.options import BrowseOptions, CurateOptions

if TYPE_CHECKING:
    from carpet_data.fiftyone.browse import BrowseResult

_SHOWN_NOTES = 10


@click.command()
@common.root_argument("dataset")
@click.option(
    "--coco",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=common.existing,
    help="COCO file to look at instead, with its images beside it.",
)
@options(BrowseOptions, launch=True)
@common.workers_option
@common.json_option
@common.quiet_option
def browse(dataset: Path | None, coco: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Browse a data set in the FiftyOne App.

    Every image with its boxes and masks, class, split and origin; synthetic ones with recipe, host, donors, seed and
    gate scores; and the predictions of the last validate or train run, or of a folder that `predict` wrote: class, heat
    map, predicted defects and masks. Opening a folder again updates what changed and keeps your tags and edits. Close
    the App's window, or press Ctrl-C, to end.

    \b
    Example:
      carpet-data browse carpet-prepared
      carpet-data browse carpet-prepared --embeddings --no-launch
      carpet-data browse carpet-prepared --predictions predictions
      carpet-data browse --coco carpet-coco/annotations/instances_train.json
    """
    from carpet_data.fiftyone.browse import browse as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    if coco is not None and dataset is not None:
        raise click.UsageError("name either DATASET or --coco FILE")
    chosen = take(BrowseOptions, values)

    with ExitStack() as bar:
        progress = bar.enter_context(ui.progress("loading"))

        def ready(found: BrowseResult) -> None:
            bar.close()  # What is printed stands alone; the App may stay open for hours.
            for note in found.notes[:_SHOWN_NOTES]:
                ui.note(f"warning: {note}")
            if len(found.notes) > _SHOWN_NOTES:
                ui.note(f"… and {len(found.notes) - _SHOWN_NOTES} more warnings (--json shows all)")
            ui.result(found.to_json(), found.text())

        root = common.resolve_root(dataset) if coco is None else None
        run(root, chosen, coco=coco, progress=progress, ready=ready)


@click.command()
@common.root_argument("dataset")
@options(CurateOptions)
@click.option(
    "--choices",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file of the choices to apply instead.",
)
@click.option(
    "--export-choices",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file to write the choices to; the data set stays as it is.",
)
@click.option("--undo", is_flag=True, help="Undo the last curation.")
@common.overwrite_option
@common.json_option
@common.quiet_option
def curate(
    dataset: Path | None,
    choices: Path | None,
    export_choices: Path | None,
    undo: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Apply tags and label edits made in FiftyOne to a data set.

    Samples tagged `reject` in the App are dropped from the prepared data set DATASET, and samples whose field `class`
    (or the labels of whose ground_truth) was edited take their new class. Real samples are dropped only where they
    have the tag themselves. Removed files are kept under undo/, and --undo restores everything; no source is touched.

    \b
    Example:
      carpet-data curate carpet-prepared --dry-run
      carpet-data curate carpet-prepared
      carpet-data curate carpet-prepared --undo
      carpet-data curate carpet-prepared --keep realistic --view "looks memorized"
    """
    from carpet_data.fiftyone import curate as room

    ui = common.Ui(as_json=as_json, quiet=quiet)
    root = common.resolve_root(dataset)
    chosen = take(CurateOptions, values)
    if undo and (choices or export_choices or chosen != CurateOptions()):
        raise UsageError("--undo undoes the last curation as a whole", hint="give it alone")
    if choices is not None and export_choices is not None:
        raise UsageError("--export-choices writes the choices made in FiftyOne", hint="leave --choices out")
    if export_choices is not None:
        made = room.export_choices(root, export_choices, chosen, overwrite=overwrite)
        counts = f"{len(made.reject)} to drop, {len(made.relabel)} to relabel"
        kept = "" if made.keep is None else f", {len(made.keep)} to keep"
        ui.result(made.to_json() | {"file": str(export_choices)}, f"{counts}{kept}: written to {export_choices}")
        return
    result = room.undo_curation(root) if undo else room.curate(root, choices, chosen)
    ui.result(result.to_json(), result.text())
