"""Train a segmentation network on a prepared data set, and score it on its test side."""

from __future__ import annotations

import os
from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.dataset import DataFolder
from carpet_data.training.segment.options import SegmentOptions
from carpet_data.training.task_train import TaskTrainResult
from carpet_data.training.tuning.train import Kind, tune

__all__ = ["train_segment"]


def train_segment(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    options: SegmentOptions | None = None,
    *,
    progress: Progress | None = None,
    **more: Any,
) -> TaskTrainResult:
    """Train a segmentation network on the masks of a split's training images; validation chooses the epoch.

    The same call resumes an interrupted run, to the same result. The parameters and errors are those of
    `carpet_data.train`; without a mask on the training side, it is a DataError.
    """
    return tune("segment", _kind, options or SegmentOptions(), root, out, progress=progress, **more)


def _kind() -> Kind[SegmentOptions]:
    from carpet_data.training.segment.fit import fit_segment, weights_of

    return Kind("segment", weights_of, fit_segment)
