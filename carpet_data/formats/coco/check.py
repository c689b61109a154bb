"""Check COCO files: alone, or pixel by pixel against the data set they were made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from carpet_data.core import executor
from carpet_data.core.problems import SEVERITIES, Problem
from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import Connectivity, Dataset, Sample
from carpet_data.errors import CarpetDataError
from carpet_data.formats.annotated import Fault, is_text
from carpet_data.formats.coco import compare as coco_compare
from carpet_data.formats.coco import rules as coco_rules
from carpet_data.formats.coco.documents import open_documents
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.coco.ids import id_of, same_id
from carpet_data.formats.coco.look import Seen, look, picture_file, size_of
from carpet_data.formats.coco.places import Places, Surroundings
from carpet_data.formats.coco.sums import Sums
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
    tolerance_px: float
    file: Path | Fault | None

    @property
    def where(self) -> str:
        """How problems call the image."""
        return f"{self.path} ({self.image.get('file_name')})"


@dataclass(frozen=True, slots=True)
class _Looked:
    seen: Seen
    differing_pixels: int = 0
    compared: bool = False


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
    equal the mask's. Against a data set also: every pixel's class, every instance, every image. In files that
    carpet-data wrote every number must be exact; what other tools round is summed up in one warning.

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
    opened = open_documents(Path(coco))
    documents = opened.documents
    dataset = against if isinstance(against, Dataset) or against is None else read(against, read_options)
    problems: list[Problem] = []
    jobs: list[_CheckJob] = []
    around = Surroundings(opened.root)
    sums: dict[Path, Sums] = {}
    for document in documents:
        problems += coco_rules.structure(document)
        jobs += _jobs(document, around, dataset, merged=merged)
        sums[document.path] = Sums(str(document.path), exact=coco_rules.is_ours(document))
    if dataset is not None:
        problems += _missing(dataset, documents, {job.sample.id for job in jobs if job.sample is not None})
        problems += [_not_in_source(job, dataset) for job in jobs if job.sample is None]
    problems += _lost_and_twice(jobs)
    differing = compared = 0
    for done, looked in enumerate(executor.run(_look, jobs, workers=workers, chunk=_CHUNK), start=1):
        problems += looked.seen.problems
        sums[jobs[done - 1].path].add(looked.seen)
        differing += looked.differing_pixels
        compared += looked.compared
        if progress is not None:
            progress(Step(done, len(jobs), "checking"))
    problems += [problem for of_file in sums.values() for problem in of_file.problems()]
    problems.sort(key=lambda problem: SEVERITIES.index(problem.severity))
    return CocoCheck(
        tuple(document.path for document in documents),
        len(jobs),
        sum(len(document.annotations) for document in documents),
        compared,
        differing,
        tuple(problems),
    )


def _jobs(
    document: CocoDocument, around: Surroundings, dataset: Dataset | None, *, merged: bool
) -> Iterator[_CheckJob]:
    by_image: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    listed = document.ids("images")
    for annotation in document.annotations:
        by_image[same_id(annotation.get("image_id"), listed)].append(annotation)
    names = {id_of(c.get("id")): str(c.get("name")) for c in document.categories}
    find_sample = _finder(dataset)
    places = Places(document, around)
    tolerance = document.info.get("tolerance_px")
    for image in document.images:
        name = image.get("file_name")
        sample = find_sample(str(name))
        file: Path | Fault | None = None
        # Exports without images name files of the source folder.
        if is_text(name) and not coco_rules.leads_out(name) and (sample is None or name != sample.image_path):
            found = places.find(name)
            file = found if isinstance(found, Fault) else around.root / found
        yield _CheckJob(
            document.path,
            image,
            () if (key := id_of(image.get("id"))) is None else tuple(by_image.get(key, ())),
            names,
            None if dataset is None else dataset.root,
            sample,
            8 if dataset is None else dataset.connectivity,
            # Our own exports say themselves that they were merged, or simplified.
            merged or document.info.get("merge") is True,
            float(tolerance) if isinstance(tolerance, int | float) and not isinstance(tolerance, bool) else 0.0,
            file,
        )


def _lost_and_twice(jobs: Iterable[_CheckJob]) -> Iterator[Problem]:
    """Image files that were not found, summed up for each JSON file, and those that several entries name."""
    lost: defaultdict[Path, list[tuple[str, Fault]]] = defaultdict(list)
    files: defaultdict[Path, list[str]] = defaultdict(list)
    for job in jobs:
        if isinstance(job.file, Fault):
            lost[job.path].append((job.where, job.file))
        elif isinstance(job.file, Path):
            files[job.file].append(job.path.name)
    for found in lost.values():
        where, fault = found[0]
        more = f" ({counted(len(found) - 1, 'more image')} alike)" if len(found) > 1 else ""
        yield Problem("error", "coco-image-missing", fault.what + more, where, fault.hint)
    for file, names in files.items():
        if len(names) > 1:
            what = f"the image is listed {len(names)} times, in {' and '.join(sorted(set(names)))}"
            yield Problem("error", "coco-image-twice", what, str(file), "list each image once")


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
    seen = Seen()
    found = picture_file(job.file, job.image, job.where) if isinstance(job.file, Path) else None
    if isinstance(found, Problem):
        seen.problems.append(found)
        if found.code == "coco-size":
            return _Looked(seen)  # masks of another size would only repeat the problem, once for each annotation
    size = size_of(job.image, None if isinstance(found, Problem) else found, job.where)
    if isinstance(size, Problem):
        seen.problems.append(size)
    if size is None or isinstance(size, Problem):
        return _Looked(seen)
    look(job.annotations, job.category_names, size, job.where, seen)
    if job.sample is None or job.root is None:
        return _Looked(replace(seen, decoded=[]))
    try:
        differing = _compare(job, job.root, job.sample, size, seen)
    except CarpetDataError as error:
        problem = Problem("error", "source-unreadable", error.what, error.where or job.where, error.hint or "")
        return _Looked(replace(seen, problems=[*seen.problems, problem], decoded=[]))
    return _Looked(replace(seen, decoded=[]), differing, compared=True)


def _compare(job: _CheckJob, root: Path, sample: Sample, size: tuple[int, int], seen: Seen) -> int:
    labels, names = coco_compare.source_labels(root, sample, job.connectivity)
    width, height = size
    if labels.shape != (height, width):
        what = f"the JSON says {width}x{height}, the source is {sample.width}x{sample.height}"
        seen.problems.append(Problem("error", "coco-size", what, job.where, "export it again"))
        return max(labels.size, height * width)
    decoded = [(each.name, each.pixels()) for each in seen.decoded]
    differing = coco_compare.differing_pixels(labels, names, decoded)
    wrong, beyond = differing, ""
    if differing and job.tolerance_px:
        wrong = coco_compare.far_pixels(labels, names, decoded, job.tolerance_px)
        beyond = f" further from its outlines than the tolerance of {job.tolerance_px:g} pixels"
    if wrong:
        what = f"{wrong} pixels differ from the source mask{beyond}"
        seen.problems.append(Problem("error", "coco-pixels", what, job.where, "export it again"))
    elif not job.merged and not job.tolerance_px:
        lost, extra = coco_compare.unmatched_instances(labels, names, decoded)
        if lost or extra:
            what = f"{lost} instances of the source have no annotation of their own, {extra} annotations no instance"
            hint = "give the --connectivity it was exported with, or --merge if it was merged"
            seen.problems.append(Problem("error", "coco-instances", what, job.where, hint))
    return differing
