"""Which defect images give a clean plate: each is made and judged once, and kept under `plates/` with its verdict.

The name of a plate is a hash of all that it is made of: the image, its mask, and the other images that lend pixels or
are compared with. No change of the data set can make it wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from carpet_data.core import executor, masks, seeds
from carpet_data.core.images import encode_png
from carpet_data.core.masks.runs import to_binary
from carpet_data.core.progress import Progress, Step
from carpet_data.core.sheets import evenly
from carpet_data.dataset import GOOD, Sample
from carpet_data.store.files import write_bytes
from carpet_data.synthesis.engine.depth import EIGHT_BIT, read_scaled
from carpet_data.synthesis.ops import foreground
from carpet_data.synthesis.plates.making import Other, Plate, make_plate

__all__ = ["FOLDER", "PlateRecord", "SurveyOptions", "area_path", "plate_path", "refusals", "survey"]

FOLDER = "plates"
_VERSION = 2
"""Raised when the same images would give another plate or verdict."""
_MOST_TRIED = 48
_GOOD_REFERENCES, _REFERENCES, _COMPARED_TEXTURES = 12, 32, 4
_REFERENCE_BYTES = 160 << 20
"""Of decoded references that a process holds for one plate."""
_MAX_FRAC = 0.25


@dataclass(frozen=True, slots=True)
class PlateRecord:
    """What became of one defect image.

    Attributes:
        sample: The image.
        key: Hex digest of what the plate is made of; names its files.
        reasons: Why it may not be used; none if it may. See `gate.PlateVerdict`; "too-large" was not tried.
        scores: Measure -> value; above 1 it refuses.
        filled_from: Ids of the other images that lent pixels.
    """

    sample: Sample
    key: str
    reasons: tuple[str, ...]
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    filled_from: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it may be used as a background."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class SurveyOptions:
    """How a survey is made.

    Attributes:
        is_object: Whether images show an object on a background.
        full_scale: The largest value of 16-bit images, see `depth`.
        keep: Store plates and verdicts; a dry run does not.
        workers: Processes; None for one per core.
    """

    is_object: bool
    full_scale: int = EIGHT_BIT
    keep: bool = True
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class _PlateJob:
    root: Path
    sample: Sample
    others: tuple[Sample, ...]
    key: str
    options: SurveyOptions


def plate_path(root: Path, key: str) -> Path:
    """The pixels of a plate, passed or not."""
    return root / FOLDER / f"{key}.png"


def area_path(root: Path, key: str) -> Path:
    """What of a plate was filled, as a mask."""
    return root / FOLDER / f"{key}.area.png"


def refusals(records: Sequence[PlateRecord]) -> dict[str, int]:
    """Reason -> number of images that were refused for it; the commonest first."""
    return dict(Counter(reason for record in records for reason in record.reasons).most_common())


def survey(
    root: Path, train: Sequence[Sample], options: SurveyOptions, *, progress: Progress | None = None
) -> tuple[PlateRecord, ...]:
    """The verdict on every defect image of the train side, or on evenly spaced ones if there are many.

    Args:
        root: The prepared folder.
        train: Real training images; nothing else is looked at.
        options: What the images show, and whether plates are stored.
        progress: Called with each step.

    Raises:
        DataError: An image or mask cannot be read.
        OutputError: A plate cannot be written.
    """
    defects = [sample for sample in train if sample.class_name != GOOD and sample.annotation is not None]
    # An empty mask may not mean "no defect", so such an image is neither a plate nor a reference.
    shares = {sample.id: _share(root, sample) for sample in defects}
    chosen = evenly([sample for sample in defects if shares[sample.id] > 0], _MOST_TRIED)
    clean = [sample for sample in train if sample.class_name == GOOD or shares.get(sample.id, 0) > 0]
    jobs = tuple(_job(root, sample, clean, options) for sample in chosen if shares[sample.id] <= _MAX_FRAC)
    made = iter(_made(jobs, options.workers, progress) if options.keep else _remembered(jobs, options.workers))
    return tuple(
        next(made) if shares[sample.id] <= _MAX_FRAC else PlateRecord(sample, "", ("too-large",)) for sample in chosen
    )


def _share(root: Path, sample: Sample) -> float:
    return masks.load(root, sample).runs.area / (sample.width * sample.height)


def _job(root: Path, sample: Sample, train: Sequence[Sample], options: SurveyOptions) -> _PlateJob:
    size = (sample.width, sample.height)
    others = [other for other in train if other.id != sample.id and (other.width, other.height) == size]
    good = [other for other in others if other.class_name == GOOD]
    if options.is_object:
        most = int(np.clip(_REFERENCE_BYTES // (3 * size[0] * size[1]), 4, _REFERENCES))
        first = evenly(good, min(_GOOD_REFERENCES, most))
        taken = first + evenly([o for o in others if o.class_name != GOOD], most - len(first))
    else:
        taken = evenly([*good, *(o for o in others if o.class_name != GOOD)], _COMPARED_TEXTURES)
    rows = [(s.id, s.image_sha256, s.mask_sha256) for s in (sample, *taken)]
    made_of = [_VERSION, options.is_object, options.full_scale, rows]
    key = hashlib.sha256(json.dumps(made_of, ensure_ascii=False).encode()).hexdigest()[:32]
    return _PlateJob(root, sample, tuple(taken), key, options)


def _made(jobs: Sequence[_PlateJob], workers: int | None, progress: Progress | None) -> list[PlateRecord]:
    found = []
    for done, record in enumerate(executor.run(_record, jobs, workers=workers, chunk=1)):
        found.append(record)
        if progress is not None:
            progress(Step(done + 1, len(jobs), "clean backgrounds"))
    return found


@lru_cache(maxsize=4)
def _remembered(jobs: tuple[_PlateJob, ...], workers: int | None) -> tuple[PlateRecord, ...]:
    # All classes of a set ask for the same plates, and a dry run leaves nothing behind to read them from.
    return tuple(_made(jobs, workers, None))


def _record(job: _PlateJob) -> PlateRecord:
    """The verdict on one image: read if it was made before, else made and stored."""
    path = job.root / FOLDER / f"{job.key}.json"
    if path.is_file() and plate_path(job.root, job.key).is_file():
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return PlateRecord(
            job.sample, job.key, tuple(values["reasons"]), values["scores"], tuple(values["filled_from"])
        )
    plate = _plate(job)
    record = PlateRecord(job.sample, job.key, plate.verdict.reasons, dict(plate.verdict.scores), plate.filled_from)
    if job.options.keep:
        write_bytes(plate_path(job.root, job.key), encode_png(plate.image))
        write_bytes(area_path(job.root, job.key), encode_png(plate.area))
        values = {
            "image": job.sample.id,
            "passed": record.passed,
            "reasons": list(record.reasons),
            "scores": dict(record.scores),
            "filled_from": list(record.filled_from),
        }
        # Last, so that whoever finds it finds the pixels too.
        write_bytes(path, (json.dumps(values, indent=1) + "\n").encode())
    return record


def _plate(job: _PlateJob) -> Plate:
    is_object = job.options.is_object

    def shown(sample: Sample) -> Other:
        image = read_scaled(job.root / sample.image_path, job.options.full_scale)
        return Other(sample.id, image, _mask(job.root, sample), foreground.find(image) if is_object else None)

    own = shown(job.sample)
    rng = seeds.generator(0, "plate", job.key)
    others = [shown(sample) for sample in job.others]
    return make_plate(own.image, own.mask, others, rng, is_object=is_object, foreground=own.foreground)


def _mask(root: Path, sample: Sample) -> Any:
    """All defects of a sample, of every class."""
    if sample.class_name == GOOD and sample.annotation is None:
        return np.zeros((sample.height, sample.width), np.bool_)
    return to_binary(masks.load(root, sample).runs)
