"""What one condition predicted, over every partition and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from carpet_data.errors import DataError, UsageError
from carpet_data.metrics.classification import Counts, Statistic, as_labels, mean_of_existing

__all__ = ["Outcome"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Rows (partition, seed, sample) with true and predicted class; made by `Outcome.of`.

    A *replicate* is one trained model, a pair (partition, seed); where `pooled`, it is a seed, with the test sides of
    all partitions put together. A *unit* is a group of images that belong together, such as all shots of one tile;
    it may be on the test side of several partitions.

    Attributes:
        name: The condition, for messages.
        partitions: str (n,).
        seeds: int64 (n,).
        samples: str (n,).
        units: str (n,).
        truth: int64 (n,).
        predicted: int64 (n,).
        pooled: Whether the partitions of a seed count as one test set.

    The rows are sorted by partition, seed and sample, so that their order when given does not matter.
    """

    name: str
    classes: tuple[str, ...]
    partitions: Names
    seeds: I64
    samples: Names
    units: Names
    truth: I64
    predicted: I64
    pooled: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        classes: Sequence[str],
        *,
        partitions: Sequence[str],
        seeds: Sequence[int],
        samples: Sequence[str],
        units: Sequence[str],
        truth: ArrayLike,
        predicted: ArrayLike,
        pooled: bool = False,
    ) -> Outcome:
        """Check the rows and sort them; every argument but the first two and the last holds one value per row.

        Raises:
            UsageError: Fewer than two classes, columns of different lengths, or labels outside the classes.
            DataError: No rows; the same row twice; a sample with two truths or in two units.
        """
        if len(classes) < 2:
            raise UsageError(f"{name}: at least two classes are needed (got {len(classes)})")
        rows = cls(
            name=name,
            classes=tuple(classes),
            partitions=np.asarray(partitions, dtype=np.str_),
            seeds=np.asarray(seeds, dtype=np.int64),
            samples=np.asarray(samples, dtype=np.str_),
            units=np.asarray(units, dtype=np.str_),
            truth=as_labels(truth, len(classes), f"{name}: truth"),
            predicted=as_labels(predicted, len(classes), f"{name}: predicted"),
            pooled=pooled,
        )
        lengths = {len(column) for column in rows._columns()}
        if len(lengths) > 1:
            raise UsageError(f"{name}: the columns differ in length: {sorted(lengths)}", hint="give one value per row")
        if lengths == {0}:
            raise DataError(f"{name}: there are no predictions", hint="put images on the test side of the split")
        ordered = rows.take(np.lexsort((rows.samples, rows.seeds, rows.partitions)))
        ordered._refuse_repeats()
        ordered._refuse_two("truth", ordered.truth)
        ordered._refuse_two("unit", ordered.units)
        return ordered

    def replicates(self) -> tuple[tuple[str, ...], I64]:
        """The names of the replicates, and the index of each row's replicate, int64 (n,)."""
        seeds = self.seeds.astype(np.str_)
        keys = seeds if self.pooled else np.char.add(np.char.add(self.partitions, ", seed "), seeds)
        names, codes = np.unique(keys, return_inverse=True)
        return tuple(f"seed {key}" if self.pooled else str(key) for key in names), codes.reshape(-1).astype(np.int64)

    def units_by_class(self) -> dict[str, int]:
        """Class -> number of units with an image of it."""
        return {name: len(np.unique(self.units[self.truth == label])) for label, name in enumerate(self.classes)}

    def tally(self) -> F64:
        """The counts of each unit in each replicate, float64 (units, replicates, 3, k).

        Units in the order of their names; the axis of 3 is hits, truths, predictions.
        """
        unit_names, unit = np.unique(self.units, return_inverse=True)
        names, replicate = self.replicates()
        k = len(self.classes)
        cells = unit.reshape(-1) * len(names) + replicate
        right = self.truth == self.predicted
        size = len(unit_names) * len(names) * k
        parts = [
            np.bincount((cells * k + label)[kept], minlength=size).reshape(len(unit_names), len(names), k)
            for label, kept in (
                (self.truth, right),
                (self.truth, np.ones_like(right)),
                (self.predicted, np.ones_like(right)),
            )
        ]
        return np.stack(parts, axis=2).astype(np.float64)

    def scores(self, statistic: Statistic) -> F64:
        """The parts of a statistic in each replicate, float64 (replicates, k or 1); nan where one never counts.

        Raises:
            DataError: A class that counts has no image in some replicate, or nothing counts at all: replicates would
                be means over different classes, which cannot be compared.
        """
        total = self.tally().sum(axis=0)
        scores = statistic.scores(Counts(total[:, 0], total[:, 1], total[:, 2]))
        missing = np.isnan(scores)
        if missing.all():
            raise DataError(
                f"{self.name}: no images to compute {statistic.name} of",
                hint="put images of the class on the test side",
            )
        uneven = missing.any(axis=0) & ~missing.all(axis=0)
        if uneven.any():
            column = int(np.flatnonzero(uneven)[0])
            row = int(np.flatnonzero(missing[:, column])[0])
            raise DataError(
                f"{self.name}: class {self.classes[column]} has no test image in {self.replicates()[0][row]}",
                hint="split so that every class has groups on every test side, or pool the partitions",
            )
        return scores

    def value(self, statistic: Statistic) -> float:
        """The statistic of each replicate, averaged over them; DataError as `scores`."""
        return float(mean_of_existing(self.scores(statistic), axis=1).mean())

    def by_partition(self, statistic: Statistic) -> dict[str, float]:
        """Partition -> the statistic averaged over its seeds; DataError as `scores`."""
        apart = replace(self, pooled=False)
        means: dict[str, float] = {}
        for partition in np.unique(self.partitions):
            means[str(partition)] = apart.take(np.flatnonzero(self.partitions == partition)).value(statistic)
        return means

    def refuse_unlike(self, other: Outcome) -> None:
        """Refuse to compare two tables that do not hold the same rows.

        Raises:
            UsageError: Their classes differ, or one is pooled and the other is not.
            DataError: A row is in one of them only, or a sample differs in truth or unit.
        """
        both = f"{self.name} and {other.name}"
        if self.classes != other.classes or self.pooled != other.pooled:
            raise UsageError(
                f"{both} differ in their classes or in how they are pooled",
                hint="compare conditions of one experiment",
            )
        mine, others = self._keys(), other._keys()
        if mine != others:
            lonely = sorted(set(mine) ^ set(others))
            partition, seed, sample = lonely[0]
            raise DataError(
                f"{both} were not tested on the same images: {len(lonely)} rows are in one of them only, the first is "
                f"{sample} of partition {partition}, seed {seed}",
                hint="test every condition on the same partitions and seeds",
            )
        for what, here, there in (("truth", self.truth, other.truth), ("unit", self.units, other.units)):
            differs = np.flatnonzero(here != there)
            if len(differs):
                raise DataError(
                    f"{both} differ in the {what} of {self.samples[differs[0]]}",
                    hint="predict both from the same data set",
                )

    def _columns(self) -> tuple[NDArray[np.generic], ...]:
        return self.partitions, self.seeds, self.samples, self.units, self.truth, self.predicted

    def take(self, rows: I64) -> Outcome:
        """The same with these rows only."""
        return replace(
            self,
            partitions=self.partitions[rows],
            seeds=self.seeds[rows],
            samples=self.samples[rows],
            units=self.units[rows],
            truth=self.truth[rows],
            predicted=self.predicted[rows],
        )

    def _keys(self) -> list[tuple[str, int, str]]:
        return list(zip(self.partitions.tolist(), self.seeds.tolist(), self.samples.tolist(), strict=True))

    def _refuse_repeats(self) -> None:
        same = np.ones(len(self.samples) - 1, dtype=np.bool_)
        for column in (self.partitions, self.seeds, self.samples):
            same &= column[1:] == column[:-1]
        if same.any():
            partition, seed, sample = self._keys()[int(np.flatnonzero(same)[0])]
            raise DataError(
                f"{self.name}: {sample} was predicted twice in partition {partition}, seed {seed}",
                hint="predict every test image once per model",
            )

    def _refuse_two(self, what: str, column: NDArray[np.generic]) -> None:
        order = np.argsort(self.samples, kind="stable")
        samples, values = self.samples[order], column[order]
        two = (samples[1:] == samples[:-1]) & (values[1:] != values[:-1])
        if two.any():
            raise DataError(
                f"{self.name}: {samples[int(np.flatnonzero(two)[0])]} has more than one {what}",
                hint="predict all partitions from the same data set",
            )
