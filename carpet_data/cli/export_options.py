"""What the commands share that export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from carpet_data.cli.common import (
    Ui,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    workers_option,
)
from carpet_data.cli.data_options import export_out_option, split_option
from carpet_data.cli.options import options, take
from carpet_data.formats import ReadOptions

if TYPE_CHECKING:
    from carpet_data.formats.sample_files import ExportResult
    from carpet_data.formats.to_coco import CocoExport

F = TypeVar("F", bound=Callable[..., Any])

merge_option = click.option(
    "--merge", is_flag=True, help="One instance per class and image instead of one per component."
)
min_area_option = click.option(
    "--min-area", type=click.IntRange(min=1), default=1, show_default=True, help="Leave out instances of fewer pixels."
)
tolerance_option = click.option(
    "--tolerance",
    "tolerance_px",
    type=float,
    default=None,
    help="Simplify polygons to within this many pixels (no longer exact).",
)
skip_unmasked_option = click.option("--skip-unmasked", is_flag=True, help="Leave out defect images without a mask.")
placed_images_option = click.option(
    "--images",
    type=click.Choice(["link", "copy"]),
    default="link",
    show_default=True,
    help="Hard-link the images into the output, or copy them.",
)


def before(command: F) -> F:
    """ROOT, --out and --split, which every export has in front."""
    for option in (split_option, export_out_option, root_argument()):
        command = option(command)
    return command


def after(command: F) -> F:
    """How to read ROOT, and how to work and report, which every export has behind."""
    for option in (quiet_option, json_option, workers_option, overwrite_option):
        command = option(command)
    return options(ReadOptions)(command)


def run_export(
    verb: Callable[..., ExportResult | CocoExport],
    name: str,
    root: Path | None,
    as_json: bool,
    quiet: bool,
    values: dict[str, Any],
) -> None:
    """Call the verb with a command's parameters, and print what it wrote."""
    ui = Ui(as_json=as_json, quiet=quiet)
    read_options = take(ReadOptions, values)
    with ui.progress(name) as progress:
        export = verb(resolve_root(root), values.pop("out"), read_options=read_options, progress=progress, **values)
    ui.result(export.to_json(), export.text())
