"""The layout of MVTec AD (Bergmann et al., 2019, "MVTec AD – A Comprehensive Real-World Dataset"), written.

SIDE/CLASS/ID.* and ground_truth/CLASS/ID_mask.png. A mask is binary there, and train holds good images only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import encode_png
from carpet_data.core.masks import LabelMask, find
from carpet_data.core.masks.components import label
from carpet_data.core.masks.runs import Runs, from_binary, to_binary, to_values
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, SIDES, Connectivity
from carpet_data.errors import DataError
from carpet_data.formats.export import ALL
from carpet_data.formats.sample_files import Export, ExportResult, Job, Tally, Written, render_all, result
from carpet_data.store.names import component

Sides: TypeAlias = Literal["mvtec", "keep"]
SIDE_MODES: tuple[Sides, ...] = ("mvtec", "keep")

_MOVED, _SYNTHETIC, _TYPES, _INSTANCES = "moved to test", "synthetic in test", "types", "instances"


@dataclass(frozen=True, slots=True)
class MvtecStyle:
    """How the export is written.

    Attributes:
        sides: "mvtec": the good images of the train side are train, all others test, as one-class tools expect.
            "keep": the folders are the sides of the split, so that train and val hold defects too.
    """

    sides: Sides = "mvtec"


def write(export: Export, style: MvtecStyle) -> ExportResult:
    """Write train, test (val with sides kept) and ground_truth.

    Args:
        export: What to write, where and how.
        style: How the export is written. Of `export.instances` only `skip_unmasked` counts: a binary mask holds every
            pixel.

    Raises:
        ProblemsError: Masks that are missing or at fault, up to a bound.
    """
    tally = Tally(SIDES)
    for sample in render_all(_render, export, style):
        tally.add(sample)
    if export.dataset.license:
        (export.folder / "license.txt").write_text(f"{export.dataset.license}\n", encoding="utf-8")
    return result("mvtec", export, tally, _notes(export, tally))


def _render(job: Job[MvtecStyle]) -> Written:
    sample = job.sample
    side = _side(job)
    notes = []
    if side == "test" and job.part not in ("test", ALL):
        notes.append(_SYNTHETIC if sample.origin == "synthetic" else _MOVED)
    class_folder = component(sample.class_name)
    regions = 0
    if sample.annotation is not None:
        mask = job.mask()
        pixels = to_binary(mask.runs)
        if sample.class_name == GOOD and pixels.any():
            raise DataError(
                "the image counts as good, but its annotation marks a defect",
                where=job.root / sample.image_path,
                hint="move the image to its defect class, or remove the annotation",
            )
        if sample.class_name != GOOD:
            job.write(f"ground_truth/{class_folder}/{job.stem}_mask.png", encode_png(pixels))
            lost, regions = _lost(mask, pixels, sample.class_name, job.connectivity)
            notes += lost
    job.place_image(f"{side}/{class_folder}/{job.image_name}")
    unmarked = sample.class_name != GOOD and regions == 0
    return Written(side, sample.id, regions, unmarked=unmarked, notes=tuple(notes))


def _side(job: Job[MvtecStyle]) -> str:
    if job.style.sides == "keep" and job.part != ALL:
        return job.part
    return "train" if job.sample.class_name == GOOD and job.part in ("train", ALL) else "test"


def _lost(
    mask: LabelMask,
    pixels: NDArray[np.bool_],
    class_name: str,
    connectivity: Connectivity,
) -> tuple[list[str], int]:
    """What a binary mask does not say of this one, and how many components it shows."""
    binary = from_binary(pixels)
    number, count = label(binary, connectivity)
    if mask.binary:
        return [], count
    lost = []
    regions = find(mask)
    if set(regions.class_names) - {class_name}:
        lost.append(_TYPES)
    runs = regions.runs
    instance = to_values(Runs(runs.height, runs.width, runs.column, runs.start, runs.stop, runs.value + 1), np.uint32)
    shown = to_values(
        Runs(binary.height, binary.width, binary.column, binary.start, binary.stop, number + 1), np.uint32
    )
    pairs = np.unique(np.stack((instance[pixels], shown[pixels])), axis=1).shape[1]
    if not pairs == count == len(regions):
        lost.append(_INSTANCES)
    return lost, count


def _notes(export: Export, tally: Tally) -> list[str]:
    notes = []
    counts = tally.remarks
    if counts[_MOVED]:
        notes.append(
            f"{counted(counts[_MOVED], 'image')} of train and val went to test, since train holds good images only in "
            "MVTec's layout: do not test on it what was trained on this split, or keep the sides with --sides keep"
        )
    if counts[_SYNTHETIC]:
        notes.append(
            f"{counted(counts[_SYNTHETIC], 'image')} in test are synthetic (--sides keep leaves them in train)"
        )
    if export.split is None:
        notes.append("the data set has no split, so every good image is in train; `carpet-data prepare` makes one")
    if counts[_TYPES]:
        notes.append(
            f"{counted(counts[_TYPES], 'image')} show other defect types than their class; binary masks do not tell "
            "them apart (to-coco and to-masks do)"
        )
    if counts[_INSTANCES]:
        notes.append(
            f"{counted(counts[_INSTANCES], 'image')} have instances that touch or are of several parts; in a "
            "binary mask the connected components count instead (to-coco and to-masks --instances keep them)"
        )
    if export.dataset.connectivity == 4:
        notes.append("instances were 4-connected; read the export with --connectivity 4")
    return notes
