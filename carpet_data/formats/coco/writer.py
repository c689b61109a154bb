"""COCO instances (Lin et al., 2014, "Microsoft COCO: Common Objects in Context"), written as a stream.

Workers turn each mask into the JSON text of its annotations; the driver only numbers the lines and writes them, so
memory does not grow with the data. Nothing in the file depends on the clock, the machine or the number of workers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from pycocotools import mask as coco_mask

from carpet_data.core.masks import Regions, polygons, rle
from carpet_data.core.masks.polygons import Ring
from carpet_data.dataset import Dataset
from carpet_data.formats.export import Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.options import CocoOptions
from carpet_data.version import __version__


def write(export: Export[CocoOptions]) -> ExportResult:
    """Write annotations/instances_{part}.json for each part, and images/.

    Raises:
        ProblemsError: Masks that are missing or damaged, up to a bound.
    """
    folder, dataset = export.folder, export.dataset
    (folder / "annotations").mkdir()
    if export.options.images != "none":
        (folder / "images").mkdir()
    files = {part: f"annotations/instances_{part}.json" for part in export.parts}
    tally = Tally(export.parts)
    with ExitStack() as opened:
        streams = {
            part: opened.enter_context(_CocoStream(folder / name, {**_info(export), "part": part}, dataset))
            for part, name in files.items()
        }
        for sample in export.render(_render):
            tally.add(sample)
            if not sample.unmasked:
                streams[sample.part].add(*sample.record)
    return export.result(tally, listings=files)


def _info(export: Export[CocoOptions]) -> dict[str, Any]:
    dataset, options = export.dataset, export.options
    return {
        "description": dataset.name,
        "version": "1.0",
        "generator": f"carpet-data {__version__}",
        "fingerprint": dataset.fingerprint(export.split),
        "split": export.split,
        "connectivity": dataset.connectivity,
        **({"merge": True} if options.merge else {}),
        **({} if options.tolerance_px is None else {"tolerance_px": options.tolerance_px}),
        **({"date_created": options.date} if options.date else {}),
    }


def _render(job: ExportJob[CocoOptions]) -> Written:
    """One sample as JSON: its image and its annotations, each without its opening brace and ids."""
    sample, regions = job.sample, job.regions()
    placed = job.place_image(f"images/{job.image_name}")
    image = {
        "file_name": placed if job.options.images == "none" else job.image_name,
        "width": sample.width,
        "height": sample.height,
        "class_name": sample.class_name,
        "origin": sample.origin,
    }
    return job.written(regions, record=(_dumps(image)[1:], tuple(_annotations(regions, job))))


class _CocoStream:
    """One JSON file, written front to back: images go straight in, annotations wait in a temporary file."""

    def __init__(self, path: Path, info: Mapping[str, Any], dataset: Dataset) -> None:
        self.images = 0
        self.annotations = 0
        licenses = [{"id": 1, "name": dataset.license, "url": ""}] if dataset.license else []
        categories = [
            {"id": number, "name": name, "supercategory": "defect"}
            for number, name in enumerate(dataset.categories, start=1)
        ]
        self._license = ',"license":1' if licenses else ""
        self._head = f'{{"info":{_dumps(info)},\n"licenses":{_dumps(licenses)},\n"images":['
        self._tail = f'],\n"categories":{_dumps(categories)}}}\n'
        self._path = path
        self._open = ExitStack()

    def __enter__(self) -> _CocoStream:
        self._file: IO[bytes] = self._open.enter_context(self._path.open("wb"))
        self._waiting: IO[bytes] = self._open.enter_context(TemporaryFile(dir=self._path.parent))
        self._file.write(self._head.encode())
        return self

    def add(self, image: str, annotations: tuple[str, ...]) -> None:
        """Write one image and its annotations under the next ids."""
        self.images += 1
        comma = "," if self.images > 1 else ""
        self._file.write(f'{comma}\n{{"id":{self.images}{self._license},{image}'.encode())
        lines = []
        for annotation in annotations:
            self.annotations += 1
            comma = "," if self.annotations > 1 else ""
            lines.append(f'{comma}\n{{"id":{self.annotations},"image_id":{self.images},{annotation}')
        self._waiting.write("".join(lines).encode())

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._open:
            if kind is None:
                self._file.write(b'],\n"annotations":[')
                self._waiting.seek(0)
                shutil.copyfileobj(self._waiting, self._file)
                self._file.write(self._tail.encode())


def _annotations(regions: Regions, job: ExportJob[CocoOptions]) -> Iterator[str]:
    category_ids = {name: number for number, name in enumerate(job.categories, start=1)}
    for class_name, (box, area, segmentation) in zip(
        regions.class_names, _segmentations(regions, job.options), strict=True
    ):
        yield (
            f'"category_id":{category_ids[class_name]},"bbox":{_dumps(box)},"area":{area},"iscrowd":0,'
            f'"segmentation":{segmentation}}}'
        )


def _segmentations(regions: Regions, options: CocoOptions) -> Iterator[tuple[list[int], int, str]]:
    """Box, area and segmentation of every instance."""
    boxes, areas = regions.bbox.tolist(), regions.area.tolist()
    if options.tolerance_px is not None:
        yield from map(_simplified, _both(regions, options.tolerance_px), boxes, areas)
        return
    if options.segmentation == "rle":
        size = f'{{"size":[{regions.runs.height},{regions.runs.width}],"counts":'
        texts = (f"{size}{_dumps(text)}}}" for text in rle.encode_each(regions))
    else:
        texts = (_dumps(rings) for rings in polygons.exact(regions))
    yield from zip(boxes, areas, texts, strict=True)


def _both(regions: Regions, tolerance_px: float) -> Iterator[tuple[list[Ring], list[Ring], Regions]]:
    simplified, exact = polygons.simplified(regions, tolerance_px), polygons.exact(regions)
    return ((one, other, regions) for one, other in zip(simplified, exact, strict=True))


def _simplified(rings: tuple[list[Ring], list[Ring], Regions], box: list[int], area: int) -> tuple[list[int], int, str]:
    """Box and area of the polygons that are written, as pycocotools fills them; exact ones where no pixel is left."""
    simplified, exact, regions = rings
    outlines: Any = simplified
    encoded: Any = coco_mask.merge(coco_mask.frPyObjects(outlines, regions.runs.height, regions.runs.width))
    left = int(coco_mask.area(encoded))
    if left == 0:
        return box, area, _dumps(exact)
    return [int(value) for value in coco_mask.toBbox(encoded)], left, _dumps(simplified)


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
