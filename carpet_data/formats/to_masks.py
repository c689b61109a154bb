"""Export images with class-index masks."""

from __future__ import annotations

import os

from carpet_data.core.progress import Progress
from carpet_data.dataset import Dataset
from carpet_data.formats import ReadOptions, mask_folder
from carpet_data.formats.exporting import check_choice, check_min_area, exporting
from carpet_data.formats.mask_folder import MasksStyle
from carpet_data.formats.output import IMAGE_MODES, ImageMode
from carpet_data.formats.sample_files import ExportResult, InstanceOptions

__all__ = ["to_masks"]


def to_masks(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    instances: bool = False,
    merge: bool = False,
    min_area: int = 1,
    images: ImageMode = "link",
    skip_unmasked: bool = False,
    overwrite: bool = False,
    read_options: ReadOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write images/PART/ID.*, masks/PART/ID.png, samples.jsonl, classes.json and labels.txt.

    Masks hold the category id, 0 for background; good images have a mask of zeros.

    Args:
        root: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for `ROOT-masks` beside the data.
        split: A split's name; None for "main", else the source's own folders, else one part "all".
        instances: Write instances/PART/ID.png too: which pixel belongs to which instance.
        merge: One instance per class and image.
        min_area: Instances of fewer pixels are left out, and counted in the result.
        images: "link", "copy", or "none" (samples.jsonl then names them in the source folder).
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
    check_choice("images", images, IMAGE_MODES)
    check_min_area(min_area)
    with exporting(
        root,
        out,
        "masks",
        split=split,
        read_options=read_options,
        overwrite=overwrite,
        images=images,
        instances=InstanceOptions(merge, min_area, skip_unmasked),
        workers=workers,
        progress=progress,
    ) as export:
        return mask_folder.write(export, MasksStyle(instances))
