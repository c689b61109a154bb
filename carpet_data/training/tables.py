"""Images decoded and resized once, in one array that fits the memory it may take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import executor
from carpet_data.core import masks as mask_files
from carpet_data.core.images import read
from carpet_data.core.masks.runs import to_binary
from carpet_data.core.progress import Progress, Step, part_of
from carpet_data.dataset import GOOD, Dataset, Sample, Side
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.formats.skipped import about_image
from carpet_data.training import pixel_store
from carpet_data.training.options import TrainOptions

__all__ = ["ImageTable", "Sides", "load", "load_sides", "resized"]

_MEMORY_BYTES = 2 * 2**30
_WORTH_WORKERS = 200_000_000
"""Source pixels below which one process is done before others have started."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images of one size with what is known of each; row i of everything is one sample.

    Attributes:
        labels: int64 (n,), indices into classes.
        pixels: uint8 (n, s, s, 3) RGB, in memory or mapped from a file; not to be written to.
        masks: uint8 (n, s, s), 1 where any defect pixel falls into the pixel, else 0; None where not asked for.
        origins: "real" or "synthetic".
        groups: Samples of one group are not independent; a sample without a group has its id.
        notes: What the user should know: pixels kept on disk.
        skipped: One error for each image left out; `where` is the image file.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None
    origins: tuple[str, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...] = ()
    skipped: tuple[DataError, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        """Pixels across and down."""
        return int(self.pixels.shape[1])

    @cached_property
    def digest(self) -> str:
        """A hex digest of ids and pixels: what features and predictions are made from."""
        found = hashlib.sha256(json.dumps([self.ids, self.size]).encode())
        for start in range(0, len(self), 256):
            found.update(np.ascontiguousarray(self.pixels[start : start + 256]).data)
        return found.hexdigest()

    def counts(self) -> NDArray[np.int64]:
        """int64 (k,): the images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    def take(self, indices: NDArray[Any] | Sequence[int]) -> ImageTable:
        """The rows of these indices (or of a bool mask), in their order; the pixels are copied."""
        rows = np.arange(len(self))[np.asarray(indices)]
        names = rows.tolist()
        return replace(
            self,
            ids=tuple(self.ids[i] for i in names),
            labels=self.labels[rows],
            pixels=self.pixels[rows],
            masks=None if self.masks is None else self.masks[rows],
            origins=tuple(self.origins[i] for i in names),
            groups=tuple(self.groups[i] for i in names),
        )


def load(
    dataset: Dataset,
    samples: Sequence[Sample],
    classes: Sequence[str],
    *,
    size: int,
    masks: bool = False,
    workers: int | None = None,
    memory_bytes: int = _MEMORY_BYTES,
    cache_folder: Path | None = None,
    skip_faulty: bool = False,
    progress: Progress | None = None,
) -> ImageTable:
    """Decode and resize images.

    Images that are not square are squeezed to size × size, as the published protocols do: nothing is cut off, at the
    price of shapes. Shrinking averages over areas, enlarging is bilinear; gray becomes three equal channels.

    Rows come in the order of the samples; a sample's label is the index of its class. `size` is pixels across and down;
    `masks` loads the defect masks too; workers are processes, None for one per core where there is enough to do. A
    table larger than `memory_bytes` is kept in a file and mapped, which is slower and noted: in `cache_folder` for the
    next run, or, with None, in a temporary file. `skip_faulty` leaves out what cannot be read. `progress` counts
    images.

    Raises:
        DataError: There are no samples, an image or mask is missing or damaged, or nothing is left.
        UsageError: The size is not positive, or a sample's class is not among the classes.
    """
    _check(dataset, samples, classes, size)
    index = {name: number for number, name in enumerate(classes)}
    store = pixel_store.open_store(
        len(samples),
        size,
        masks=masks,
        memory_bytes=memory_bytes,
        folder=cache_folder,
        key=_key(dataset, samples, size, masks) if cache_folder is not None else "images",
    )
    kept, skipped = list(range(len(samples))), list[DataError]()
    if not store.filled:
        jobs = [_Job(dataset.root, sample, size, masks, skip_faulty) for sample in samples]
        kept = _fill(store, jobs, skipped, workers, progress)
    pixels, mask_pixels = store.close(len(kept))
    rows = [samples[number] for number in kept]
    return ImageTable(
        ids=tuple(sample.id for sample in rows),
        labels=np.array([index[sample.class_name] for sample in rows], np.int64),
        classes=tuple(classes),
        pixels=pixels,
        masks=mask_pixels,
        origins=tuple(sample.origin for sample in rows),
        groups=tuple(sample.group if sample.group is not None else sample.id for sample in rows),
        notes=store.notes,
        skipped=tuple(skipped),
    )


def _check(dataset: Dataset, samples: Sequence[Sample], classes: Sequence[str], size: int) -> None:
    if size < 1:
        raise UsageError(f"invalid image size {size}", hint="use --resize 64 or more")
    if not samples:
        raise DataError("there are no images to load", where=dataset.root, hint="look at carpet-data stats")
    unknown = sorted({sample.class_name for sample in samples} - set(classes))
    if unknown:
        raise UsageError(f"unknown class {unknown[0]!r}", hint=f"the classes are {', '.join(classes)}")


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The images to train on, to choose the epoch by, and to score; classes are those of all, good first.

    `skipped` are the images left out, one error for each.
    """

    classes: tuple[str, ...]
    train: ImageTable
    val: ImageTable | None
    test: ImageTable
    notes: tuple[str, ...]
    skipped: tuple[DataError, ...] = ()

    def counts(self) -> dict[str, int]:
        """side -> images, without empty sides."""
        val = {} if self.val is None else {"val": len(self.val)}
        return {"train": len(self.train), **val, "test": len(self.test)}


def load_sides(
    dataset: Dataset,
    samples: Mapping[Side, Sequence[Sample]],
    options: TrainOptions,
    *,
    skip_faulty: bool = False,
    workers: int | None = None,
    memory_bytes: int = _MEMORY_BYTES,
    progress: Progress | None = None,
) -> Sides:
    """Decode and resize the images of all sides; val may be empty.

    The options give their size, and whether masks are needed. `skip_faulty` leaves out what cannot be read;
    the rest is as for `load`, `memory_bytes` counting for each side.

    Raises:
        DataError: An image cannot be read; or none of a side can.
    """
    everything = [sample for side in ("train", "val", "test") for sample in samples[side]]
    names = {sample.class_name for sample in everything}
    classes = tuple(sorted(names, key=lambda name: (name != GOOD, name)))
    loaded: dict[Side, ImageTable] = {}
    before = 0
    for side in ("train", "val", "test"):
        if not samples[side]:
            continue
        loaded[side] = load(
            dataset,
            samples[side],
            classes,
            size=options.resize,
            masks=side == "train" and options.mix == "mask-cutmix",
            workers=workers,
            memory_bytes=memory_bytes,
            skip_faulty=skip_faulty,
            progress=part_of(progress, before, len(everything)),
        )
        before += len(samples[side])
    val = loaded.get("val")
    notes = [note for table in loaded.values() for note in table.notes]
    if val is None:
        notes.append("the split has no validation side, so the last epoch was kept")
    skipped = tuple(error for table in loaded.values() for error in table.skipped)
    return Sides(classes, loaded["train"], val, loaded["test"], tuple(notes), skipped)


def _fill(
    store: pixel_store.Store,
    jobs: Sequence[_Job],
    skipped: list[DataError],
    workers: int | None,
    progress: Progress | None,
) -> list[int]:
    """Decode images into a store; the numbers of those that could be read."""
    pixels = sum(job.sample.width * job.sample.height for job in jobs)
    kept: list[int] = []
    with store.filling():
        found = executor.run(_load, jobs, workers=1 if pixels < _WORTH_WORKERS else workers)
        for number, loaded in enumerate(found):
            if isinstance(loaded, CarpetDataError):
                skipped.append(about_image(loaded, jobs[number].root / jobs[number].sample.image_path))
            else:
                store.put(len(kept), *loaded)
                kept.append(number)
            if progress is not None:
                progress(Step(number + 1, len(jobs), "reading images"))
        if not kept:
            raise DataError(
                f"none of the {len(jobs)} images can be read",
                where=jobs[0].root,
                hint="run carpet-data doctor on it",
            )
    return kept


def _key(dataset: Dataset, samples: Sequence[Sample], size: int, masks: bool) -> str:
    """The name of a kept file of pixels: everything that its bytes depend on."""
    digest = hashlib.sha256(f"1 {size} {masks}".encode())
    for sample in samples:
        files = [sample.image_sha256, sample.mask_sha256]
        if sample.image_sha256 is None:
            # A raw folder records no hashes; its files are identified by size and time, as make does it.
            paths = (sample.image_path, sample.mask_path) if masks else (sample.image_path,)
            states = [(dataset.root / path).stat() for path in paths if path and (dataset.root / path).is_file()]
            files = [f"{state.st_mtime_ns} {state.st_size}" for state in states]
        digest.update(
            repr((str(dataset.root.resolve()), sample.image_path, files, sample.annotation if masks else 0)).encode()
        )
    return f"images-{digest.hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class _Job:
    root: Path
    sample: Sample
    size: int
    masks: bool
    skip: bool


_Loaded: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8] | None]


def _load(job: _Job) -> _Loaded | CarpetDataError:
    try:
        pixels = resized(read(job.root / job.sample.image_path), job.size)
        return pixels, _mask(job) if job.masks else None
    except CarpetDataError as error:
        if job.skip:
            return error
        raise


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image, uint8 HxWx3 or HxW, as training sees it: uint8 (size, size, 3); areas are averaged as it shrinks."""
    height, width = image.shape[:2]
    if (height, width) != (size, size):
        how = cv2.INTER_AREA if height * width > size * size else cv2.INTER_LINEAR
        image = cv2.resize(image, (size, size), interpolation=how).astype(np.uint8, copy=False)
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def _mask(job: _Job) -> NDArray[np.uint8]:
    mask = to_binary(mask_files.load(job.root, job.sample).runs)
    if not mask.any():
        return np.zeros((job.size, job.size), np.uint8)
    # Averaged over areas, so that a thin scratch leaves its trace in every pixel that it crosses.
    share = cv2.resize(mask.astype(np.float32), (job.size, job.size), interpolation=cv2.INTER_AREA)
    return (share > 0).astype(np.uint8)
