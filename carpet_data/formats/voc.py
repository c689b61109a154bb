"""Pascal VOC (Everingham et al., 2010, "The Pascal Visual Object Classes Challenge").

Boxes count pixels from 1 and name the last pixel inside, as the challenge has them: xmin = x + 1, xmax = x + w.
Masks are palette PNGs: the index says class or object, the colors are the challenge's own map.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import probe
from carpet_data.core.masks import Regions
from carpet_data.core.masks.runs import Runs, to_values
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError
from carpet_data.formats.export import Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.layouts import reader, recognition
from carpet_data.formats.layouts.table import VOC_MASKS
from carpet_data.formats.options import VocOptions
from carpet_data.formats.registry import Format, summary_of
from carpet_data.store.names import component

_LARGEST_INDEX = 254
"""255 marks what the challenge leaves undecided ("void"), so no object may have it."""


def write(export: Export[VocOptions]) -> ExportResult:
    """Write JPEGImages, Annotations, SegmentationClass, SegmentationObject, ImageSets and labelmap.txt.

    Raises:
        DataError: More categories than a palette can hold, or one whose name labelmap.txt cannot.
        ProblemsError: Masks that are damaged, or have more instances than a palette can hold.
    """
    dataset, folder = export.dataset, export.folder
    _check_categories(dataset)
    for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    if export.options.objects:
        (folder / "SegmentationObject").mkdir()
    tally = Tally(export.parts)
    shown: dict[str, list[tuple[str, tuple[str, ...]]]] = {part: [] for part in export.parts}
    for sample in export.render(functools.partial(_render, dataset.name)):
        tally.add(sample)
        if not sample.unmasked:
            shown[sample.part].append((sample.record, sample.present))
    for part, rows in shown.items():
        _write_sets(folder / "ImageSets", part, rows, dataset.categories)
    (folder / "labelmap.txt").write_text(_label_map(dataset.categories), encoding="utf-8")
    return export.result(tally)


def _check_categories(dataset: Dataset) -> None:
    if len(dataset.categories) > _LARGEST_INDEX:
        raise DataError(
            f"{len(dataset.categories)} defect types; a VOC palette holds at most {_LARGEST_INDEX}",
            where=dataset.root,
            hint="use to-masks or to-coco, which have no such limit",
        )
    for name in dataset.categories:
        if ":" in name or name.startswith("#") or not name.isprintable():
            raise DataError(
                f"labelmap.txt cannot hold the defect type {name!r}",
                where=dataset.root,
                hint="rename it: no colon, no # in front, no control characters",
            )


def _render(database: str, job: ExportJob[VocOptions]) -> Written:
    regions = job.regions()
    sample, options = job.sample, job.options
    stem = _listable(job)
    if options.objects and len(regions) > _LARGEST_INDEX:
        raise DataError(
            f"{len(regions)} instances; the palette of SegmentationObject holds at most {_LARGEST_INDEX}",
            where=job.root / (sample.mask_path or sample.image_path),
            hint="merge them (--merge), skip the smallest (--min-area), or write no objects (--no-objects)",
        )
    image_name = f"{stem}.jpg" if options.jpg_names else job.image_name
    job.place_image(f"JPEGImages/{image_name}")
    job.write(f"Annotations/{stem}.xml", _xml(job, regions, image_name, database).encode())
    of_class = np.array([job.categories.index(name) + 1 for name in regions.class_names], np.int64)
    job.write(f"SegmentationClass/{stem}.png", palette_png(indexed(regions, of_class)))
    if options.objects:
        of_object = np.arange(1, len(regions) + 1)
        job.write(f"SegmentationObject/{stem}.png", palette_png(indexed(regions, of_object)))
    return job.written(regions, record=stem)


def _listable(job: ExportJob[VocOptions]) -> str:
    """The stem, if the lists of ImageSets can hold it: readers strip their lines and skip those that begin with #."""
    stem = job.stem
    if stem != stem.strip() or stem.startswith("#") or not stem.isprintable():
        raise DataError(
            f"the lists of ImageSets cannot hold the id {stem!r}",
            where=job.root / job.sample.image_path,
            hint="rename the image: no # and no space in front",
        )
    return stem


def indexed(
    regions: Regions, index: NDArray[np.int64], dtype: type[np.unsignedinteger[Any]] = np.uint8
) -> NDArray[Any]:
    """The index mask of K instances: HxW of `dtype`, 0 = background; `index` (int64 [K]) is the value of each."""
    runs = regions.runs
    return to_values(Runs(runs.height, runs.width, runs.column, runs.start, runs.stop, index[runs.value]), dtype)


@functools.lru_cache(maxsize=1)
def color_map() -> bytes:
    """The challenge's 256 colors, r, g, b …: the bits of the index, dealt to the channels from the top bit down."""
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colors.tobytes()


def palette_png(values: NDArray[np.uint8]) -> bytes:
    """PNG bytes of an index mask, uint8 HxW, with the challenge's colors for people to look at."""
    from PIL import Image

    height, width = values.shape
    image = Image.frombytes("P", (width, height), values.tobytes())
    image.putpalette(color_map())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _xml(job: ExportJob[VocOptions], regions: Regions, image_name: str, database: str) -> str:
    sample = job.sample
    depth = 1 if probe(job.root / sample.image_path).mode in ("grey", "grey+alpha", "bilevel") else 3
    lines = [
        "<annotation>",
        "  <folder>JPEGImages</folder>",
        f"  <filename>{escape(image_name)}</filename>",
        f"  <source><database>{escape(database)}</database></source>",
        f"  <size><width>{sample.width}</width><height>{sample.height}</height><depth>{depth}</depth></size>",
        "  <segmented>1</segmented>",
    ]
    for class_name, (x, y, w, h) in zip(regions.class_names, regions.bbox.tolist(), strict=True):
        # An instance that reaches the border may go on beyond it.
        cut = x == 0 or y == 0 or x + w == sample.width or y + h == sample.height
        lines += [
            "  <object>",
            f"    <name>{escape(class_name)}</name>",
            "    <pose>Unspecified</pose>",
            f"    <truncated>{int(cut)}</truncated>",
            "    <difficult>0</difficult>",
            f"    <bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _write_sets(sets: Path, part: str, rows: Sequence[tuple[str, tuple[str, ...]]], categories: Iterable[str]) -> None:
    """The lists of one part: all images, and for each class which image shows it (1) and which does not (-1)."""
    ids = "".join(f"{sample_id}\n" for sample_id, _ in rows)
    for task in ("Main", "Segmentation"):
        (sets / task / f"{part}.txt").write_text(ids, encoding="utf-8")
    for name in categories:
        lines = [f"{sample_id} {1 if name in present else -1:2}\n" for sample_id, present in rows]
        (sets / "Main" / f"{component(name)}_{part}.txt").write_text("".join(lines), encoding="utf-8")


def _label_map(categories: Sequence[str]) -> str:
    colors = color_map()
    lines = ["# label:color_rgb:parts:actions"]
    for index, name in enumerate(("background", *categories)):
        red, green, blue = colors[3 * index : 3 * index + 3]
        lines.append(f"{name}:{red},{green},{blue}::")
    return "\n".join([*lines, ""])


VOC = Format(
    "voc",
    summary_of("voc"),
    read=functools.partial(reader.read, VOC_MASKS),
    write=write,
    options=VocOptions,
    looks_like=functools.partial(recognition.looks_like, VOC_MASKS),
    scan=functools.partial(reader.scan, VOC_MASKS),
)
