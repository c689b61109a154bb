"""Train a detector on a prepared data set, and score it on its test side."""

from __future__ import annotations

import os
from typing import Any

from carpet_data.core.progress import Progress
from carpet_data.dataset import DataFolder
from carpet_data.training.detect.options import DetectOptions
from carpet_data.training.task_train import TaskTrainResult
from carpet_data.training.tuning.train import Kind, tune

__all__ = ["train_detect"]


def train_detect(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    options: DetectOptions | None = None,
    *,
    progress: Progress | None = None,
    **more: Any,
) -> TaskTrainResult:
    """Train a detector on the masks of a split's training images; validation chooses the epoch.

    The same call resumes an interrupted run, to the same result. The parameters and errors are those of
    `carpet_data.train`; without a mask on the training side, it is a DataError.
    """
    return tune("detect", _kind, options or DetectOptions(), root, out, progress=progress, **more)


def _kind() -> Kind[DetectOptions]:
    from carpet_data.training.detect.fit import fit_detect, weights_of

    return Kind("detect", weights_of, fit_detect)
