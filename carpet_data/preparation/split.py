"""Split: further named splits of a prepared data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data import store
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import DataFolder, Dataset, Split, folder_of
from carpet_data.errors import OutputError
from carpet_data.preparation import partitions
from carpet_data.preparation.options import SplitOptions
from carpet_data.store import names, splits
from carpet_data.store.journal import refuse_unfinished
from carpet_data.store.lock import locked


@dataclass(frozen=True, slots=True)
class SplitResult(Result):
    """What `split` added.

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

    def text(self) -> str:
        """The result in words: a table per split, or a line each where there are many."""
        lines = []
        for name, table in self.splits.items():
            if len(self.splits) <= 2:
                lines += [f"{name}:", *partitions.table_text(table)]
            else:
                sums: Counter[str] = Counter()
                for row in table.values():
                    sums.update(row)
                lines.append(f"{name}: " + ", ".join(f"{side} {count}" for side, count in sums.items()))
        lines += [f"note: {note}" for note in self.notes]
        done = "would be added to" if self.dry_run else "added to"
        lines.append(f"{counted(len(self.splits), 'split')} {done} {self.root}")
        return "\n".join(lines)


def split(
    root: DataFolder,
    name: str,
    options: SplitOptions | None = None,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    **changes: Any,
) -> SplitResult:
    """Add named splits to a prepared data set; groups stay whole.

    Args:
        root: The prepared folder, or its Dataset.
        name: Name of the split; of several (folds, repeats, rotations) the stem, numbered from 0.
        options: How to split; by default into 0.8 train and 0.2 test.
        overwrite: Replace splits of the same names.
        dry_run: Show what would be done and write nothing.
        **changes: Options by their names, such as k_fold=5.

    Raises:
        UsageError: The options do not fit the data, or the name cannot be a file name.
        DataError: The folder is not a prepared data set.
        OutputError: A split of that name exists, or synthetic samples are in the data set; LockedError: another
            process is writing it.
    """
    root = folder_of(root)
    options = SplitOptions.of(options, changes)
    names.split_path(name)
    # Checked before the lock, which would be made in any folder.
    _read(root)
    if dry_run:
        made, dataset = _made(root, name, options, overwrite=overwrite)
    else:
        with locked(root, f"split {root} --name {name}"):
            refuse_unfinished(root)
            made, dataset = _made(root, name, options, overwrite=overwrite)
            for partition in made:
                splits.write(root, partition, overwrite=overwrite)
    class_of = {sample.id: sample.class_name for sample in dataset}
    tables = partitions.counts_by_class(made, class_of)
    return SplitResult(root, tables, tuple(partitions.notes_of(made)), dry_run)


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


def _made(root: Path, name: str, options: SplitOptions, *, overwrite: bool) -> tuple[list[Split], Dataset]:
    dataset = _read(root)
    groups = {sample.id: sample.group for sample in dataset if sample.group is not None}
    made = partitions.make(dataset.samples, groups, options, name)
    for partition in made:
        if partition.name in dataset.splits and not overwrite:
            raise OutputError(
                f"a split called {partition.name!r} exists",
                where=root / names.split_path(partition.name),
                hint="choose another --name, or give --overwrite",
            )
    return made, dataset
