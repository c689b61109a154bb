"""carpet-data check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carpet_data.cli.common import Ui, json_option, quiet_option, workers_option
from carpet_data.cli.options import options, take
from carpet_data.core.text import counted
from carpet_data.formats import ReadOptions

if TYPE_CHECKING:
    from carpet_data.formats.check import Check

_SHOWN = 20


@click.command("check", short_help="Check a COCO file, alone or pixel by pixel against its source.")
@click.argument("coco", type=click.Path(path_type=Path))
@click.option("--against", type=click.Path(path_type=Path), default=None, help="The data set that it was made from.")
@click.option("--merge", "merged", is_flag=True, help="The file was exported with --merge.")
@options(ReadOptions)
@workers_option
@json_option
@quiet_option
def check(coco: Path, as_json: bool, quiet: bool, **values: Any) -> None:
    """Check COCO, a JSON file or the folder of an export.

    Alone: ids, references, file names, image files, segmentations that decode, boxes and areas. With --against, every
    pixel of every mask is compared with the source as well. The exit code is 1 when an error was found.

    \b
    Example:
      carpet-data check carpet-coco --against carpet
      carpet-data check annotations/instances_train.json
    """
    from carpet_data.formats.check import check as run

    ui = Ui(as_json=as_json, quiet=quiet)
    read_options = take(ReadOptions, values)
    with ui.progress("check") as progress:
        found = run(coco, values.pop("against"), read_options=read_options, progress=progress, **values)
    ui.result(found.to_json(), _text(found))
    click.get_current_context().exit(0 if found.passed else 1)


def _text(found: Check) -> str:
    lines = []
    for problem in found.problems[:_SHOWN]:
        lines.append(f"{problem.severity}: {problem.where}: {problem.what} [{problem.code}]")
        if problem.hint:
            lines.append(f"  hint: {problem.hint}")
    if len(found.problems) > _SHOWN:
        lines.append(f"… and {len(found.problems) - _SHOWN} more (all of them with --json)")
    read = f"{counted(found.images, 'image')}, {counted(found.annotations, 'annotation')}"
    lines.append(f"{read} in {counted(len(found.files), 'file')}")
    if found.compared:
        lines.append(
            f"{found.differing_pixels} differing pixels in {counted(found.compared, 'image')} compared with the source"
        )
    lines.append("passed" if found.passed else "failed")
    return "\n".join(lines)
