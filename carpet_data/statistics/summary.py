"""Measure the instances of one image, as a worker does, and sum up what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carpet_data.core import masks
from carpet_data.dataset import GOOD, Connectivity, Sample
from carpet_data.errors import CarpetDataError


@dataclass(frozen=True, slots=True)
class InstanceSize:
    """One instance: its defect type, its area, its bounding box, and whether it touches the border of the image."""

    class_name: str
    area_px: int
    area_frac: float
    width_px: int
    height_px: int
    on_border: bool


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """One image; `annotated` says whether it has a mask or another annotation, which may be empty."""

    id: str
    class_name: str
    width: int
    height: int
    annotated: bool
    instances: tuple[InstanceSize, ...]


def measure(job: tuple[Path, Sample, Connectivity]) -> ImageCounts | CarpetDataError:
    """Measure one sample of a data set (its root, the sample, the connectivity of instances). Pure.

    Returns:
        What was measured, or what is wrong with the sample's mask.
    """
    root, sample, connectivity = job
    try:
        regions = masks.find(masks.load(root, sample), connectivity=connectivity)
    except CarpetDataError as error:
        return error
    pixels = sample.width * sample.height
    instances = tuple(
        InstanceSize(
            name,
            area,
            area / pixels,
            width,
            height,
            on_border=x == 0 or y == 0 or x + width == sample.width or y + height == sample.height,
        )
        for name, area, (x, y, width, height) in zip(
            regions.class_names, regions.area.tolist(), regions.bbox.tolist(), strict=True
        )
    )
    return ImageCounts(
        sample.id, sample.class_name, sample.width, sample.height, sample.annotation is not None, instances
    )


@dataclass(frozen=True, slots=True)
class Distribution:
    """Five numbers of a sample (Tukey 1977), quartiles by linear interpolation."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float


@dataclass(frozen=True, slots=True)
class ClassStats:
    """One image class.

    Attributes:
        sides: Images on each side of the split (or "all").
        empty_masks: Images whose annotation marks no pixel.
    """

    name: str
    images: int
    sides: Mapping[str, int]
    without_mask: int
    empty_masks: int


@dataclass(frozen=True, slots=True)
class DefectStats:
    """The instances of one defect type.

    Attributes:
        area_px: Areas in pixels; None without instances.
        area_percent: Areas in percent of the image.
        width_px: Widths of the bounding boxes in pixels.
        height_px: Heights of the bounding boxes in pixels.
    """

    name: str
    images: int
    instances: int
    on_border: int
    area_px: Distribution | None
    area_percent: Distribution | None
    width_px: Distribution | None
    height_px: Distribution | None


def distribution(values: Iterable[float]) -> Distribution | None:
    """The five numbers; None without values.

    Examples:
        >>> distribution([1, 2, 3, 10]).median
        2.5
    """
    array = np.fromiter(values, np.float64)
    return Distribution(*np.quantile(array, [0, 0.25, 0.5, 0.75, 1]).tolist()) if array.size else None


def of_classes(measured: Sequence[ImageCounts], side_of: Mapping[str, str], sides: Sequence[str]) -> list[ClassStats]:
    """Each image class, `good` first, then by number of images."""
    members: dict[str, list[ImageCounts]] = {}
    for each in measured:
        members.setdefault(each.class_name, []).append(each)
    result: list[ClassStats] = []
    for name in sorted(members, key=lambda name: (name != GOOD, -len(members[name]), name)):
        images = members[name]
        on_sides = Counter(side_of[each.id] for each in images if each.id in side_of)
        without = sum(not each.annotated for each in images)
        empty = sum(each.annotated and not each.instances for each in images)
        result.append(ClassStats(name, len(images), {side: on_sides[side] for side in sides}, without, empty))
    return result


def of_defects(measured: Sequence[ImageCounts], categories: Sequence[str]) -> list[DefectStats]:
    """Each defect type, also those without instances, in the order of the categories."""
    instances: dict[str, list[InstanceSize]] = {name: [] for name in categories}
    images: Counter[str] = Counter()
    for each in measured:
        images.update({instance.class_name for instance in each.instances})
        for instance in each.instances:
            instances.setdefault(instance.class_name, []).append(instance)
    return [
        DefectStats(
            name,
            images[name],
            len(found),
            sum(instance.on_border for instance in found),
            distribution(instance.area_px for instance in found),
            distribution(100 * instance.area_frac for instance in found),
            distribution(instance.width_px for instance in found),
            distribution(instance.height_px for instance in found),
        )
        for name, found in instances.items()
    ]


def imbalance(counts: Iterable[int]) -> float | None:
    """Largest class over smallest (Buda, Maki and Mazurowski 2018); None with fewer than two classes."""
    present = [count for count in counts if count > 0]
    return max(present) / min(present) if len(present) > 1 else None
