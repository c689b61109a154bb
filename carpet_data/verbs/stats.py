"""Count classes, splits, instances and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data import executor
from carpet_data.errors import CarpetDataError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.export import chosen_split, parts
from carpet_data.samples import GOOD
from carpet_data.statistics.measure import Job, Measured, measure
from carpet_data.statistics.summary import ClassStats, DefectStats, imbalance, of_classes, of_defects

_SIZES_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Stats:
    """What a data set holds.

    Attributes:
        root: The folder.
        name: The data set's name.
        format: The reader's name.
        license: The licence, as text; empty where unknown.
        split: The split whose sides were counted; None for a data set without splits.
        sides: The sides present, or ("all",).
        images: How many images take part.
        without_defects: Images of the class `good`.
        imbalance: Largest class over smallest, `good` included; None with fewer than two classes.
        defect_imbalance: The same among the defect classes.
        classes: Every image class.
        defects: Every defect type.
        image_sizes: (width, height, images), the commonest first.
        measured: Every image, for plots; not part of the JSON.
        skipped: What could not be measured.
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
    measured: tuple[Measured, ...]
    skipped: tuple[CarpetDataError, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The counts as plain values; at most 1000 image sizes are listed."""
        return {
            "root": str(self.root),
            "name": self.name,
            "format": self.format,
            "license": self.license,
            "split": self.split,
            "images": self.images,
            "without_defects": self.without_defects,
            "imbalance": self.imbalance,
            "defect_imbalance": self.defect_imbalance,
            "classes": [
                {
                    "name": each.name,
                    "images": each.images,
                    "sides": dict(each.sides),
                    "without_mask": each.without_mask,
                    "empty_masks": each.empty_masks,
                }
                for each in self.classes
            ],
            "defects": [each.to_json() for each in self.defects],
            "image_sizes": [
                {"width": width, "height": height, "images": images}
                for width, height, images in self.image_sizes[:_SIZES_SHOWN]
            ],
            "image_sizes_in_all": len(self.image_sizes),
            "skipped": [error.to_json() for error in self.skipped],
        }


def stats(
    root: Path | str,
    options: ReadOptions | None = None,
    *,
    split: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Stats:
    """Count and measure a data set, raw or prepared; nothing in it is changed.

    Args:
        root: The folder (for COCO also the JSON file itself).
        options: How to read it; by default the format is recognised.
        split: Whose sides to count; None for "main", else the source's own, else none. Samples that take no part in
            the split are not counted.
        workers: Processes; None for one a core.
        progress: Called with (images done, all images).

    Raises:
        DataError: The folder is missing, or no reader knows it, or images cannot be read.
        UsageError: The data set has no split of that name, or the options make no sense.
    """
    dataset = read(Path(root), options)
    split = chosen_split(dataset, split)
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
            progress(done, len(samples))
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
