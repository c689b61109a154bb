"""carpet-data to-masks."""

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
)


@click.command("to-masks", short_help="Export images with class-index masks.")
@before
@click.option("--instances", is_flag=True, help="Write 16-bit instance masks too.")
@merge_option
@min_area_option
@images_option
@skip_unmasked_option
@after
def to_masks(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Export images with class-index masks from ROOT, a raw or prepared data set.

    Masks hold the category id, 0 for background; classes.json names them. Without ROOT, the current folder is exported;
    without --out, it is written beside it.

    \b
    Example:
      carpet-data to-masks carpet-prepared -o carpet-masks
      carpet-data to-masks carpet --instances --images none
    """
    from carpet_data.formats.to_masks import to_masks as verb

    run_export(verb, "to-masks", root, as_json, quiet, values)
