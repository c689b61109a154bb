"""Export one folder per class."""

from __future__ import annotations

import os

from carpet_data.core.progress import Progress
from carpet_data.dataset import Dataset
from carpet_data.formats import ReadOptions, image_folder
from carpet_data.formats.exporting import check_choice, exporting
from carpet_data.formats.image_folder import FolderStyle
from carpet_data.formats.output import ImageMode
from carpet_data.formats.sample_files import ExportResult

__all__ = ["to_folder"]


def to_folder(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    empty_classes: bool = False,
    images: ImageMode = "link",
    overwrite: bool = False,
    read_options: ReadOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write PART/CLASS/ID.* and classes.txt, as torchvision's ImageFolder reads them.

    Masks are not written; images without one take part.

    Args:
        root: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for `ROOT-folder` beside the data.
        split: A split's name; None for "main", else the source's own folders, else one part "all".
        empty_classes: Make a folder for every class in every part, also where there is no image of it.
        images: "link" or "copy".
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
    with exporting(
        root,
        out,
        "folder",
        split=split,
        read_options=read_options,
        overwrite=overwrite,
        images=images,
        workers=workers,
        progress=progress,
    ) as export:
        return image_folder.write(export, FolderStyle(empty_classes))
