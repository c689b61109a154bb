"""The images to train on: a prepared data set, one of its splits, and the samples of each side."""

from __future__ import annotations

from pathlib import Path

from carpet_data import store
from carpet_data.dataset import SIDES, Dataset, Sample, Side
from carpet_data.errors import DataError, UsageError
from carpet_data.store import leaks

__all__ = ["opened", "opened_without_leaks", "samples_of"]


def opened(root: Path, split: str | None) -> tuple[Dataset, str]:
    """A prepared data set and the name of the split to train on; None stands for "main", or else the source's own.

    Raises:
        DataError: The folder is not a prepared data set, or is damaged.
        UsageError: Unknown split, or the data set has none.
    """
    dataset = store.read(root)
    name = dataset.split_name(split)
    if name is None:
        raise UsageError("the data set has no split to train on", where=root, hint="make one: carpet-data split")
    return dataset, name


def opened_without_leaks(root: Path, split: str | None) -> tuple[Dataset, str]:
    """As `opened`.

    Raises:
        LeakError: A held-out image would reach training.
    """
    dataset, name = opened(root, split)
    leaks.refuse_leaks(dataset, name)
    return dataset, name


def samples_of(dataset: Dataset, split: str, *, real_only: bool = False) -> dict[Side, tuple[Sample, ...]]:
    """side -> its samples; only val may be empty. `real_only` skips the synthetic train samples.

    Raises:
        DataError: The train or the test side is empty, or the train side has one class only.
    """
    samples = {side: dataset.on_side(side, split).samples for side in SIDES}
    if real_only:
        samples["train"] = tuple(sample for sample in samples["train"] if sample.origin == "real")
    for side in ("train", "test"):
        if not samples[side]:
            raise DataError(
                f"no image is on the {side} side of the split {split!r}",
                where=dataset.root,
                hint="make a split with one: carpet-data split",
            )
    present = sorted({sample.class_name for sample in samples["train"]})
    if len(present) < 2:
        raise DataError(
            f"the train side has one class only ({present[0]}); a classifier needs two",
            where=dataset.root,
            hint="add images of another class, or split so that two classes have train images",
        )
    return samples
