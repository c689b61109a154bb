"""Images beside class-index masks, as semantic segmentation reads them: images/PART/ID.*, masks/PART/ID.png."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from carpet_data.core.images import encode_png
from carpet_data.errors import DataError
from carpet_data.formats.export import Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.masks.reader import CLASSES, LABELS, RECORDS
from carpet_data.formats.options import MasksOptions
from carpet_data.formats.voc import indexed

_MOST_INSTANCES = 65535


def write(export: Export[MasksOptions]) -> ExportResult:
    """Write images, masks, samples.jsonl, classes.json and labels.txt.

    Masks hold the category id, 0 for background: 8 bit, or 16 bit where there are more than 255 categories. Instance
    masks hold 1 … K and are always 16 bit; samples.jsonl says which class each instance is of.

    Raises:
        ProblemsError: Masks that are missing or damaged, up to a bound.
    """
    tally = Tally(export.parts)
    with (export.folder / RECORDS).open("w", encoding="utf-8", newline="\n") as records:
        for sample in export.render(_render):
            tally.add(sample)
            if not sample.unmasked:
                records.write(f"{sample.record}\n")
    classes = {"background": 0, **{name: number for number, name in enumerate(export.dataset.categories, start=1)}}
    text = json.dumps(classes, ensure_ascii=False, indent=2)
    (export.folder / CLASSES).write_text(f"{text}\n", encoding="utf-8")
    (export.folder / LABELS).write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return export.result(tally)


def _render(job: ExportJob[MasksOptions]) -> Written:
    regions = job.regions()
    sample = job.sample
    of_class = np.array([job.categories.index(name) + 1 for name in regions.class_names], np.int64)
    small = len(job.categories) <= 255
    mask = f"masks/{job.part}/{job.stem}.png"
    job.write(mask, encode_png(indexed(regions, of_class, np.uint8 if small else np.uint16)))
    record: dict[str, Any] = {
        "id": sample.id,
        "part": job.part,
        "class_name": sample.class_name,
        "image": job.place_image(f"images/{job.part}/{job.image_name}"),
        "mask": mask,
    }
    if job.options.instances:
        if len(regions) > _MOST_INSTANCES:
            raise DataError(
                f"{len(regions)} instances; a 16-bit mask holds at most {_MOST_INSTANCES}",
                where=job.root / (sample.mask_path or sample.image_path),
                hint="merge them (--merge), or skip the smallest (--min-area)",
            )
        record["instance_mask"] = f"instances/{job.part}/{job.stem}.png"
        record["instances"] = list(regions.class_names)
        job.write(record["instance_mask"], encode_png(indexed(regions, np.arange(1, len(regions) + 1), np.uint16)))
    return job.written(regions, record=json.dumps(record, ensure_ascii=False))
