"""What FiftyOne holds of one sample, in parts; reading a mask is the only costly part and runs in workers.

Each part has a hash of what it depends on. Opening a data set again writes only the parts whose hash has changed: so a
class or a box that a user edited in the App stays when only a prediction is new, and masks are not read twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.masks import find, load
from carpet_data.core.masks.runs import Runs, to_binary
from carpet_data.core.masks.shapes import rasterize
from carpet_data.dataset import GOOD, Connectivity, IndexFile, MaskFile, MaskStack, Sample, Shapes
from carpet_data.errors import CarpetDataError
from carpet_data.fiftyone.fields import gate_field, prediction_field
from carpet_data.fiftyone.found import FOUND_FIELDS, labeled
from carpet_data.fiftyone.outcomes import Outcomes

__all__ = ["Annotation", "MaskJob", "Part", "ShownInstance", "ShownSample", "draw", "image_key", "mask_key"]

Part: TypeAlias = Literal["record", "model", "mask", "class", "image"]
_PARTS: tuple[Part, ...] = ("record", "model", "mask", "class", "image")
"""The order in which a state names their hashes. "image" writes nothing: by it a moved data set is recognized."""

_DEFECT = 255
_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".bmp": "image/bmp", ".webp": "image/webp"}

_XYWH: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class ShownInstance:
    """One instance: class, box as fractions of the image, and the bool mask [height, width] of the box in pixels."""

    label: str
    box: _XYWH
    mask: NDArray[np.bool_] | None = None
    area: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """The annotation of one image, as it was read.

    Attributes:
        boxes: Its instances.
        area: Defect pixels (each once, even where instances overlap); None where nothing says which they are.
        pixels: uint8 HxW, 0 or 255, for annotations without a mask file; None for those with one.
    """

    boxes: tuple[ShownInstance, ...]
    area: int | None
    pixels: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class MaskJob:
    """One sample with its annotation to read, and the connectivity of a binary mask's components.

    `boxes` are annotations of which nothing but the box is known: class, and x, y, width, height in pixels.
    """

    root: Path
    sample: Sample
    connectivity: Connectivity
    boxes: tuple[tuple[str, _XYWH], ...] = ()

    @property
    def image(self) -> Path:
        """Path of the picture."""
        return self.root / self.sample.image_path


def draw(job: MaskJob) -> Annotation | CarpetDataError:
    """Read the annotation of a sample; an error where its mask cannot be read."""
    try:
        drawn = _shapes(job) if isinstance(job.sample.annotation, Shapes) else _mask(job)
    except CarpetDataError as error:
        return error
    only_boxes = (ShownInstance(name, _relative(box, job.sample)) for name, box in job.boxes)
    return Annotation((*drawn.boxes, *only_boxes), drawn.area, drawn.pixels)


def _mask(job: MaskJob) -> Annotation:
    sample = job.sample
    regions = find(load(job.root, sample), connectivity=job.connectivity)
    boxes = []
    for number, (name, runs) in enumerate(regions):
        x, y, width, height = (int(value) for value in regions.bbox[number])
        inside = Runs(height, width, runs.column - x, runs.start - y, runs.stop - y, runs.value)
        box = _relative((x, y, width, height), sample)
        boxes.append(ShownInstance(name, box, to_binary(inside), int(regions.area[number])))
    is_stack = isinstance(sample.annotation, MaskStack)
    pixels = to_binary(regions.runs).astype(np.uint8) * _DEFECT if is_stack else None
    has_mask = sample.annotation is not None or (sample.class_name == GOOD and not job.boxes)
    return Annotation(tuple(boxes), int(regions.area.sum()) if has_mask else None, pixels)


def _shapes(job: MaskJob) -> Annotation:
    """Each shape by itself: instances of COCO may overlap, which is fine where they are only viewed."""
    sample = job.sample
    assert isinstance(sample.annotation, Shapes)
    boxes = []
    pixels = np.zeros((sample.height, sample.width), np.uint8)
    for shape in sample.annotation.shapes:
        where = f"{job.image} ({shape.label})" if shape.label else str(job.image)
        mask = rasterize(shape, sample.height, sample.width, where)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            y, x = int(rows[0]), int(columns[0])
            height, width = int(rows[-1]) + 1 - y, int(columns[-1]) + 1 - x
            inside = np.ascontiguousarray(mask[y : y + height, x : x + width])
            box = _relative((x, y, width, height), sample)
            boxes.append(ShownInstance(shape.class_name, box, inside, int(inside.sum())))
            pixels[mask] = _DEFECT
    return Annotation(tuple(boxes), int((pixels > 0).sum()), pixels)


def _relative(box: _XYWH, sample: Sample) -> _XYWH:
    x, y, width, height = box
    return x / sample.width, y / sample.height, width / sample.width, height / sample.height


@dataclass(frozen=True, slots=True)
class ShownSample:
    """One sample with its side of the split (None outside it) and the predictions of the last run."""

    job: MaskJob
    side: str | None
    outcomes: Outcomes | None

    def keys(self) -> dict[Part, str]:
        """A hash of what each part depends on."""
        return {
            "record": _hash_of(_filled(self._record())),
            "model": _hash_of(_filled(self._predictions())),
            "mask": mask_key(self.job),
            "class": _hash_of(self.job.sample.class_name),
            "image": image_key(self.job),
        }

    def values(self, fiftyone: Any, parts: tuple[Part, ...], annotation: Annotation | None) -> dict[str, Any]:
        """field -> value of these parts; None clears a field, as does an annotation that cannot be read."""
        plain = (self._record() if "record" in parts else {}) | (self._predictions() if "model" in parts else {})
        values = {name: self._labeled(fiftyone, name, value) for name, value in plain.items()}
        if "mask" in parts:
            values |= _annotated(fiftyone, annotation, self.job.sample)
        if "class" in parts:
            values["class"] = fiftyone.Classification(label=self.job.sample.class_name)
        return values

    def _labeled(self, fiftyone: Any, name: str, value: Any) -> Any:
        """A plain value as FiftyOne wants it in this field."""
        if name in FOUND_FIELDS:
            return labeled(fiftyone, name, value, (self.job.sample.width, self.job.sample.height), self.job.image)
        return _labeled(fiftyone, name, value)

    def _record(self) -> dict[str, Any]:
        """All but class, annotation and predictions, as plain values: what users do not edit."""
        sample, image = self.job.sample, self.job.image
        made = sample.provenance or {}
        record: dict[str, Any] = {
            "filepath": str(image),
            "metadata": {
                "size_bytes": (_stamp(image) or (None,))[0],
                "mime_type": _MIME.get(image.suffix.lower(), "image/*"),
                "width": sample.width,
                "height": sample.height,
            },
            "split": self.side,
            "origin": sample.origin,
            "group": sample.group,
            "donors": list(made["donors"]) if "donors" in made else None,
            "number": made.get("k"),
            "parameters": _text(made.get("parameters")),
            "family": made.get("host", sample.id),
        }
        record |= {name: made.get(name) for name in ("method", "recipe", "host", "seed", "attempt")}
        record |= {gate_field(name): _number(score) for name, score in (made.get("gates") or {}).items()}
        if sample.annotation is None or isinstance(sample.annotation, MaskFile | IndexFile):
            record["segmentation"] = None if sample.mask_path is None else str(self.job.root / sample.mask_path)
        return record

    def _predictions(self) -> dict[str, Any]:
        values: dict[str, Any] = dict.fromkeys(("prediction", "correct", "loss", "heatmap", *FOUND_FIELDS))
        if self.outcomes is None:
            return values
        sample_id = self.job.sample.id
        for condition, per in self.outcomes.conditions.items():
            outcome = per.get(sample_id)
            label = None if outcome is None else [outcome.predicted, outcome.confidence]
            if condition != self.outcomes.main:
                values[prediction_field(condition)] = label
            elif outcome is not None:
                values |= {"prediction": label, "correct": outcome.correct, "loss": outcome.loss}
        heatmap, found = self.outcomes.heatmaps.get(sample_id), self.outcomes.found.get(sample_id)
        if found is not None:
            values |= found.plain()
        return values | {"heatmap": None if heatmap is None else str(heatmap.absolute())}


def state_of(keys: Mapping[Part, str]) -> str:
    """The hashes as one text, as FiftyOne keeps it."""
    return ":".join(keys[part] for part in _PARTS)


def changed(state: str | None, keys: Mapping[Part, str]) -> tuple[Part, ...]:
    """The parts whose hash is another than in the state that was written."""
    before = (state or "").split(":")
    if len(before) != len(_PARTS):
        return _PARTS
    return tuple(part for part, was in zip(_PARTS, before, strict=True) if keys[part] != was)


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that have no value: a run that predicts nothing for a sample does not change it."""
    return {name: value for name, value in values.items() if value is not None}


def _labeled(fiftyone: Any, name: str, value: Any) -> Any:
    """A plain value as FiftyOne wants it in this field."""
    if value is None:
        return None
    if name == "metadata":
        return fiftyone.ImageMetadata(**value)
    if name == "segmentation":
        return fiftyone.Segmentation(mask_path=value)
    if name == "heatmap":
        return fiftyone.Heatmap(map_path=value)
    if name == "prediction" or name.startswith("prediction_"):
        return fiftyone.Classification(label=value[0], confidence=value[1])
    return value


def _annotated(fiftyone: Any, annotation: Annotation | None, sample: Sample) -> dict[str, Any]:
    if annotation is None:
        return dict.fromkeys(("ground_truth", "area", "area_frac", "instances"))
    found = []
    for box in annotation.boxes:
        more = {} if box.mask is None else {"area": box.area}
        found.append(fiftyone.Detection(label=box.label, bounding_box=list(box.box), mask=box.mask, **more))
    area = annotation.area
    values = {
        "ground_truth": fiftyone.Detections(detections=found),
        "area": area,
        "area_frac": None if area is None else area / (sample.width * sample.height),
        "instances": len(found),
    }
    if annotation.pixels is not None:
        values["segmentation"] = fiftyone.Segmentation(mask=annotation.pixels)
    return values


def _text(values: Any) -> str | None:
    return None if not values else json.dumps(values, ensure_ascii=False, sort_keys=True)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def mask_key(job: MaskJob) -> str:
    """A hash of what the annotation of a sample depends on, without reading a pixel."""
    sample = job.sample
    annotation: Mapping[str, Any] | None = None if sample.annotation is None else asdict(sample.annotation)
    stamps: list[tuple[int, int] | None] = []
    if sample.mask_sha256 is None:
        # A raw folder knows no hashes: the files' sizes and times stand in for them.
        paths = [] if sample.mask_path is None else [sample.mask_path]
        if isinstance(sample.annotation, MaskStack):
            paths = [path for path, _ in sample.annotation.files]
        stamps = [_stamp(job.root / path) for path in paths]
    kind = type(sample.annotation).__name__
    size = (sample.width, sample.height)
    return _hash_of(
        [kind, annotation, sample.mask_sha256, stamps, sample.class_name, size, job.connectivity, job.boxes]
    )


def image_key(job: MaskJob) -> str:
    """A hash that tells an image from others of the same id: of its bytes' hash, or in a raw folder its size."""
    sample = job.sample
    known = sample.image_sha256 or [sample.width, sample.height, (_stamp(job.image) or (None,))[0]]
    return _hash_of([sample.id, known])


def _hash_of(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:12]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
