"""Export the MVTec AD layout."""

from __future__ import annotations

import os

from carpet_data.core.progress import Progress
from carpet_data.dataset import Dataset
from carpet_data.formats import ReadOptions, mvtec_writer
from carpet_data.formats.exporting import check_choice, exporting
from carpet_data.formats.mvtec_writer import SIDE_MODES, MvtecStyle, Sides
from carpet_data.formats.output import ImageMode
from carpet_data.formats.sample_files import ExportResult, InstanceOptions

__all__ = ["to_mvtec"]


def to_mvtec(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    sides: Sides = "mvtec",
    images: ImageMode = "link",
    skip_unmasked: bool = False,
    overwrite: bool = False,
    read_options: ReadOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write train, test and ground_truth/CLASS/ID_mask.png.

    Masks are binary (0 and 255) and exact. What a binary mask cannot say (several types in one image, instances that
    touch) is counted in the notes.

    Args:
        root: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for `ROOT-mvtec` beside the data.
        split: A split's name; None for "main", else the source's own folders, else one part "all".
        sides: "mvtec": the good images of the train side are train, all others test. "keep": the folders are the
            sides of the split, so that train and val hold defects too.
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
    check_choice("sides", sides, SIDE_MODES)
    check_choice("images", images, ("link", "copy"))
    with exporting(
        root,
        out,
        "mvtec",
        split=split,
        read_options=read_options,
        overwrite=overwrite,
        images=images,
        instances=InstanceOptions(skip_unmasked=skip_unmasked),
        workers=workers,
        progress=progress,
    ) as export:
        return mvtec_writer.write(export, MvtecStyle(sides))
