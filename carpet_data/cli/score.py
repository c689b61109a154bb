"""`carpet-data score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
from carpet_data.core.text import counted

if TYPE_CHECKING:
    from carpet_data.experiments.quality.score import ScoreResult

_WIDTH = 150


@click.command()
@root_argument()
@split_option
@click.option(
    "--against",
    type=click.Choice(["train", "all"]),
    default="train",
    show_default=True,
    help="Real images to compare with. Do not pick a recipe with all: it includes the test images.",
)
@click.option(
    "--backbone",
    metavar="NAME",
    help="Network whose features are compared, or none.  [default: resnet18 if its weights are available locally]",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Weights file for that network.  [default: those available locally]",
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG file for a plot of the scores.")
@overwrite_option
@workers_option
@json_option
@quiet_option
def score(
    root: Path | None,
    split: str | None,
    against: Literal["train", "all"],
    backbone: str | None,
    weights: Path | None,
    plot: Path | None,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score synthetic defects against real ones, for each class and recipe.

    Reports the number of draws they took, their distance from each other (diversity), from the nearest real defect (far
    below the distance among real ones means copies), and from all real ones in texture, color and area.

    \b
    Example:
      carpet-data score carpet-prepared
      carpet-data score carpet-prepared --plot score.png --json > score.json
    """
    from carpet_data.experiments.quality.score import score as run

    ui = Ui(as_json=as_json, quiet=quiet)
    source = resolve_root(root)
    if plot is not None:
        from carpet_data.experiments.quality.score_plot import check_plot

        check_plot(plot, source, overwrite=overwrite)
    with ui.progress("measuring") as update:
        found = run(
            source,
            split=split,
            against=against,
            backbone=backbone,
            weights=weights,
            workers=workers,
            progress=update,
        )
    values = found.to_json()
    if plot is not None:
        from carpet_data.experiments.quality.score_plot import write_plot

        values["plot"] = str(write_plot(found.name, found.real, found.made, plot))
    ui.result(values, _text(found))
    if plot is not None:
        ui.note(f"wrote {plot}")
    if found.skipped:
        ui.note(f"skipped {counted(len(found.skipped), 'unreadable image')}, such as {found.skipped[0]}")


def _text(found: ScoreResult) -> str:
    import io
    import sys

    from rich.console import Console

    terminal = is_terminal(sys.stdout)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=None if terminal else _WIDTH, highlight=False)
    side = "the train side" if found.against == "train" else "all real images"
    split = "" if found.split is None else f" of split {found.split}"
    nulls = f"; skipped {counted(found.nulls, 'null image')} without a defect" if found.nulls else ""
    console.print(f"{found.name}: synthetic defects against {side}{split}{nulls}", markup=False)
    console.print(_draws(found))
    console.print(_distances(found))
    console.print(
        "Texture: 18 statistics of each defect, in standard deviations of the real ones. "
        "In parentheses: the same among real ones.\n"
        "Nearest real far below the parentheses: copies. Diversity far below: all look alike. "
        "Gauss: Fréchet distance of diagonal Gaussians.",
        markup=False,
    )
    if found.backbone is not None:
        console.print(f"Network: unbiased squared MMD, cubic kernel, features of {found.backbone}.", markup=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines())


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    table.add_column("recipe", no_wrap=True)
    return table


def _draws(found: ScoreResult) -> Any:
    from rich.markup import escape

    table = _table("Draws")
    for name in ("images", "draws", "accepted"):
        table.add_column(name, justify="right")
    table.add_column("rejected by")
    for group in found.groups:
        taken = group.acceptance
        refused = ", ".join(f"{gate} {times}" for gate, times in taken.refused.items()) or "-"
        row = (str(group.images), str(taken.draws), f"{taken.share:.0%}", escape(refused))
        table.add_row(escape(group.class_name), escape(group.recipe), *row)
    return table


def _distances(found: ScoreResult) -> Any:
    from rich.markup import escape

    table = _table("Defects, synthetic (real)")
    columns = ["defects", "diversity", "nearest real", "smallest", "gauss", "color L a b", "area, decades"]
    for name in [*columns, *(["network"] if found.backbone is not None else [])]:
        table.add_column(name, justify="right")
    for group in found.groups:
        d = group.distances
        color = "-" if d.color_emd is None else " ".join(f"{value:.1f}" for value in d.color_emd)
        row = [
            f"{d.crops} ({d.real_crops})",
            _pair(d.diversity, d.real_diversity),
            _pair(d.nearest_real, d.real_nearest_real),
            _number(d.nearest_real_min),
            _pair(d.frechet_texture, d.real_frechet_texture),
            color,
            _number(d.area_emd),
        ]
        if found.backbone is not None:
            row.append("-" if group.feature_distance is None else f"{group.feature_distance:.4f}")
        table.add_row(escape(group.class_name), escape(group.recipe), *row)
    return table


def _pair(value: float | None, real: float | None) -> str:
    return f"{_number(value)} ({_number(real)})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
