"""Options of the exports: what their functions take, and what their commands offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError

__all__ = [
    "AnomalibOptions",
    "CocoOptions",
    "ExportOptions",
    "FolderOptions",
    "ImageMode",
    "InstanceOptions",
    "MaskOptions",
    "MasksOptions",
    "MvtecOptions",
    "VocOptions",
    "YoloOptions",
]

ImageMode: TypeAlias = Literal["link", "copy", "none"]
Placed: TypeAlias = Literal["link", "copy"]

_PLACED = "How images get into the output: as hard links, or as copies."
_TOLERANCE = "Simplify polygons to within this many pixels (no longer exact)."


@dataclass(frozen=True, slots=True)
class ExportOptions(Options):
    """What every export takes."""

    split: str | None = option(None, "Split to export.", unset="main, else the source's own")
    images: ImageMode = option("link", "Hard-link the images into the output, copy them, or leave them in the source.")
    overwrite: bool = option(False, "Replace the output if it exists.")
    workers: int | None = option(None, "Worker processes.", unset="one per core", minimum=1, flag=None)


@dataclass(frozen=True, slots=True)
class MaskOptions(ExportOptions):
    """Of exports that need masks."""

    skip_unmasked: bool = option(False, "Skip defect images without a mask instead of failing; they are counted.")


@dataclass(frozen=True, slots=True)
class InstanceOptions(MaskOptions):
    """Of exports that write instances."""

    merge: bool = option(False, "One instance per class and image instead of one per component.")
    min_area: int = option(1, "Minimum area of an instance in pixels; smaller ones are skipped and counted.", minimum=1)


@dataclass(frozen=True, slots=True)
class CocoOptions(InstanceOptions):
    """How to write COCO instances."""

    segmentation: Literal["polygon", "rle"] = option(
        "polygon", "Form of the segmentation; both decode to the exact mask, rle has an eighth of the size."
    )
    tolerance_px: float | None = option(None, _TOLERANCE, flag="--tolerance", minimum=0)
    date: str | None = option(None, "Text for date_created.", unset="no date")

    def __post_init__(self) -> None:
        """Refuse values that contradict each other."""
        Options.__post_init__(self)
        if self.tolerance_px is not None and self.segmentation == "rle":
            raise UsageError("--tolerance simplifies polygons, so it cannot be used with --segmentation rle")


@dataclass(frozen=True, slots=True)
class YoloOptions(InstanceOptions):
    """How to write YOLO labels."""

    images: Placed = option("link", _PLACED)
    task: Literal["segments", "boxes"] = option("segments", "What a line holds: a polygon or a box.")
    tolerance_px: float | None = option(None, _TOLERANCE, flag="--tolerance", minimum=0)

    def __post_init__(self) -> None:
        """Refuse values that contradict each other."""
        Options.__post_init__(self)
        if self.tolerance_px is not None and self.task == "boxes":
            raise UsageError("--tolerance simplifies segments, so it cannot be used with --task boxes")


@dataclass(frozen=True, slots=True)
class VocOptions(InstanceOptions):
    """How to write Pascal VOC."""

    images: Placed = option("link", _PLACED)
    objects: bool = option(True, "Write SegmentationObject, which holds at most 254 instances per image.")
    jpg_names: bool = option(False, "Call every image ID.jpg whatever its bytes, as some readers require.")


@dataclass(frozen=True, slots=True)
class FolderOptions(ExportOptions):
    """How to write one folder per class."""

    images: Placed = option("link", _PLACED)
    empty_classes: bool = option(False, "Make a folder for every class on every side, even without images.")


@dataclass(frozen=True, slots=True)
class MvtecOptions(MaskOptions):
    """How to write the MVTec AD layout."""

    images: Placed = option("link", _PLACED)
    sides: Literal["mvtec", "keep"] = option(
        "mvtec", "mvtec: train holds the good training images, test all others; keep: the sides of the split."
    )


@dataclass(frozen=True, slots=True)
class MasksOptions(InstanceOptions):
    """How to write class-index masks."""

    instances: bool = option(False, "Write 16-bit instance masks too.")


@dataclass(frozen=True, slots=True)
class AnomalibOptions(MaskOptions):
    """How to write a folder for anomalib."""

    images: Placed = option("link", _PLACED)
    validation: Literal["synthetic", "from_train", "from_test", "same_as_test", "none"] = option(
        "synthetic",
        "Images on which anomalib chooses its threshold: good training images with or without artificial defects, or "
        "test images, which flatters the scores.",
    )
    seed: int = option(0, "Random seed of anomalib's own splits.", minimum=0)
