"""Measure the instances of one image: what a worker does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carpet_data.core import masks
from carpet_data.dataset import Connectivity, Sample
from carpet_data.errors import CarpetDataError


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to measure."""

    root: Path
    sample: Sample
    connectivity: Connectivity


@dataclass(frozen=True, slots=True)
class InstanceSize:
    """One instance.

    Attributes:
        class_name: Its defect type.
        area_px: Its pixels.
        area_frac: Its share of the image, 0..1.
        width_px: Of its bounding box.
        height_px: Of its bounding box.
        on_border: Whether it touches the border of the image, and so may go on outside.
    """

    class_name: str
    area_px: int
    area_frac: float
    width_px: int
    height_px: int
    on_border: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """One image.

    Attributes:
        id: The sample's id.
        class_name: The image class.
        width: Pixels across.
        height: Pixels down.
        annotated: Whether it has a mask or another annotation.
        instances: Its defects; empty for an empty mask.
    """

    id: str
    class_name: str
    width: int
    height: int
    annotated: bool
    instances: tuple[InstanceSize, ...]


def measure(job: Job) -> Measured | CarpetDataError:
    """Measure one sample; what is wrong with its mask comes back as the error. Pure."""
    sample = job.sample
    try:
        regions = masks.find(masks.load(job.root, sample), connectivity=job.connectivity)
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
    return Measured(sample.id, sample.class_name, sample.width, sample.height, sample.annotation is not None, instances)
