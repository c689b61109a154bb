"""Sum up what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from carpet_data.dataset import GOOD
from carpet_data.statistics.measure import InstanceSize, Measured


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
        name: The class.
        images: All of its images.
        sides: Images on each side of the split (or "all").
        without_mask: Images without any annotation.
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
        name: The defect type.
        images: Images that show it.
        instances: How many there are.
        on_border: Those that touch the border of their image.
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

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values."""
        return asdict(self)


def distribution(values: Iterable[float]) -> Distribution | None:
    """The five numbers; None of nothing."""
    array = np.fromiter(values, np.float64)
    if array.size == 0:
        return None
    return Distribution(*(float(number) for number in np.quantile(array, [0, 0.25, 0.5, 0.75, 1])))


def of_classes(measured: Sequence[Measured], side_of: Mapping[str, str], sides: Sequence[str]) -> list[ClassStats]:
    """Each image class, `good` first, then by how many images it has."""
    members: dict[str, list[Measured]] = {}
    for each in measured:
        members.setdefault(each.class_name, []).append(each)
    order = sorted(members, key=lambda name: (name != GOOD, -len(members[name]), name))
    result: list[ClassStats] = []
    for name in order:
        images = members[name]
        on_sides = Counter(side_of[each.id] for each in images if each.id in side_of)
        result.append(
            ClassStats(
                name,
                len(images),
                {side: on_sides[side] for side in sides},
                without_mask=sum(not each.annotated for each in images),
                empty_masks=sum(each.annotated and not each.instances for each in images),
            )
        )
    return result


def of_defects(measured: Sequence[Measured], categories: Sequence[str]) -> list[DefectStats]:
    """Each defect type, those without instances too, in the order of the categories."""
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
