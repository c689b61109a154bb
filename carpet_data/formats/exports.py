"""The exports as functions: `to_coco`, `to_yolo` and the others, each `export` with its own options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from carpet_data.core.progress import Progress
from carpet_data.dataset import Dataset
from carpet_data.formats.export import ExportResult, export
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

__all__ = ["to_anomalib", "to_coco", "to_folder", "to_masks", "to_mvtec", "to_voc", "to_yolo"]

F = TypeVar("F", bound=Callable[..., ExportResult])
Source = str | os.PathLike[str] | Dataset
Out = str | os.PathLike[str] | None


def _takes(cls: type[ExportOptions]) -> Callable[[F], F]:
    """Give a function the signature and the documentation of its options, which it takes as `**changes`."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        single = [
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
            for each in fields(cls)
        ]
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        function.__signature__ = signature.replace(parameters=[*own, *single])  # type: ignore[attr-defined]
        listed = "".join(f"        {each.name}: {each.metadata['option']['help']}\n" for each in fields(cls))
        function.__doc__ = inspect.cleandoc(function.__doc__ or "") + _DOC.format(cls=cls.__name__, listed=listed)
        return function

    return decorate


_DOC = """

    Args:
        source: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for a folder beside the data.
        options: A {cls}; None for the defaults. Its fields can be given as keywords instead.
        read_options: How to read `source`.
        progress: Called with (images done, images in all).
{listed}
    Raises:
        UsageError: Options that make no sense, or an unknown split.
        DataError: The data have a problem; ProblemsError names several at once.
        OutputError: `out` is not empty.
"""


@_takes(CocoOptions)
def to_coco(
    source: Source,
    out: Out = None,
    options: CocoOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write annotations/instances_{part}.json for every part of a split, and the images.

    Every connected component of a mask is one annotation; its box, area and segmentation are exact to the pixel,
    holes and single pixels included. `good` is not a category; its images are listed without annotations.
    """
    return export(source, "coco", out, options, read_options=read_options, progress=progress, **changes)


@_takes(YoloOptions)
def to_yolo(
    source: Source,
    out: Out = None,
    options: YoloOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write images/PART/ID.*, labels/PART/ID.txt and data.yaml, as Ultralytics reads them.

    Every connected component of a mask is one line. Segments run along pixel edges and decode to the exact mask; a line
    holds one polygon, so holes and the parts of an instance are joined by seams. Good images have an empty label file.
    Class numbers count the defect types from 0.
    """
    return export(source, "yolo", out, options, read_options=read_options, progress=progress, **changes)


@_takes(VocOptions)
def to_voc(
    source: Source,
    out: Out = None,
    options: VocOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write JPEGImages, Annotations, SegmentationClass, SegmentationObject, ImageSets and labelmap.txt.

    Every connected component of a mask is one object with a box of whole pixels, counted from 1, last pixel included.
    The palette PNGs hold the category id and the number of the object; the colors are VOC's.
    """
    return export(source, "voc", out, options, read_options=read_options, progress=progress, **changes)


@_takes(FolderOptions)
def to_folder(
    source: Source,
    out: Out = None,
    options: FolderOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write PART/CLASS/ID.* and classes.txt, as torchvision's ImageFolder reads them.

    Masks are not written; images without one take part.
    """
    return export(source, "folder", out, options, read_options=read_options, progress=progress, **changes)


@_takes(MvtecOptions)
def to_mvtec(
    source: Source,
    out: Out = None,
    options: MvtecOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write train, test and ground_truth/CLASS/ID_mask.png.

    Masks are binary (0 and 255) and exact. What a binary mask cannot express (several types in one image, instances
    that touch) is counted in the notes.
    """
    return export(source, "mvtec", out, options, read_options=read_options, progress=progress, **changes)


@_takes(MasksOptions)
def to_masks(
    source: Source,
    out: Out = None,
    options: MasksOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write images/PART/ID.*, masks/PART/ID.png, samples.jsonl, classes.json and labels.txt.

    Masks hold the category id, 0 for background; good images have a mask of zeros.
    """
    return export(source, "masks", out, options, read_options=read_options, progress=progress, **changes)


@_takes(AnomalibOptions)
def to_anomalib(
    source: Source,
    out: Out = None,
    options: AnomalibOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write train/good, test/CLASS, ground_truth/CLASS and anomalib.yaml, the configuration of anomalib's Folder.

    Training holds real good images only. The defect images of train, and all of val, are left out and counted.
    """
    return export(source, "anomalib", out, options, read_options=read_options, progress=progress, **changes)
