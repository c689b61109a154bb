"""What every export has in common: which samples go where, and under which name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from carpet_data.errors import UsageError
from carpet_data.formats.output import ImageMode
from carpet_data.formats.tree import SOURCE_SPLIT
from carpet_data.samples import SIDES, Dataset, Sample

MAIN_SPLIT = "main"
ALL = "all"
"""The one part of an export whose data set has no split."""


def default_out(root: Path, kind: str) -> Path:
    """Where an export goes when the user names no output: beside the data set, as `carpet-coco` beside `carpet`."""
    root = root.resolve()
    return root.parent / f"{root.stem if root.is_file() else root.name}-{kind}"


def parts(dataset: Dataset, split: str | None = None) -> dict[str, tuple[Sample, ...]]:
    """The samples of each part of an export, sorted by id.

    Args:
        dataset: What is exported.
        split: A split's name; None for "main", else "source", else no split at all.

    Returns:
        "train", "val", "test" (those with samples), or "all" for a data set without splits.

    Raises:
        UsageError: The data set has no split of that name.
    """
    if split is None:
        split = next((name for name in (MAIN_SPLIT, SOURCE_SPLIT) if name in dataset.splits), None)
        if split is None:
            return {ALL: dataset.samples}
    if split not in dataset.splits:
        known = ", ".join(sorted(dataset.splits)) or "none"
        raise UsageError(f"no split is called {split!r} (there are: {known})", where=dataset.root)
    by_side = {side: dataset.on_side(split, side) for side in SIDES}
    return {side: samples for side, samples in by_side.items() if samples}


def file_name(sample: Sample, images: ImageMode) -> str:
    """The image's name in an export: id and suffix, unique; with images left where they are, its path in the source."""
    if images == "none":
        return sample.image
    return sample.id + PurePosixPath(sample.image).suffix
