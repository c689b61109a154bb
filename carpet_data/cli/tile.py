"""`carpet-data tile` and `untile`: cut a data set into tiles, and put them together again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carpet_data.cli import common
from carpet_data.cli.options import options, take
from carpet_data.cli.prepare import SplittingCommand, dry_run_option
from carpet_data.formats import ReadOptions
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.tiling.options import TileOptions


@click.command(cls=SplittingCommand)
@common.root_argument("dataset")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder to write.  [default: DATASET-tiles, beside DATASET]"
)
@options(TileOptions)
@click.option(
    "--keep-unmasked",
    is_flag=True,
    help="Give all tiles of a defect image without a marked defect the class of the image, instead of failing.",
)
@options(SplitOptions)
@options(GroupOptions)
@options(ReadOptions, skip={"overlap"})  # --overlap is that of the tiles
@dry_run_option
@common.overwrite_option
@common.workers_option
@common.json_option
@common.quiet_option
def tile(dataset: Path | None, out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Cut the images, masks and instances of DATASET into overlapping tiles, and write a prepared data set of tiles.

    Pixels are exact. A tile without defect pixels is good. All tiles of an image, and of its whole group, are on one
    side of every split. The groups and splits of a prepared DATASET carry over; a raw one is checked, grouped and split
    as `prepare` does, which is what the options of reading, grouping and splitting are for.

    \b
    Example:
      carpet-data tile carpet-prepared -o carpet-tiles --size 512 --overlap 64
      carpet-data tile mvtec/carpet -o carpet-tiles --size 512 --k-shot 1
      carpet-data tile carpet-prepared --size 256 --overlap 32 --dry-run
    """
    from carpet_data.tiling.tile import tile as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    values["options"] = take(TileOptions, values)
    values["split_options"], values["group_options"] = take(SplitOptions, values), take(GroupOptions, values)
    values["read_options"] = take(ReadOptions, values)
    with ui.progress("cutting") as progress:
        result = run(common.resolve_root(dataset), out, progress=progress, **values)
    ui.result(result.to_json(), result.text())


@click.command()
@common.root_argument("tiles")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder to write.  [default: TILES-untiled, beside TILES]"
)
@common.overwrite_option
@common.workers_option
@common.json_option
@common.quiet_option
def untile(tiles: Path | None, out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Put the tiles in TILES, which `tile` wrote, together again, and write the whole images as a prepared data set.

    Pixels, masks, instances, classes, groups and splits are those of the images that were cut. Tiles that are missing,
    or that contradict a neighbor where they overlap, are errors.

    \b
    Example:
      carpet-data untile carpet-tiles -o carpet-whole
    """
    from carpet_data.tiling.untile import untile as run

    ui = common.Ui(as_json=as_json, quiet=quiet)
    with ui.progress("putting tiles together") as progress:
        result = run(common.resolve_root(tiles), out, progress=progress, **values)
    ui.result(result.to_json(), result.text())
