"""carpet-data to-folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli.export_options import after, before, placed_images_option, run_export


@click.command("to-folder", short_help="Export one folder per class, as ImageFolder reads it.")
@before
@click.option("--empty-classes", is_flag=True, help="Make a folder for every class on every side, even without images.")
@placed_images_option
@after
def to_folder(root: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Export ROOT, a raw or prepared data set, as one folder per class: SIDE/CLASS/ID.

    Masks are not written. Without ROOT, the current folder is exported; without --out, it is written beside it.

    \b
    Example:
      carpet-data to-folder carpet-prepared -o carpet-folder
      carpet-data to-folder carpet-prepared --split fold2 --images copy
    """
    from carpet_data.formats.to_folder import to_folder as verb

    run_export(verb, "to-folder", root, as_json, quiet, values)
