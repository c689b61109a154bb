"""One pass over all files, then the checks of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from carpet_data.core import executor
from carpet_data.core.problems import SEVERITIES, Problem
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD
from carpet_data.diagnosis import name_checks, set_checks, similar
from carpet_data.diagnosis.codes import CODES
from carpet_data.diagnosis.file_checks import FILE_CHECKS, IMAGE_CHECKS
from carpet_data.diagnosis.inspect import Report, inspect
from carpet_data.diagnosis.mask_checks import MASK_CHECKS
from carpet_data.diagnosis.set_checks import Facts
from carpet_data.diagnosis.subjects import PREPARED, Subject
from carpet_data.grouping.duplicates import Search

_GREY = ("grey", "grey+alpha", "bilevel")


def examine(
    subject: Subject,
    root: Path,
    *,
    near: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Problem]:
    """All problems of a data set, in the order of the table of codes, then by file.

    Every file is opened once, by a worker that sends home a few numbers and a 16 KiB description of the image, so
    that memory hardly grows with the data.

    Args:
        subject: From `subjects.open_subject`.
        root: As the user named it, for commands in hints.
        near: Also look for near duplicates.
        workers: Processes; None for one per core.
        progress: Called with (images done, all images).
    """
    problems = list(subject.problems)
    facts: list[Facts] = []
    search = Search(len(subject.jobs), near=near)
    jobs = sorted(subject.jobs, key=lambda job: job.image)
    for done, report in enumerate(executor.run(inspect, jobs, workers=workers), start=1):
        problems.extend(_of_entry(report))
        facts.append(_facts(report))
        if report.descriptor is not None:
            search.add(report.job.image, report.descriptor)
        if progress is not None:
            progress(Step(done, len(jobs), "examining"))
    problems.extend(_of_names(subject, facts))
    for check in set_checks.SET_CHECKS:
        # A data set whose document cannot be read is not also without images.
        if subject.problems and not facts:
            break
        problems.extend(check(facts))
    problems.extend(_of_duplicates(subject, facts, search, root))
    order = {code: number for number, code in enumerate(CODES)}
    return sorted(
        problems,
        key=lambda each: (SEVERITIES.index(each.severity), order.get(each.code, len(order)), each.where, each.what),
    )


def _of_entry(report: Report) -> Iterator[Problem]:
    for seen in (report.image, *report.masks):
        for check in FILE_CHECKS:
            yield from check(seen)
    for check_image in IMAGE_CHECKS:
        yield from check_image(report)
    for check_masks in MASK_CHECKS:
        yield from check_masks(report)


def _facts(report: Report) -> Facts:
    job, info = report.job, report.image.info
    annotated = bool(job.masks) or job.sample is not None
    empty = job.empty_is_good and all(seen.values is not None and seen.values.largest == 0 for seen in report.masks)
    class_name = GOOD if empty else job.class_name
    if info is None:
        return Facts(job.image, class_name, annotated)
    return Facts(job.image, class_name, annotated, (info.width, info.height), info.mode in _GREY)


def _of_names(subject: Subject, facts: list[Facts]) -> Iterator[Problem]:
    images = [fact.image for fact in facts]
    loco = list(name_checks.loco_masks((*subject.orphans, *subject.unknown), images))
    explained = {name for each in loco for name in each.files}
    yield from loco
    if not loco:
        yield from set_checks.mask_missing(facts, masked=subject.masked)
    yield from name_checks.mask_orphan([name for name in subject.orphans if name not in explained])
    yield from name_checks.unknown_file([name for name in subject.unknown if name not in explained])
    for check in (
        name_checks.name_case,
        name_checks.name_stem,
        name_checks.name_unicode,
        name_checks.name_not_portable,
    ):
        yield from check(images)


def _of_duplicates(subject: Subject, facts: list[Facts], search: Search, root: Path) -> Iterator[Problem]:
    links = search.links()
    if not links:
        return
    class_of = {fact.image: fact.class_name for fact in facts}
    yield from similar.exact(links, class_of)
    yield from similar.near_duplicates(links, class_of, subject.group_of)
    if subject.format != PREPARED:
        yield from similar.split_leak(links, list(class_of), str(root))
    for name in sorted(subject.splits):
        yield from similar.split_straddles(links, subject.splits[name], subject.image_of)
