"""Images beside class-index masks, as semantic segmentation reads them: images/PART/ID.*, masks/PART/ID.png."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from carpet_data.core.images import encode_png
from carpet_data.errors import DataError
from carpet_data.formats.export import file_name
from carpet_data.formats.sample_files import Export, ExportResult, Job, Tally, Written, render_all, result, written
from carpet_data.formats.voc import indexed

_MOST_INSTANCES = 65535


@dataclass(frozen=True, slots=True)
class MasksStyle:
    """How the export is written.

    Attributes:
        instances: Whether instances/PART/ID.png is written too: which pixel belongs to which instance.
    """

    instances: bool = False


def write(export: Export, style: MasksStyle) -> ExportResult:
    """Write images, masks, samples.jsonl, classes.json and labels.txt.

    Masks hold the category id, 0 for background: 8 bit, or 16 bit where there are more than 255 categories. Instance
    masks hold 1 … K and are always 16 bit; samples.jsonl says which class each instance is of.

    Args:
        export: What to write, where and how.
        style: How the export is written.

    Raises:
        ProblemsError: Masks that are missing or at fault, up to a bound.
    """
    tally = Tally(export.parts)
    with (export.folder / "samples.jsonl").open("w", encoding="utf-8", newline="\n") as records:
        for sample in render_all(_render, export, style):
            tally.add(sample)
            if sample.record:
                records.write(f"{sample.record}\n")
    classes = {"background": 0, **{name: number for number, name in enumerate(export.dataset.categories, start=1)}}
    text = json.dumps(classes, ensure_ascii=False, indent=2)
    (export.folder / "classes.json").write_text(f"{text}\n", encoding="utf-8")
    (export.folder / "labels.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return result("masks", export, tally)


def _render(job: Job[MasksStyle]) -> Written:
    regions = job.regions()
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
                where=job.root / (sample.mask_path or sample.image_path),
                hint="join them (--merge), or leave the smallest out (--min-area)",
            )
        record["instance_mask"] = f"instances/{job.part}/{job.stem}.png"
        record["instances"] = list(regions.class_names)
        job.write(record["instance_mask"], encode_png(indexed(regions, np.arange(1, len(regions) + 1), np.uint16)))
    return written(job, regions, record=json.dumps(record, ensure_ascii=False))
