"""What every export has in common: which samples go where, and under which name."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from carpet_data.dataset import SIDES, Dataset, Sample
from carpet_data.formats.output import ImageMode
from carpet_data.store.names import component

ALL = "all"
"""The one part of an export whose data set has no split."""


def default_out(root: str | os.PathLike[str], kind: str) -> Path:
    """Where an export goes when the user names no output: beside the data set, as `carpet-coco` beside `carpet`."""
    root = Path(root).resolve()
    return root.parent / f"{root.stem if root.is_file() else root.name}-{kind}"


def parts(dataset: Dataset, split: str | None) -> dict[str, tuple[Sample, ...]]:
    """The samples of each part of an export, sorted by id.

    Args:
        dataset: What is exported.
        split: As `Dataset.split_name` gives it.

    Returns:
        "train", "val", "test" (those with samples), or "all" for a data set without splits.
    """
    if split is None:
        return {ALL: dataset.samples}
    by_side = {side: dataset.on_side(side, split).samples for side in SIDES}
    return {side: samples for side, samples in by_side.items() if samples}


def file_name(sample: Sample, images: ImageMode = "link") -> str:
    """The image's name in an export: its id, made safe for file systems, and its suffix; unique.

    With `images` "none" the images stay where they are, and the name is the path in the source.
    """
    if images == "none":
        return sample.image_path
    return component(sample.id) + PurePosixPath(sample.image_path).suffix
