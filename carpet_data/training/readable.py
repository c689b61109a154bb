"""Which images of a data set can be read, with their masks: for runs that skip the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from carpet_data.core import executor
from carpet_data.core import masks as mask_files
from carpet_data.core.images import read
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Sample
from carpet_data.errors import CarpetDataError

__all__ = ["readable"]


def readable(
    root: Path, samples: Sequence[Sample], *, workers: int | None = None, progress: Progress | None = None
) -> list[tuple[Sample, CarpetDataError]]:
    """The samples whose image or mask cannot be read, each with its error, in their order."""
    found = []
    errors = executor.run(partial(_error, root), samples, workers=workers)
    for number, (sample, error) in enumerate(zip(samples, errors, strict=True), start=1):
        if error is not None:
            found.append((sample, error))
        if progress is not None:
            progress(Step(number, len(samples), "reading images"))
    return found


def _error(root: Path, sample: Sample) -> CarpetDataError | None:
    try:
        read(root / sample.image_path)
        mask_files.load(root, sample)
    except CarpetDataError as error:
        return error
    return None
