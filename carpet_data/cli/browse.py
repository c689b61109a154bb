"""`carpet-data browse`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carpet_data.cli.common import (
    Ui,
    json_option,
    quiet_option,
    resolve_root,
    root_argument,
    split_option,
    workers_option,
)

if TYPE_CHECKING:
    from carpet_data.fiftyone.browse import BrowseResult

_SHOWN_WARNINGS = 10


@click.command()
@root_argument("dataset")
@click.option(
    "--coco",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Look at this COCO file instead; its images lie beside it.",
)
@split_option
@click.option("--embeddings", is_flag=True, help="Also map all images by a network's features (extra: train).")
@click.option("--no-launch", is_flag=True, help="Only load the data; open no App.")
@click.option("--port", type=click.IntRange(1, 65535), default=5151, show_default=True, help="Where the App listens.")
@click.option(
    "--address",
    default="localhost",
    show_default=True,
    help="On which address; 0.0.0.0 lets everyone on your network in.",
)
@click.option("--remote", is_flag=True, help="Open no browser here, and serve until Ctrl-C.")
@click.option("--database-uri", metavar="URI", help="A MongoDB of your own.  [default: FiftyOne's]")
@workers_option
@json_option
@quiet_option
def browse(
    dataset: Path | None,
    coco: Path | None,
    split: str | None,
    embeddings: bool,
    no_launch: bool,
    port: int,
    address: str,
    remote: bool,
    database_uri: str | None,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Look at a data set in the FiftyOne App.

    Every image with its boxes and masks, class, split and origin; synthetic ones with recipe, host, donors, seed and
    gate scores; and what the last validate or train run predicts. Opening a folder again updates what changed and keeps
    your tags and edits. Close the App's window, or press Ctrl-C, to end.

    \b
    Example:
      carpet-data browse carpet-prepared
      carpet-data browse carpet-prepared --embeddings --no-launch
      carpet-data browse --coco carpet-coco/annotations/instances_train.json
    """
    from carpet_data.fiftyone.browse import browse as run

    ui = Ui(as_json=as_json, quiet=quiet)
    if coco is not None and dataset is not None:
        raise click.UsageError("name either DATASET or --coco FILE")

    with ExitStack() as bar:
        update = bar.enter_context(ui.progress("loading"))

        def ready(found: BrowseResult) -> None:
            bar.close()  # What is printed stands alone; the App may stay open for hours.
            for warning in found.warnings[:_SHOWN_WARNINGS]:
                ui.note(f"warning: {warning}")
            if len(found.warnings) > _SHOWN_WARNINGS:
                ui.note(f"… and {len(found.warnings) - _SHOWN_WARNINGS} more warnings (--json shows all)")
            ui.result(found.to_json(), found.text())

        run(
            resolve_root(dataset) if coco is None else None,
            coco=coco,
            split=split,
            embeddings=embeddings,
            database_uri=database_uri,
            launch=not no_launch,
            port=port,
            address=address,
            remote=remote,
            workers=workers,
            progress=update,
            ready=ready,
        )
