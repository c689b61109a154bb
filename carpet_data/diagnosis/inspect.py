"""Inspect one image and its masks: what a worker process does, and the few facts that it returns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import masks
from carpet_data.core.images import ImageInfo, probe, read, read_deep, read_values, shape_in_alpha
from carpet_data.core.images.limits import ENVIRONMENT_MAX_PIXELS
from carpet_data.core.masks.classes import class_numbers
from carpet_data.core.problems import Problem
from carpet_data.dataset import Overlap, Sample
from carpet_data.diagnosis import decoder_warnings, integrity
from carpet_data.diagnosis.codes import problem
from carpet_data.errors import CarpetDataError, ImageError, OverlapError
from carpet_data.grouping.descriptors import Descriptor, describe


@dataclass(frozen=True, slots=True)
class InspectJob:
    """One image to inspect; paths are relative to the root, POSIX.

    Attributes:
        stacked: Whether each mask file is one instance, so that those of different classes must not overlap.
        mask_classes: The class of each stacked mask.
        overlap: What decides where they do.
        threshold: Mask values of at least this are a defect.
        sample: For annotations other than binary mask files: the sample to load.
        empty_is_good: Whether an empty mask means that the image is good, because no folder tells.
    """

    root: Path
    image: str
    class_name: str
    masks: tuple[str, ...] = ()
    stacked: bool = False
    mask_classes: tuple[str, ...] = ()
    overlap: Overlap = "error"
    threshold: int = 128
    sample: Sample | None = None
    empty_is_good: bool = False

    @property
    def mask_files(self) -> int:
        """Number of mask files, binary or not."""
        return len(self.masks) or int(self.sample is not None and self.sample.mask_path is not None)


@dataclass(frozen=True, slots=True)
class MaskValues:
    """The values of one mask.

    Attributes:
        defect: Pixels at or above the threshold.
        below: Pixels above 0 and below the threshold.
        between: Pixels that are neither 0 nor the largest value.
        largest: The largest value, as stored.
        levels: Number of different values.
        colored: Whether its channels differ.
        shape_in_alpha: Whether the alpha channel is not constant.
        border: Whether every pixel along the border is defect.
        numbers: Values that may be class numbers, where no binary mask of this threshold has them.
    """

    pixels: int
    defect: int
    below: int
    between: int
    largest: int
    levels: int
    colored: bool
    shape_in_alpha: bool
    border: bool
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """One file.

    Attributes:
        where: Relative to the root.
        problem: Why it could not be inspected; then nothing below is known.
        decoder_warning: The decoder's first serious warning.
        largest: The largest value of an image of more than 8 bits, as stored; None for all others.
    """

    where: str
    problem: Problem | None = None
    info: ImageInfo | None = None
    decoder_warning: str = ""
    values: MaskValues | None = None
    largest: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One image and its masks.

    Attributes:
        descriptor: For the search for duplicates; None where the image cannot be read.
        overlap_px: Number of pixels that stacked masks of different classes mark, where no rule decides between them.
        loaded: For annotations other than binary mask files: number of instances and of defect pixels.
        load_problem: Why such an annotation could not be loaded.
    """

    job: InspectJob
    image: InspectedFile
    masks: tuple[InspectedFile, ...] = ()
    descriptor: Descriptor | None = None
    overlap_px: int = 0
    loaded: tuple[int, int] | None = None
    load_problem: Problem | None = None


def inspect(job: InspectJob) -> Report:
    """Inspect one image and its masks. Pure, so that any worker process may run it."""
    image, descriptor = _inspect_image(job)
    seen: list[InspectedFile] = []
    by_class: dict[str, NDArray[np.bool_]] = {}
    for path, name in itertools.zip_longest(job.masks, job.mask_classes, fillvalue=""):
        mask, values = _inspect_mask(job.root, path, job.threshold)
        seen.append(mask)
        if job.stacked and values is not None:
            marked = values >= (job.threshold if values.dtype == np.uint8 else job.threshold * 257)
            known = by_class.setdefault(name, marked)
            if known.shape == marked.shape:
                by_class[name] = known | marked
    overlap = _claimed_twice(list(by_class.values())) if job.overlap == "error" else 0
    loaded, load_problem = _load(job) if job.sample is not None and image.problem is None else (None, None)
    return Report(job, image, tuple(seen), descriptor, overlap, loaded, load_problem)


def _claimed_twice(of_classes: list[NDArray[np.bool_]]) -> int:
    """Pixels that several classes claim; masks of another size are reported as such."""
    alike = [mask.astype(np.uint8) for mask in of_classes if mask.shape == of_classes[0].shape]
    return int(np.count_nonzero(np.sum(alike, axis=0) > 1)) if len(alike) > 1 else 0


def open_file(root: Path, where: str) -> tuple[bytes, ImageInfo] | Problem:
    """The bytes and the header of an image file, or the first thing that is wrong with it."""
    path = root / where
    broken = integrity.broken_link(path, where)
    if broken is not None:
        return broken
    data = integrity.read_bytes(path, where)
    if isinstance(data, Problem):
        return data
    wrong = integrity.fault(data, where)
    if wrong is not None:
        return wrong
    try:
        return data, probe(path)
    except ImageError as error:
        # Only the error about the limit says how to raise it.
        large = ENVIRONMENT_MAX_PIXELS in (error.hint or "") or "exceeds limit" in error.what
        return problem("too-large" if large else "not-an-image", where, error.what, hint=error.hint if large else None)


def _inspect_image(job: InspectJob) -> tuple[InspectedFile, Descriptor | None]:
    opened = open_file(job.root, job.image)
    if isinstance(opened, Problem):
        return InspectedFile(job.image, opened), None
    _, info = opened
    try:
        with decoder_warnings.captured() as warned:
            descriptor = describe(job.root / job.image)
            largest = int(read_deep(job.root / job.image).max()) if info.bits > 8 else None
    except CarpetDataError as error:
        return InspectedFile(job.image, problem("damaged", job.image, error.what), info), None
    return InspectedFile(job.image, info=info, decoder_warning=warned.text, largest=largest), descriptor


def _inspect_mask(root: Path, where: str, threshold: int) -> tuple[InspectedFile, NDArray[Any] | None]:
    opened = open_file(root, where)
    if isinstance(opened, Problem):
        return InspectedFile(where, opened), None
    _, info = opened
    try:
        with decoder_warnings.captured() as warned:
            values = read_values(root / where)
            colored = info.mode in ("rgb", "rgb+alpha", "palette", "other") and _differ(read(root / where))
            in_alpha = shape_in_alpha(root / where)
    except CarpetDataError as error:
        return InspectedFile(where, problem("damaged", where, error.what), info), None
    return InspectedFile(
        where,
        info=info,
        decoder_warning=warned.text,
        values=replace(
            _measure(values, threshold, colored, in_alpha), numbers=class_numbers(root / where, values, threshold)
        ),
    ), values


def _differ(pixels: NDArray[np.uint8]) -> bool:
    """Whether the channels of an image differ anywhere."""
    return pixels.ndim == 3 and bool((pixels != pixels[:, :, :1]).any())


def _measure(values: NDArray[Any], threshold: int, colored: bool, in_alpha: bool) -> MaskValues:
    # 16-bit files are judged as if scaled to 255, as everywhere in the package.
    limit = threshold if values.dtype == np.uint8 else threshold * 257
    counts = np.bincount(values.reshape(-1), minlength=limit)
    largest = int(np.flatnonzero(counts)[-1])
    edges = (values[0], values[-1], values[:, 0], values[:, -1])
    return MaskValues(
        pixels=values.size,
        defect=int(counts[limit:].sum()),
        below=int(counts[1:limit].sum()),
        between=int(counts[1:largest].sum()),
        largest=largest,
        levels=int((counts > 0).sum()),
        colored=colored,
        shape_in_alpha=in_alpha,
        border=all(bool((edge >= limit).all()) for edge in edges),
    )


def _load(job: InspectJob) -> tuple[tuple[int, int] | None, Problem | None]:
    assert job.sample is not None
    try:
        mask = masks.load(job.root, job.sample)
    except CarpetDataError as error:
        where = error.where or job.image
        # Errors name absolute paths, problems relative ones.
        where = where.removeprefix(f"{job.root}/")
        code = "mask-overlap" if isinstance(error, OverlapError) else "annotation"
        return None, problem(code, where, error.what, hint=error.hint)
    return (len(mask.names), int((mask.runs.stop - mask.runs.start).sum())), None
