"""Partitions: which images are for training and for testing, and what each condition sees of them. No torch here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carpet_data import store
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, Sample, Side
from carpet_data.errors import DataError, LeakError, UsageError
from carpet_data.experiments.conditions import SYNTHETIC, Condition
from carpet_data.store.leaks import refuse_leaks

__all__ = ["DatasetSplit", "Partition", "classes_of", "refuse_unfit"]


@dataclass(frozen=True, slots=True)
class DatasetSplit:
    """A prepared data set and one of its splits.

    Attributes:
        dataset: As `store.read` gives it.
        split: The name of the split.
    """

    dataset: Dataset
    split: str

    @classmethod
    def of(cls, root: Path, split: str) -> DatasetSplit:
        """Read a prepared folder.

        Raises:
            DataError: Not a prepared folder, or a damaged one.
            UsageError: An unknown split.
        """
        dataset = store.read(root)
        if split not in dataset.splits:
            known = ", ".join(sorted(dataset.splits)) or "none"
            raise UsageError(f"unknown split {split!r} (known: {known})", where=root, hint="make it: carpet-data split")
        return cls(dataset, split)

    def synthetic(self) -> tuple[Sample, ...]:
        """The synthetic training samples, null samples included."""
        return self.dataset.on_side("train", self.split).of_origin("synthetic").samples

    def real(self) -> tuple[Sample, ...]:
        """The real training samples."""
        return self.dataset.on_side("train", self.split).of_origin("real").samples


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of the real images, with the synthetic images made from its train side.

    Attributes:
        name: Unique in an experiment.
        folder: Where the real images are, and their split.
        pools: Name -> where synthetic images are: the same folder, or another one with the same real images on the
            same sides.
    """

    name: str
    folder: DatasetSplit
    pools: Mapping[str, DatasetSplit] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, root: Path, split: str) -> Partition:
        """A partition of one prepared folder; its synthetic training samples, if any, are the pool "synthetic".

        Raises:
            As `DatasetSplit.of`.
        """
        folder = DatasetSplit.of(root, split)
        return cls(name, folder, {SYNTHETIC: folder} if folder.synthetic() else {})

    def train(self, condition: Condition) -> list[tuple[DatasetSplit, tuple[Sample, ...]]]:
        """What a condition trains on, folder by folder, each sorted by id.

        Raises:
            UsageError: An unknown pool, or `only` names a sample that the condition does not train on.
        """
        real = tuple(s for s in self.folder.real() if condition.real_defects or s.class_name == GOOD)
        found = [(self.folder, real)]
        if condition.pool is not None:
            if condition.pool not in self.pools:
                raise UsageError(
                    f"unknown synthetic images {condition.pool!r} in the partition {self.name}",
                    hint=f"known: {', '.join(self.pools) or 'none'}",
                )
            pool = self.pools[condition.pool]
            found.append((pool, pool.synthetic()))
        only = condition.only.get(self.name)
        if only is not None:
            unknown = sorted(only - {sample.id for _, samples in found for sample in samples})
            if unknown:
                raise UsageError(
                    f"{unknown[0]!r} is not a training sample of {condition.name} in the partition {self.name}",
                    hint="name samples on the train side of its split",
                )
            found = [(folder, tuple(s for s in samples if s.id in only)) for folder, samples in found]
        return [(folder, samples) for folder, samples in found if samples]

    def held_out(self, side: Side) -> tuple[Sample, ...]:
        """The val or test images that count: those of classes with a real training image.

        No classifier could know the others, and synthetic images alone must not count for a class that the baseline
        has never seen.
        """
        trained = {sample.class_name for sample in self.folder.real()}
        found = self.folder.dataset.on_side(side, self.folder.split)
        return tuple(sample for sample in found if sample.class_name in trained)

    def counts(self, condition: Condition) -> tuple[int, int]:
        """Number of real and of synthetic images that a condition trains on."""
        origins = Counter(sample.origin for _, samples in self.train(condition) for sample in samples)
        return origins["real"], origins["synthetic"]

    def refuse_leaks(self) -> None:
        """Refuse a partition in which an image of val or test, or a part of one, could reach training.

        Raises:
            LeakError: The first leak is named.
        """
        refuse_leaks(self.folder.dataset, self.folder.split)
        sides = self.folder.dataset.splits[self.folder.split].sides
        for name, pool in self.pools.items():
            if pool.dataset.root == self.folder.dataset.root and pool.split == self.folder.split:
                continue
            refuse_leaks(pool.dataset, pool.split)
            theirs = pool.dataset.splits[pool.split].sides
            for sample in pool.dataset:
                if sample.origin == "real" and theirs.get(sample.id) != sides.get(sample.id):
                    raise LeakError(
                        f"{sample.id!r} is on the side {theirs.get(sample.id)} where {name} was made, but on "
                        f"{sides.get(sample.id)} in the partition {self.name}",
                        where=pool.dataset.root,
                        hint="make the synthetic images from the train side of the same split",
                    )


def classes_of(partitions: Sequence[Partition]) -> tuple[str, ...]:
    """The classes of all images that take part, `good` first, then sorted."""
    names = set[str]()
    for partition in partitions:
        sides = partition.folder.dataset.splits[partition.folder.split].sides
        names |= {sample.class_name for sample in partition.folder.dataset if sample.id in sides}
    return tuple(sorted(names, key=lambda name: (name != GOOD, name)))


def refuse_unfit(partition: Partition) -> tuple[str, ...]:
    """Refuse a partition that no classifier can be evaluated on.

    Returns:
        Notes on classes without a test image, which are excluded from averages, and on classes without a real training
        image, whose test images are left out.

    Raises:
        DataError: An empty side, or fewer than two classes with both training and test images.
    """
    folder, where = partition.folder, partition.folder.dataset.root
    again = "make another split: carpet-data split"
    test = Counter(sample.class_name for sample in folder.dataset.on_side("test", folder.split))
    train = Counter(sample.class_name for sample in folder.real())
    for side, counts in (("train", train), ("test", test)):
        if not counts:
            real = "real " if side == "train" else ""
            raise DataError(
                f"the split {folder.split!r} has no {real}image on the {side} side", where=where, hint=again
            )
    both = sorted(set(test) & set(train))
    if len(both) < 2:
        raise DataError(
            f"the split {folder.split!r} has both training and test images of {both[0] if both else 'no class'} only; "
            "at least two classes are needed",
            where=where,
            hint="add images of another class, or split so that every class is on both sides: carpet-data split",
        )
    untested = [
        f"{name} has no test image in {partition.name}: it is excluded from averages there"
        for name in sorted(train)
        if name not in test
    ]
    untrained = [
        f"{name} has no real training image in {partition.name}, so its {counted(test[name], 'test image')} "
        f"{'is' if test[name] == 1 else 'are'} left out"
        for name in sorted(test)
        if name not in train
    ]
    return (*untested, *untrained)
