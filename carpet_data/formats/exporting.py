"""What the verbs that export share: reading the data set, opening the output, refusing options that make no sense."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carpet_data.core.progress import Progress
from carpet_data.dataset import Dataset
from carpet_data.errors import UsageError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.export import default_out, parts
from carpet_data.formats.output import ImageMode
from carpet_data.formats.sample_files import Export, InstanceOptions
from carpet_data.store.output import check_apart, fresh_folder


@contextmanager
def exporting(
    root: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None,
    kind: str,
    *,
    split: str | None,
    read_options: ReadOptions | None,
    overwrite: bool,
    images: ImageMode,
    instances: InstanceOptions | None = None,
    workers: int | None,
    progress: Progress | None,
) -> Iterator[Export]:
    """Read the data set and open the output folder.

    Args:
        root: A raw or prepared folder, or a Dataset that was read already.
        out: The output folder; None for `ROOT-{kind}` beside the data.
        kind: The format's name.
        split: A split's name; None for "main", else the source's own folders, else no split.
        read_options: How to read `root`.
        overwrite: Replace what is in `out`.
        images: Whether images are linked, copied or left where they are.
        instances: Which instances are written; None for all of them.
        workers: Processes; None for one per core.
        progress: Called with (images done, images in all).

    Raises:
        UsageError: An unknown split, or an output that overlaps the source.
        DataError: The data set cannot be read.
        OutputError: `out` is not empty.
    """
    dataset = read(root, read_options)
    name = dataset.split_name(split)
    target = default_out(dataset.root if isinstance(root, Dataset) else Path(root), kind) if out is None else Path(out)
    check_apart(target, dataset.root)
    with fresh_folder(target, overwrite=overwrite) as folder:
        yield Export(
            dataset,
            name,
            parts(dataset, name),
            folder,
            target,
            images,
            instances or InstanceOptions(),
            workers,
            progress,
        )


def check_choice(what: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not among the known ones.

    Raises:
        UsageError: It is not.
    """
    if value not in known:
        raise UsageError(f"{what} cannot be {value!r}", hint=f"use one of: {', '.join(known)}")


def check_min_area(min_area: int) -> None:
    """Refuse a smallest area below one pixel.

    Raises:
        UsageError: It is.
    """
    if min_area < 1:
        raise UsageError(f"a smallest area of {min_area} pixels; it is at least 1")
