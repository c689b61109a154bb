"""What to examine, whatever the format: jobs for the workers, and problems that names and documents show already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from carpet_data.core.problems import Problem
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, MaskFile, MaskStack, Sample, Split
from carpet_data.diagnosis.codes import problem
from carpet_data.diagnosis.inspect import InspectJob, open_file
from carpet_data.errors import CarpetDataError, ClassNumbersError, ImageError, ProblemsError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.reasons import reasons_against
from carpet_data.formats.account.roles import UNUSED_LABELS, Account, of_tree
from carpet_data.formats.account.unread import Finding, ReadImage
from carpet_data.formats.folders import GROUND_TRUTH
from carpet_data.formats.glance import MASK_FOLDERS
from carpet_data.formats.listing import is_image, walk, walking_once
from carpet_data.formats.pairing import PairingError
from carpet_data.formats.reading import PREPARED, chosen, examine
from carpet_data.formats.tree import Tree

__all__ = ["PREPARED", "UNKNOWN", "Inputs", "open_inputs", "relative"]

UNKNOWN = ""
"""The class of images of a data set that could not be read."""

_MASKS = MASK_FOLDERS | {GROUND_TRUTH}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to examine.

    Attributes:
        masked: Whether a defect image without a mask is a problem.
        unknown: Files that no reader uses.
        image_of: sample id -> image path, for the splits.
        kin_of: image path -> what it is known to show: its group, and for a synthetic image those of the samples it
            was made from. Images that have one of these in common are no surprise to each other.
        account: What each folder was taken for; None in a prepared folder, and where nothing could be read.
        classed: Whether the classes of the images are known; False where the data set could not be read.
    """

    name: str
    format: str
    jobs: tuple[InspectJob, ...] = ()
    masked: bool = True
    orphans: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(default_factory=dict)
    image_of: Mapping[str, str] = field(default_factory=dict)
    kin_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    account: Account | None = None
    classed: bool = True


def open_inputs(root: Path, options: ReadOptions) -> Inputs:
    """What to examine in a folder.

    Raises:
        DataError: The folder is missing, or its format is unknown.
        UsageError: Unknown format.
    """
    found = chosen(root, options)
    asked, options = options, replace(options, format=found.name)
    if found.scan is None:
        return _of_dataset(root, options)
    with walking_once():
        tree = found.scan(root, options).ruled(options)
        if options.mask_classes is not None or tree.class_list is not None:
            return _of_dataset(root, options, tuple(entry.image for entry in tree.entries))
        account = of_tree(tree, walk(root))
        seen = [
            ReadImage(entry.image, entry.class_name, bool(entry.masks), tuple(path for path, _ in entry.masks))
            for entry in tree.entries
        ]
        reasons = reasons_against(found, account, root, seen, tree.orphans, asked)
    return _of_tree(tree, options, account, _of_account(account, reasons, root))


def _of_account(account: Account, reasons: Sequence[Finding], root: Path) -> tuple[Problem, ...]:
    """Files without a role: what speaks against using the set, and what is worth a look."""
    found = [
        problem(reason.code, relative(reason.error, root), reason.error.what, hint=reason.error.hint)
        for reason in reasons
        if reason.code != "mask-orphan"  # every one of them is a problem of its own
    ]
    stopped = any(reason.code == "not-read" for reason in reasons)
    images = account.unread.images
    if images and not stopped:
        code, how = ("images-not-listed", "listed") if account.listed else ("images-not-read", "read")
        found.append(problem(code, images[0], f"{counted(len(images), 'image file')} not {how}", files=images))
    return tuple(found)


def _of_tree(tree: Tree, options: ReadOptions, account: Account, unread: tuple[Problem, ...]) -> Inputs:
    image_of = {entry.image: entry.image for entry in tree.entries}
    sides = {entry.image: entry.side for entry in tree.entries if entry.side is not None}
    splits = {"source": Split("source", sides)} if len(set(sides.values())) > 1 else {}
    return Inputs(
        tree.name,
        tree.format,
        tuple(_jobs_of(tree, options)),
        masked=tree.masked_classes,
        orphans=tree.orphans,
        unknown=account.unread.others,
        splits=splits,
        image_of=image_of,
        kin_of={entry.image: frozenset({entry.group}) for entry in tree.entries if entry.group is not None},
        problems=(*unread, *_problems_of(tree)),
        account=account,
    )


def _jobs_of(tree: Tree, options: ReadOptions) -> list[InspectJob]:
    threshold = options.threshold if tree.threshold is None else tree.threshold
    return [
        InspectJob(
            tree.root,
            entry.image,
            entry.class_name,
            tuple(path for path, _ in entry.masks),
            stacked=entry.stacked or len(entry.masks) > 1,
            mask_classes=tuple(name for _, name in entry.masks),
            overlap=options.overlap,
            threshold=1 if entry.stacked else threshold,
            empty_is_good=entry.by_mask and entry.class_name != GOOD,
        )
        for entry in tree.entries
    ]


def _problems_of(tree: Tree) -> list[Problem]:
    return [
        problem(
            error.code if isinstance(error, PairingError) else "pairing",
            relative(error, tree.root),
            error.what,
            hint=error.hint,
        )
        for error in _each(tree.problems)
    ]


def _of_dataset(root: Path, options: ReadOptions, images: tuple[str, ...] | None = None) -> Inputs:
    """What a reader made of a folder; `images` are its images where names tell them, should it be unreadable."""
    problems = tuple(_of_prepared(root)) if options.format == PREPARED else ()
    try:
        dataset, reasons = _examine(root, options)
    except CarpetDataError as error:
        if isinstance(error, UsageError):
            raise
        return _of_unreadable(root, options, error, problems, images)
    problems += (*_of_skipped(dataset), *_of_unused(dataset))
    return Inputs(
        dataset.name,
        dataset.format,
        tuple(_job(dataset, sample) for sample in dataset.samples),
        masked=any(sample.annotation is not None for sample in dataset.samples),
        orphans=dataset.orphans,
        unknown=() if dataset.account is None else dataset.account.unread.others,
        splits=dataset.splits,
        image_of={sample.id: sample.image_path for sample in dataset.samples},
        kin_of=_kin(dataset),
        problems=problems
        if dataset.account is None
        else problems + _of_account(dataset.account, reasons, dataset.root),
        account=dataset.account,
    )


def _of_unreadable(
    root: Path,
    options: ReadOptions,
    error: CarpetDataError,
    problems: tuple[Problem, ...],
    images: tuple[str, ...] | None,
) -> Inputs:
    """A data set that cannot be read: its problems, and its images as far as they tell something by themselves."""
    name = root.resolve().name
    # The store's own check describes the problems of a prepared folder better.
    if any(each.severity == "error" for each in problems):
        return Inputs(name, options.format, problems=problems)
    folder = root if root.is_dir() else root.parent
    if images is None:
        images = () if options.format == PREPARED else _images_in(folder)
    jobs = tuple(InspectJob(folder, image, UNKNOWN) for image in images)
    seen = {folder / image for image in images}
    found = tuple(
        problem(
            "mask-classes" if isinstance(each, ClassNumbersError) else "unreadable-data-set",
            relative(each, root),
            each.what,
            hint=each.hint,
        )
        for each in _each((error,))
        # What is wrong with an image file is said where it is examined.
        if not (isinstance(each, ImageError) and Path(each.where or "") in seen)
    )
    return Inputs(name, options.format, jobs, problems=problems + found, classed=False)


def _images_in(folder: Path) -> tuple[str, ...]:
    try:
        files = walk(folder).files
    except CarpetDataError:
        return ()  # this is what is wrong with the data set, and said already
    return tuple(path for path in files if is_image(path) and _MASKS.isdisjoint(path.casefold().split("/")))


def _of_unused(dataset: Dataset) -> Iterator[Problem]:
    """Label files of no image, which leaving out images settles: all the same a reason to refuse without it."""
    unused = [path for path, why in dataset.aside if why == UNUSED_LABELS]
    if unused:
        what = "no image uses this label file" if len(unused) == 1 else f"no image uses {len(unused)} label files"
        hint = "restore the image, correct the name, or remove the label file"
        yield problem("labels-not-read", unused[0], what, files=tuple(unused[1:]), hint=hint)


def _examine(root: Path, options: ReadOptions) -> tuple[Dataset, tuple[Finding, ...]]:
    """Read a data set; where single images are at fault, the others are examined all the same."""
    try:
        return examine(root, options)
    except UsageError:
        raise
    except CarpetDataError as error:
        if options.format == PREPARED or options.skip_faulty:
            raise
        try:
            dataset, reasons = examine(root, replace(options, skip_faulty=True))
        except CarpetDataError:
            # Leaving out images does not help; this error names them, and what is wrong with the whole set.
            raise error from None
        if not dataset.skipped:
            raise
        return dataset, reasons


def _of_skipped(dataset: Dataset) -> Iterator[Problem]:
    """One problem for each image whose entries are at fault, or whose file is."""
    for error in dataset.skipped:
        where = relative(error, dataset.root)
        opened = open_file(dataset.root, where) if isinstance(error, ImageError) else None
        if isinstance(opened, Problem):
            yield opened
        else:
            yield problem("annotation", where, error.what, hint=error.hint)


def _kin(dataset: Dataset) -> dict[str, frozenset[str]]:
    from carpet_data.store.leaks import ancestors

    group_of = {sample.id: sample.group or sample.id for sample in dataset.samples}
    kin: dict[str, frozenset[str]] = {}
    for sample in dataset.samples:
        made_from = [name for _, name in ancestors(sample.provenance)] if sample.provenance is not None else []
        kin[sample.image_path] = frozenset(group_of.get(name, name) for name in (sample.id, *made_from))
    return kin


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
