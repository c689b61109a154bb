"""What a data set holds, counted and measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.errors import CarpetDataError
from carpet_data.statistics.measure import Measured
from carpet_data.statistics.summary import ClassStats, DefectStats

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
