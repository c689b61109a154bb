"""What anomalib's `Folder` datamodule reads: the good training images, the test images, and anomalib.yaml.

Written for anomalib 2 (Akcay et al. 2022, "Anomalib: A Deep Learning Library for Anomaly Detection"). It trains on good
images alone, so the defect images of train, and all of val, are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import yaml

from carpet_data.core.images import encode_png
from carpet_data.core.masks.runs import to_binary
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import DataError
from carpet_data.formats.export import ALL, Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.options import AnomalibOptions
from carpet_data.formats.registry import Format, summary_of
from carpet_data.store.names import component

__all__ = ["ANOMALIB", "CONFIGURATION"]

CONFIGURATION = "anomalib.yaml"
_TRAIN, _TEST = "train", "test"


def write(export: Export[AnomalibOptions]) -> ExportResult:
    """Write train/good, test/CLASS, ground_truth/CLASS and anomalib.yaml.

    Raises:
        DataError: There are no good training images.
        ProblemsError: Masks that are missing or damaged, up to a bound.
    """
    used = {part: tuple(each for each in samples if _side(each, part)) for part, samples in export.parts.items()}
    used = {part: samples for part, samples in used.items() if samples}
    if not any(_side(each, part) == _TRAIN for part, samples in used.items() for each in samples):
        raise DataError(
            "no good image is on the training side, and anomalib trains on good images alone",
            where=export.dataset.root,
            hint="add good images, or split so that train has some",
        )
    tally = Tally((_TRAIN, _TEST))
    for sample in replace(export, parts=used).render(_render):
        tally.add(sample)
    document = _configuration(export.dataset.name, _folders(export), export.options)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    (export.folder / CONFIGURATION).write_text(_HEAD + text, encoding="utf-8")
    return export.result(tally, _notes(export, used))


_HEAD = "# For anomalib 2. Paths are relative to this folder: run anomalib in it, or set init_args.root to it.\n"


def _side(sample: Sample, part: str) -> str | None:
    """Where a sample goes; None for what anomalib has no use for."""
    if sample.class_name == GOOD and part in (_TRAIN, ALL):
        return _TRAIN if sample.origin == "real" else None
    return _TEST if part in (_TEST, ALL) and sample.origin == "real" else None


def _render(job: ExportJob[AnomalibOptions]) -> Written:
    sample = job.sample
    side = _side(sample, job.part)
    assert side is not None, "chosen by it"
    folder, name = component(sample.class_name), _name(job)
    marked = True
    if sample.class_name != GOOD:
        pixels = to_binary(job.mask().runs)
        marked = bool(pixels.any())
        job.write(f"ground_truth/{folder}/{name}.png", encode_png(pixels))
    suffix = job.image_name[len(job.stem) :]
    job.place_image(f"{side}/{folder}/{name}{suffix}")
    return Written(side, unmarked=not marked)


def _name(job: ExportJob[Any]) -> str:
    """A stem for image and mask alike.

    anomalib sorts all images and all masks by path and pairs them by position. Equal stems sort alike, unless one has a
    dot in it: then the endings .png and .jpg decide.
    """
    if "." not in job.stem:
        return job.stem
    digest = hashlib.sha256(job.sample.id.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{job.stem.replace('.', '_')}-{digest}"


def _folders(export: Export[Any]) -> dict[str, list[str]]:
    """The folders that were written, by what anomalib calls them."""
    test = sorted(path.name for path in (export.folder / _TEST).glob("*") if path.is_dir())
    return {
        "abnormal_dir": [f"{_TEST}/{name}" for name in test if name != GOOD],
        "normal_test_dir": [f"{_TEST}/{name}" for name in test if name == GOOD],
        "mask_dir": [f"ground_truth/{name}" for name in test if name != GOOD],
    }


def _configuration(name: str, folders: dict[str, list[str]], options: AnomalibOptions) -> dict[str, Any]:
    return {
        "class_path": "anomalib.data.Folder",
        "init_args": {
            "name": name,
            "root": ".",
            "normal_dir": f"{_TRAIN}/{GOOD}",
            **{key: paths or None for key, paths in folders.items()},
            "val_split_mode": options.validation,
            "seed": options.seed,
        },
    }


def _notes(export: Export[AnomalibOptions], used: dict[str, tuple[Sample, ...]]) -> Sequence[str]:
    notes = []
    left = {part: len(samples) - len(used.get(part, ())) for part, samples in export.parts.items()}
    for part, count in left.items():
        if count:
            notes.append(f"{counted(count, 'image')} of {part} left out: anomalib trains on real good images alone")
    if export.split is None:
        notes.append(
            "the data set has no split, so every good image is in train, and anomalib takes some of them to test"
        )
    elif not any(each.class_name == GOOD for each in used.get(_TEST, ())):
        notes.append("no good image is on the test side: anomalib takes some training images to test")
    if export.options.validation in ("from_test", "same_as_test"):
        notes.append("anomalib will choose its threshold on test images, which flatters its scores")
    return notes


ANOMALIB = Format("anomalib", summary_of("anomalib"), write=write, options=AnomalibOptions)
