"""The sample data set in MVTec AD layout: which images it has, and how one of them is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.images import write_png
from carpet_data.dataset import GOOD
from carpet_data.weave.defects import DEFECTS
from carpet_data.weave.image import generator, render

__all__ = ["DEFAULT_COUNTS", "LICENSE", "LONG_TAIL_COUNTS", "TEST_GOOD", "Job", "folder_of", "jobs", "write_image"]

TEST_GOOD = "test-good"
"""The key of test/good in counts; `good` is train/good."""

DEFAULT_COUNTS: Mapping[str, int] = {GOOD: 12, TEST_GOOD: 4, **dict.fromkeys(DEFECTS, 5)}
LONG_TAIL_COUNTS: Mapping[str, int] = {
    GOOD: 252,
    TEST_GOOD: 28,
    "color": 40,
    "thread": 20,
    "cut": 10,
    "hole": 5,
    "metal_contamination": 3,
}

LICENSE = """\
These images and masks were drawn by carpet-data (carpet-data sample); no photograph went into them.
They are dedicated to the public domain under CC0 1.0 Universal:
https://creativecommons.org/publicdomain/zero/1.0/
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One image to draw and write.

    Attributes:
        root: The data set's folder.
        part: train or test.
        class_name: The image class.
        k: Its number in its folder.
        seed: The data set's seed.
        size: Edge in pixels.
    """

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


def folder_of(key: str) -> tuple[str, str]:
    """The part and the class that a key of counts speaks of."""
    if key == GOOD:
        return "train", GOOD
    return "test", GOOD if key == TEST_GOOD else key


def jobs(root: Path, counts: Mapping[str, int], *, seed: int, size: int) -> Iterator[Job]:
    """Every image of a data set, class by class."""
    for key, count in counts.items():
        part, class_name = folder_of(key)
        for k in range(count):
            yield Job(root, part, class_name, k, seed, size)


def write_image(job: Job) -> None:
    """Draw one image and write it with its mask; the bytes depend on the job's seed, part, class, k and size alone."""
    rendered = render(job.class_name, generator(job.seed, job.part, job.class_name, job.k, job.size), job.size)
    job.image_path.parent.mkdir(parents=True, exist_ok=True)
    write_png(job.image_path, rendered.image)
    if job.mask_path is not None:
        job.mask_path.parent.mkdir(parents=True, exist_ok=True)
        write_png(job.mask_path, rendered.mask)
