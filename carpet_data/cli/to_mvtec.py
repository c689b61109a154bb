"""carpet-data to-mvtec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli.export_options import after, before, placed_images_option, run_export, skip_unmasked_option


@click.command("to-mvtec", short_help="Export the MVTec AD layout.")
@before
@click.option(
    "--sides",
    type=click.Choice(["mvtec", "keep"]),
    default="mvtec",
    show_default=True,
    help="mvtec: good images of the train side are train, all others test; keep: the sides of the split.",
)
@placed_images_option
@skip_unmasked_option
@after
def to_mvtec(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Export the MVTec AD layout from ROOT, a raw or prepared data set: train, test, ground_truth.

    Masks are binary and exact. Train holds good images only, as one-class tools expect, unless the sides are kept.
    Without ROOT, the current folder is exported; without --out, it is written beside it.

    \b
    Example:
      carpet-data to-mvtec carpet-prepared -o carpet-mvtec
      carpet-data to-mvtec labels.json --from coco --sides keep
    """
    from carpet_data.formats.to_mvtec import to_mvtec as verb

    run_export(verb, "to-mvtec", root, as_json, quiet, values)
