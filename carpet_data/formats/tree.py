"""What a raw folder holds, by names alone: the step before any file is opened.

Every folder format (MVTec AD, LOCO, AD 2, images + masks) is scanned into a Tree. `doctor` looks into all of it;
`dataset` turns its entries into samples.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from carpet_data.core.images import probe
from carpet_data.dataset import (
    SOURCE_SPLIT,
    Annotation,
    Connectivity,
    Dataset,
    MaskFile,
    MaskStack,
    Overlap,
    Sample,
    Split,
    categories_of,
)
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.classes import rules
from carpet_data.formats.entries import ImageEntry, NoImagesError
from carpet_data.formats.listing import composed
from carpet_data.formats.pairing import PairingError, stem
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import ReadOptions


@dataclass(frozen=True, slots=True)
class Tree:
    """A scanned folder.

    Attributes:
        entries: Every image, sorted by path.
        orphans: Mask files without an image.
        unknown: Files that are neither image nor mask nor known by name (license, readme).
        masked_classes: Whether a defect image without a mask is a problem (False where the format keeps none).
        problems: What the names leave open, such as a mask that fits two images.
        documents: Other files that reading used, such as a table of classes.
        aside: (path of a file or folder, why) of what is left out on purpose.
        notes: What was decided that one should know, one sentence each.
        threshold: Mask values of at least this are a defect; None for the reader's option.
        class_list: The file that names the classes of class-index masks, relative to the root; None without one.
    """

    root: Path
    format: str
    name: str
    entries: tuple[ImageEntry, ...]
    orphans: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    license: str = ""
    masked_classes: bool = True
    problems: tuple[CarpetDataError, ...] = ()
    documents: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    threshold: int | None = None
    class_list: str | None = None

    def ruled(self, options: ReadOptions) -> Tree:
        """The tree with the classes that `--class-by` and `--class-from-mask` give its images.

        Raises:
            UsageError: The expression is invalid, or captures nothing.
            DataError: Images that the expression does not match.
        """
        if options.class_by is None and not options.class_from_mask:
            return self
        return replace(self, entries=rules.by_options(self.entries, options, self.root))


def annotation_of(entry: ImageEntry, threshold: int, overlap: Overlap = "error") -> Annotation | None:
    """How the masks of an entry are to be read."""
    if not entry.masks:
        return None
    if entry.stacked or len(entry.masks) > 1:
        return MaskStack(entry.masks, 1 if entry.stacked else threshold, overlap)
    return MaskFile(entry.masks[0][0], threshold)


def ids_of(entries: Sequence[ImageEntry]) -> list[str]:
    """A readable id for each entry: side, class and stem; where two would be equal, a hash of the path is added.

    The id of an image depends on its own path and on those it collides with, so adding images changes no other id.
    """
    plain = ["_".join(part for part in (e.side, e.class_name, stem(e.image)) if part) for e in entries]
    return unique_ids(plain, [entry.image for entry in entries])


def unique_ids(plain: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Names as they are; where two would be equal, each gets a hash of its own path."""
    # Some file systems would make one file of two ids that differ by case, or in how an accent is spelled.
    folded = [composed(name).casefold() for name in plain]
    counts = Counter(folded)
    return [
        name if counts[key] == 1 else f"{name}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
        for name, key, path in zip(plain, folded, paths, strict=True)
    ]


def dataset(tree: Tree, options: ReadOptions) -> Dataset:
    """The samples of a tree; only headers are read, and masks where they say the class.

    Raises:
        DataError: The tree holds no image, or masks whose values nothing names.
        ProblemsError: Images and masks that cannot be read, and what names leave ambiguous, all of it up to a bound.
        UsageError: An option about classes makes no sense.
    """
    if not tree.entries:
        raise NoImagesError(
            "no images were found",
            where=tree.root,
            hint="name the folder that holds train/ and test/, or choose a format with --from",
        )
    tree = tree.ruled(options)
    problems = Problems(skip_faulty=options.skip_faulty)
    for problem in tree.problems:
        images = problem.images if isinstance(problem, PairingError) and options.skip_faulty else ()
        if not images:
            problems.add(problem)
        for image in images:
            problems.add(problem, image=tree.root / image)
    settled = rules.by_masks(_probed(tree, options, problems), options, tree.root)
    for image, error in settled.faulty:
        problems.add(error, image=tree.root / image)
    skipped = problems.settle()
    if not settled.samples:
        raise ProblemsError(skipped)
    made = from_samples(
        _named(tree.entries, settled.samples),
        root=tree.root,
        name=tree.name,
        license=tree.license,
        connectivity=options.connectivity,
        format=tree.format,
        skipped=skipped,
    )
    categories = tuple(dict.fromkeys([*settled.categories, *made.categories]))
    return _with_files(replace(made, categories=categories, notes=settled.notes), tree)


def _with_files(made: Dataset, tree: Tree) -> Dataset:
    """The data set, which knows the files of its tree that are no samples."""
    images = {sample.image_path for sample in made.samples}
    of_skipped = [path for entry in tree.entries if entry.image not in images for path, _ in entry.masks]
    aside = (*tree.aside, *((path, "its image is left out") for path in sorted(of_skipped)))
    notes = (*tree.notes, *made.notes)
    return replace(made, documents=tree.documents, aside=aside, orphans=tree.orphans, notes=notes)


def _probed(tree: Tree, options: ReadOptions, problems: Problems) -> list[tuple[ImageEntry, Sample]]:
    """The entries whose images can be opened, each with its sample."""
    threshold = options.threshold if tree.threshold is None else tree.threshold
    at_fault = len(problems) > 0
    # Paths are joined as text: a Path for each image makes large sets slow to read.
    above = "" if str(tree.root) == "." else f"{tree.root}/"
    pairs = []
    for entry, sample_id in zip(tree.entries, ids_of(tree.entries), strict=True):
        path = above + entry.image
        if at_fault and problems.faulty(path):
            continue
        try:
            info = probe(path)
        except CarpetDataError as error:
            problems.add(error, image=path)
            continue
        annotation = annotation_of(entry, threshold, options.overlap)
        sample = Sample(
            sample_id,
            entry.image,
            entry.class_name,
            info.width,
            info.height,
            annotation=annotation,
            side=entry.side,
            group=entry.group,
        )
        pairs.append((entry, sample))
    return pairs


def _named(entries: Sequence[ImageEntry], samples: Mapping[str, Sample]) -> list[Sample]:
    """The samples with new ids where masks changed a class: the id holds it."""
    read = [entry for entry in entries if entry.image in samples]
    if all(samples[entry.image].class_name == entry.class_name for entry in read):
        return [samples[entry.image] for entry in read]
    final = [
        replace(entry, class_name=samples[entry.image].class_name) if entry.image in samples else entry
        for entry in entries
    ]
    return [
        replace(samples[entry.image], id=sample_id)
        for entry, sample_id in zip(final, ids_of(final), strict=True)
        if entry.image in samples
    ]


def from_samples(
    samples: Sequence[Sample],
    *,
    root: Path,
    name: str,
    license: str = "",
    connectivity: Connectivity | None = None,
    format: str,
    skipped: Sequence[DataError] = (),
) -> Dataset:
    """A raw data set of samples; its "source" split is made of their sides. `skipped` are the images left out."""
    sides = {sample.id: sample.side for sample in samples if sample.side is not None}
    splits = {SOURCE_SPLIT: Split(SOURCE_SPLIT, sides, {"protocol": "the folders of the source"})} if sides else {}
    return Dataset(
        root=root,
        name=name,
        samples=tuple(sorted(samples, key=lambda sample: sample.id)),
        categories=categories_of(samples),
        splits=splits,
        license=license,
        connectivity=connectivity or 8,
        format=format,
        skipped=tuple(skipped),
    )
