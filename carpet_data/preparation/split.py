"""Split: further named partitions of a prepared data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data import store
from carpet_data.core.text import counted
from carpet_data.dataset import Dataset, Split
from carpet_data.errors import OutputError
from carpet_data.preparation import partitions as splitting
from carpet_data.preparation.partitions import PoolName, Protocol, SplitRequest
from carpet_data.store import names, splits
from carpet_data.store.journal import refuse_unfinished
from carpet_data.store.lock import locked


@dataclass(frozen=True, slots=True)
class SplitResult:
    """What `split` made.

    Attributes:
        root: The prepared folder.
        splits: split -> class -> side -> images.
        notes: What could not be met.
        dry_run: Nothing was written.
    """

    root: Path
    splits: Mapping[str, Mapping[str, Mapping[str, int]]]
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "root": str(self.root),
            "splits": {name: {key: dict(row) for key, row in table.items()} for name, table in self.splits.items()},
            "notes": list(self.notes),
            "dry_run": self.dry_run,
        }

    def text(self) -> str:
        """The result in words: a table a split, or a line each where there are many."""
        lines = []
        for name, table in self.splits.items():
            if len(self.splits) <= 2:
                lines += [f"{name}:", *splitting.table_text(table)]
            else:
                sums: dict[str, int] = {}
                for row in table.values():
                    for side, count in row.items():
                        sums[side] = sums.get(side, 0) + count
                lines.append(f"{name}: " + ", ".join(f"{side} {count}" for side, count in sums.items()))
        lines += [f"note: {note}" for note in self.notes]
        done = "would be added to" if self.dry_run else "added to"
        lines.append(f"{counted(len(self.splits), 'split')} {done} {self.root}")
        return "\n".join(lines)


def split(
    root: Path,
    name: str,
    *,
    fractions: Sequence[float] | None = None,
    per_class: int | None = None,
    k_fold: int | None = None,
    k_shot: int | None = None,
    protocol: Protocol | None = None,
    repeats: int | None = None,
    pool: PoolName = "all",
    seed: int = 0,
    overwrite: bool = False,
    dry_run: bool = False,
) -> SplitResult:
    """Add named partitions to a prepared data set; the groups that it was prepared with stay whole.

    Args:
        root: The prepared folder.
        name: Of the split; of several (folds, repeats, rotations) the stem, numbered from 0.
        fractions: Two (train, test) or three (train, val, test); 0.8 and 0.2 where no other way to split is given.
        per_class: Split this many images of each class, drawn by chance.
        k_fold: So many splits, every group on the test side of exactly one.
        k_shot: So many groups of each defect class teach.
        protocol: "first-third", "source", "rotations" or "leave-one-out", see `SplitRequest`.
        repeats: So many random partitions; the r-th is the one that the seed `seed + r` gives.
        pool: "all", or the images that the source has on one side only.
        seed: What chance starts from.
        overwrite: Replace splits of the same names.
        dry_run: Only say what would be done.

    Raises:
        UsageError: The request contradicts itself or does not fit the data, or the name cannot be a file name.
        DataError: The folder is no prepared data set.
        OutputError: A split of that name exists, or synthetic samples are in the data set; LockedError: another
            process is writing it.
    """
    request = SplitRequest(
        None if fractions is None else tuple(fractions), k_fold, k_shot, protocol, per_class, repeats, pool, seed
    )
    request.check()
    names.split_path(name)
    # Checked before the lock, which would be made in any folder.
    _read(root)
    if dry_run:
        made, dataset = _made(root, name, request, overwrite=overwrite)
    else:
        with locked(root, f"split {root} --name {name}"):
            refuse_unfinished(root)
            made, dataset = _made(root, name, request, overwrite=overwrite)
            for partition in made:
                splits.write(root, partition, overwrite=overwrite)
    class_of = {sample.id: sample.class_name for sample in dataset}
    return SplitResult(
        root=root,
        splits={partition.name: splitting.counts_by_class(partition, class_of) for partition in made},
        notes=tuple(sorted({note for partition in made for note in partition.made["notices"]})),
        dry_run=dry_run,
    )


def _read(root: Path) -> Dataset:
    dataset = store.read(root)
    synthetic = sum(sample.origin == "synthetic" for sample in dataset)
    if synthetic:
        raise OutputError(
            f"{synthetic} synthetic samples belong to the train side they were made from; "
            "another split could put their donors on its test side",
            where=root,
            hint="split before synthesizing: prepare the data set again with all splits, then synthesize for each",
        )
    return dataset


def _made(root: Path, name: str, request: SplitRequest, *, overwrite: bool) -> tuple[list[Split], Dataset]:
    dataset = _read(root)
    groups = {sample.id: sample.group for sample in dataset if sample.group is not None}
    made = splitting.make(dataset.samples, groups, request, name)
    for partition in made:
        if partition.name in dataset.splits and not overwrite:
            raise OutputError(
                f"a split called {partition.name!r} exists",
                where=root / names.split_path(partition.name),
                hint="choose another --name, or give --overwrite",
            )
    return made, dataset
