"""Lines of predictions.jsonl: one image each, with masks as COCO's run lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.masks import rle
from carpet_data.core.masks.runs import Runs, to_binary
from carpet_data.errors import DataError
from carpet_data.prediction.names import PREDICTIONS, RUN
from carpet_data.store.json_files import read_json, read_lines
from carpet_data.training.contract import ImagePrediction
from carpet_data.training.detection_json import detection_json

__all__ = ["Record", "RecordedDetection", "line_of", "read_run", "records"]

_AGAIN = "run predict again"
_DIGITS = 6


def line_of(
    prediction: ImagePrediction, *, number: int, image: str, name: str, size: tuple[int, int], more: Mapping[str, Any]
) -> dict[str, Any]:
    """The line of one image.

    Args:
        prediction: Of the image.
        number: Its id, from 1.
        image: Its path.
        name: Its path below the folder that was named.
        size: Width and height in pixels.
        more: What else is known, such as the files written of it.
    """
    width, height = size
    chances = prediction.probabilities
    return {
        "id": number,
        "image": image,
        "name": name,
        "width": width,
        "height": height,
        "class": prediction.class_name,
        "probabilities": None if chances is None else {key: round(p, _DIGITS) for key, p in chances.items()},
        "anomaly": round(prediction.anomaly, _DIGITS),
        "detections": [detection_json(each, width, height) for each in prediction.detections],
        **more,
    }


@dataclass(frozen=True, slots=True)
class RecordedDetection:
    """A detection as predictions.jsonl has it.

    Attributes:
        bbox: x, y, width, height in pixels, as the model gave it.
        counts: Compressed run lengths of its mask, of the size of the image; None for a box alone.
    """

    class_name: str
    score: float
    bbox: tuple[int, int, int, int]
    counts: str | None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> RecordedDetection:
        """The detection in plain values, see `detection_json`.

        Raises:
            KeyError, TypeError, ValueError: Something is missing or of a wrong type.
        """
        x, y, width, height = (int(value) for value in values["bbox"])
        mask = values.get("mask")
        counts = None if mask is None else str(mask["counts"])
        return cls(str(values["class"]), float(values["score"]), (x, y, width, height), counts)

    def mask(self, width: int, height: int) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]] | None:
        """The smallest box around its mask, and the mask in that box; None for a box alone or an empty mask."""
        if self.counts is None:
            return None
        runs = rle.decode(self.counts, height, width)
        if not len(runs):
            return None
        x, y = int(runs.column.min()), int(runs.start.min())
        w, h = int(runs.column.max()) + 1 - x, int(runs.stop.max()) - y
        return (x, y, w, h), to_binary(Runs(h, w, runs.column - x, runs.start - y, runs.stop - y, runs.value))


@dataclass(frozen=True, slots=True)
class Record:
    """The prediction of one image as predictions.jsonl has it.

    Attributes:
        image: As the user wrote the path when predicting.
        sample: The id of the sample; None for an image of no prepared folder.
        files: Kind of picture ("overlay", "heat_map", "mask", "copy") -> path relative to the folder of predictions.
        state: Size in bytes and time of change in ns of the file; None unless the folder was watched.
    """

    number: int
    image: str
    name: str
    sample: str | None
    width: int
    height: int
    class_name: str
    probabilities: Mapping[str, float] | None
    anomaly: float
    detections: tuple[RecordedDetection, ...]
    files: Mapping[str, str]
    state: tuple[int, int] | None = None


def records(folder: Path) -> Iterator[Record]:
    """The predictions in a folder, one at a time.

    Raises:
        DataError: The file is missing or a line is damaged; it is named.
    """
    for where, values in read_lines(folder / PREDICTIONS, _AGAIN, "the list of predictions"):
        yield _record(where, values)


def _record(where: str, values: Mapping[str, Any]) -> Record:
    try:
        return _record_of(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the line is not a prediction ({error})", where=where, hint=_AGAIN) from error


def _record_of(values: Mapping[str, Any]) -> Record:
    chances = values["probabilities"]
    state = values.get("state")
    return Record(
        number=int(values["id"]),
        image=str(values["image"]),
        name=str(values["name"]),
        sample=None if values.get("sample") is None else str(values["sample"]),
        width=int(values["width"]),
        height=int(values["height"]),
        class_name=str(values["class"]),
        probabilities=None if chances is None else {str(key): float(p) for key, p in chances.items()},
        anomaly=float(values["anomaly"]),
        detections=tuple(map(RecordedDetection.of, values["detections"])),
        files={str(kind): str(path) for kind, path in values.get("files", {}).items()},
        state=None if state is None else (int(state[0]), int(state[1])),
    )


def read_run(folder: Path) -> dict[str, Any]:
    """What predict.json says: model, task, classes, options.

    Raises:
        DataError: It is missing or damaged.
    """
    return read_json(folder / RUN, hint="name a folder that `predict` wrote", what="the description of the predictions")
