"""Predict images with a trained model of any task."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from carpet_data.core.progress import Progress
from carpet_data.dataset import DataFolder, Dataset
from carpet_data.prediction.coco import write_coco
from carpet_data.prediction.inputs import find
from carpet_data.prediction.options import PredictOptions
from carpet_data.prediction.results import PredictResult
from carpet_data.prediction.session import Session
from carpet_data.store.output import check_apart, check_folder, fresh_folder

__all__ = ["Images", "predict"]

Images: TypeAlias = "DataFolder | Sequence[str | os.PathLike[str]]"
"""A file, a folder, a pattern such as "line-3/*.png", a Dataset, or several of them."""


def predict(
    model: str | os.PathLike[str],
    images: Images,
    out: str | os.PathLike[str],
    options: PredictOptions | None = None,
    *,
    overwrite: bool = False,
    watch: bool = False,
    interval_s: float = 1.0,
    until: Callable[[], bool] | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> PredictResult:
    """Predict images with a trained model of any task, and write what it says of them.

    The folder `out` gets predictions.jsonl, one image a line: class, probabilities, anomaly score, and detections with
    boxes, scores and masks (COCO run lengths). coco_instances.json holds the same as a COCO data set, and
    coco_results.json as results for COCO's evaluation. Files that cannot be read are listed in errors.jsonl; the rest
    is predicted. The bytes do not depend on the batch size. Memory holds a few images, whatever their number.

    Args:
        model: A run folder or model folder that `train` wrote.
        images: Image files, folders (searched to any depth), prepared folders, and patterns.
        out: The folder to write; with `watch`, one that predictions are added to.
        options: How to predict, and which pictures to write; None for the defaults.
        overwrite: Replace the folder if predictions are in it.
        watch: Keep looking for new images in the folders, until Ctrl-C. Each complete file is predicted once, also
            when the command starts again.
        interval_s: Seconds between two looks, with `watch`.
        until: With `watch`: asked after each look; True ends it.
        progress: Called with each step.
        **changes: Fields of `PredictOptions`, such as `overlays=True`.

    Raises:
        DataError: There are no images, or a folder cannot be read.
        WeightsError: There is no model, or it is damaged.
        DeviceMemoryError: An image does not fit into memory.
        OutputError: `out` exists, or cannot be written.
        UsageError: An option makes no sense, or `out` is in a folder of images.
        MissingExtraError: The model needs a package that is not installed.

    Example:
        >>> import carpet_data as cd
        >>> cd.predict("carpet-prepared/runs/train-001", "new", "out", overlays=True).predicted  # doctest: +SKIP
        {'good': 9, 'hole': 3}
    """
    asked = PredictOptions.of(options, changes)
    target = Path(out)
    paths = _paths(images)
    for path in paths:
        if path.is_dir():
            check_apart(target, path)
    if watch:
        from carpet_data.prediction.watch import watch as watched

        return watched(
            Path(model),
            paths,
            target,
            asked,
            overwrite=overwrite,
            interval_s=interval_s,
            until=until,
            progress=progress,
        )
    check_folder(target, overwrite=overwrite)
    found = find(paths)
    session = Session.open(Path(model), asked, found.notes)
    for root, classes in found.classes:
        session.compare_classes(root, classes)
    from carpet_data.prediction.writing import Writer

    with fresh_folder(target, overwrite=overwrite) as scratch:
        session.begin(scratch)
        writer = Writer(scratch, session.model.classes, asked, taken=set())
        session.run(found.images, writer, total=len(found.images), progress=progress)
        write_coco(scratch, session.model.classes)
    return session.result(target, writer)


def _paths(images: Images) -> list[Path]:
    if isinstance(images, Dataset):
        return [images.root]
    if isinstance(images, str | os.PathLike):
        return [Path(images)]
    return [each.root if isinstance(each, Dataset) else Path(each) for each in images]
