"""Write the sample data set: a procedural woven carpet with five kinds of defects, in MVTec AD layout."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core.executor import run
from carpet_data.core.progress import Progress, Step
from carpet_data.errors import UsageError
from carpet_data.store.output import fresh_folder
from carpet_data.weave import dataset
from carpet_data.weave.image import MIN_SIZE

__all__ = ["SampleResult", "sample"]

_MAX_SIZE = 4096
"""Drawing takes about 200 bytes per pixel: 3.5 GB per worker at this size."""
_MAX_COUNT = 100_000
_SMALL_JOB_PX = 6_000_000
"""Up to so many pixels in all, starting worker processes would take longer than drawing."""


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What was written.

    Attributes:
        root: The data set's folder.
        size: Edge of the square images in pixels.
        seed: The seed they were drawn from.
        counts: Folder, such as "train/good" or "test/hole" -> images; empty classes left out.
    """

    root: Path
    size: int
    seed: int
    counts: Mapping[str, int]

    @property
    def images(self) -> int:
        """Images in all."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "root": str(self.root),
            "size": self.size,
            "seed": self.seed,
            "images": self.images,
            "counts": dict(self.counts),
        }


def sample(
    out: Path,
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

    The layout is MVTec AD's: train/good, test/CLASS and ground_truth/CLASS/NNN_mask.png (uint8, 0 and 255). A mask is
    exact: outside it the image is byte for byte what it would be without the defect (`weave.image.difference_mask`
    says which pixels are inside). Image k of a class depends on seed, class, k and size alone, so asking for more
    images adds to the same ones, and the bytes are the same for any number of workers.

    Args:
        out: The folder to write; it appears whole or not at all.
        size: Edge of the square images in pixels, 64 … 4096. Yarns are about 21 px apart at 1024 and grow with the
            square root of the size.
        seed: The random seed, 0 or more.
        counts: Images a class: good (in train), test-good, color, cut, hole, metal_contamination, thread. Classes not
            named keep their default; 0 leaves a class out.
        long_tail: Start from the long-tailed counts: 280 good (252 train, 28 test), color 40, thread 20, cut 10, hole
            5, metal_contamination 3.
        overwrite: Replace what is in `out`.
        workers: Processes; None for one per core.
        progress: Called with (images done, images in all).

    Returns:
        What was written.

    Raises:
        UsageError: A size, seed, class or count that makes no sense.
        OutputError: `out` is not empty, or is a file.
    """
    if not MIN_SIZE <= size <= _MAX_SIZE:
        raise UsageError(
            f"size {size} is not within {MIN_SIZE} … {_MAX_SIZE}", hint="choose a size such as 256 or 1024"
        )
    if seed < 0:
        raise UsageError(f"seed {seed} is negative", hint="choose 0 or more")
    wanted = _counts(counts or {}, dataset.LONG_TAIL_COUNTS if long_tail else dataset.DEFAULT_COUNTS)
    total = sum(wanted.values())
    out = Path(out)
    if workers is None and total * size * size <= _SMALL_JOB_PX:
        workers = 1
    with fresh_folder(out, overwrite=overwrite) as scratch:
        (scratch / "license.txt").write_text(dataset.LICENSE, encoding="utf-8")
        jobs = dataset.jobs(scratch, wanted, seed=seed, size=size)
        for done, _ in enumerate(run(dataset.write_image, jobs, workers=workers, chunk=2), start=1):
            if progress is not None:
                progress(Step(done, total, "weaving"))
    written = {"/".join(dataset.folder_of(key)): count for key, count in wanted.items() if count}
    return SampleResult(out, size, seed, written)


def _counts(asked: Mapping[str, int], default: Mapping[str, int]) -> dict[str, int]:
    for name, count in asked.items():
        if name not in default:
            near = difflib.get_close_matches(name, default, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"unknown class {name!r}", hint=f"{hint}the classes are {', '.join(default)}")
        if not 0 <= count <= _MAX_COUNT:
            raise UsageError(f"{count} images of class {name!r}", hint=f"ask for 0 … {_MAX_COUNT} images per class")
    wanted = {name: asked.get(name, count) for name, count in default.items()}
    if not any(wanted.values()):
        raise UsageError("every count is 0", hint="ask for at least one image")
    return wanted
