"""Put the tiles of one image together again: pixels, mask and instances; runs in a worker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import masks
from carpet_data.core.images import encode_png, read_deep
from carpet_data.core.masks.runs import LabelMask, from_values, to_values
from carpet_data.dataset import Annotation, Connectivity, IndexFile, MaskFile, Sample
from carpet_data.errors import DataError, ImageError
from carpet_data.store import names
from carpet_data.store.conversion import components_are_instances
from carpet_data.store.files import place, sha256, write_bytes
from carpet_data.tiling.document import TileRecord
from carpet_data.tiling.grid import Window

__all__ = ["JoinJob", "join"]

_MOST_INSTANCES = 65535
_CUT_AGAIN = "change neighboring tiles alike, restore the tile, or cut the data set again: carpet-data tile"


@dataclass(frozen=True, slots=True)
class JoinJob:
    """One image to be put together.

    Attributes:
        root: The folder of tiles.
        target: Where the image goes.
        whole: The image as tiles.jsonl has it.
        tiles: Its tiles and their places; they cover it.
        connectivity: Of binary masks.
        dropped: Whether the image was dropped: it is listed, without files.
    """

    root: Path
    target: Path
    whole: Sample
    tiles: tuple[tuple[Sample, Window], ...]
    connectivity: Connectivity
    dropped: bool = False


def join(job: JoinJob) -> tuple[Sample]:
    """Write the image and its mask, and give its sample.

    Raises:
        ImageError: A tile is missing, damaged, of another size or kind, or differs from a neighbor where they overlap.
        DataError: Masks disagree likewise, or a tile has other instances than those that were cut.
    """
    whole, target = job.whole, job.target
    if job.dropped:
        return (replace(whole, annotation=None),)
    if len(job.tiles) == 1:
        place(job.root / job.tiles[0][0].image_path, target / whole.image_path)
        image_digest = sha256(target / whole.image_path)
    else:
        image_digest = _write(target / whole.image_path, encode_png(_pixels(job)))
    annotation, mask = _mask(job)
    return (
        replace(
            whole,
            annotation=annotation,
            image_sha256=image_digest,
            mask_sha256=None if mask is None or annotation is None else _write(target / _path(annotation), mask),
        ),
    )


def _pixels(job: JoinJob) -> NDArray[Any]:
    """The image: uint8 or uint16, HxWx3 or HxW."""
    painted: NDArray[Any] | None = None
    covered = np.zeros((job.whole.height, job.whole.width), np.bool_)
    for tile, window in job.tiles:
        path = job.root / tile.image_path
        pixels = read_deep(path)
        if pixels.shape[:2] != (window.height, window.width):
            size = f"{pixels.shape[1]}x{pixels.shape[0]}, not {window.width}x{window.height}"
            raise ImageError(f"the tile is {size} as it was cut", where=path, hint=_CUT_AGAIN)
        if painted is None:
            painted = np.zeros((job.whole.height, job.whole.width, *pixels.shape[2:]), pixels.dtype)
        if (pixels.dtype, pixels.shape[2:]) != (painted.dtype, painted.shape[2:]):
            what = "the tile has other channels or another depth than those of the same image before it"
            raise ImageError(what, where=path, hint=_CUT_AGAIN)
        seen = covered[window.slices]
        differ = seen & _any_channel(painted[window.slices] != pixels)
        if differ.any():
            raise ImageError(f"{_differ(differ, window)} in the image", where=path, hint=_CUT_AGAIN)
        painted[window.slices] = pixels
        seen[:] = True
    assert painted is not None
    return painted


def _any_channel(differ: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(differ.any(axis=2) if differ.ndim == 3 else differ)


def _differ(differ: NDArray[np.bool_], window: Window) -> str:
    """In words: which pixels of a tile are not what the tiles before it say."""
    row, column = (int(each[0]) for each in np.nonzero(differ))
    count = int(np.count_nonzero(differ))
    pixels = "1 pixel" if count == 1 else f"{count} pixels"
    first = f"row {window.top + row}, column {window.left + column}"
    return f"{pixels} shared with neighboring tiles, the first at {first} of the whole image, differ from them"


def _mask(job: JoinJob) -> tuple[Annotation | None, bytes | None]:
    """The annotation of the whole image and its file; None for an image that had none, and has none in its tiles."""
    values = np.zeros((job.whole.height, job.whole.width), np.uint32)
    covered = np.zeros(values.shape, np.bool_)
    class_of: dict[int, str] = {}
    for tile, window in job.tiles:
        piece = np.zeros((window.height, window.width), np.uint32)
        if tile.annotation is not None:
            piece = _numbered(job, tile, class_of)
        seen = covered[window.slices]
        differ = seen & (values[window.slices] != piece)
        if differ.any():
            where = job.root / (tile.mask_path or tile.image_path)
            raise DataError(f"{_differ(differ, window)} in the mask", where=where, hint=_CUT_AGAIN)
        values[window.slices] = piece
        seen[:] = True
    if not class_of:
        if job.whole.annotation is None:
            return None, None
        return MaskFile(_path(job.whole.annotation)), encode_png(np.zeros(values.shape, np.bool_))
    return _annotation(job, values, class_of)


def _numbered(job: JoinJob, tile: Sample, class_of: dict[int, str]) -> NDArray[np.uint32]:
    """The mask of a tile, its instances by their numbers in the whole image; their classes are noted."""
    regions = masks.find(masks.load(job.root, tile), connectivity=job.connectivity)
    record = TileRecord.of_sample(tile.provenance)
    where = job.root / (tile.mask_path or tile.image_path)
    if record is None or len(regions) != len(record.instances):
        known = 0 if record is None else len(record.instances)
        raise DataError(
            f"the mask of the tile has {len(regions)} instances, and {known} were cut",
            where=where,
            hint="add or remove instances in the whole images; in tiles their pixels alone can change",
        )
    for number, class_name in zip(record.instances, regions.class_names, strict=True):
        other = class_of.setdefault(number, class_name)
        if other != class_name:
            raise DataError(
                f"instance {number} of {record.of} is {class_name} in this tile and {other} in another",
                where=where,
                hint="give all parts of an instance one class",
            )
    runs = regions.runs
    numbers = np.array([0, *record.instances], np.int64)[runs.value + 1]
    whole = type(runs)(runs.height, runs.width, runs.column, runs.start, runs.stop, numbers)
    values: NDArray[np.uint32] = to_values(whole, np.uint32)
    return values


def _annotation(job: JoinJob, values: NDArray[np.uint32], class_of: dict[int, str]) -> tuple[Annotation, bytes]:
    """A binary mask where it holds the same instances, else an index mask; instances in the order of the source."""
    whole = job.whole
    present = np.unique(values)
    present = present[present > 0]
    if len(present) > _MOST_INSTANCES:
        what = f"the image has {len(present)} instances; an index mask holds at most {_MOST_INSTANCES}"
        raise DataError(what, where=whole.image_path, hint="work on the tiles")
    local = np.searchsorted(present, values) + 1
    local[values == 0] = 0
    index = local.astype(np.uint8 if len(present) <= 255 else np.uint16)
    class_names = tuple(class_of[int(number)] for number in present)
    path = names.mask_path(whole.id, whole.class_name)
    mask = LabelMask(from_values(index), class_names, binary=False)
    if set(class_names) <= {whole.class_name} and components_are_instances(mask, len(present)):
        return MaskFile(path), encode_png(index > 0)
    return IndexFile(path, tuple(enumerate(class_names, start=1))), encode_png(index)


def _path(annotation: Annotation) -> str:
    assert isinstance(annotation, MaskFile | IndexFile)
    return annotation.path


def _write(path: Path, data: bytes) -> str:
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()
