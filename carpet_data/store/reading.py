"""Read a prepared folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carpet_data.dataset import Dataset, Sample, Side, Split
from carpet_data.errors import DataError
from carpet_data.store import description, manifest, names, splits
from carpet_data.store.description import is_prepared
from carpet_data.store.manifest import Tombstone

__all__ = ["is_prepared", "read", "stream"]


def stream(root: Path) -> Iterator[Sample]:
    """The samples of a prepared folder in the order of their ids, one in memory at a time; dropped ones are left out.

    Raises:
        DataError: The manifest is missing or damaged.
    """
    for entry in manifest.stream(root / names.MANIFEST):
        if not isinstance(entry, Tombstone):
            yield entry


def read(root: Path, options: Any = None) -> Dataset:  # noqa: ARG001  (all readers are called alike)
    """Read a prepared folder.

    Args:
        root: The folder.
        options: Ignored: a prepared folder is always read in the same way.

    Raises:
        DataError: The folder is not a prepared one, or is damaged; file and line are named.
    """
    about = description.read(root)
    samples, dropped = manifest.read(root)
    ids = {sample_id: sample_id for sample_id in samples}
    return Dataset(
        root=root,
        name=about.name,
        samples=tuple(samples.values()),
        categories=about.categories,
        splits={name: _split(root, name, ids, dropped) for name in splits.names(root)},
        license=about.license,
        connectivity=about.connectivity,
        format="prepared",
    )


def _split(root: Path, name: str, ids: dict[str, str], dropped: Mapping[str, Sample]) -> Split:
    split = splits.read(root, name, ids=ids)
    unknown = sorted(sample_id for sample_id in split.sides if sample_id not in ids and sample_id not in dropped)
    if unknown:
        raise DataError(
            f"{len(unknown)} ids of the split are not in the manifest, such as {unknown[0]!r}",
            where=root / names.split_path(name),
            hint="remove the file and make the split again (carpet-data split)",
        )
    if dropped.keys().isdisjoint(split.sides):
        return split
    sides: dict[str, Side] = {sample_id: side for sample_id, side in split.sides.items() if sample_id in ids}
    return Split(name, sides, split.made)
