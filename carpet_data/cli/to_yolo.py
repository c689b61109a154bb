"""carpet-data to-yolo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli.export_options import (
    after,
    before,
    merge_option,
    min_area_option,
    placed_images_option,
    run_export,
    skip_unmasked_option,
    tolerance_option,
)


@click.command("to-yolo", short_help="Export YOLO labels: boxes or segments.")
@before
@click.option(
    "--task",
    type=click.Choice(["segments", "boxes"]),
    default="segments",
    show_default=True,
    help="A polygon per instance, or a box.",
)
@tolerance_option
@merge_option
@min_area_option
@placed_images_option
@skip_unmasked_option
@after
def to_yolo(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Export YOLO labels from ROOT, a raw or prepared data set: images, labels and data.yaml.

    Every connected component of a mask becomes one line. Segments run along pixel edges, so that holes and single
    pixels are kept. Good images have an empty label file. Without ROOT, the current folder is exported; without --out,
    it is written beside it.

    \b
    Example:
      carpet-data to-yolo carpet-prepared -o carpet-yolo
      carpet-data to-yolo carpet --task boxes --images copy
    """
    from carpet_data.formats.to_yolo import to_yolo as verb

    run_export(verb, "to-yolo", root, as_json, quiet, values)
