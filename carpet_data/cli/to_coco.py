"""carpet-data to-coco."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from carpet_data.cli.data_options import (
    export_out_option,
    images_option,
    read_options,
    split_option,
    take_read_options,
)

if TYPE_CHECKING:
    from carpet_data.verbs.to_coco import CocoExport


@click.command("to-coco", short_help="Export COCO instances: exact boxes and segmentations.")
@root_argument()
@export_out_option
@split_option
@click.option(
    "--segmentation",
    type=click.Choice(["polygon", "rle"]),
    default="polygon",
    show_default=True,
    help="Both decode to the exact mask; rle is an eighth of the size.",
)
@click.option("--merge", is_flag=True, help="One annotation per class and image instead of one per component.")
@click.option(
    "--min-area", type=click.IntRange(min=1), default=1, show_default=True, help="Leave out instances of fewer pixels."
)
@click.option(
    "--tolerance",
    "tolerance_px",
    type=float,
    default=None,
    help="Simplify polygons to within this many pixels (no longer exact).",
)
@images_option
@click.option("--skip-unmasked", is_flag=True, help="Leave out defect images without a mask.")
@click.option("--date", default=None, help="Write this as date_created.  [default: no date]")
@read_options
@overwrite_option
@workers_option
@json_option
@quiet_option
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
    from carpet_data.verbs.to_coco import to_coco as run

    ui = Ui(as_json=as_json, quiet=quiet)
    options = take_read_options(values)
    with ui.progress("to-coco") as progress:
        export = run(resolve_root(root), values.pop("out"), options=options, progress=progress, **values)
    ui.result(export.to_json(), _text(export))


def _text(export: CocoExport) -> str:
    lines = []
    for file in export.files:
        lines.append(f"{file.path}: {file.images} images, {file.annotations} annotations")
        remarks = (
            (file.unmarked, "images whose mask is empty: listed without annotations"),
            (file.unmasked, "defect images without a mask: left out"),
            (file.too_small, "instances below --min-area: left out"),
        )
        lines += [f"  {count} {text}" for count, text in remarks if count]
    numbered = ", ".join(f"{number} {name}" for number, name in enumerate(export.categories, start=1))
    return "\n".join([*lines, f"categories: {numbered or 'none'}"])
