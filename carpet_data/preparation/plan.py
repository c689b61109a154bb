"""What `prepare` decides before it writes: which images are readable, which belong together, which side each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from carpet_data.core import executor
from carpet_data.core.progress import Progress, Step
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, MAIN_SPLIT, Dataset, Sample, Split
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.roles import Account
from carpet_data.formats.skipped import about_image
from carpet_data.grouping import duplicates
from carpet_data.grouping.groups import Groups, Link, from_mapping, join
from carpet_data.preparation import partitions
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.samples import lacking_masks
from carpet_data.store import conversion, names
from carpet_data.store.conversion import MaskForm
from carpet_data.store.creating import Draft, Planned
from carpet_data.store.description import Description

_MOST_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class PreparePlan:
    """What was decided.

    Attributes:
        named: "name" or "run" -> number of groups found by name.
        skipped: One error for each image left out, those that the reader left out included.
        source: What each folder of the data set was taken for.
    """

    draft: Draft
    groups: Groups
    named: Mapping[str, int]
    skipped: tuple[DataError, ...]
    notes: tuple[str, ...]
    source: Account | None


@dataclass(frozen=True, slots=True)
class PreparePlanner:
    """How to plan: the options, processes and progress.

    Attributes:
        keep_unmasked: Whether defect images that lack a mask stay, where others have one.
    """

    read: ReadOptions
    split: SplitOptions
    group: GroupOptions
    keep_unmasked: bool
    workers: int | None
    progress: Progress | None

    def plan(self, dataset: Dataset) -> PreparePlan:
        """Look at every image and mask of a raw data set, group and split.

        Raises:
            ProblemsError: Images or masks with problems; where these are left out, all of them have one.
            DataError: The pool is empty. UsageError: The split does not fit the data.
        """
        ids = _ids(dataset)
        found = duplicates.find(
            {ids[sample.id]: dataset.path(sample.image_path) for sample in dataset},
            near=self.group.near_duplicates,
            workers=self.workers,
            progress=part(self.progress, 0),
        )
        mask_forms, mask_problems = self._read_masks(dataset)
        if not self.keep_unmasked:
            for sample in lacking_masks(dataset):
                mask_problems[sample.id] = _unmasked(dataset, sample)
                del mask_forms[sample.id]
        problems = (*found.problems, *mask_problems.values())
        kept = {ids[s.id]: s for s in dataset if ids[s.id] in found.file_sha256 and s.id in mask_forms}
        if not kept or (problems and not self.read.skip_faulty):
            raise ProblemsError(list(problems[:_MOST_PROBLEMS]))
        skipped = (*dataset.skipped, *_skipped(dataset, found.problems, mask_problems))
        groups, named, notes = _group(kept, found.links, self.group)
        shared = {sample_id: group for group, members in groups.shared().items() for sample_id in members}
        planned = tuple(
            Planned(new_id, sample, found.file_sha256[new_id], mask_forms[sample.id], shared.get(new_id))
            for new_id, sample in sorted(kept.items())
        )
        splits = _splits(planned, shared, self.split)
        notes += _conflicts(kept, found.links)
        notes += [*partitions.notes_of(splits), *_unused_synthetic(planned, splits)]
        classes = sorted({sample.class_name for sample in kept.values()}, key=lambda name: (name != GOOD, name))
        made = self.group.made()
        prepared = {"reader": dataset.format, "threshold": self.read.threshold, "grouping": made}
        description = Description(
            dataset.name, tuple(classes), dataset.categories, dataset.license, dataset.connectivity, prepared
        )
        links = tuple(link.to_json() for link in groups.links)
        draft = Draft(dataset.root, description, planned, splits, links, made)
        return PreparePlan(draft, groups, named, skipped, tuple(notes), dataset.account)

    def _read_masks(self, dataset: Dataset) -> tuple[dict[str, MaskForm], dict[str, CarpetDataError]]:
        """The forms of the masks, and the problems of the others, by id."""
        jobs = ((str(dataset.root), sample) for sample in dataset)
        progress = part(self.progress, 1)
        mask_forms: dict[str, MaskForm] = {}
        problems: dict[str, CarpetDataError] = {}
        results = executor.run(conversion.inspect, jobs, workers=self.workers, chunk=32)
        for done, (sample, result) in enumerate(zip(dataset, results, strict=True), start=1):
            if isinstance(result, CarpetDataError):
                problems[sample.id] = result
            else:
                mask_forms[sample.id] = result
            if progress is not None:
                progress(Step(done, len(dataset), "reading masks"))
        return mask_forms, problems


def _unmasked(dataset: Dataset, sample: Sample) -> DataError:
    return DataError(
        f"the image is of class {sample.class_name}, but has no mask",
        where=dataset.path(sample.image_path),
        hint="add its mask; or leave such images out with --skip-faulty, or keep them for classification with "
        "--keep-unmasked",
    )


def _conflicts(samples: Mapping[str, Sample], links: Sequence[Link]) -> list[str]:
    """A note on images that are in two classes, byte for byte or pixel for pixel."""
    found = [
        (samples[link.a], samples[link.b])
        for link in links
        if link.reason in ("file", "pixels")
        and link.a in samples
        and link.b in samples
        and samples[link.a].class_name != samples[link.b].class_name
    ]
    if not found:
        return []
    a, b = found[0]
    return [
        f"{counted(len(found), 'pair')} of equal images in different classes, such as {a.image_path} and "
        f"{b.image_path}: one of the two labels is wrong (carpet-data doctor lists them)"
    ]


def _skipped(
    dataset: Dataset, of_images: Sequence[CarpetDataError], of_masks: Mapping[str, CarpetDataError]
) -> Iterator[DataError]:
    """One error for each image that is left out: that of its own file, else that of its mask."""
    by_file = {error.where: error for error in of_images}
    for sample in dataset:
        image = dataset.path(sample.image_path)
        error = by_file.get(str(image), of_masks.get(sample.id))
        if error is not None:
            yield about_image(error, image)


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


def _group(
    samples: Mapping[str, Sample], found: Sequence[Link], options: GroupOptions
) -> tuple[Groups, dict[str, int], list[str]]:
    """The groups, how many of them names make, and notes."""
    id_of = {sample.image_path: sample_id for sample_id, sample in samples.items()}
    links = [link for link in found if link.a in samples and link.b in samples]
    links += from_mapping({sample_id: sample.group for sample_id, sample in samples.items()}, "given")
    notes: list[str] = []
    named: dict[str, int] = {}
    for by_name in options.by_name(tuple(id_of)):
        links += by_name.links(id_of)
        notes += by_name.notes
        named[by_name.reason] = len(set(by_name.of.values()))
    return join(samples, links), named, notes


def _splits(planned: Sequence[Planned], groups: Mapping[str, str], options: SplitOptions) -> tuple[Split, ...]:
    samples = [replace(each.source, id=each.id, source=each.source.image_path) for each in planned]
    if not options.many:
        return tuple(partitions.make(samples, groups, options, MAIN_SPLIT))
    stems = {"rotations": "rotation", "leave-one-out": "out"}
    stem = stems.get(options.protocol or "", "repeat" if options.repeats else "fold")
    splits = partitions.make(samples, groups, options, stem)
    # The commands that name no split take "main".
    return (Split(MAIN_SPLIT, splits[0].sides, {**splits[0].made, "same_as": splits[0].name}), *splits)


def _unused_synthetic(planned: Sequence[Planned], splits: Sequence[Split]) -> list[str]:
    taking_part = {sample_id for split in splits for sample_id in split.sides}
    count = sum(each.source.origin == "synthetic" and each.id not in taking_part for each in planned)
    return [f"{count} synthetic images are in no split: their original images are unknown"] if count else []


def part(progress: Progress | None, number: int) -> Progress | None:
    """The progress of one of three passes over all images, as that of the whole."""
    if progress is None:
        return None

    def show(step: Step) -> None:
        if step.total is not None:
            progress(replace(step, done=number * step.total + step.done, total=3 * step.total))

    return show
