"""Workspaces: prepared copies of the real images of a data set with another split, to synthesize into.

The files are linked (reflink or hard link; a copy where neither can be), so a workspace costs next to no disk and its
bytes are those of the data set.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from carpet_data.dataset import GOOD, SIDES, Dataset, Side, Split
from carpet_data.errors import DataError
from carpet_data.grouping import partition
from carpet_data.store import description, is_prepared, manifest, names, splits
from carpet_data.store.files import making, place, replacing
from carpet_data.store.json_files import to_line

__all__ = ["SPLIT", "create", "defect_target", "fractions_of", "real_split", "redrawn"]

SPLIT = "main"
"""The one split of a workspace."""
TARGET = 100


def create(root: Path, dataset: Dataset, split: Split) -> None:
    """Make a workspace of the real samples in a split of a prepared data set; an existing one is left as it is.

    Raises:
        OutputError: The folder cannot be written.
    """
    if is_prepared(root):
        return
    with making(root):
        # Without dataset.json it is left from a killed run.
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
    about = description.read(dataset.root)
    taken = [sample for sample in dataset if sample.origin == "real" and sample.id in split.sides]
    for sample in taken:
        for path in (sample.image_path, sample.mask_path):
            if path is not None:
                place(dataset.root / path, root / path)
    with replacing(root / names.MANIFEST, durable=False) as file:
        for sample in taken:
            file.write(to_line(manifest.to_json(sample)))
    sides = {sample.id: split.sides[sample.id] for sample in taken}
    splits.write(root, Split(SPLIT, sides, split.made))
    description.write(root, about)


def real_split(dataset: Dataset, split: Split) -> Split:
    """A split without its synthetic samples."""
    real = {sample.id for sample in dataset if sample.origin == "real"}
    return Split(split.name, {key: side for key, side in split.sides.items() if key in real}, split.made)


def redrawn(dataset: Dataset, split: Split, seed: int) -> Split:
    """Another random partition of the real images in a split: grouped, stratified, with the same fractions.

    Raises:
        DataError: The split has no train or no test image.
    """
    taken = [sample for sample in dataset if sample.origin == "real" and sample.id in split.sides]
    class_of = {sample.id: sample.class_name for sample in taken}
    groups = {sample.id: sample.group for sample in taken if sample.group is not None}
    sides, fractions = fractions_of(dataset, split)
    return partition.by_fractions(class_of, groups, fractions=fractions, seed=seed, name=split.name, sides=sides)


def fractions_of(dataset: Dataset, split: Split) -> tuple[tuple[Side, ...], tuple[float, ...]]:
    """The sides of a split and their fractions: those it was made by, else the shares of its real images.

    Raises:
        DataError: The split has no train or no test image.
    """
    counts = real_split(dataset, split).counts()
    sides = tuple(side for side in SIDES if side in counts)
    if "train" not in sides or "test" not in sides:
        raise DataError(
            f"the split {split.name!r} has no {'training' if 'train' not in sides else 'test'} image, so it cannot be "
            "redrawn",
            where=dataset.root,
            hint="make a split with both: carpet-data split",
        )
    made = split.made.get("fractions")
    if isinstance(made, list) and tuple(split.made.get("sides", ())) == sides:
        return sides, tuple(float(each) for each in made)
    whole = sum(counts.values())
    return sides, tuple(counts[side] / whole for side in sides)


def defect_target(dataset: Dataset, split: Split) -> int:
    """Number of training images that each defect class is brought to by default.

    That of the largest defect class with synthetic images, real and synthetic; 100 where the data set has none.
    """
    train = [s for s in dataset.on_side("train", split.name) if s.class_name != GOOD]
    made = {sample.class_name for sample in train if sample.origin == "synthetic"}
    return max((sum(s.class_name == name for s in train) for name in made), default=TARGET)
