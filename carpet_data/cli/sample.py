"""carpet-data sample."""

from __future__ import annotations

from pathlib import Path

import click

from carpet_data.cli.common import Ui, json_option, overwrite_option, quiet_option, seed_option, workers_option
from carpet_data.core.text import counted


def _counts(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """Split each CLASS=NUMBER."""
    counts: dict[str, int] = {}
    for value in values:
        class_name, equals, number = (part.strip() for part in value.partition("="))
        if not equals or not (number.isascii() and number.isdecimal()):
            raise click.BadParameter(f"{value!r} is not CLASS=NUMBER, such as hole=5", ctx, param)
        if class_name in counts:
            raise click.BadParameter(f"{class_name!r} is given twice", ctx, param)
        counts[class_name] = int(number)
    return counts


@click.command(short_help="Write a sample data set.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--size", type=int, default=1024, show_default=True, help="Edge of the square images in pixels, 64 to 4096."
)
@click.option(
    "--count",
    "counts",
    multiple=True,
    metavar="CLASS=NUMBER",
    callback=_counts,
    help="Images of a class: good (in train), test-good, color, cut, hole, metal_contamination or thread. Repeatable; "
    "0 skips a class.  [default: good=12, test-good=4, 5 each]",
)
@click.option(
    "--long-tail",
    is_flag=True,
    help="Long tail: 280 good (252 train, 28 test), color 40, thread 20, cut 10, hole 5, metal_contamination 3.",
)
@seed_option
@overwrite_option
@workers_option
@json_option
@quiet_option
def sample(
    out: Path,
    size: int,
    counts: dict[str, int],
    long_tail: bool,
    seed: int,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a sample data set to OUT: a procedural woven carpet, good and with five kinds of defects.

    The layout is MVTec AD's. Everything is drawn by a program; the images are free to use (CC0). The masks are exact:
    outside its mask an image is byte for byte what it would be without the defect. The same seed gives the same files
    with any number of workers.

    \b
    Example:
      carpet-data sample carpet
      carpet-data sample small --size 256 --count hole=20 --count cut=0
      carpet-data sample rare --long-tail --seed 7
    """
    from carpet_data.weave.sample import sample as run

    ui = Ui(as_json=as_json, quiet=quiet)
    with ui.progress("drawing") as update:
        result = run(
            out,
            size=size,
            seed=seed,
            counts=counts,
            long_tail=long_tail,
            overwrite=overwrite,
            workers=workers,
            progress=update,
        )
    width = max(len(folder) for folder in result.counts)
    lines = [f"{counted(result.images, 'image')} of {size}x{size} in {result.root}"]
    lines += [f"  {folder:<{width}}  {count:>5}" for folder, count in result.counts.items()]
    ui.result(result.to_json(), "\n".join(lines))
