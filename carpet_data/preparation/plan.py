"""What `prepare` decides before it writes: which images are sound, which belong together, which side each takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, Dataset, Sample, Split
from carpet_data.errors import CarpetDataError, DataError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.formats.export import MAIN_SPLIT
from carpet_data.grouping import duplicates, runs
from carpet_data.grouping.groups import Groups, Link, from_mapping, join
from carpet_data.preparation import partitions
from carpet_data.preparation.partitions import SplitRequest
from carpet_data.store import conversion, names
from carpet_data.store.conversion import MaskForm
from carpet_data.store.creating import Draft, Planned
from carpet_data.store.description import Description

_MOST_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """How samples are grouped.

    Attributes:
        group_by: Regular expression; equal captured text is one group.
        group_runs: Regular expression that captures a frame number; runs of them are groups.
        gap: The largest step inside a run; None for 1.
        near_duplicates: Images that show the same thing are one group.
    """

    group_by: str | None
    group_runs: str | None
    gap: int | None
    near_duplicates: bool

    def check(self) -> None:
        """Refuse patterns that make no sense, before any work."""
        if self.gap is not None and self.group_runs is None:
            raise UsageError("a gap was given, but no runs", hint="give --group-runs REGEX too")
        self.by_name(())

    def by_name(self, paths: Sequence[str]) -> list[runs.NameGroups]:
        """What the names of images say."""
        found = []
        if self.group_by is not None:
            found.append(runs.by_regex(paths, self.group_by))
        if self.group_runs is not None:
            found.append(runs.by_runs(paths, self.group_runs, 1 if self.gap is None else self.gap))
        return found

    def made(self) -> dict[str, Any]:
        """The request as plain values, for the record."""
        values = {
            "group_by": self.group_by,
            "group_runs": self.group_runs,
            "gap": None if self.group_runs is None else self.gap if self.gap is not None else 1,
            "near_duplicates": self.near_duplicates,
        }
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Drafted:
    """What was decided.

    Attributes:
        draft: What will be written.
        groups: Which samples belong together, and why.
        named: "name" or "run" -> groups that the names make.
        problems: Of images that are left out.
        notes: What the user should know.
    """

    draft: Draft
    groups: Groups
    named: Mapping[str, int]
    problems: tuple[CarpetDataError, ...]
    notes: tuple[str, ...]


def draft(
    dataset: Dataset,
    read_options: ReadOptions,
    request: SplitRequest,
    grouping: GroupRequest,
    skip_faulty: bool,
    unread: Sequence[CarpetDataError],
    workers: int | None,
    progress: Progress | None,
) -> Drafted:
    """Look at every image and mask, group and split.

    Args:
        dataset: A raw data set.
        read_options: How it was read.
        request: How to split; checked.
        grouping: How to group; checked.
        skip_faulty: Leave out samples at fault.
        unread: Faults of images that the reader has left out.
        workers: Processes; None for one per core.
        progress: Called with (steps done, all steps), for the first two of three passes.

    Raises:
        ProblemsError: Images or masks at fault.
        DataError: The pool is empty. UsageError: The split does not fit the data.
    """
    ids = _ids(dataset)
    found = duplicates.find(
        {ids[sample.id]: dataset.path(sample.image_path) for sample in dataset},
        near=grouping.near_duplicates,
        workers=workers,
        progress=part(progress, 0),
    )
    mask_forms, mask_problems = _inspect(dataset, workers, part(progress, 1))
    problems: list[CarpetDataError] = [*unread, *found.problems, *mask_problems]
    if problems and not skip_faulty:
        raise ProblemsError(problems[:_MOST_PROBLEMS])
    kept = {ids[s.id]: s for s in dataset if ids[s.id] in found.file_sha256 and s.id in mask_forms}
    if not kept:
        raise ProblemsError(problems[:_MOST_PROBLEMS])
    groups, named, notes = _group(kept, found.links, grouping)
    shared = {sample_id: group for group, members in groups.shared().items() for sample_id in members}
    planned = tuple(
        Planned(new_id, sample, found.file_sha256[new_id], mask_forms[sample.id], shared.get(new_id))
        for new_id, sample in sorted(kept.items())
    )
    splits = _splits(planned, shared, request)
    notes += sorted({note for split in splits for note in split.made["notices"]})
    taking_part = {sample_id for split in splits for sample_id in split.sides}
    synthetic = sum(p.source.origin == "synthetic" and p.id not in taking_part for p in planned)
    if synthetic:
        notes.append(f"{synthetic} synthetic images are in no split: what they were made from is not known here")
    classes = sorted({sample.class_name for sample in kept.values()}, key=lambda name: (name != GOOD, name))
    prepared = {"reader": dataset.format, "threshold": read_options.threshold, "grouping": grouping.made()}
    description = Description(
        dataset.name, tuple(classes), dataset.categories, dataset.license, dataset.connectivity, prepared
    )
    links = tuple(link.to_json() for link in groups.links)
    made = Draft(dataset.root, description, planned, splits, links, grouping.made())
    return Drafted(made, groups, named, tuple(problems), tuple(notes))


def _ids(dataset: Dataset) -> dict[str, str]:
    """id in the source -> id in the prepared folder, which can be a file name anywhere."""
    ids = {sample.id: names.component(sample.id) for sample in dataset}
    seen: dict[str, str] = {}
    problems: list[CarpetDataError] = []
    for raw, new in ids.items():
        # A file system that ignores case would make one file of two.
        other = seen.setdefault(new.casefold(), raw)
        if other != raw:
            problems.append(
                DataError(f"the ids {other!r} and {raw!r} would be one file", hint="rename one of their images")
            )
    if problems:
        raise ProblemsError(problems[:_MOST_PROBLEMS])
    return ids


def _inspect(
    dataset: Dataset, workers: int | None, progress: Progress | None
) -> tuple[dict[str, MaskForm], list[CarpetDataError]]:
    root = str(dataset.root)
    jobs = ((root, sample) for sample in dataset)
    mask_forms: dict[str, MaskForm] = {}
    problems: list[CarpetDataError] = []
    for done, (sample, result) in enumerate(
        zip(dataset, executor.run(conversion.inspect, jobs, workers=workers, chunk=32), strict=True), start=1
    ):
        if isinstance(result, CarpetDataError):
            problems.append(result)
        else:
            mask_forms[sample.id] = result
        if progress is not None:
            progress(Step(done, len(dataset), "reading masks"))
    return mask_forms, problems


def _group(
    samples: Mapping[str, Sample], found: Sequence[Link], grouping: GroupRequest
) -> tuple[Groups, dict[str, int], list[str]]:
    """The groups, how many of them the names make, and notes."""
    id_of = {sample.image_path: sample_id for sample_id, sample in samples.items()}
    links = [link for link in found if link.a in samples and link.b in samples]
    links += from_mapping({sample_id: sample.group for sample_id, sample in samples.items()}, "given")
    notes: list[str] = []
    named: dict[str, int] = {}
    for by_name in grouping.by_name(tuple(id_of)):
        links += by_name.links(id_of)
        notes += by_name.notes
        named[by_name.reason] = len(set(by_name.of.values()))
    return join(samples, links), named, notes


def _splits(planned: Sequence[Planned], groups: Mapping[str, str], request: SplitRequest) -> tuple[Split, ...]:
    samples = [
        replace(planned_one.source, id=planned_one.id, source=planned_one.source.image_path) for planned_one in planned
    ]
    if not request.many:
        return tuple(partitions.make(samples, groups, request, MAIN_SPLIT))
    stem = {"rotations": "rotation", "leave-one-out": "out"}.get(request.protocol or "", "fold")
    splits = partitions.make(samples, groups, request, stem)
    # The commands that name no split take "main".
    return (Split(MAIN_SPLIT, splits[0].sides, {**splits[0].made, "same_as": splits[0].name}), *splits)


def part(progress: Progress | None, number: int) -> Progress | None:
    """The progress of one of three passes over all images, as that of the whole."""
    if progress is None:
        return None
    whole = progress

    def tell(step: Step) -> None:
        if step.total is not None:
            whole(replace(step, done=number * step.total + step.done, total=3 * step.total))

    return tell
