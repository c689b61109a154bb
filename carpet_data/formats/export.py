"""What every export has in common: which samples go where, and under which name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from carpet_data.dataset import SIDES, Dataset, Sample
from carpet_data.errors import UsageError
from carpet_data.formats.output import ImageMode
from carpet_data.formats.tree import SOURCE_SPLIT
from carpet_data.store.names import component

MAIN_SPLIT = "main"
ALL = "all"
"""The one part of an export whose data set has no split."""


def default_out(root: Path, kind: str) -> Path:
    """Where an export goes when the user names no output: beside the data set, as `carpet-coco` beside `carpet`."""
    root = root.resolve()
    return root.parent / f"{root.stem if root.is_file() else root.name}-{kind}"


def chosen_split(dataset: Dataset, split: str | None = None) -> str | None:
    """The split that an export uses: the named one, else "main", else "source", else None for no split at all.

    Raises:
        UsageError: The data set has no split of that name.
    """
    if split is None:
        return next((name for name in (MAIN_SPLIT, SOURCE_SPLIT) if name in dataset.splits), None)
    if split not in dataset.splits:
        known = ", ".join(sorted(dataset.splits)) or "none"
        raise UsageError(f"no split is called {split!r} (there are: {known})", where=dataset.root)
    return split


def parts(dataset: Dataset, split: str | None) -> dict[str, tuple[Sample, ...]]:
    """The samples of each part of an export, sorted by id.

    Args:
        dataset: What is exported.
        split: As `chosen_split` gives it.

    Returns:
        "train", "val", "test" (those with samples), or "all" for a data set without splits.
    """
    if split is None:
        return {ALL: dataset.samples}
    by_side = {side: dataset.on_side(split, side) for side in SIDES}
    return {side: samples for side, samples in by_side.items() if samples}


def file_name(sample: Sample, images: ImageMode = "link") -> str:
    """The image's name in an export: its id, made safe for file systems, and its suffix; unique.

    With `images` "none" the images stay where they are, and the name is the path in the source.
    """
    if images == "none":
        return sample.image_path
    return component(sample.id) + PurePosixPath(sample.image_path).suffix
