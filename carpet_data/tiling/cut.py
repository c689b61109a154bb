"""Cut one image, its mask and its instances into tiles; runs in a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import masks
from carpet_data.core.images import encode_png, read_deep
from carpet_data.core.masks.runs import LabelMask, from_values, to_values
from carpet_data.dataset import GOOD, Annotation, Connectivity, IndexFile, MaskFile, Sample
from carpet_data.errors import DataError, ImageError
from carpet_data.store import names
from carpet_data.store.conversion import components_are_instances
from carpet_data.store.files import place, sha256, write_bytes
from carpet_data.tiling.document import TileRecord
from carpet_data.tiling.grid import Window
from carpet_data.tiling.options import TileOptions

__all__ = ["CutJob", "cut"]

_MOST_INSTANCES = 65535


@dataclass(frozen=True, slots=True)
class CutJob:
    """One image to be cut.

    Attributes:
        root: The source.
        target: Where the tiles go; None to cut nothing and only say what the tiles would be.
        group: Of all of its tiles.
        provenance: Of each tile, by its id; None for a real image.
        located: See `WholeImage`.
        dropped: Whether the image was dropped: its tiles are listed, and its files, which may be gone, are left alone.
    """

    root: Path
    target: Path | None
    sample: Sample
    connectivity: Connectivity
    options: TileOptions
    group: str | None
    located: bool
    dropped: bool = False
    provenance: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What a tile holds of the mask.

    Attributes:
        values: Index mask of the tile: its instances from 1, in the order in which they are met row by row.
        numbers: The number of each in the whole image.
        class_names: Their classes.
        areas: Their pixels in this tile.
    """

    values: NDArray[Any]
    numbers: tuple[int, ...]
    class_names: tuple[str, ...]
    areas: tuple[int, ...]


def cut(job: CutJob) -> tuple[Sample, ...]:
    """Write the tiles of an image, and give their samples.

    Raises:
        ImageError: The image or its mask is damaged, or has changed since it was prepared.
        DataError: A tile holds more instances than a mask can number.
    """
    sample, target = job.sample, job.target
    places = tuple(job.options.tiles(sample.id, sample.height, sample.width))
    if job.dropped:
        return tuple(replace(_tile(job, *each, None)[0], annotation=None) for each in places)
    if target is not None:
        _check_unchanged(job.root, sample)
    values, classes = _instances(job)
    pixels = read_deep(job.root / sample.image_path) if target is not None and len(places) > 1 else None
    if pixels is not None and pixels.shape[:2] != (sample.height, sample.width):
        raise ImageError(
            f"the image is {pixels.shape[1]}x{pixels.shape[0]}, not {sample.width}x{sample.height} as its header says",
            where=job.root / sample.image_path,
            hint="replace the file",
        )
    made = []
    for tile_id, window in places:
        part = _part(values, classes, window)
        tile, mask = _tile(job, tile_id, window, part)
        if target is None:
            made.append(tile)
            continue
        if pixels is None:
            place(job.root / sample.image_path, target / tile.image_path)
            digest = sha256(target / tile.image_path)
        else:
            digest = _write(target / tile.image_path, encode_png(np.ascontiguousarray(pixels[window.slices])))
        mask_digest = None if mask is None or tile.mask_path is None else _write(target / tile.mask_path, mask)
        made.append(_hashed(tile, digest, mask_digest))
    return tuple(made)


def _check_unchanged(root: Path, sample: Sample) -> None:
    """Refuse files that have changed since they were hashed; a raw mask has no hash of its own."""
    for path, digest in ((sample.image_path, sample.image_sha256), (sample.mask_path, sample.mask_sha256)):
        if path is not None and digest is not None and (not (root / path).is_file() or sha256(root / path) != digest):
            raise ImageError(
                "the file is missing, or has changed since it was prepared",
                where=root / path,
                hint="restore it, or prepare the data set again",
            )


def _instances(job: CutJob) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """The index mask of the whole image, instances from 1, and their classes; None where it marks nothing."""
    mask = masks.load(job.root, job.sample)
    regions = masks.find(mask, connectivity=job.connectivity)
    if not len(regions):
        return None, ()
    runs = regions.runs
    numbered = type(runs)(runs.height, runs.width, runs.column, runs.start, runs.stop, runs.value + 1)
    dtype = next(each for each in (np.uint8, np.uint16, np.uint32) if len(regions) <= np.iinfo(each).max)
    return to_values(numbered, dtype), regions.class_names


def _part(values: NDArray[Any] | None, classes: Sequence[str], window: Window) -> _Part | None:
    if values is None:
        return None
    piece = values[window.slices]
    marked = piece[piece > 0]  # row by row
    if not len(marked):
        return None
    numbers, first, areas = np.unique(marked, return_index=True, return_counts=True)
    order = np.argsort(first)
    numbers, areas = numbers[order].astype(np.int64), areas[order]
    if len(numbers) > _MOST_INSTANCES:
        raise DataError(
            f"a tile holds {len(numbers)} instances; an index mask holds at most {_MOST_INSTANCES}",
            hint="cut smaller tiles (--size)",
        )
    local = np.zeros(int(numbers.max()) + 1, np.uint8 if len(numbers) <= 255 else np.uint16)
    local[numbers] = np.arange(1, len(numbers) + 1)
    return _Part(
        local[piece],
        tuple(numbers.tolist()),
        tuple(classes[number - 1] for number in numbers.tolist()),
        tuple(areas.tolist()),
    )


def _tile(job: CutJob, tile_id: str, window: Window, part: _Part | None) -> tuple[Sample, bytes | None]:
    """The sample of a tile, whose files are not hashed yet, and its mask."""
    sample = job.sample
    class_name, sliver = _class_of(job, part)
    record = TileRecord(sample.id, window.top, window.left, () if part is None else part.numbers, sliver)
    one = (window.height, window.width) == (sample.height, sample.width)
    suffix = PurePosixPath(sample.image_path).suffix if one else ".png"
    annotation, mask = _annotation(job, tile_id, class_name, part, window)
    made = {} if job.provenance is None else dict(job.provenance[tile_id])
    return (
        Sample(
            id=tile_id,
            image_path=names.image_path(tile_id, class_name, suffix),
            class_name=class_name,
            width=window.width,
            height=window.height,
            annotation=annotation,
            origin=sample.origin,
            side=sample.side,
            source=sample.source or sample.image_path,
            group=job.group,
            provenance={**made, "tile": record.to_json()},
        ),
        mask,
    )


def _class_of(job: CutJob, part: _Part | None) -> tuple[str, bool]:
    """The class of a tile, and whether it is called good in spite of a few pixels.

    The class of what the tile shows. Of several: the image's own class where the tile shows it, or where it stands for
    all of them, such as "combined"; else the one with the most pixels here, of equals the first by name.
    """
    own = job.sample.class_name
    if part is None:
        return (own if job.dropped or not job.located else GOOD), False
    if sum(part.areas) < job.options.least_pixels:
        return GOOD, True
    pixels: dict[str, int] = {}
    for name, area in zip(part.class_names, part.areas, strict=True):
        pixels[name] = pixels.get(name, 0) + area
    if len(pixels) > 1 and (own in pixels or own not in job.sample.defect_classes):
        return own, False
    return min(pixels, key=lambda name: (-pixels[name], name)), False


def _annotation(
    job: CutJob, tile_id: str, class_name: str, part: _Part | None, window: Window
) -> tuple[Annotation | None, bytes | None]:
    path = names.mask_path(tile_id, class_name)
    if part is None:
        if class_name == GOOD or job.sample.annotation is None:
            return None, None
        return MaskFile(path), encode_png(np.zeros((window.height, window.width), np.bool_))
    mask = LabelMask(from_values(part.values), part.class_names, binary=False)
    if set(part.class_names) == {class_name} and components_are_instances(mask, len(part.numbers)):
        return MaskFile(path), encode_png(part.values > 0)
    return IndexFile(path, tuple(enumerate(part.class_names, start=1))), encode_png(part.values)


def _write(path: Path, data: bytes) -> str:
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def _hashed(tile: Sample, image: str, mask: str | None) -> Sample:
    return replace(tile, image_sha256=image, mask_sha256=mask)
