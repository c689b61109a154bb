"""What a raw folder holds, by names alone: the step before any file is opened.

Every folder format (MVTec AD, LOCO, AD 2, images + masks) is scanned into a Tree. `doctor` looks into all of it;
`dataset` turns its entries into samples.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
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
    Side,
    Split,
    categories_of,
)
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.listing import composed
from carpet_data.formats.problems import Problems
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.skipped import about_image


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image by its name.

    Attributes:
        image: Path relative to the root, POSIX.
        class_name: The folder that it lies in.
        side: train, val or test as the folders say; None where they do not.
        masks: (path, class_name) of its mask files. One file is a binary mask; several are one instance each.
        stacked: Whether the masks are one instance per file even where there is only one (LOCO).
    """

    image: str
    class_name: str
    side: Side | None
    masks: tuple[tuple[str, str], ...] = ()
    stacked: bool = False


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


def annotation_of(entry: ImageEntry, threshold: int, overlap: Overlap = "error") -> Annotation | None:
    """How the masks of an entry are to be read."""
    if not entry.masks:
        return None
    if entry.stacked or len(entry.masks) > 1:
        return MaskStack(entry.masks, overlap=overlap)
    return MaskFile(entry.masks[0][0], threshold)


def ids_of(entries: Sequence[ImageEntry]) -> list[str]:
    """A readable id for each entry: side, class and stem; where two would be equal, a hash of the path is added.

    The id of an image depends on its own path and on those it collides with, so adding images changes no other id.
    """
    plain = ["_".join(part for part in (e.side, e.class_name, Path(e.image).stem) if part) for e in entries]
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
    """The samples of a tree; only headers are read.

    Raises:
        DataError: The tree holds no image.
        ProblemsError: Images that cannot be read, and what the names leave ambiguous, all of it up to a bound.
    """
    if not tree.entries:
        raise DataError(
            "no images were found",
            where=tree.root,
            hint="name the folder that holds train/ and test/, or choose a format with --from",
        )
    samples: list[Sample] = []
    skipped: list[DataError] = []
    problems = Problems()
    problems.add(*tree.problems)
    for entry, sample_id in zip(tree.entries, ids_of(tree.entries), strict=True):
        try:
            info = probe(tree.root / entry.image)
        except CarpetDataError as error:
            if options.skip_faulty:
                skipped.append(about_image(error, tree.root / entry.image))
            else:
                problems.add(error)
            continue
        annotation = annotation_of(entry, options.threshold, options.overlap)
        samples.append(
            Sample(
                sample_id,
                entry.image,
                entry.class_name,
                info.width,
                info.height,
                annotation=annotation,
                side=entry.side,
            )
        )
    problems.check()
    if not samples:
        raise ProblemsError(skipped)
    samples.sort(key=lambda sample: sample.id)
    made = from_samples(
        samples,
        root=tree.root,
        name=tree.name,
        license=tree.license,
        connectivity=options.connectivity,
        format=tree.format,
        skipped=skipped,
    )
    return with_files(made, tree)


def with_files(made: Dataset, tree: Tree) -> Dataset:
    """The data set, which knows the files of its tree that are no samples."""
    images = {sample.image_path for sample in made.samples}
    of_skipped = [path for entry in tree.entries if entry.image not in images for path, _ in entry.masks]
    aside = (*tree.aside, *((path, "its image is left out") for path in sorted(of_skipped)))
    return replace(made, documents=tree.documents, aside=aside, orphans=tree.orphans, notes=tree.notes)


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
