"""Write the sample data set: a procedural woven carpet with five kinds of defects, in MVTec AD layout."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core.executor import run
from carpet_data.core.images import write_png
from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.dataset import GOOD
from carpet_data.errors import UsageError, nearest
from carpet_data.store.output import fresh_folder
from carpet_data.weave.defects import DEFECTS
from carpet_data.weave.image import MIN_SIZE, generator, render

__all__ = ["SampleResult", "WeaveJob", "sample", "write_image"]

_MAX_SIZE = 4096
"""Drawing takes about 200 bytes per pixel: 3.5 GB per worker at this size."""
_MAX_COUNT = 100_000
_SMALL_JOB_PX = 6_000_000
"""Up to this number of pixels in all, starting worker processes would take longer than drawing."""

_TEST_GOOD = "test-good"
"""The key of test/good in counts; `good` is train/good."""

_DEFAULT_COUNTS: Mapping[str, int] = {GOOD: 12, _TEST_GOOD: 4, **dict.fromkeys(DEFECTS, 5)}
_LONG_TAIL_COUNTS: Mapping[str, int] = {
    GOOD: 252,
    _TEST_GOOD: 28,
    "color": 40,
    "thread": 20,
    "cut": 10,
    "hole": 5,
    "metal_contamination": 3,
}

_LICENSE = """\
These images and masks were drawn by carpet-data (carpet-data sample); no photograph went into them.
They are dedicated to the public domain under CC0 1.0 Universal:
https://creativecommons.org/publicdomain/zero/1.0/
"""


@dataclass(frozen=True, slots=True)
class WeaveJob:
    """One image to draw and write: number k of a class in train or test, `size` pixels wide and high."""

    root: Path
    part: str
    class_name: str
    k: int
    seed: int
    size: int

    @property
    def image_path(self) -> Path:
        """Where the image goes."""
        return self.root / self.part / self.class_name / f"{self.k:03d}.png"

    @property
    def mask_path(self) -> Path | None:
        """Where the mask goes; None for a good image."""
        if self.class_name == GOOD:
            return None
        return self.root / "ground_truth" / self.class_name / f"{self.k:03d}_mask.png"


def _folder_of(key: str) -> tuple[str, str]:
    """The part and the class that a key of counts stands for."""
    if key == GOOD:
        return "train", GOOD
    return "test", GOOD if key == _TEST_GOOD else key


def _jobs(root: Path, counts: Mapping[str, int], *, seed: int, size: int) -> Iterator[WeaveJob]:
    for key, count in counts.items():
        part, class_name = _folder_of(key)
        for k in range(count):
            yield WeaveJob(root, part, class_name, k, seed, size)


def write_image(job: WeaveJob) -> None:
    """Draw one image and write it with its mask; the bytes depend on the job's seed, part, class, k and size alone."""
    rendered = render(job.class_name, generator(job.seed, job.part, job.class_name, job.k, job.size), job.size)
    job.image_path.parent.mkdir(parents=True, exist_ok=True)
    write_png(job.image_path, rendered.image)
    if job.mask_path is not None:
        job.mask_path.parent.mkdir(parents=True, exist_ok=True)
        write_png(job.mask_path, rendered.mask)


@dataclass(frozen=True, slots=True)
class SampleResult(Result):
    """What was written.

    Attributes:
        root: The data set's folder.
        size: Edge of the square images in pixels.
        seed: The random seed.
        counts: Folder, such as "train/good" or "test/hole" -> images, without empty classes.
    """

    root: Path
    size: int
    seed: int
    counts: Mapping[str, int]

    @property
    def images(self) -> int:
        """Number of images in all."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {**Result.to_json(self), "images": self.images}


def sample(
    out: str | os.PathLike[str],
    *,
    size: int = 1024,
    seed: int = 0,
    counts: Mapping[str, int] | None = None,
    long_tail: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SampleResult:
    """Write the sample data set into a folder.

    The layout is MVTec AD's: train/good, test/CLASS and ground_truth/CLASS/NNN_mask.png (uint8, 0 and 255). Masks are
    exact: outside its mask an image is byte for byte what it would be without the defect (see
    `weave.image.difference_mask`). Image k of a class depends on seed, class, k and size alone. So more images only add
    to the same ones, and the bytes are the same for any number of workers.

    Args:
        out: The folder to write; it appears whole or not at all.
        size: Edge of the square images in pixels, 64 … 4096. Yarns are about 21 px apart at 1024 and grow with the
            square root of the size.
        seed: The random seed, 0 or more.
        counts: Images per class: good (in train), test-good, color, cut, hole, metal_contamination, thread. Other
            classes keep their default; 0 skips a class.
        long_tail: Start from the long-tailed counts: 280 good (252 train, 28 test), color 40, thread 20, cut 10, hole
            5, metal_contamination 3.
        overwrite: Replace the content of `out`.
        workers: Processes; None for one per core.
        progress: Called with each `Step`.

    Raises:
        UsageError: An invalid size, seed, class or count.
        OutputError: `out` is not empty, or is a file.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as place:
        ...     sample(f"{place}/carpet", size=64, counts={"hole": 3, "cut": 0}, workers=1).counts["test/hole"]
        3
    """
    if not MIN_SIZE <= size <= _MAX_SIZE:
        raise UsageError(f"--size must be {MIN_SIZE} to {_MAX_SIZE} (got {size})", hint="use 256 or 1024")
    if seed < 0:
        raise UsageError(f"--seed must be at least 0 (got {seed})")
    wanted = _counts(counts or {}, _LONG_TAIL_COUNTS if long_tail else _DEFAULT_COUNTS)
    total = sum(wanted.values())
    out = Path(out)
    if workers is None and total * size * size <= _SMALL_JOB_PX:
        workers = 1
    with fresh_folder(out, overwrite=overwrite) as scratch:
        (scratch / "license.txt").write_text(_LICENSE, encoding="utf-8")
        jobs = _jobs(scratch, wanted, seed=seed, size=size)
        for done, _ in enumerate(run(write_image, jobs, workers=workers, chunk=2), start=1):
            if progress is not None:
                progress(Step(done, total, "weaving"))
    written = {"/".join(_folder_of(key)): count for key, count in wanted.items() if count}
    return SampleResult(out, size, seed, written)


def _counts(asked: Mapping[str, int], default: Mapping[str, int]) -> dict[str, int]:
    for name, count in asked.items():
        if name not in default:
            hint = f"{nearest(name, default)}the classes are {', '.join(default)}"
            raise UsageError(f"unknown class {name!r}", hint=hint)
        if not 0 <= count <= _MAX_COUNT:
            raise UsageError(f"the number of {name} images must be 0 to {_MAX_COUNT} (got {count})")
    wanted = {name: asked.get(name, count) for name, count in default.items()}
    if not any(wanted.values()):
        raise UsageError("every count is 0", hint="give one class a count of at least 1")
    return wanted
