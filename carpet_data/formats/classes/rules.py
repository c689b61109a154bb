"""Classes that no folder says: from the path of an image, from its mask, from the values of an index mask."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from carpet_data.core.images import read_indices, read_values
from carpet_data.core.masks.classes import IGNORED, class_numbers, values_in
from carpet_data.core.masks.read import load
from carpet_data.core.patterns import capturing
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, ClassFile, MaskFile, Sample
from carpet_data.errors import CarpetDataError, ClassNumbersError, DataError
from carpet_data.formats.classes.mask_classes import MaskClasses, parse, read_file
from carpet_data.formats.entries import COMBINED, ImageEntry
from carpet_data.formats.folders import good_names
from carpet_data.formats.registry import ReadOptions

DEFECT = "defect"
"""The class of an image whose mask marks a defect, where nothing else names one."""

_SHOWN = 5
_LISTS = ("classes.txt", "labels.txt", "labelmap.txt", "classes.json", "labels.json")
_PART = re.compile(r"(.*?)\d+")


def are_parts(folders: Iterable[str]) -> bool:
    """Whether folders are numbered pieces of one kind (kos01, kos02 …) rather than classes: one prefix and a number."""
    found = [_PART.fullmatch(name.casefold()) for name in folders]
    return len(found) > 1 and all(found) and len({match[1] for match in found if match}) == 1


def by_options(entries: Sequence[ImageEntry], options: ReadOptions, root: Path) -> tuple[ImageEntry, ...]:
    """The entries with the classes and groups that `--class-by` and `--class-from-mask` give them.

    Raises:
        UsageError: The expression is invalid, or captures nothing.
        DataError: Images that the expression does not match.
    """
    if options.class_from_mask:
        entries = _from_mask(entries)
    if options.class_by is not None:
        entries = _from_path(entries, compiled(options.class_by), root, by_mask=options.class_from_mask)
    return tuple(entries)


def compiled(pattern: str) -> re.Pattern[str]:
    """The expression of `--class-by`.

    Raises:
        UsageError: It is invalid, or captures nothing.
    """
    hint = "put the class in parentheses, such as '_([a-z]+)_[0-9]+$' for img_scratch_007"
    return capturing(pattern, "--class-by", hint)


def _from_mask(entries: Sequence[ImageEntry]) -> list[ImageEntry]:
    folders = {PurePosixPath(entry.image).parent.name for entry in entries}
    parts = are_parts(folders)
    changed = []
    for entry in entries:
        group = entry.group or (str(PurePosixPath(entry.image).parent) if parts else None)
        changed.append(_of_class(entry, DEFECT if entry.masks else GOOD, by_mask=True, group=group))
    return changed


def _from_path(
    entries: Sequence[ImageEntry], pattern: re.Pattern[str], root: Path, *, by_mask: bool
) -> list[ImageEntry]:
    """Each entry with the class of its path; with `by_mask`, those whose mask said good stay so."""
    key: str | int = next(iter(pattern.groupindex), 1)
    names: dict[str, str] = {}
    missed = []
    for entry in entries:
        match = pattern.search(entry.image)
        name = match[key] if match else None
        if name:
            names[entry.image] = name
        else:
            missed.append(entry.image)
    if missed:
        shown = ", ".join(missed[:_SHOWN]) + (" …" if len(missed) > _SHOWN else "")
        raise DataError(
            f"--class-by {pattern.pattern!r} finds no class in {counted(len(missed), 'path')} of {len(entries)}: "
            f"{shown}",
            where=root,
            hint="widen the expression; it is searched in the path of each image relative to ROOT",
        )
    good = good_names(set(names.values()))
    named = []
    for entry in entries:
        name = GOOD if names[entry.image] in good else names[entry.image]
        kept = by_mask and entry.class_name == GOOD
        # What the path says holds without a mask too: no image is good by lack of one.
        named.append(entry if kept else _of_class(entry, name, by_mask=by_mask))
    return named


def _of_class(entry: ImageEntry, name: str, *, by_mask: bool | None = None, group: str | None = None) -> ImageEntry:
    masks = tuple((path, name) for path, _ in entry.masks)
    by_mask = entry.by_mask if by_mask is None else by_mask
    return replace(entry, class_name=name, masks=masks, by_mask=by_mask, group=group or entry.group)


@dataclass(slots=True)
class Settled:
    """What the masks say.

    Attributes:
        samples: image path -> the sample with its class and annotation, of the images whose masks are all right.
        faulty: (image path, problem) of the others.
        notes: What one should know, one sentence each.
        categories: The defect types in the order of their numbers, where `--mask-classes` names them.
    """

    samples: dict[str, Sample] = field(default_factory=dict)
    faulty: list[tuple[str, CarpetDataError]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


def by_masks(pairs: Sequence[tuple[ImageEntry, Sample]], options: ReadOptions, root: Path) -> Settled:
    """Open masks where classes depend on them: with `--mask-classes` all, else those of entries that are `by_mask`.

    Raises:
        DataError: The masks are class-index masks, and no option names their classes; or they hold values that it
            does not name.
        UsageError: `--mask-classes` cannot be understood.
    """
    if options.mask_classes is not None:
        return _by_values(pairs, parse(options.mask_classes), root)
    settled = Settled()
    for entry, sample in pairs:
        settled.samples[entry.image] = sample
        if not entry.by_mask or sample.annotation is None:
            continue
        try:
            if not len(load(root, replace(sample, root=root)).runs):
                settled.samples[entry.image] = replace(sample, class_name=GOOD)
        except CarpetDataError as error:
            del settled.samples[entry.image]
            settled.faulty.append((entry.image, error))
    if settled.faulty:
        at_fault = {image for image, _ in settled.faulty}
        _refuse_unnamed([sample for entry, sample in pairs if entry.image in at_fault], root)
    return settled


def _refuse_unnamed(samples: Sequence[Sample], root: Path) -> None:
    """One error for all masks that hold class numbers, instead of one each that speaks of a threshold."""
    values: set[int] = set()
    masks = 0
    for sample in samples:
        if not isinstance(sample.annotation, MaskFile):
            continue
        path, threshold = root / sample.annotation.path, sample.annotation.threshold
        try:
            here = class_numbers(path, read_values(path), threshold)
        except CarpetDataError:  # reported as it is
            continue
        values.update(here)
        masks += bool(here)
    if len(values) > 1:
        raise unnamed(values, masks, root)


def unnamed(values: Iterable[int], masks: int, root: Path) -> DataError:
    """The error of class-index masks whose classes nothing names: the values, and what to type."""
    ordered = sorted(values)
    listed = _listing(ordered, root)
    named = ",".join(f"{value}={'ignore' if value == IGNORED else 'NAME'}" for value in ordered)
    how = f"{named} (or a file of names)" if listed is None else f"{shlex.quote(str(listed))}, or {named}"
    return ClassNumbersError(
        f"{counted(masks, 'mask')} {'holds' if masks == 1 else 'hold'} class numbers "
        f"({', '.join(map(str, ordered))}) instead of one defect, and the classes are not named",
        where=root,
        hint=f"name them: carpet-data doctor {shlex.quote(str(root))} --mask-classes {how}",
    )


def _listing(values: Sequence[int], root: Path) -> Path | None:
    """A file at the top that lists classes of just these values; it is named, but nobody knows whether it is meant."""
    for name in _LISTS:
        path = root / name
        try:
            found = read_file(path)
        except CarpetDataError:
            continue  # none, or one of something else
        if {value for value, _ in found.table} >= {value for value in values if value not in found.ignored}:
            return path
    return None


def _by_values(pairs: Sequence[tuple[ImageEntry, Sample]], classes: MaskClasses, root: Path) -> Settled:
    settled = Settled(categories=tuple(name for _, name in classes.table))
    ignored: Counter[int] = Counter()
    unknown: Counter[int] = Counter()
    touched = 0
    known = {*(value for value, _ in classes.table), *classes.background, *classes.ignored}
    for entry, sample in pairs:
        if sample.annotation is None:
            settled.samples[entry.image] = sample
            continue
        try:
            path = _one_mask(entry, root)
            counts = values_in(read_indices(root / path))
        except CarpetDataError as error:
            settled.faulty.append((entry.image, error))
            continue
        unknown.update(value for value in counts if value not in known)
        here = {value: counts[value] for value in classes.ignored if value in counts}
        ignored.update(here)
        touched += bool(here)
        annotation = classes.annotation(path, counts)
        class_name = _class_of(annotation) if entry.by_mask else sample.class_name
        settled.samples[entry.image] = replace(sample, class_name=class_name, annotation=annotation)
    if unknown:
        raise _unknown(unknown, root)
    settled.notes = tuple(
        f"{counted(pixels, 'pixel')} of value {value} are undecided and belong to no class ({counted(touched, 'mask')})"
        for value, pixels in sorted(ignored.items())
    )
    return settled


def _one_mask(entry: ImageEntry, root: Path) -> str:
    if len(entry.masks) > 1:
        raise DataError(
            f"the image has several masks ({', '.join(path for path, _ in entry.masks[:_SHOWN])}), and class numbers "
            "need one",
            where=root / entry.image,
            hint="draw them into one mask, or read them without --mask-classes",
        )
    return entry.masks[0][0]


def _class_of(annotation: ClassFile) -> str:
    names = {name for _, name in annotation.table}
    return COMBINED if len(names) > 1 else next(iter(names), GOOD)


def _unknown(unknown: Counter[int], root: Path) -> DataError:
    listed = ", ".join(f"{value} (in {counted(masks, 'mask')})" for value, masks in sorted(unknown.items())[:_SHOWN])
    return DataError(
        f"--mask-classes does not say what these values stand for: {listed}",
        where=root,
        hint="add them, such as " + ",".join(f"{value}=NAME" for value in sorted(unknown)[:_SHOWN]) + ", or =ignore",
    )
