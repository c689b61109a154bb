"""YOLO labels as Ultralytics reads them: one text file per image, one line per instance, coordinates as fractions.

Segments are the exact outlines along pixel edges. A line holds one polygon only, so holes hang on a vertical seam
inside the instance, and the parts of an instance on a straight seam between them, walked there and back: it encloses
nothing, so whoever fills the polygon by the even-odd rule finds the instance's very pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import yaml

from carpet_data.core.masks import Regions, polygons
from carpet_data.core.masks.polygons import Ring
from carpet_data.core.text import counted
from carpet_data.dataset import Dataset, Sample
from carpet_data.formats.export import Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.options import YoloOptions

_SEVERAL_PARTS = "several parts"
_CORNER_SLACK_PX = 0.01


def write(export: Export[YoloOptions]) -> ExportResult:
    """Write images/PART/ID.*, labels/PART/ID.txt and data.yaml.

    Raises:
        ProblemsError: Masks that are missing or damaged, up to a bound.
    """
    for part in export.parts:
        (export.folder / "images" / part).mkdir(parents=True)
        (export.folder / "labels" / part).mkdir(parents=True)
    tally = Tally(export.parts)
    for sample in export.render(_render):
        tally.add(sample)
    (export.folder / "data.yaml").write_text(_data_yaml(export.dataset, tuple(export.parts)), encoding="utf-8")
    return export.result(tally, _notes(export.parts, tally))


def _render(job: ExportJob[YoloOptions]) -> Written:
    regions = job.regions()
    job.place_image(f"images/{job.part}/{job.image_name}")
    numbers = [job.categories.index(name) for name in regions.class_names]
    notes: tuple[str, ...] = ()
    if job.options.task == "boxes":
        shapes = _boxes(regions)
    else:
        outlines = _outlines(regions, job.options.tolerance_px)
        shapes = _segments(outlines, regions)
        if any(len(rings) > 1 for rings in outlines):
            notes = (_SEVERAL_PARTS,)
    text = "".join(f"{number} {shape}\n" for number, shape in zip(numbers, shapes, strict=True))
    job.write(f"labels/{job.part}/{job.stem}.txt", text.encode("ascii"))
    return job.written(regions, notes=notes)


def _outlines(regions: Regions, tolerance_px: float | None) -> list[list[Ring]]:
    return polygons.exact(regions) if tolerance_px is None else polygons.simplified(regions, tolerance_px)


def _segments(outlines: Sequence[Sequence[Ring]], regions: Regions) -> Iterator[str]:
    across, down = corner_texts(regions.runs.width), corner_texts(regions.runs.height)
    for rings in outlines:
        ring = joined(rings)
        yield " ".join(f"{across[x]} {down[y]}" for x, y in zip(ring[0::2], ring[1::2], strict=True))


def _boxes(regions: Regions) -> Iterator[str]:
    width, height = regions.runs.width, regions.runs.height
    for x, y, w, h in regions.bbox.tolist():
        # Nine digits are all that single precision can represent.
        values = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        yield " ".join(f"{value:.9g}" for value in values)


def joined(rings: Sequence[Ring]) -> Ring:
    """One polygon from several: from each part to the nearest vertex of those before it, there and back.

    All are flat x, y, x, y …; filled by the even-odd rule the result is the parts and nothing else.
    """
    if len(rings) == 1:
        return rings[0]
    whole = np.array(rings[0], np.int64).reshape(-1, 2)
    for ring in rings[1:]:
        part = np.array(ring, np.int64).reshape(-1, 2)
        nearest = int(((whole - part[0]) ** 2).sum(axis=1).argmin())
        whole = np.concatenate((whole[: nearest + 1], part, part[:1], whole[nearest:]))
    flat: Ring = whole.ravel().tolist()
    return flat


@functools.lru_cache(maxsize=64)
def corner_texts(size: int) -> tuple[str, ...]:
    """The `size` + 1 fractions, "0" to "1", of an image side, as short as they can be without losing the pixel corner.

    A fraction times the side gives the corner back when it is rounded, and also when it is cut off, in single and in
    double precision: readers do all four. What is left of the way is less than 1/100 pixel.
    """
    texts = [repr(corner / size) for corner in range(size + 1)]
    todo = np.arange(size + 1)
    for digits in range(1, 13):
        scale = 10**digits
        for more in range(2):
            number = -(-todo * scale // size) + more
            double = number / scale
            single = double.astype(np.float32) * np.float32(size)
            fits = (number <= scale) & (np.abs(double * size - todo) < _CORNER_SLACK_PX)
            fits &= (np.floor(double * size) == todo) & (np.floor(single) == todo) & (single - todo < _CORNER_SLACK_PX)
            for corner, value in zip(todo[fits].tolist(), number[fits].tolist(), strict=True):
                texts[corner] = _decimal(value, digits)
            todo = todo[~fits]
    return tuple(texts)


def _decimal(number: int, digits: int) -> str:
    whole, rest = divmod(number, 10**digits)
    return f"{whole}.{rest:0{digits}}".rstrip("0").rstrip(".")


def _data_yaml(dataset: Dataset, parts: Sequence[str]) -> str:
    """data.yaml without a `path`: readers then start from the file's own folder, wherever it is moved."""
    train = next((part for part in ("train", "all") if part in parts), None)
    val = "val" if "val" in parts else train
    content: dict[str, object] = {
        "train": f"images/{train}" if train else None,
        "val": f"images/{val}" if val else None,
    }
    if "test" in parts:
        content["test"] = "images/test"
    content["names"] = dict(enumerate(dataset.categories))
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, default_flow_style=False)


def _notes(parts: Mapping[str, Sequence[Sample]], tally: Tally) -> list[str]:
    notes = []
    if "val" not in parts:
        notes.append(
            "there is no val side; data.yaml names the training images again, so that no test image selects a model"
            if "train" in parts or "all" in parts
            else "there is no train side and no val side; data.yaml leaves both empty"
        )
    several = tally.remarks[_SEVERAL_PARTS]
    if several:
        notes.append(
            f"{counted(several, 'image')} with instances of several parts: their seams cross the background, and a "
            "reader that draws outlines paints them"
        )
    return notes
