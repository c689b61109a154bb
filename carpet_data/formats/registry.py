"""The readers by name; each is imported when it is used."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.options import Options, option
from carpet_data.dataset import MASK_THRESHOLD, Connectivity, Dataset
from carpet_data.errors import CarpetDataError, UsageError

# name -> (module:attribute, summary). A reader is called as read(root, options) -> Dataset.
READERS: dict[str, tuple[str, str]] = {
    "prepared": ("carpet_data.store.reading:read", "a folder made by `carpet-data prepare`"),
    "mvtec": ("carpet_data.formats.mvtec:read", "MVTec AD: train/good, test/CLASS, ground_truth/CLASS"),
    "mvtec-loco": ("carpet_data.formats.loco:read", "MVTec LOCO AD: a folder of masks an image"),
    "mvtec-ad2": ("carpet_data.formats.ad2:read", "MVTec AD 2: train, validation, test_public"),
    "coco": ("carpet_data.formats.coco_reader:read", "COCO instances: annotations/*.json and images"),
    "yolo": ("carpet_data.formats.yolo_reader:read", "YOLO segments: images, labels, data.yaml"),
    "folder": ("carpet_data.formats.folder:read", "folders of images and masks, paired by name"),
}


@dataclass(frozen=True, slots=True)
class ReadOptions(Options):
    """How to read a data set."""

    format: str = option(
        "auto", f"Layout of the data set: auto, {', '.join(READERS)}.", flag="--from", metavar="FORMAT"
    )
    threshold: int = option(MASK_THRESHOLD, "Mask values of at least this are a defect.", minimum=1, maximum=255)
    connectivity: Connectivity | None = option(
        None, "Neighbors that belong to one instance.", unset="the data set's own, else 8"
    )
    images_dir: str | None = option(None, "With --from folder: folder of the images, below the root.")
    masks_dir: str | None = option(None, "With --from folder: folder of the masks, below the root.")
    mask_suffix: str | None = option(None, "With --from folder: ending of mask names, such as _mask.")
    pair_by: str | None = option(
        None, "With --from folder: regular expression; an image and a mask with equal captures belong together."
    )
    on_problem: Callable[[CarpetDataError], None] | None = option(
        None,
        "Called with the problem of each image file that cannot be read, and the image is skipped; None makes it an "
        "error. Annotation files (COCO, YOLO) must be whole in any case.",
        flag=None,
    )


def read(root: str | os.PathLike[str] | Dataset, options: ReadOptions | None = None) -> Dataset:
    """Read a data set, raw or prepared; nothing in it is changed.

    Args:
        root: The folder (for COCO also the JSON file itself); a Dataset is returned as it is.
        options: How; by default the format is recognised.

    Raises:
        DataError: The folder is missing, or no reader knows it, or its content is at fault.
        UsageError: Options that do not exist or do not fit.
    """
    from carpet_data.formats.detect import detect

    if isinstance(root, Dataset):
        return root
    root = Path(root)
    options = options or ReadOptions()
    name = detect(root) if options.format == "auto" else options.format
    if name not in READERS:
        raise UsageError(f"unknown format {name!r}", hint=f"use one of: {', '.join(READERS)}")
    module, attribute = READERS[name][0].split(":")
    reader: Callable[[Path, ReadOptions], Dataset] = getattr(importlib.import_module(module), attribute)
    return reader(root, options)
