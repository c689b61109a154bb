"""What to examine, whatever the format: jobs for the workers, and problems that names and documents show already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from carpet_data.core.problems import Problem
from carpet_data.dataset import Dataset, MaskFile, MaskStack, Sample, Split
from carpet_data.diagnosis.codes import problem
from carpet_data.diagnosis.inspect import InspectJob
from carpet_data.errors import CarpetDataError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.folder import DEFECT
from carpet_data.formats.reading import detect
from carpet_data.formats.registry import readable
from carpet_data.formats.tree import Tree

PREPARED = "prepared"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to examine.

    Attributes:
        masked: Whether a defect image without a mask is a problem.
        unknown: Files that no reader uses.
        image_of: sample id -> image path, for the splits.
        group_of: image path -> the group it is known to belong to.
    """

    name: str
    format: str
    jobs: tuple[InspectJob, ...] = ()
    masked: bool = True
    orphans: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)
    image_of: Mapping[str, str] = field(default_factory=dict)
    group_of: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def open_inputs(root: Path, options: ReadOptions) -> Inputs:
    """What to examine in a folder.

    Raises:
        DataError: The folder is missing, or its format is unknown.
        UsageError: Unknown format.
    """
    found = readable(detect(root) if options.format == "auto" else options.format)
    options = replace(options, format=found.name)
    if found.scan is not None:
        return _of_tree(found.scan(root, options), options)
    return _of_dataset(root, options)


def _of_tree(tree: Tree, options: ReadOptions) -> Inputs:
    # Without class folders the mask decides whether an image is good.
    unclassed = tree.format == "folder" and not any(f"/{DEFECT}/" in f"/{entry.image}" for entry in tree.entries)
    jobs = [
        InspectJob(
            tree.root,
            entry.image,
            entry.class_name,
            tuple(path for path, _ in entry.masks),
            stacked=entry.stacked or len(entry.masks) > 1,
            mask_classes=tuple(name for _, name in entry.masks),
            overlap=options.overlap,
            threshold=options.threshold,
            empty_is_good=unclassed and entry.class_name == DEFECT,
        )
        for entry in tree.entries
    ]
    problems = tuple(
        problem("pairing", relative(error, tree.root), error.what, hint=error.hint) for error in _each(tree.problems)
    )
    image_of = {entry.image: entry.image for entry in tree.entries}
    sides = {entry.image: entry.side for entry in tree.entries if entry.side is not None}
    splits = {"source": Split("source", sides)} if len(set(sides.values())) > 1 else {}
    return Inputs(
        tree.name,
        tree.format,
        tuple(jobs),
        masked=tree.masked_classes,
        orphans=tree.orphans,
        unknown=tree.unknown,
        splits=splits,
        image_of=image_of,
        problems=problems,
    )


def _of_dataset(root: Path, options: ReadOptions) -> Inputs:
    problems = tuple(_of_prepared(root)) if options.format == PREPARED else ()
    try:
        dataset = read(root, options)
    except CarpetDataError as error:
        if isinstance(error, UsageError):
            raise
        unreadable = tuple(
            problem("unreadable-data-set", relative(each, root), each.what, hint=each.hint) for each in _each((error,))
        )
        # The store's own check describes the problems of a prepared folder better.
        stopped = any(each.severity == "error" for each in problems)
        return Inputs(root.resolve().name, options.format, problems=problems if stopped else problems + unreadable)
    return Inputs(
        dataset.name,
        dataset.format,
        tuple(_job(dataset, sample) for sample in dataset.samples),
        masked=any(sample.annotation is not None for sample in dataset.samples),
        splits=dataset.splits,
        image_of={sample.id: sample.image_path for sample in dataset.samples},
        group_of={sample.image_path: sample.group for sample in dataset.samples if sample.group is not None},
        problems=problems,
    )


def _of_prepared(root: Path) -> Iterator[Problem]:
    """What the store's own check finds; missing files are reported when they are opened."""
    from carpet_data.store.verify import verify

    yield from (each for each in verify(root) if each.code != "file-missing")


def _job(dataset: Dataset, sample: Sample) -> InspectJob:
    plain = InspectJob(dataset.root, sample.image_path, sample.class_name)
    match sample.annotation:
        case MaskFile(path=path, threshold=threshold):
            return replace(plain, masks=(path,), threshold=threshold)
        case MaskStack(files=files, threshold=threshold, overlap=overlap):
            masks, classes = tuple(path for path, _ in files), tuple(name for _, name in files)
            return replace(plain, masks=masks, mask_classes=classes, stacked=True, threshold=threshold, overlap=overlap)
        case None:
            return plain
        case _:
            return replace(plain, sample=sample)


def _each(errors: tuple[CarpetDataError, ...]) -> tuple[CarpetDataError, ...]:
    """Collected problems, one by one."""
    return tuple(
        each for error in errors for each in (_each(error.problems) if isinstance(error, ProblemsError) else (error,))
    )


def relative(error: CarpetDataError, root: Path) -> str:
    """Where an error is, relative to the root if it is inside."""
    if error.where is None:
        return "."
    try:
        return Path(error.where).relative_to(root).as_posix()
    except ValueError:
        return error.where
