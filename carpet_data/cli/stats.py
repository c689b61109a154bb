"""`carpet-data stats`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carpet_data.cli.common import (
    Ui,
    is_terminal,
    json_option,
    overwrite_option,
    quiet_option,
    resolve_root,
    root_argument,
    split_option,
    workers_option,
)
from carpet_data.cli.options import options, take
from carpet_data.core.text import counted
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.unread import source_lines
from carpet_data.formats.skipped import skipped_lines

if TYPE_CHECKING:
    from carpet_data.statistics.stats import Stats
    from carpet_data.statistics.summary import Distribution

_PLAIN_WIDTH = 160
_SIZES_SHOWN = 5
_FIVE = ("min", "25 %", "50 %", "75 %", "max")


@click.command()
@root_argument()
@options(ReadOptions)
@split_option
@click.option("--plot", type=click.Path(path_type=Path, file_okay=False), help="Folder to write plots to, as PNG.")
@overwrite_option
@workers_option
@json_option
@quiet_option
def stats(
    root: Path | None,
    split: str | None,
    plot: Path | None,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Count classes, splits, instances and sizes.

    \b
    Example:
      carpet-data stats carpet
      carpet-data stats carpet-prepared --split main --plot carpet-plots
    """
    from carpet_data.statistics.stats import stats as count

    read_options = take(ReadOptions, values)
    ui = Ui(as_json=as_json, quiet=quiet)
    source = resolve_root(root)
    with ui.progress("measuring") as update:
        found = count(source, read_options, split=split, workers=workers, progress=update)
    result = found.to_json()
    if plot is not None:
        from carpet_data.statistics.plots import write_plots

        result["plots"] = [str(path) for path in write_plots(found, plot, overwrite=overwrite)]
    ui.result(result, _text(found))
    for path in result.get("plots", ()):
        ui.note(f"wrote {path}")
    for line in (*skipped_lines(found.skipped), *source_lines(found.source)):
        ui.note(line)


def _text(found: Stats) -> str:
    import io
    import sys

    from rich.console import Console

    terminal = is_terminal(sys.stdout)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=None if terminal else _PLAIN_WIDTH, highlight=False)
    console.print(_headline(found), markup=False)
    console.print(_class_table(found))
    if found.defects:
        for table in _defect_tables(found):
            console.print(table)
    console.print(_sizes(found), markup=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines())


def _headline(found: Stats) -> str:
    where = f"{found.name} ({found.format}): {counted(found.images, 'image')}, {found.without_defects} without defects"
    ratio = ""
    if found.imbalance is not None:
        ratio = f"; largest class {found.imbalance:.1f} times the smallest"
        if found.defect_imbalance is not None:
            ratio += f" (among defects {found.defect_imbalance:.1f})"
    licensed = f"; {found.license}" if found.license else ""
    return where + ratio + licensed


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _class_table(found: Stats) -> Any:
    from rich.markup import escape

    table = _table("Images" if found.split is None else f"Images, split {escape(found.split)}")
    table.add_column("class")
    sides = [] if found.split is None else list(found.sides)
    for name in [*sides, "all", "without mask", "empty mask"]:
        table.add_column(name, justify="right")
    for each in found.classes:
        counts = [each.sides[side] for side in sides]
        row = [*counts, each.images, each.without_mask, each.empty_masks]
        table.add_row(escape(each.name), *(str(number) for number in row))
    return table


def _defect_tables(found: Stats) -> list[Any]:
    """Counts and areas, areas as a share of the image, and boxes: three tables that fit beside one another's names."""
    from rich.markup import escape

    areas = _table("Defects (one instance is one connected component), area in px")
    shares = _table("Defect area, % of image")
    boxes = _table("Bounding boxes, px")
    for table, names in (
        (areas, ("images", "instances", "at border", *_FIVE)),
        (shares, _FIVE),
        (boxes, (*(f"w {name}" for name in _FIVE), *(f"h {name}" for name in _FIVE))),
    ):
        table.add_column("type")
        for name in names:
            table.add_column(name, justify="right")
    for each in found.defects:
        name = escape(each.name)
        areas.add_row(name, str(each.images), str(each.instances), str(each.on_border), *_five(each.area_px))
        shares.add_row(name, *_five(each.area_percent))
        boxes.add_row(name, *_five(each.width_px), *_five(each.height_px))
    return [areas, shares, boxes]


def _five(numbers: Distribution | None) -> list[str]:
    if numbers is None:
        return ["-"] * len(_FIVE)
    five = (numbers.minimum, numbers.lower_quartile, numbers.median, numbers.upper_quartile, numbers.maximum)
    return [_short(number) for number in five]


def _short(number: float) -> str:
    """Three significant digits at most, whole numbers whole."""
    return f"{number:.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"


def _sizes(found: Stats) -> str:
    shown = [f"{width}x{height} ({images})" for width, height, images in found.image_sizes[:_SIZES_SHOWN]]
    more = len(found.image_sizes) - len(shown)
    rest = f", and {more} more sizes" if more > 0 else ""
    if more > 0:
        widths = [width for width, _, _ in found.image_sizes]
        heights = [height for _, height, _ in found.image_sizes]
        rest += f"; widths {min(widths)} to {max(widths)}, heights {min(heights)} to {max(heights)}"
    return f"Image sizes in px (images): {', '.join(shown)}{rest}" if shown else "No images."
