"""What a model found in an image, beside its class: defects with boxes and masks, a class map, an anomaly score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.errors import DataError
from carpet_data.prediction.records import RecordedDetection

__all__ = ["FOUND_FIELDS", "Found", "detections_of", "labeled"]

FOUND_FIELDS = ("detections", "predicted_mask", "anomaly")


@dataclass(frozen=True, slots=True)
class Found:
    """What a model found in one image.

    Attributes:
        detections: The surest first.
        anomaly: How surely it shows a defect; None where the model does not say.
        mask: The file of a class map; None without one.
    """

    detections: tuple[RecordedDetection, ...] = ()
    anomaly: float | None = None
    mask: Path | None = None

    def plain(self) -> dict[str, Any]:
        """field -> its value, as a hash can be made of it."""
        rows = [[each.class_name, each.score, list(each.bbox), each.counts] for each in self.detections]
        return {
            "detections": rows,
            "predicted_mask": None if self.mask is None else str(self.mask.absolute()),
            "anomaly": self.anomaly,
        }


def detections_of(rows: Sequence[Mapping[str, Any]], where: str, hint: str) -> tuple[RecordedDetection, ...]:
    """The detections in a line of a run's predictions.

    Raises:
        DataError: One of them is damaged; the line is named.
    """
    try:
        return tuple(map(RecordedDetection.of, rows))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"a detection is damaged ({error})", where=where, hint=hint) from error


def labeled(fiftyone: Any, name: str, value: Any, size: tuple[int, int], where: Path) -> Any:
    """A plain value of one of FOUND_FIELDS as FiftyOne wants it, for an image of this width and height.

    Raises:
        DataError: The mask of a detection does not fit the image.
    """
    if value is None or name == "anomaly":
        return value
    if name == "predicted_mask":
        return fiftyone.Segmentation(mask_path=value)
    return fiftyone.Detections(detections=[_detection(fiftyone, row, size, where) for row in value])


def _detection(fiftyone: Any, row: Sequence[Any], size: tuple[int, int], where: Path) -> Any:
    label, score, box, counts = row
    width, height = size
    try:
        found = RecordedDetection(label, score, tuple(box), counts).mask(width, height)
    except ValueError as error:
        what = f"the mask of a detection does not fit the image ({error})"
        raise DataError(what, where=where, hint="predict or train again: the image has changed") from error
    (x, y, w, h), mask = (box, None) if found is None else found
    relative = [x / width, y / height, w / width, h / height]
    return fiftyone.Detection(label=label, confidence=score, bounding_box=relative, mask=mask)
