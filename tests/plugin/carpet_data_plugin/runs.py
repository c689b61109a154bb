"""A format: images beside runs.jsonl, which lists the run-length counts of every defect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from carpet_data.core.images import probe
from carpet_data.core.masks import rle
from carpet_data.dataset import Dataset, Sample, Shape, Shapes
from carpet_data.errors import DataError
from carpet_data.formats import Format, ReadOptions
from carpet_data.formats.export import Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.glance import Folder
from carpet_data.formats.tree import from_samples

LIST = "runs.jsonl"


def read(root: Path, options: ReadOptions) -> Dataset:
    try:
        samples = [_sample(root, json.loads(line)) for line in (root / LIST).read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"invalid list of runs ({error})", where=root / LIST, hint="export it again") from error
    return from_samples(samples, root=root, name=root.resolve().name, format="runs")


def _sample(root: Path, entry: dict[str, Any]) -> Sample:
    info = probe(root / entry["image"])
    shapes = tuple(Shape(name, rle=counts, label=entry["id"]) for name, counts in entry["runs"])
    marks = None if entry["class"] == "good" else Shapes(shapes)
    return Sample(entry["id"], entry["image"], entry["class"], info.width, info.height, marks, side=entry["side"])


def write(export: Export[Any]) -> ExportResult:
    tally = Tally(export.parts)
    with (export.folder / LIST).open("w", encoding="utf-8") as listed:
        for sample in export.render(_render):
            tally.add(sample)
            listed.write(json.dumps(sample.record, ensure_ascii=False) + "\n")
    return export.result(tally)


def _render(job: ExportJob[Any]) -> Written:
    regions = job.regions()
    image = job.place_image(f"{job.part}/{job.image_name}")
    side = None if job.part == "all" else job.part
    runs = list(zip(regions.class_names, rle.encode_each(regions), strict=True))
    record = {"id": job.sample.id, "image": image, "class": job.sample.class_name, "side": side, "runs": runs}
    return job.written(regions, record=record)


def _looks_like(folder: Folder) -> bool:
    return (folder.path / LIST).is_file()


RUNS = Format("runs", "images beside runs.jsonl", read=read, write=write, looks_like=_looks_like, lists_images=True)
