"""COCO instances (Lin et al., 2014, "Microsoft COCO: Common Objects in Context"), written as a stream.

Workers turn each mask into the JSON text of its annotations; the driver only numbers the lines and writes them, so
memory does not grow with the data. Nothing in the file depends on the clock, the machine or the number of workers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Literal, TypeAlias

from carpet_data.core import executor
from carpet_data.core.masks import find, load, polygons, rle
from carpet_data.core.masks.regions import Regions
from carpet_data.core.progress import Step
from carpet_data.dataset import GOOD, Connectivity, Dataset, Sample
from carpet_data.errors import CarpetDataError, ProblemsError
from carpet_data.formats.export import file_name
from carpet_data.formats.output import ImageMode, place
from carpet_data.formats.sample_files import MOST_PROBLEMS, Export, InstanceOptions, lacks_mask, no_mask

Segmentation: TypeAlias = Literal["polygon", "rle"]
SEGMENTATIONS: tuple[Segmentation, ...] = ("polygon", "rle")

_CHUNK = 16


@dataclass(frozen=True, slots=True)
class CocoStyle:
    """How instances are written.

    Attributes:
        segmentation: "polygon" (along pixel edges, exact) or "rle" (compressed, exact, an eighth of the size).
        tolerance_px: Simplify polygons to within this many pixels; None keeps them exact.
    """

    segmentation: Segmentation = "polygon"
    tolerance_px: float | None = None


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What one JSON file holds.

    Attributes:
        part: "train", "val", "test" or "all".
        path: The file.
        images: Images listed.
        annotations: Instances written.
        unmarked: Images of a defect class whose mask is empty: listed, without annotations.
        unmasked: Images of a defect class without a mask, left out.
        too_small: Instances left out because of `min_area`.
    """

    part: str
    path: Path
    images: int
    annotations: int
    unmarked: int
    unmasked: int
    too_small: int


@dataclass(frozen=True, slots=True)
class _Job:
    root: Path
    sample: Sample
    style: CocoStyle
    instances: InstanceOptions
    images: ImageMode
    connectivity: Connectivity
    category_ids: Mapping[str, int]
    image_folder: Path


@dataclass(frozen=True, slots=True)
class _Described:
    """The JSON of one image and its annotations, each without its opening brace and ids."""

    image: str
    annotations: tuple[str, ...]
    unmarked: bool
    too_small: int


def write(export: Export, style: CocoStyle, info: Mapping[str, Any]) -> list[CocoFile]:
    """Write annotations/instances_{part}.json for each part, and images/.

    Args:
        export: What to write, where and how.
        style: How instances are written.
        info: The file's `info` object; the part's name is added.

    Returns:
        What each file holds.

    Raises:
        ProblemsError: Masks that are missing or at fault, up to a bound.
    """
    annotations = export.folder / "annotations"
    annotations.mkdir()
    if export.images != "none":
        (export.folder / "images").mkdir()
    total = sum(len(samples) for samples in export.parts.values())
    done = 0
    problems: list[CarpetDataError] = []
    files = []
    for part, samples in export.parts.items():
        path = annotations / f"instances_{part}.json"
        tally = _Tally()
        with _CocoStream(path, {**info, "part": part}, export.dataset) as stream:
            for described in _described(export, samples, style):
                done += 1
                if isinstance(described, CarpetDataError):
                    problems.append(described)
                    if len(problems) >= MOST_PROBLEMS:
                        raise ProblemsError(problems)
                else:
                    tally.count(described)
                    if described is not None and not problems:
                        stream.add(described)
                if export.progress is not None:
                    export.progress(Step(done, total, "exporting"))
        files.append(tally.file(part, path, stream))
    if problems:
        raise ProblemsError(problems)
    return files


class _Tally:
    def __init__(self) -> None:
        self.unmarked = self.unmasked = self.too_small = 0

    def count(self, described: _Described | None) -> None:
        if described is None:
            self.unmasked += 1
        else:
            self.unmarked += described.unmarked
            self.too_small += described.too_small

    def file(self, part: str, path: Path, stream: _CocoStream) -> CocoFile:
        return CocoFile(part, path, stream.images, stream.annotations, self.unmarked, self.unmasked, self.too_small)


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

    def add(self, described: _Described) -> None:
        """Write one image and its annotations under the next ids."""
        self.images += 1
        comma = "," if self.images > 1 else ""
        self._file.write(f'{comma}\n{{"id":{self.images}{self._license},{described.image}'.encode())
        lines = []
        for annotation in described.annotations:
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


def _described(
    export: Export, samples: Iterable[Sample], style: CocoStyle
) -> Iterator[_Described | CarpetDataError | None]:
    dataset = export.dataset
    category_ids = {name: number for number, name in enumerate(dataset.categories, start=1)}
    target = export.folder / "images"
    jobs = (
        _Job(dataset.root, sample, style, export.instances, export.images, dataset.connectivity, category_ids, target)
        for sample in samples
    )
    return executor.run(_describe, jobs, workers=export.workers, chunk=_CHUNK)


def _describe(job: _Job) -> _Described | CarpetDataError | None:
    """One image as JSON; its problem, if it has one; None if it is left out."""
    sample, options = job.sample, job.instances
    if lacks_mask(sample):
        return None if options.skip_unmasked else no_mask(job.root, sample)
    try:
        mask = load(job.root, sample)
        regions = find(mask, connectivity=job.connectivity, merge=options.merge, min_area=options.min_area)
        name = file_name(sample, job.images)
        if job.images != "none":
            place(job.root / sample.image_path, job.image_folder / name, job.images)
    except CarpetDataError as error:
        return error
    image = _dumps(
        {
            "file_name": name,
            "width": sample.width,
            "height": sample.height,
            "class_name": sample.class_name,
            "origin": sample.origin,
        }
    )
    return _Described(
        image[1:],
        tuple(_annotations(regions, job.style, job.category_ids)),
        unmarked=sample.class_name != GOOD and len(mask.runs) == 0,
        too_small=regions.too_small,
    )


def _annotations(regions: Regions, style: CocoStyle, category_ids: Mapping[str, int]) -> Iterator[str]:
    boxes, areas = regions.bbox.tolist(), regions.area.tolist()
    for class_name, box, area, segmentation in zip(
        regions.class_names, boxes, areas, _segmentations(regions, style), strict=True
    ):
        yield (
            f'"category_id":{category_ids[class_name]},"bbox":{_dumps(box)},"area":{area},"iscrowd":0,'
            f'"segmentation":{segmentation}}}'
        )


def _segmentations(regions: Regions, style: CocoStyle) -> Iterator[str]:
    if style.segmentation == "rle":
        size = f'{{"size":[{regions.runs.height},{regions.runs.width}],"counts":'
        return (f"{size}{_dumps(text)}}}" for text in rle.encode_each(regions))
    if style.tolerance_px is None:
        return map(_dumps, polygons.exact(regions))
    return map(_dumps, polygons.simplified(regions, style.tolerance_px))


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
