"""The readers by name; each is imported when it is used."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.samples import MASK_THRESHOLD, Connectivity, Dataset

# name -> (module:attribute, summary). A reader is called as read(root, options) -> Dataset.
READERS: dict[str, tuple[str, str]] = {
    "prepared": ("carpet_data.layout.dataset:read", "a folder made by `carpet-data prepare`"),
    "mvtec": ("carpet_data.formats.mvtec:read", "MVTec AD: train/good, test/CLASS, ground_truth/CLASS"),
    "mvtec-loco": ("carpet_data.formats.loco:read", "MVTec LOCO AD: a folder of masks an image"),
    "mvtec-ad2": ("carpet_data.formats.ad2:read", "MVTec AD 2: train, validation, test_public"),
    "coco": ("carpet_data.formats.coco_reader:read", "COCO instances: annotations/*.json and images"),
    "yolo": ("carpet_data.formats.yolo_reader:read", "YOLO segments: images, labels, data.yaml"),
    "folder": ("carpet_data.formats.folder:read", "folders of images and masks, paired by name"),
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a data set.

    Attributes:
        format: A name of READERS, or "auto".
        threshold: Mask values of at least this (1..255) are defect.
        connectivity: 4 or 8, for binary masks; None for what the data set itself says, else 8.
        images: For "folder": the folder of the images, relative to the root.
        masks: For "folder": the folder of the masks, relative to the root.
        mask_suffix: For "folder": what a mask's stem has behind the image's, such as "_mask"; None tries the usual.
        pair_by: For "folder": a regular expression whose captured text is equal for an image and its mask.
        on_fault: Called with the fault of each image file that cannot be read, and the image is left out; None makes
            it an error. Annotation files (COCO, YOLO) must be whole in any case.
    """

    format: str = "auto"
    threshold: int = MASK_THRESHOLD
    connectivity: Connectivity | None = None
    images: str | None = None
    masks: str | None = None
    mask_suffix: str | None = None
    pair_by: str | None = None
    on_fault: Callable[[CarpetDataError], None] | None = None


def read(root: str | os.PathLike[str], options: ReadOptions | None = None) -> Dataset:
    """Read a data set, raw or prepared; nothing in it is changed.

    Args:
        root: The folder (for COCO also the JSON file itself).
        options: How; by default the format is recognised.

    Raises:
        DataError: The folder is missing, or no reader knows it, or its content is at fault.
        UsageError: Options that do not exist or do not fit.
    """
    from carpet_data.formats.detect import detect

    root = Path(root)
    options = options or ReadOptions()
    if not 1 <= options.threshold <= 255:
        raise UsageError(f"a threshold of {options.threshold} is outside 1..255")
    name = detect(root) if options.format == "auto" else options.format
    if name not in READERS:
        raise UsageError(f"no reader is called {name!r}", mend=f"use one of: {', '.join(READERS)}")
    module, attribute = READERS[name][0].split(":")
    reader: Callable[[Path, ReadOptions], Dataset] = getattr(importlib.import_module(module), attribute)
    return reader(root, options)
