"""Count classes, splits, instances and sizes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.dataset import GOOD, Dataset, Sample
from carpet_data.errors import DataError, ProblemsError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.account.roles import Account
from carpet_data.formats.export import parts
from carpet_data.formats.problems import Problems
from carpet_data.formats.skipped import about_image
from carpet_data.statistics.summary import (
    ClassStats,
    DefectStats,
    ImageCounts,
    imbalance,
    measure,
    of_classes,
    of_defects,
)

_SIZES_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Stats(Result):
    """What a data set contains.

    Attributes:
        root: The folder.
        name: The data set's name.
        format: The reader's name.
        license: The license, as text; empty where unknown.
        split: The split whose sides were counted; None for a data set without splits.
        sides: The sides present, or ("all",).
        images: Number of images counted.
        without_defects: Images of the class `good`.
        imbalance: Largest class over smallest, `good` included; None with fewer than two classes.
        defect_imbalance: The same among the defect classes.
        classes: Every image class.
        defects: Every defect type.
        image_sizes: (width, height, images), the most common first.
        measured: Every image, for plots; not part of the JSON.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
        source: What each folder was taken for; None for a prepared folder.
    """

    root: Path
    name: str
    format: str
    license: str
    split: str | None
    sides: tuple[str, ...]
    images: int
    without_defects: int
    imbalance: float | None
    defect_imbalance: float | None
    classes: tuple[ClassStats, ...]
    defects: tuple[DefectStats, ...]
    image_sizes: tuple[tuple[int, int, int], ...]
    measured: tuple[ImageCounts, ...]
    skipped: tuple[DataError, ...] = ()
    source: Account | None = None

    def to_json(self) -> dict[str, Any]:
        """The counts as plain values; at most 1000 image sizes are listed."""
        values = Result.to_json(replace(self, measured=(), image_sizes=()))
        del values["measured"], values["sides"]
        names = ("width", "height", "images")
        sizes = [dict(zip(names, size, strict=True)) for size in self.image_sizes[:_SIZES_SHOWN]]
        return {**values, "image_sizes": sizes, "image_sizes_in_all": len(self.image_sizes)}


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
        read_options: How to read it; by default the format is recognized. Its `skip_faulty` leaves out images with
            problems instead of failing.
        split: The split whose sides to count; None for "main", or else the source's own, or else none. Samples that
            are not in the split are not counted.
        workers: Processes; None for one per core.
        progress: Called with each `Step`.

    Raises:
        DataError: The folder is missing, or its format is unknown.
        ProblemsError: Images or masks with problems, all of them up to a bound.
        UsageError: Unknown split or invalid options.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from carpet_data import sample
        >>> with TemporaryDirectory() as place:
        ...     _ = sample(f"{place}/carpet", size=64, workers=1)
        ...     stats(f"{place}/carpet", workers=1).imbalance
        3.2
    """
    dataset = read(root, read_options)
    split = dataset.split_name(split)
    by_side = parts(dataset, split)
    side_of = {sample.id: side for side, samples in by_side.items() for sample in samples}
    samples = sorted((sample for samples in by_side.values() for sample in samples), key=lambda sample: sample.id)
    skip = read_options is not None and read_options.skip_faulty
    measured, skipped = _measured(dataset, samples, skip, workers, progress)
    classes = of_classes(measured, side_of, tuple(by_side))
    sizes = Counter((each.width, each.height) for each in measured)
    by_count = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
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
        image_sizes=tuple((width, height, count) for (width, height), count in by_count),
        measured=tuple(measured),
        skipped=(*dataset.skipped, *skipped),
        source=dataset.account,
    )


def _measured(
    dataset: Dataset, samples: Sequence[Sample], skip: bool, workers: int | None, progress: Progress | None
) -> tuple[list[ImageCounts], list[DataError]]:
    measured: list[ImageCounts] = []
    skipped: list[DataError] = []
    problems = Problems()
    jobs = ((dataset.root, sample, dataset.connectivity) for sample in samples)
    for done, result in enumerate(executor.run(measure, jobs, workers=workers, chunk=32), start=1):
        if isinstance(result, ImageCounts):
            measured.append(result)
        elif skip:
            skipped.append(about_image(result, dataset.path(samples[done - 1].image_path)))
        else:
            problems.add(result)
        if progress is not None:
            progress(Step(done, len(samples), "measuring"))
    problems.check()
    if skipped and not measured:
        raise ProblemsError(skipped)
    return measured, skipped
