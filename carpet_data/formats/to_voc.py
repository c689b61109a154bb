"""Export Pascal VOC."""

from __future__ import annotations

import os

from carpet_data.core.progress import Progress
from carpet_data.dataset import Dataset
from carpet_data.formats import ReadOptions, voc
from carpet_data.formats.exporting import check_choice, check_min_area, exporting
from carpet_data.formats.output import ImageMode
from carpet_data.formats.sample_files import ExportResult, InstanceOptions
from carpet_data.formats.voc import VocStyle

__all__ = ["to_voc"]


def to_voc(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    merge: bool = False,
    min_area: int = 1,
    objects: bool = True,
    jpg_names: bool = False,
    images: ImageMode = "link",
    skip_unmasked: bool = False,
    overwrite: bool = False,
    read_options: ReadOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write JPEGImages, Annotations, SegmentationClass, SegmentationObject, ImageSets and labelmap.txt.

    Every connected component of a mask is one object with a box of whole pixels, counted from 1, last pixel included.
    The palette PNGs hold the category id and the number of the object; the colours are VOC's.

    Args:
        root: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for `ROOT-voc` beside the data.
        split: A split's name; None for "main", else the source's own folders, else one part "all".
        merge: One instance per class and image.
        min_area: Instances of fewer pixels are left out, and counted in the result.
        objects: Whether SegmentationObject is written; it holds 254 instances an image.
        jpg_names: Call every image ID.jpg, whatever its bytes, for readers that look for no other name.
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
    check_choice("images", images, ("link", "copy"))
    check_min_area(min_area)
    with exporting(
        root,
        out,
        "voc",
        split=split,
        read_options=read_options,
        overwrite=overwrite,
        images=images,
        instances=InstanceOptions(merge, min_area, skip_unmasked),
        workers=workers,
        progress=progress,
    ) as export:
        return voc.write(export, VocStyle(export.dataset.name, objects, jpg_names))
