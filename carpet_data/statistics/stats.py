"""Count classes, splits, instances and sizes."""

from __future__ import annotations

import os
from collections import Counter

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import CarpetDataError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.export import parts
from carpet_data.statistics.measure import Job, Measured, measure
from carpet_data.statistics.result import Stats
from carpet_data.statistics.summary import imbalance, of_classes, of_defects


def stats(
    root: str | os.PathLike[str] | Dataset,
    read_options: ReadOptions | None = None,
    *,
    split: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Stats:
    """Count and measure a data set, raw or prepared; nothing in it is changed.

    Args:
        root: The folder (for COCO also the JSON file itself), or a Dataset that was read already.
        read_options: How to read it; by default the layout is recognized.
        split: Whose sides to count; None for "main", else the source's own, else none. Samples that take no part in
            the split are not counted.
        workers: Processes; None for one per core.
        progress: Called with (images done, all images).

    Raises:
        DataError: The folder is missing, or no reader knows it, or images cannot be read.
        UsageError: The data set has no split of that name, or the options make no sense.
    """
    dataset = read(root, read_options)
    split = dataset.split_name(split)
    by_side = parts(dataset, split)
    side_of = {sample.id: side for side, samples in by_side.items() for sample in samples}
    samples = sorted((sample for samples in by_side.values() for sample in samples), key=lambda sample: sample.id)
    measured: list[Measured] = []
    skipped: list[CarpetDataError] = []
    jobs = (Job(dataset.root, sample, dataset.connectivity) for sample in samples)
    for done, result in enumerate(executor.run(measure, jobs, workers=workers, chunk=32), start=1):
        if isinstance(result, Measured):
            measured.append(result)
        else:
            skipped.append(result)
        if progress is not None:
            progress(Step(done, len(samples), "measuring"))
    classes = of_classes(measured, side_of, tuple(by_side))
    sizes = Counter((each.width, each.height) for each in measured)
    return Stats(
        root=dataset.root,
        name=dataset.name,
        format=dataset.format,
        license=dataset.license,
        split=split,
        sides=tuple(by_side),
        images=len(measured),
        without_defects=sum(each.images for each in classes if each.name == GOOD),
        imbalance=imbalance(each.images for each in classes),
        defect_imbalance=imbalance(each.images for each in classes if each.name != GOOD),
        classes=tuple(classes),
        defects=tuple(of_defects(measured, dataset.categories)),
        image_sizes=tuple(
            (width, height, count)
            for (width, height), count in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
        ),
        measured=tuple(measured),
        skipped=tuple(skipped),
    )
