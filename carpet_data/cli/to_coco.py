"""carpet-data to-coco."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli.data_options import images_option
from carpet_data.cli.export_options import (
    after,
    before,
    merge_option,
    min_area_option,
    run_export,
    skip_unmasked_option,
    tolerance_option,
)


@click.command("to-coco", short_help="Export COCO instances: exact boxes and segmentations.")
@before
@click.option(
    "--segmentation",
    type=click.Choice(["polygon", "rle"]),
    default="polygon",
    show_default=True,
    help="Both decode to the exact mask; rle is an eighth of the size.",
)
@tolerance_option
@merge_option
@min_area_option
@images_option
@skip_unmasked_option
@click.option("--date", default=None, help="Write this as date_created.  [default: no date]")
@after
def to_coco(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Export COCO instances from ROOT, a raw or prepared data set.

    Every connected component of a mask becomes one annotation with box, area and segmentation exact to the pixel:
    holes, single pixels and scratches of one pixel's width are kept. There is one JSON file for each side of the
    split. Without ROOT, the current folder is exported; without --out, it is written beside it.

    \b
    Example:
      carpet-data to-coco carpet -o carpet-coco
      carpet-data to-coco carpet-prepared --segmentation rle --images none
    """
    from carpet_data.formats.to_coco import to_coco as verb

    run_export(verb, "to-coco", root, as_json, quiet, values)
