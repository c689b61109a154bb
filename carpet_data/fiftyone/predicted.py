"""The predictions in a folder that `predict` wrote, for the samples of a data set."""

from __future__ import annotations

import math
from pathlib import Path

from carpet_data.core.text import counted
from carpet_data.dataset import Dataset, Sample
from carpet_data.errors import DataError
from carpet_data.fiftyone.found import Found
from carpet_data.fiftyone.outcomes import ImageOutcome, Outcomes
from carpet_data.prediction.records import Record, read_run, records

__all__ = ["read_predicted"]

_CONDITION = "predict"
_LEAST = 1e-12


def read_predicted(folder: Path, dataset: Dataset) -> tuple[Outcomes, tuple[DataError, ...]]:
    """The predictions of a folder for a data set, and a note on images that it does not have.

    An image belongs to the sample whose file it is; of a prepared folder that was moved or copied, to that of its id.

    Raises:
        DataError: The folder is not one of predictions, or is damaged, or none of its images is in the data set.
    """
    run = read_run(folder)
    here = Path(str(run.get("folder", ".")))
    classes = tuple(str(name) for name in run.get("classes", ()))
    by_file = {(dataset.root / sample.image_path).resolve(): sample for sample in dataset}
    by_id = {sample.id: sample for sample in dataset}
    outcomes: dict[str, ImageOutcome] = {}
    heatmaps: dict[str, Path] = {}
    found: dict[str, Found] = {}
    unknown = 0
    for record in records(folder):
        sample = by_file.get((here / record.image).resolve())
        if sample is None and record.sample is not None:
            sample = by_id.get(record.sample)
        if sample is None or (sample.width, sample.height) != (record.width, record.height):
            unknown += 1
            continue
        outcomes[sample.id] = _outcome(record, sample)
        if "heat_map" in record.files:
            heatmaps[sample.id] = folder / record.files["heat_map"]
        mask = folder / record.files["mask"] if "mask" in record.files else None
        found[sample.id] = Found(record.detections, record.anomaly, mask)
    if not outcomes:
        hint = f"predict the images of the data set: carpet-data predict MODEL {dataset.root} -o {folder}"
        raise DataError("none of its images is in the data set", where=folder, hint=hint)
    drawn_by = folder if heatmaps else None
    return Outcomes(folder, _CONDITION, {_CONDITION: outcomes}, heatmaps, drawn_by, found, classes), _note(
        folder, unknown
    )


def _note(folder: Path, unknown: int) -> tuple[DataError, ...]:
    if not unknown:
        return ()
    what = f"{counted(unknown, 'predicted image')} not in the data set, or of another size there"
    return (DataError(what, where=folder, hint="predict the images again if they have changed"),)


def _outcome(record: Record, sample: Sample) -> ImageOutcome:
    chances = record.probabilities or {}
    confidence = chances.get(record.class_name, record.anomaly)
    truth = chances.get(sample.class_name)
    loss = None if truth is None else -math.log(max(truth, _LEAST))
    return ImageOutcome(sample.class_name, record.class_name, confidence, loss)
