"""The tasks that a model can be trained for: their options and what trains them. No torch here."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carpet_data.core.options import Options, about
from carpet_data.core.progress import Progress
from carpet_data.dataset import DataFolder
from carpet_data.errors import UsageError, nearest
from carpet_data.training.contract import Task

if TYPE_CHECKING:
    from carpet_data.training.task_train import TaskTrainResult
    from carpet_data.training.train import TrainResult

__all__ = ["TASKS", "TaskEntry", "task_of", "tasks_with", "train"]


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task.

    Attributes:
        summary: What is trained, as a noun phrase.
        options: "module:class" of its `Options`; the module does without torch.
        trainer: "module:function" that takes (root, out, options) and the other keywords of `train`.
    """

    summary: str
    options: str
    trainer: str

    def options_class(self) -> type[Options]:
        """The class of its options."""
        found: type[Options] = _load(self.options)
        return found


TASKS: Mapping[Task, TaskEntry] = {
    "classify": TaskEntry(
        "a classifier of whole images",
        "carpet_data.training.options:TrainOptions",
        "carpet_data.training.train:train",
    ),
    "dense": TaskEntry(
        "a head on the feature maps of a frozen network, which learns from the masks and serves every task",
        "carpet_data.training.dense.options:DenseOptions",
        "carpet_data.training.dense.train:train_dense",
    ),
    "segment": TaskEntry(
        "a fine-tuned network for the class of each pixel",
        "carpet_data.training.segment.options:SegmentOptions",
        "carpet_data.training.segment.train:train_segment",
    ),
    "detect": TaskEntry(
        "a fine-tuned detector of boxes and masks",
        "carpet_data.training.detect.options:DetectOptions",
        "carpet_data.training.detect.train:train_detect",
    ),
    "anomaly": TaskEntry(
        "a model of good images only, which reports what differs from them",
        "carpet_data.training.anomaly.options:AnomalyOptions",
        "carpet_data.training.anomaly.train:train_anomaly",
    ),
}


def task_of(name: str) -> TaskEntry:
    """The task of a name.

    Raises:
        UsageError: It is unknown; the nearest is offered.
    """
    for known, entry in TASKS.items():
        if known == name:
            return entry
    raise UsageError(f"unknown task {name!r}", hint=f"{nearest(name, TASKS)}use one of: {', '.join(TASKS)}")


def train(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    options: Options | None = None,
    *,
    task: Task | None = None,
    split: str | None = None,
    real_only: bool = False,
    overwrite: bool = False,
    skip_faulty: bool = False,
    worst: int = 12,
    heatmaps: int = 200,
    workers: int | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> TrainResult | TaskTrainResult:
    """Train a model on the training images of a split, and score it on its test images, once.

    Args:
        root: A prepared folder, or its Dataset.
        out: The run folder; None for the next number in the data set's folder `runs`.
        options: How to train: `TrainOptions` for classify, `DenseOptions` for dense, …; None for the defaults.
        task: What to train for, see `TASKS`; None for that of the options, and classify without options.
        split: The split; None for "main".
        real_only: Skip synthetic training images.
        overwrite: Replace the run at `out`, or start over where an interrupted one would be resumed.
        skip_faulty: Leave out the images that cannot be read instead of failing.
        worst: Number of the worst test images that are drawn.
        heatmaps: Maximum number of test images that get a heat map for `browse`, mistakes first; 0 for none.
        workers: Processes that decode images; None for one per core.
        progress: Called with each step.
        **changes: Options by their names, such as `scale=2`.

    Raises:
        DataError: The folder is not a prepared data set, a side is empty, an image cannot be read, or the training
            images do not allow the task.
        LeakError: A held-out image would reach training.
        UsageError: The task, an option, the split, network or device is unknown, or they exclude each other.
        OutputError: `out` holds something else.
        WeightsError: The weights cannot be had.
        DeviceMemoryError: An image does not fit into memory.
        MissingExtraError: The extra `train` is not installed.
    """
    entry = task_of(task or _task_of_options(options))
    cls = entry.options_class()
    if options is not None and not isinstance(options, cls):
        raise UsageError(
            f"{type(options).__name__} are not the options of the task {task}", hint=f"give {cls.__name__}, or no task"
        )
    done: TrainResult | TaskTrainResult = _load(entry.trainer)(
        root,
        out,
        cls.of(options, changes),
        split=split,
        real_only=real_only,
        overwrite=overwrite,
        skip_faulty=skip_faulty,
        worst=worst,
        heatmaps=heatmaps,
        workers=workers,
        progress=progress,
    )
    return done


def _task_of_options(options: Options | None) -> str:
    if options is None:
        return "classify"
    for name, entry in TASKS.items():
        if isinstance(options, entry.options_class()):
            return name
    raise UsageError(
        f"no task is trained by {type(options).__name__}",
        hint=f"give the options of one of: {', '.join(TASKS)}",
    )


def _load(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def tasks_with(option: str) -> tuple[str, ...]:
    """The tasks that have an option of this name."""
    return tuple(
        name for name, entry in TASKS.items() if any(each.name == option for each in about(entry.options_class()))
    )
