"""carpet-data to-voc."""

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
)


@click.command("to-voc", short_help="Export Pascal VOC XML boxes and segmentation masks.")
@before
@merge_option
@min_area_option
@click.option(
    "--objects/--no-objects", default=True, help="Whether to write SegmentationObject (at most 254 an image)."
)
@click.option("--jpg-names", is_flag=True, help="Call every image ID.jpg whatever its bytes, as some readers want.")
@placed_images_option
@skip_unmasked_option
@after
def to_voc(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Export Pascal VOC from ROOT, a raw or prepared data set: XML boxes, palette masks and lists.

    Every connected component of a mask becomes one object; boxes count pixels from 1 and name the last pixel inside.
    Without ROOT, the current folder is exported; without --out, it is written beside it.

    \b
    Example:
      carpet-data to-voc carpet-prepared -o carpet-voc
      carpet-data to-voc carpet --jpg-names --no-objects
    """
    from carpet_data.formats.to_voc import to_voc as verb

    run_export(verb, "to-voc", root, as_json, quiet, values)
