"""What one model showed on one test image, small enough to be kept of every training run of an experiment.

The pixels of a heat map are counted in bins, the detections are matched with the true defects. Scores made of these
(`carpet_data.metrics.resampled`) can be made again under any weights of the images, in no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from carpet_data.errors import UsageError
from carpet_data.metrics.pixel_counts import PixelCounts

__all__ = ["Found", "ImageEvidence"]

Found: TypeAlias = tuple[int, float, int]
"""A detection: its class, its score, and bit i for a match at an overlap of `carpet_data.metrics.detection.IOUS[i]`."""


@dataclass(frozen=True, slots=True)
class ImageEvidence:
    """One test image as one model sees it.

    Attributes:
        anomaly: How sure the model is that the image shows a defect.
        pixels: Packed counts of its heat map (`PixelCounts.pack`); None without a heat map or without a mask.
        components: Connected pieces of its mask.
        areas: Of each class but `good`: pixels of it told right, true ones, and predicted ones. None without label
            maps.
        found: Its detections; None for a model that finds none.
        objects: Of each class but `good`, the number of true defects; None without masks.
    """

    anomaly: float
    pixels: str | None = None
    components: int = 0
    areas: tuple[tuple[int, int, int], ...] | None = None
    found: tuple[Found, ...] | None = None
    objects: tuple[int, ...] | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ImageEvidence:
        """Read back what `dataclasses.asdict` and JSON made of it."""
        tuples = {name: values[name] for name in ("areas", "found", "objects")}
        areas, found, objects = tuples["areas"], tuples["found"], tuples["objects"]
        return cls(
            anomaly=values["anomaly"],
            pixels=values["pixels"],
            components=values["components"],
            areas=None if areas is None else tuple((int(a), int(b), int(c)) for a, b, c in areas),
            found=None if found is None else tuple((int(c), float(score), int(bits)) for c, score, bits in found),
            objects=None if objects is None else tuple(int(count) for count in objects),
        )

    def counts(self) -> PixelCounts:
        """The pixels of its heat map by score.

        Raises:
            UsageError: None was kept.
        """
        if self.pixels is None:
            raise UsageError("no heat map was kept of this image", hint="score a model that predicts heat maps")
        return PixelCounts.unpack(self.pixels, self.components)
