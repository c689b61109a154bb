"""From a sample to its entry in FiftyOne: the hashes that tell what changed, and the values of each part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.dataset import IndexFile, MaskFile, Sample
from carpet_data.fiftyone.content import PARTS, Box, Drawn, MaskJob, Part, hash_of, image_key, mask_key
from carpet_data.fiftyone.fields import gate_field, prediction_field
from carpet_data.fiftyone.outcomes import Outcome, Outcomes

__all__ = ["Entry", "label_fields", "values_of"]

_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".bmp": "image/bmp", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample and all that is said of it.

    Attributes:
        job: The sample and where its annotation is read from.
        side: Its side of the split; None outside it.
        outcomes: What the last run says; None without a run.
        image: Absolute path of the picture.
    """

    job: MaskJob
    side: str | None
    outcomes: Outcomes | None
    image: Path

    @property
    def sample(self) -> Sample:
        """The sample."""
        return self.job.sample

    def keys(self) -> dict[Part, str]:
        """A hash of what each part depends on."""
        sample = self.sample
        place = [str(self.image), str(self.job.root), sample.width, sample.height]
        return {
            "place": hash_of(place),
            "mask": mask_key(self.job),
            "class": hash_of(sample.class_name),
            "facts": hash_of(_facts(self)),
            "model": hash_of(_model_values(self)),
            "image": image_key(sample, self.image),
        }

    def state(self, keys: Mapping[Part, str]) -> str:
        """The hashes as one text, as FiftyOne keeps it."""
        return ":".join(keys[part] for part in PARTS)


def changed(state: str | None, keys: Mapping[Part, str]) -> tuple[Part, ...]:
    """The parts whose hash is another than in the state that was written."""
    before = (state or "").split(":")
    if len(before) != len(PARTS):
        return PARTS
    return tuple(part for part, was in zip(PARTS, before, strict=True) if keys[part] != was)


def values_of(fiftyone: Any, entry: Entry, part: Part, drawn: Drawn | None) -> dict[str, Any]:
    """field -> value of one part; None clears a field.

    Args:
        fiftyone: The module.
        entry: The sample.
        part: Which part; "mask" needs `drawn`.
        drawn: The annotation as it was read.
    """
    if part == "place":
        return _place(fiftyone, entry)
    if part == "mask":
        return _annotation(fiftyone, drawn, entry.sample)
    if part == "class":
        return {"class": fiftyone.Classification(label=entry.sample.class_name)}
    if part == "facts":
        return _facts(entry)
    return _model(fiftyone, entry) if part == "model" else {}


def _place(fiftyone: Any, entry: Entry) -> dict[str, Any]:
    sample = entry.sample
    try:
        size = entry.image.stat().st_size
    except OSError:
        size = None
    metadata = fiftyone.ImageMetadata(
        size_bytes=size,
        mime_type=_MIME.get(entry.image.suffix.lower(), "image/*"),
        width=sample.width,
        height=sample.height,
    )
    values: dict[str, Any] = {"filepath": str(entry.image), "metadata": metadata}
    if isinstance(sample.annotation, MaskFile | IndexFile):
        path = entry.job.root / sample.annotation.path
        values["segmentation"] = fiftyone.Segmentation(mask_path=str(path))
    return values


def _annotation(fiftyone: Any, drawn: Drawn | None, sample: Sample) -> dict[str, Any]:
    if drawn is None:
        return {"ground_truth": None, "area": None, "area_frac": None, "instances": None}
    pixels = sample.width * sample.height
    values = {
        "ground_truth": fiftyone.Detections(detections=[_detection(fiftyone, box) for box in drawn.boxes]),
        "area": drawn.area,
        "area_frac": None if drawn.area is None else drawn.area / pixels,
        "instances": len(drawn.boxes),
    }
    if drawn.pixels is not None:
        values["segmentation"] = fiftyone.Segmentation(mask=drawn.pixels)
    return values


def _detection(fiftyone: Any, box: Box) -> Any:
    more = {} if box.mask is None else {"area": box.area}
    return fiftyone.Detection(label=box.label, bounding_box=list(box.box), mask=box.mask, **more)


def _facts(entry: Entry) -> dict[str, Any]:
    sample = entry.sample
    made = sample.provenance or {}
    values: dict[str, Any] = {
        "split": entry.side,
        "origin": sample.origin,
        "group": sample.group,
        "method": made.get("method"),
        "recipe": made.get("recipe"),
        "host": made.get("host"),
        "donors": list(made["donors"]) if "donors" in made else None,
        "seed": made.get("seed"),
        "number": made.get("k"),
        "attempt": made.get("attempt"),
        "parameters": _text(made.get("parameters")),
        "family": made.get("host", sample.id),
    }
    return values | {gate_field(name): _number(score) for name, score in (made.get("gates") or {}).items()}


def _text(values: Any) -> str | None:
    return None if not values else json.dumps(values, ensure_ascii=False, sort_keys=True)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _model_values(entry: Entry) -> dict[str, Any]:
    """What the part "model" says, as plain values; empty without a run."""
    if entry.outcomes is None:
        return {}
    found: dict[str, Any] = {}
    for condition, per in entry.outcomes.conditions.items():
        outcome = per.get(entry.sample.id)
        values = None if outcome is None else [outcome.predicted, outcome.confidence, outcome.loss, outcome.correct]
        found["prediction" if condition == entry.outcomes.main else prediction_field(condition)] = values
    heatmap = entry.outcomes.heatmaps.get(entry.sample.id)
    found["heatmap"] = None if heatmap is None else str(heatmap.absolute())
    # What says nothing of this sample is no change to it.
    return {name: value for name, value in found.items() if value is not None}


def _model(fiftyone: Any, entry: Entry) -> dict[str, Any]:
    values: dict[str, Any] = {"prediction": None, "correct": None, "loss": None, "heatmap": None}
    if entry.outcomes is None:
        return values
    for condition, per in entry.outcomes.conditions.items():
        outcome = per.get(entry.sample.id)
        if condition == entry.outcomes.main:
            values["prediction"] = _classification(fiftyone, outcome)
            values["correct"] = None if outcome is None else outcome.correct
            values["loss"] = None if outcome is None else outcome.loss
        else:
            values[prediction_field(condition)] = _classification(fiftyone, outcome)
    heatmap = entry.outcomes.heatmaps.get(entry.sample.id)
    if heatmap is not None:
        values["heatmap"] = fiftyone.Heatmap(map_path=str(heatmap.absolute()))
    return values


def _classification(fiftyone: Any, outcome: Outcome | None) -> Any:
    if outcome is None:
        return None
    return fiftyone.Classification(label=outcome.predicted, confidence=outcome.confidence)


def label_fields(outcomes: Outcomes | None) -> tuple[str, ...]:
    """The fields whose labels are classes, for one colour a class in all of them."""
    others = () if outcomes is None else tuple(prediction_field(name) for name in outcomes.others)
    return ("ground_truth", "class", "prediction", *others)
