"""Export YOLO labels."""

from __future__ import annotations

import os

from carpet_data.core.progress import Progress
from carpet_data.dataset import Dataset
from carpet_data.errors import UsageError
from carpet_data.formats import ReadOptions, yolo
from carpet_data.formats.exporting import check_choice, check_min_area, exporting
from carpet_data.formats.output import ImageMode
from carpet_data.formats.sample_files import ExportResult, InstanceOptions
from carpet_data.formats.yolo import TASKS, Task, YoloStyle

__all__ = ["to_yolo"]


def to_yolo(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    task: Task = "segments",
    split: str | None = None,
    tolerance_px: float | None = None,
    merge: bool = False,
    min_area: int = 1,
    images: ImageMode = "link",
    skip_unmasked: bool = False,
    overwrite: bool = False,
    read_options: ReadOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write images/PART/ID.*, labels/PART/ID.txt and data.yaml, as Ultralytics reads them.

    Every connected component of a mask is one line. Segments run along pixel edges and decode to the exact mask; a line
    holds one polygon, so holes and the parts of an instance are joined by seams. Good images have an empty label file.
    Class numbers count the defect types from 0.

    Args:
        root: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for `ROOT-yolo` beside the data.
        task: "segments" (a polygon per line) or "boxes".
        split: A split's name; None for "main", else the source's own folders, else one part "all".
        tolerance_px: Simplify polygons to within this many pixels (no longer exact).
        merge: One instance per class and image.
        min_area: Instances of fewer pixels are left out, and counted in the result.
        images: "link" or "copy".
        skip_unmasked: Leave out defect images without a mask instead of refusing.
        overwrite: Replace what is in `out`.
        read_options: How to read `root`.
        workers: Processes; None for one per core.
        progress: Called with (images done, images in all).

    Returns:
        What was written, with counts and notes.

    Raises:
        UsageError: Options that make no sense, or an unknown split.
        DataError: The data are at fault; ProblemsError names several problems at once.
        OutputError: `out` is not empty.
    """
    check_choice("task", task, TASKS)
    check_choice("images", images, ("link", "copy"))
    check_min_area(min_area)
    if tolerance_px is not None and (task == "boxes" or not tolerance_px >= 0):
        raise UsageError("a tolerance simplifies segments: it is not negative and does not go with boxes")
    with exporting(
        root,
        out,
        "yolo",
        split=split,
        read_options=read_options,
        overwrite=overwrite,
        images=images,
        instances=InstanceOptions(merge, min_area, skip_unmasked),
        workers=workers,
        progress=progress,
    ) as export:
        return yolo.write(export, YoloStyle(task, tolerance_px))
