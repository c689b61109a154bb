"""Predictions as COCO: a data set of the detections, and results as COCO's own evaluation reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from carpet_data.dataset import GOOD
from carpet_data.prediction.names import INSTANCES, RESULTS
from carpet_data.prediction.records import Record, RecordedDetection, records
from carpet_data.store.files import replacing
from carpet_data.version import __version__

__all__ = ["category_ids", "write_coco"]


def category_ids(classes: Sequence[str]) -> dict[str, int]:
    """Defect class -> COCO category id, from 1.

    Examples:
        >>> category_ids(("good", "hole", "thread"))
        {'hole': 1, 'thread': 2}
    """
    return {name: number for number, name in enumerate((name for name in classes if name != GOOD), start=1)}


def write_coco(folder: Path, classes: Sequence[str]) -> tuple[Path, Path]:
    """Write the COCO files of a folder of predictions from its predictions.jsonl, a line in memory at a time.

    coco_instances.json holds images, categories and detections as annotations with a score; coco_results.json is the
    list that `COCO(instances).loadRes(results)` takes. A detection without a mask has its box as polygon in the first
    and no segmentation in the second.

    Raises:
        DataError: predictions.jsonl is damaged.
    """
    ids = category_ids(classes)
    with replacing(folder / INSTANCES, durable=False) as file:
        info = {"description": "Predictions", "generator": f"carpet-data {__version__}"}
        categories = [{"id": number, "name": name, "supercategory": "defect"} for name, number in ids.items()]
        file.write(b'{"info":' + _text(info) + b',"licenses":[],"categories":' + _text(categories) + b',"images":')
        _write_list(file, (_image(record) for record in records(folder)))
        file.write(b',"annotations":')
        _write_list(file, _annotations(folder, ids))
        file.write(b"}\n")
    with replacing(folder / RESULTS, durable=False) as file:
        _write_list(file, _results(folder, ids))
        file.write(b"\n")
    return folder / INSTANCES, folder / RESULTS


def _text(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def _write_list(file: BinaryIO, values: Iterable[Mapping[str, Any]]) -> None:
    file.write(b"[")
    for number, each in enumerate(values):
        file.write((b",\n" if number else b"\n") + _text(each))
    file.write(b"]")


def _image(record: Record) -> dict[str, Any]:
    name = record.files.get("copy", record.image)
    return {"id": record.number, "file_name": name, "width": record.width, "height": record.height}


def _annotations(folder: Path, ids: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    number = 0
    for record in records(folder):
        for detection in record.detections:
            box, area, segmentation = _shape(detection, record)
            number += 1
            yield {
                "id": number,
                "image_id": record.number,
                "category_id": ids[detection.class_name],
                "bbox": box,
                "area": area,
                "segmentation": segmentation,
                "iscrowd": 0,
                "score": detection.score,
            }


def _shape(detection: RecordedDetection, record: Record) -> tuple[list[int], int, Any]:
    """The box around its pixels, their number, and the segmentation."""
    found = detection.mask(record.width, record.height)
    if found is None or detection.counts is None:
        x, y, w, h = detection.bbox
        return [x, y, w, h], w * h, [[x, y, x + w, y, x + w, y + h, x, y + h]]
    box, mask = found
    return list(box), int(mask.sum()), {"size": [record.height, record.width], "counts": detection.counts}


def _results(folder: Path, ids: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for record in records(folder):
        for detection in record.detections:
            result = {
                "image_id": record.number,
                "category_id": ids[detection.class_name],
                "bbox": list(detection.bbox),
                "score": detection.score,
            }
            if detection.counts is not None:
                size = [record.height, record.width]
                result["segmentation"] = {"size": size, "counts": detection.counts}
            yield result
