"""Images beside class-index masks, as semantic segmentation reads them: images/PART/ID.*, masks/PART/ID.png."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carpet_data.errors import DataError
from carpet_data.formats.export import file_name
from carpet_data.formats.output import ImageMode
from carpet_data.formats.sample_files import (
    ExportResult,
    InstanceOptions,
    Job,
    Progress,
    Tally,
    Written,
    render_all,
    result,
    written,
)
from carpet_data.formats.voc import indexed
from carpet_data.images import encode_png
from carpet_data.samples import Dataset, Sample

_MOST_INSTANCES = 65535


@dataclass(frozen=True, slots=True)
class MasksStyle:
    """How the export is written.

    Attributes:
        instances: Whether instances/PART/ID.png is written too: which pixel belongs to which instance.
    """

    instances: bool = False


def write(
    dataset: Dataset,
    parts: Mapping[str, Sequence[Sample]],
    folder: Path,
    out: Path,
    style: MasksStyle,
    *,
    instances: InstanceOptions,
    images: ImageMode,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write images, masks, samples.jsonl, classes.json and labels.txt.

    Masks hold the category id, 0 for background: 8 bit, or 16 bit where there are more than 255 categories. Instance
    masks hold 1 … K and are always 16 bit; samples.jsonl says which class each instance is of.

    Args:
        dataset: Whose root, categories and connectivity are used.
        parts: The samples of each part.
        folder: An existing empty folder.
        out: What the folder will become; it is named in the result.
        style: How the export is written.
        instances: Which instances are written.
        images: Whether images are linked, copied, or left where they are (then samples.jsonl names them there).
        workers: Processes; None for one a core.
        progress: Called with (images done, images in all).

    Raises:
        FaultsError: Masks that are missing or at fault, up to a bound.
    """
    tally = Tally(parts)
    with (folder / "samples.jsonl").open("w", encoding="utf-8", newline="\n") as records:
        for sample in render_all(
            _render,
            dataset,
            parts,
            folder,
            style,
            instances=instances,
            images=images,
            workers=workers,
            progress=progress,
        ):
            tally.add(sample)
            if sample.record:
                records.write(f"{sample.record}\n")
    classes = {"background": 0, **{name: number for number, name in enumerate(dataset.categories, start=1)}}
    text = json.dumps(classes, ensure_ascii=False, indent=2)
    (folder / "classes.json").write_text(f"{text}\n", encoding="utf-8")
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return result("masks", folder, out, tally)


def _render(job: Job[MasksStyle]) -> Written:
    regions, too_small = job.regions()
    sample = job.sample
    of_class = np.array([job.categories.index(name) + 1 for name in regions.class_names], np.int64)
    small = len(job.categories) <= 255
    mask = f"masks/{job.part}/{job.stem}.png"
    job.write(mask, encode_png(indexed(regions, of_class, np.uint8 if small else np.uint16)))
    image = f"images/{job.part}/{job.image_name}"
    job.place_image(image)
    record: dict[str, Any] = {
        "id": sample.id,
        "part": job.part,
        "class_name": sample.class_name,
        "image": image if job.images != "none" else file_name(sample, job.images),
        "mask": mask,
    }
    if job.style.instances:
        if len(regions) > _MOST_INSTANCES:
            raise DataError(
                f"{len(regions)} instances, and a 16-bit mask holds {_MOST_INSTANCES}",
                where=job.root / (sample.mask or sample.image),
                mend="join them (--merge), or leave the smallest out (--min-area)",
            )
        record["instance_mask"] = f"instances/{job.part}/{job.stem}.png"
        record["instances"] = list(regions.class_names)
        job.write(record["instance_mask"], encode_png(indexed(regions, np.arange(1, len(regions) + 1), np.uint16)))
    return written(job, regions, too_small, record=json.dumps(record, ensure_ascii=False))
