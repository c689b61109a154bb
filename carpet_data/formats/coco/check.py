"""Check COCO files: alone, or pixel by pixel against the data set they were made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import executor
from carpet_data.core.problems import SEVERITIES, Problem
from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.dataset import Connectivity, Dataset, Sample
from carpet_data.errors import CarpetDataError
from carpet_data.formats.coco import compare as coco_compare
from carpet_data.formats.coco import file as coco_file
from carpet_data.formats.coco import rules as coco_rules
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.reading import read
from carpet_data.formats.registry import ReadOptions
from carpet_data.store.names import component

_CHUNK = 8


@dataclass(frozen=True, slots=True)
class CocoCheck(Result):
    """What `check` found.

    Attributes:
        compared: Images compared with their source mask; 0 without a source.
        differing_pixels: Pixels whose class differs from the source, summed over the images.
        problems: Everything found, errors first.
    """

    files: tuple[Path, ...]
    images: int
    annotations: int
    compared: int
    differing_pixels: int
    problems: tuple[Problem, ...]

    @property
    def passed(self) -> bool:
        """Whether no error was found."""
        return not any(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """The check as plain values."""
        return {**Result.to_json(self), "passed": self.passed}


@dataclass(frozen=True, slots=True)
class _CheckJob:
    path: Path
    image: dict[str, Any]
    annotations: tuple[dict[str, Any], ...]
    category_names: dict[Any, str]
    root: Path | None
    sample: Sample | None
    connectivity: Connectivity
    merged: bool
    look_for_file: bool


@dataclass(frozen=True, slots=True)
class _Looked:
    problems: tuple[Problem, ...]
    differing_pixels: int
    compared: bool


def check(
    coco: Path,
    against: Path | Dataset | None = None,
    *,
    merged: bool = False,
    read_options: ReadOptions | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CocoCheck:
    """Check COCO instances.

    Alone: ids, references, file names, image files and their sizes, segmentations that decode, boxes and areas that
    equal the mask's. Against a data set also: every pixel's class, every instance, every image.

    Args:
        coco: A COCO JSON file, or a folder with annotations/*.json.
        against: The data set the file was made from.
        merged: The file was made with `merge`, one annotation per class for all its components, and does not say so.
        read_options: How to read `against`.
        workers: Processes; None for one per core.
        progress: Called with (images done, images in all).

    Raises:
        DataError: `coco` is not a COCO file, or `against` cannot be read.
    """
    documents = [coco_file.load(path) for path in coco_file.json_files(coco)]
    dataset = against if isinstance(against, Dataset) or against is None else read(against, read_options)
    problems: list[Problem] = []
    jobs: list[_CheckJob] = []
    seen: set[str] = set()
    for document in documents:
        structural = list(coco_rules.structure(document))
        problems += structural
        # Our own exports say themselves that they were merged.
        jobs += _jobs(document, dataset, merged=merged or document.info.get("merge") is True)
        seen.update(job.sample.id for job in jobs if job.sample is not None)
    if dataset is not None:
        problems += _missing(dataset, documents, seen)
        problems += [_not_in_source(job, dataset) for job in jobs if job.sample is None]
    differing = compared = 0
    for done, looked in enumerate(executor.run(_look, jobs, workers=workers, chunk=_CHUNK), start=1):
        problems += looked.problems
        differing += looked.differing_pixels
        compared += looked.compared
        if progress is not None:
            progress(Step(done, len(jobs), "checking"))
    problems.sort(key=lambda problem: SEVERITIES.index(problem.severity))
    return CocoCheck(
        tuple(document.path for document in documents),
        len(jobs),
        sum(len(document.annotations) for document in documents),
        compared,
        differing,
        tuple(problems),
    )


def _jobs(document: CocoDocument, dataset: Dataset | None, *, merged: bool) -> Iterator[_CheckJob]:
    by_image: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in document.annotations:
        by_image[repr(annotation.get("image_id"))].append(annotation)
    names = {repr(c.get("id")): str(c.get("name")) for c in document.categories}
    find_sample = _finder(dataset)
    for image in document.images:
        sample = find_sample(str(image.get("file_name")))
        yield _CheckJob(
            document.path,
            image,
            tuple(by_image.get(repr(image.get("id")), ())),
            names,
            None if dataset is None else dataset.root,
            sample,
            8 if dataset is None else dataset.connectivity,
            merged,
            # Exports without images name files of the source folder.
            look_for_file=sample is None or image.get("file_name") != sample.image_path,
        )


def _finder(dataset: Dataset | None) -> Callable[[str], Sample | None]:
    """file_name -> sample: by the path in the source, else by the id that the export named the file after."""
    if dataset is None:
        return lambda _: None
    by_path = {sample.image_path: sample for sample in dataset}
    by_stem = {component(sample.id): sample for sample in dataset}
    return lambda name: by_path.get(name) or by_stem.get(PurePosixPath(name).stem)


def _missing(dataset: Dataset, documents: Iterable[CocoDocument], seen: set[str]) -> Iterator[Problem]:
    lost = [sample for sample in dataset if sample.id not in seen]
    if lost:
        files = ", ".join(document.path.name for document in documents)
        yield Problem(
            "warning",
            "coco-images-left-out",
            f"{len(lost)} of {len(dataset)} images of the source are not listed (the first: {lost[0].image_path})",
            files,
            "name the export's folder to check all sides of its split at once",
        )


def _not_in_source(job: _CheckJob, dataset: Dataset) -> Problem:
    return Problem(
        "error",
        "coco-not-in-source",
        "no image of the source has this name",
        f"{job.path} ({job.image.get('file_name')})",
        f"check against the data set it was made from, not {dataset.root}",
    )


def _look(job: _CheckJob) -> _Looked:
    """Decode one image's annotations and hold them against its file, their own boxes, and the source."""
    name = str(job.image.get("file_name"))
    where = f"{job.path} ({name})"
    problems: list[Problem] = []
    if job.look_for_file:
        found = coco_rules.image_file(job.path, job.image)
        if found is not None:
            problems.append(found)
    height, width = job.image.get("height"), job.image.get("width")
    if not isinstance(height, int) or not isinstance(width, int) or height < 1 or width < 1:
        return _Looked(tuple(problems), 0, compared=False)  # already a problem of the structure
    decoded: list[tuple[str, NDArray[np.bool_]]] = []
    for annotation in job.annotations:
        its_place = f"{where}, annotation {annotation.get('id')!r}"
        try:
            pixels = coco_rules.decode(annotation, height, width)
        except ValueError as error:
            problems.append(Problem("error", "coco-segmentation", str(error), its_place, "export the file again"))
            continue
        problems += coco_rules.geometry(annotation, pixels, its_place)
        decoded.append((job.category_names.get(repr(annotation.get("category_id")), "?"), pixels))
    if job.sample is None or job.root is None:
        return _Looked(tuple(problems), 0, compared=False)
    try:
        differing = _compare(job, job.root, job.sample, decoded, where, problems)
    except CarpetDataError as error:
        problems.append(Problem("error", "source-unreadable", error.what, error.where or where, error.hint or ""))
        return _Looked(tuple(problems), 0, compared=False)
    return _Looked(tuple(problems), differing, compared=True)


def _compare(
    job: _CheckJob,
    root: Path,
    sample: Sample,
    decoded: list[tuple[str, NDArray[np.bool_]]],
    where: str,
    problems: list[Problem],
) -> int:
    labels, names = coco_compare.source_labels(root, sample, job.connectivity)
    height, width = int(job.image["height"]), int(job.image["width"])
    if labels.shape != (height, width):
        what = f"the JSON says {width}x{height}, the source is {sample.width}x{sample.height}"
        problems.append(Problem("error", "coco-size", what, where, "export it again"))
        return max(labels.size, height * width)
    differing = coco_compare.differing_pixels(labels, names, decoded)
    if differing:
        problems.append(
            Problem("error", "coco-pixels", f"{differing} pixels differ from the source mask", where, "export it again")
        )
    elif not job.merged:
        lost, extra = coco_compare.unmatched_instances(labels, names, decoded)
        if lost or extra:
            problems.append(
                Problem(
                    "error",
                    "coco-instances",
                    f"{lost} instances of the source have no annotation of their own, {extra} annotations no instance",
                    where,
                    "give the --connectivity it was exported with, or --merge if it was merged",
                )
            )
    return differing
