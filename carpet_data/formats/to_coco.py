"""Export COCO instances."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.core.text import counted
from carpet_data.dataset import Dataset
from carpet_data.errors import UsageError
from carpet_data.formats import ReadOptions, coco_writer
from carpet_data.formats.coco_writer import SEGMENTATIONS, CocoFile, CocoStyle, Segmentation
from carpet_data.formats.exporting import check_choice, check_min_area, exporting
from carpet_data.formats.output import IMAGE_MODES, ImageMode
from carpet_data.formats.sample_files import InstanceOptions
from carpet_data.version import __version__


@dataclass(frozen=True, slots=True)
class CocoExport:
    """What `to_coco` wrote.

    Attributes:
        out: The output folder.
        files: One JSON file per side of the split.
        categories: Defect types, in the order of their ids from 1.
        fingerprint: Of the data set that was exported.
    """

    out: Path
    files: tuple[CocoFile, ...]
    categories: tuple[str, ...]
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """The export as plain values."""
        files = [{**asdict(file), "path": str(file.path)} for file in self.files]
        return {**asdict(self), "out": str(self.out), "files": files}

    def text(self) -> str:
        """The export in words, file by file."""
        lines = []
        for file in self.files:
            lines.append(f"{file.path}: {counted(file.images, 'image')}, {counted(file.annotations, 'annotation')}")
            remarks = (
                (file.unmarked, "images whose mask is empty: listed without annotations"),
                (file.unmasked, "defect images without a mask: left out"),
                (file.too_small, "instances below --min-area: left out"),
            )
            lines += [f"  {count} {text}" for count, text in remarks if count]
        numbered = ", ".join(f"{number} {name}" for number, name in enumerate(self.categories, start=1))
        return "\n".join([*lines, f"categories: {numbered or 'none'}"])


def to_coco(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    segmentation: Segmentation = "polygon",
    merge: bool = False,
    min_area: int = 1,
    tolerance_px: float | None = None,
    images: ImageMode = "link",
    skip_unmasked: bool = False,
    date: str | None = None,
    overwrite: bool = False,
    read_options: ReadOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CocoExport:
    """Write annotations/instances_{side}.json for every side of a split, and the images.

    Every connected component of a mask is one annotation; its box, area and segmentation are exact to the pixel,
    holes and single pixels included. `good` is no category; its images are listed without annotations.

    Args:
        root: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for `ROOT-coco` beside the data.
        split: A split's name; None for "main", else the source's own folders, else one file "all".
        segmentation: "polygon" or "rle"; both decode to the exact mask.
        merge: One annotation per class and image.
        min_area: Instances of fewer pixels are left out, and counted in the result.
        tolerance_px: Simplify polygons to within this many pixels (no longer exact).
        images: "link", "copy", or "none" (file names then point into the source folder).
        skip_unmasked: Leave out defect images without a mask instead of refusing.
        date: Written as `date_created`; None leaves the clock out of the file.
        overwrite: Replace what is in `out`.
        read_options: How to read `root`.
        workers: Processes; None for one per core.
        progress: Called with (images done, images in all).

    Returns:
        What was written, file by file.

    Raises:
        UsageError: Options that contradict each other, or an unknown split.
        DataError: The data are at fault; ProblemsError names several problems at once.
        OutputError: `out` is not empty.
    """
    check_choice("segmentation", segmentation, SEGMENTATIONS)
    check_choice("images", images, IMAGE_MODES)
    check_min_area(min_area)
    if tolerance_px is not None and (segmentation == "rle" or not tolerance_px >= 0):
        raise UsageError("a tolerance simplifies polygons: it is not negative and does not go with rle")
    with exporting(
        root,
        out,
        "coco",
        split=split,
        read_options=read_options,
        overwrite=overwrite,
        images=images,
        instances=InstanceOptions(merge, min_area, skip_unmasked),
        workers=workers,
        progress=progress,
    ) as export:
        dataset = export.dataset
        fingerprint = dataset.fingerprint(export.split)
        info: Mapping[str, Any] = {
            "description": dataset.name,
            "version": "1.0",
            "generator": f"carpet-data {__version__}",
            "fingerprint": fingerprint,
            "split": export.split,
            "connectivity": dataset.connectivity,
            **({"merge": True} if merge else {}),
            **({} if tolerance_px is None else {"tolerance_px": tolerance_px}),
            **({"date_created": date} if date else {}),
        }
        files = coco_writer.write(export, CocoStyle(segmentation, tolerance_px), info)
    placed = tuple(replace(file, path=export.out / file.path.relative_to(export.folder)) for file in files)
    return CocoExport(export.out, placed, dataset.categories, fingerprint)
