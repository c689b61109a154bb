"""Check a data set and report every problem: one pass over all files, then the checks of the whole set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core import executor
from carpet_data.core.problems import SEVERITIES, Problem, Severity
from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.dataset import GOOD, DataFolder, folder_of
from carpet_data.diagnosis import image_checks, name_checks, set_checks, similar
from carpet_data.diagnosis.codes import CODES
from carpet_data.diagnosis.inputs import PREPARED, Inputs, open_inputs
from carpet_data.diagnosis.inspect import Report, inspect
from carpet_data.diagnosis.set_checks import ImageFacts
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.roles import Account
from carpet_data.grouping.duplicates import Search

_OF_SHADES = frozenset({"mask-lost", "mask-grey", "mask-palette", "mask-inverted"})
_GREY = ("grey", "grey+alpha", "bilevel")


@dataclass(frozen=True, slots=True)
class Diagnosis(Result):
    """What `doctor` found.

    Attributes:
        root: The folder that was examined.
        name: The data set's name.
        format: The reader's name.
        images: Number of images examined.
        masks: Number of mask files and of images whose annotation lies in a document (COCO, YOLO) examined.
        classes: Image class -> images, `good` first, then sorted.
        problems: Errors first, then in the order of the table of codes.
        source: What each folder was taken for; None for a prepared folder, or where nothing could be read.
    """

    root: Path
    name: str
    format: str
    images: int
    masks: int
    classes: dict[str, int]
    problems: tuple[Problem, ...]
    source: Account | None = None

    def counts(self) -> dict[Severity, int]:
        """Number of problems of each severity."""
        severities = [problem.severity for problem in self.problems]
        return {severity: severities.count(severity) for severity in SEVERITIES}

    def of(self, code: str) -> tuple[Problem, ...]:
        """The problems of one code."""
        return tuple(problem for problem in self.problems if problem.code == code)

    @property
    def exit_code(self) -> int:
        """1 if there are errors, else 0."""
        return int(self.counts()["error"] > 0)

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return {**Result.to_json(self), "counts": self.counts()}


def doctor(
    root: DataFolder,
    read_options: ReadOptions | None = None,
    *,
    near_duplicates: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Examine a data set, raw or prepared; nothing in it is changed.

    Every file is opened once, by a worker that returns a few numbers and a 16 KiB description of the image, so that
    memory hardly grows with the data.

    Args:
        root: The folder (for COCO also the JSON file itself), or the Dataset that was read from it.
        read_options: How to read it; by default the format is recognized.
        near_duplicates: Also look for images that show the same thing.
        workers: Processes; None for one per core.
        progress: Called with each `Step`.

    Raises:
        DataError: The folder is missing, or its format is unknown.
        UsageError: Unknown options.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from carpet_data import sample
        >>> with TemporaryDirectory() as place:
        ...     _ = sample(f"{place}/carpet", size=64, workers=1)
        ...     doctor(f"{place}/carpet", workers=1).counts()
        {'error': 0, 'warning': 0, 'info': 0}
    """
    root = folder_of(root)
    inputs = open_inputs(root, read_options or ReadOptions())
    facts: list[ImageFacts] = []
    problems = _plain(_in_order(_examine(inputs, root, facts, near_duplicates, workers, progress)))
    names = [fact.class_name for fact in facts if inputs.classed]
    return Diagnosis(
        root=root,
        name=inputs.name,
        format=inputs.format,
        images=len(inputs.jobs),
        masks=sum(job.mask_files or int(job.sample is not None) for job in inputs.jobs),
        classes={name: names.count(name) for name in sorted(set(names), key=lambda name: (name != GOOD, name))},
        problems=problems,
        source=inputs.account,
    )


def _examine(
    inputs: Inputs,
    root: Path,
    facts: list[ImageFacts],
    near_duplicates: bool,
    workers: int | None,
    progress: Progress | None,
) -> Iterator[Problem]:
    """The problems, as they are found; `facts` is filled with what is known of each image."""
    yield from inputs.problems
    search = Search(len(inputs.jobs), near=near_duplicates)
    jobs = sorted(inputs.jobs, key=lambda job: job.image)
    for done, report in enumerate(executor.run(inspect, jobs, workers=workers), start=1):
        yield from image_checks.check(report)
        facts.append(_facts(report))
        if report.descriptor is not None:
            search.add(report.job.image, report.descriptor)
        if progress is not None:
            progress(Step(done, len(jobs), "examining"))
    yield from _of_names(inputs, facts)
    # A data set whose document cannot be read is not also without images.
    if facts or not inputs.problems:
        for check in set_checks.SET_CHECKS if inputs.classed else set_checks.IMAGE_SET_CHECKS:
            yield from check(facts)
    yield from set_checks.mask_classes(facts, root)
    yield from _of_duplicates(inputs, facts, search, root)


def _plain(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems without those that only echo another: where masks hold class numbers, these are not shades."""
    numbered = any(each.code == "mask-classes" for each in problems)
    return tuple(each for each in problems if not (numbered and each.code in _OF_SHADES))


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    order = {code: number for number, code in enumerate(CODES)}
    return sorted(
        problems,
        key=lambda each: (SEVERITIES.index(each.severity), order.get(each.code, len(order)), each.where, each.what),
    )


def _facts(report: Report) -> ImageFacts:
    job, info = report.job, report.image.info
    annotated = bool(job.masks) or job.sample is not None
    empty = job.empty_is_good and all(seen.values is not None and seen.values.largest == 0 for seen in report.masks)
    class_name = GOOD if empty else job.class_name
    numbers = tuple((seen.where, seen.values.numbers) for seen in report.masks if seen.values and seen.values.numbers)
    types = job.mask_classes if job.sample is None else job.sample.defect_classes
    if info is None:
        return ImageFacts(job.image, class_name, annotated, numbers=numbers, types=types)
    size, grey = (info.width, info.height), info.mode in _GREY
    return ImageFacts(job.image, class_name, annotated, size, grey, numbers, report.image.largest, types)


def _of_names(inputs: Inputs, facts: Sequence[ImageFacts]) -> Iterator[Problem]:
    images = [fact.image for fact in facts]
    stray = inputs.account.unread.images if inputs.account is not None else ()
    loco = list(name_checks.loco_masks((*inputs.orphans, *stray), images))
    explained = {name for each in loco for name in each.files}
    yield from loco
    if not loco and inputs.classed:
        yield from set_checks.mask_missing(facts, masked=inputs.masked)
    yield from name_checks.mask_orphan([name for name in inputs.orphans if name not in explained])
    yield from name_checks.unknown_file([name for name in inputs.unknown if name not in explained])
    for check in name_checks.NAME_CHECKS:
        yield from check(images)


def _of_duplicates(inputs: Inputs, facts: Sequence[ImageFacts], search: Search, root: Path) -> Iterator[Problem]:
    links = search.links()
    if not links:
        return
    class_of = {fact.image: fact.class_name for fact in facts}
    yield from similar.exact(links, class_of)
    yield from similar.near_duplicates(links, class_of, inputs.kin_of)
    if inputs.format != PREPARED:
        yield from similar.split_leak(links, list(class_of), str(root))
        if inputs.classed:
            yield from similar.split_starved(links, class_of)
    for name in sorted(inputs.splits):
        yield from similar.split_straddles(links, inputs.splits[name], inputs.image_of)
