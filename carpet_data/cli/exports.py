"""The commands that export, one for each format, `export` for any of them, and `check`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carpet_data.cli.common import Ui, existing, json_option, quiet_option, resolve_root, root_argument, workers_option
from carpet_data.cli.options import options, take
from carpet_data.core.text import counted
from carpet_data.formats.options import (
    AnomalibOptions,
    CocoOptions,
    ExportOptions,
    FolderOptions,
    MasksOptions,
    MvtecOptions,
    VocOptions,
    YoloOptions,
)
from carpet_data.formats.registry import ReadOptions

if TYPE_CHECKING:
    from carpet_data.formats.coco.check import CocoCheck

__all__ = ["check", "export", "to_anomalib", "to_coco", "to_folder", "to_masks", "to_mvtec", "to_voc", "to_yolo"]

_SHOWN = 20
_PLACES = "Without ROOT, the current folder is exported; without --out, the output is written beside it."

export_out_option = click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Output folder.  [default: beside ROOT]"
)


def _export(name: str, cls: type[ExportOptions], text: str, *examples: str) -> click.Command:
    """The command `to-{name}`, with the options of a dataclass."""

    def command(root: Path | None, out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
        _run(name, f"to-{name}", root, out, take(cls, values), values, Ui(as_json=as_json, quiet=quiet))

    command.__doc__ = "\n\n".join(
        (inspect.cleandoc(text), _PLACES, "\b\nExample:\n" + "\n".join(f"  {each}" for each in examples))
    )
    for decorate in (quiet_option, json_option, workers_option, options(ReadOptions), options(cls), export_out_option):
        command = decorate(command)
    return click.command(f"to-{name}")(root_argument()(command))


def _run(
    to: str,
    shown: str,
    root: Path | None,
    out: Path | None,
    chosen: ExportOptions,
    values: dict[str, Any],
    ui: Ui,
) -> None:
    from carpet_data.formats.export import export as run

    read_options = take(ReadOptions, values)
    with ui.progress(shown) as progress:
        result = run(resolve_root(root), to, out, chosen, read_options=read_options, progress=progress)
    ui.result(result.to_json(), result.text())


to_coco = _export(
    "coco",
    CocoOptions,
    """Export COCO instances from ROOT, a raw or prepared data set.

    Every connected component of a mask becomes one annotation with box, area and segmentation exact to the pixel:
    holes, single pixels and scratches one pixel wide are kept. There is one JSON file for each side of the split.""",
    "carpet-data to-coco carpet -o carpet-coco",
    "carpet-data to-coco carpet-prepared --segmentation rle --images none",
)

to_yolo = _export(
    "yolo",
    YoloOptions,
    """Export YOLO labels from ROOT, a raw or prepared data set: images, labels and data.yaml.

    Every connected component of a mask becomes one line. Segments run along pixel edges, so that holes and single
    pixels are kept. Good images have an empty label file.""",
    "carpet-data to-yolo carpet-prepared -o carpet-yolo",
    "carpet-data to-yolo carpet --task boxes --images copy",
)

to_voc = _export(
    "voc",
    VocOptions,
    """Export Pascal VOC from ROOT, a raw or prepared data set: XML boxes, palette masks and lists.

    Every connected component of a mask becomes one object; boxes count pixels from 1 and name the last pixel
    inside.""",
    "carpet-data to-voc carpet-prepared -o carpet-voc",
    "carpet-data to-voc carpet --jpg-names --no-objects",
)

to_folder = _export(
    "folder",
    FolderOptions,
    """Export ROOT, a raw or prepared data set, as one folder per class: SIDE/CLASS/ID.

    Masks are not written.""",
    "carpet-data to-folder carpet-prepared -o carpet-folder",
    "carpet-data to-folder carpet-prepared --split fold2 --images copy",
)

to_mvtec = _export(
    "mvtec",
    MvtecOptions,
    """Export the MVTec AD layout from ROOT, a raw or prepared data set: train, test, ground_truth.

    Masks are binary and exact. Train holds good images only, as one-class tools expect, unless the sides are kept.""",
    "carpet-data to-mvtec carpet-prepared -o carpet-mvtec",
    "carpet-data to-mvtec labels.json --from coco --sides keep",
)

to_masks = _export(
    "masks",
    MasksOptions,
    """Export images with class-index masks from ROOT, a raw or prepared data set.

    Masks hold the category id, 0 for background; classes.json names them.""",
    "carpet-data to-masks carpet-prepared -o carpet-masks",
    "carpet-data to-masks carpet --instances --images none",
)


to_anomalib = _export(
    "anomalib",
    AnomalibOptions,
    """Export images, masks and anomalib.yaml for anomalib from ROOT, a raw or prepared data set.

    Training holds real good images only, as anomalib's models need. The defect images of train, and all of val, are
    left out and counted.""",
    "carpet-data to-anomalib carpet-prepared -o carpet-anomalib",
)


@click.command()
@root_argument()
@click.option("--to", required=True, metavar="FORMAT", help="Format to write: coco, yolo, … or an installed one.")
@export_out_option
@options(ExportOptions)
@options(ReadOptions)
@workers_option
@json_option
@quiet_option
def export(
    root: Path | None, to: str, out: Path | None, as_json: bool, quiet: bool, workers: int | None, **values: Any
) -> None:
    """Export ROOT, a raw or prepared data set, in any format, also in one that an installed package adds.

    This command has the options that all formats share; the to-… commands have those of their format too. Without ROOT,
    the current folder is exported; without --out, the output is written beside it.

    \b
    Example:
      carpet-data export carpet-prepared --to coco -o carpet-coco
    """
    from carpet_data.formats.registry import writable

    shared = take(ExportOptions, values, workers=workers).to_json()
    chosen = writable(to).options.from_json(shared)
    _run(to, f"export to {to}", root, out, chosen, values, Ui(as_json=as_json, quiet=quiet))


@click.command("check")
@click.argument("coco", type=click.Path(path_type=Path), callback=existing)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    callback=existing,
    default=None,
    help="Data set that the file was made from.",
)
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
    from carpet_data.formats.coco.check import check as run

    ui = Ui(as_json=as_json, quiet=quiet)
    read_options = take(ReadOptions, values)
    with ui.progress("check") as progress:
        found = run(coco, values.pop("against"), read_options=read_options, progress=progress, **values)
    ui.result(found.to_json(), _check_text(found))
    click.get_current_context().exit(0 if found.passed else 1)


def _check_text(found: CocoCheck) -> str:
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
