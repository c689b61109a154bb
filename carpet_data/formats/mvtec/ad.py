"""The layout of MVTec AD, read and written.

ROOT/{train,test}/CLASS/STEM.png, and ROOT/ground_truth/CLASS/STEM_mask.png for the defects (Bergmann et al., 2019,
"MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection"). Written, train holds good images
only and a mask is binary.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import encode_png
from carpet_data.core.masks import LabelMask, find
from carpet_data.core.masks.components import label
from carpet_data.core.masks.runs import Runs, from_binary, to_binary, to_values
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, SIDES, Connectivity, Dataset, Side
from carpet_data.formats import tree
from carpet_data.formats.account.role_names import role_by_name
from carpet_data.formats.entries import ImageEntry
from carpet_data.formats.export import ALL, Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.folders import GROUND_TRUTH, good_names, license_of, side_of
from carpet_data.formats.glance import Folder
from carpet_data.formats.listing import Listing, is_image, is_known, walk
from carpet_data.formats.options import MvtecOptions
from carpet_data.formats.pairing import Named, Pairing, pair, stem
from carpet_data.formats.registry import Format, ReadOptions, summary_of
from carpet_data.formats.tree import Tree
from carpet_data.store.names import component

MASK_ENDINGS = ("_mask", "", "-mask", "_masks", "_gt", "_label", "_seg")

_MOVED, _SYNTHETIC, _TYPES, _INSTANCES = "moved to test", "synthetic in test", "types", "instances"


@dataclass(frozen=True, slots=True)
class Shot:
    """An image by its place: side, class folder, path."""

    side: Side
    folder: str
    path: str


def entries_of(shots: Sequence[Shot], paired: Pairing) -> tuple[ImageEntry, ...]:
    """What each image is of, by its folder, and its masks."""
    good = good_names({shot.folder for shot in shots})
    entries = []
    for shot in shots:
        class_name = GOOD if shot.folder in good else shot.folder
        masks = tuple((mask, class_name) for mask in paired.masks_of(shot.path)) if shot.path in paired.mask_of else ()
        entries.append(ImageEntry(shot.path, class_name, shot.side, masks))
    return tuple(entries)


def scan(root: Path, _: ReadOptions | None = None) -> Tree:
    """The images and masks of a folder in MVTec AD layout, by names alone.

    Raises:
        DataError: The folder is missing or may not be read.
    """
    listing = walk(root)
    shots, rest = shots_of(listing)
    masks: list[Named] = []
    unknown: list[str] = []
    for path in rest:
        parts = path.split("/")
        place = _mask_place(parts) if is_image(path) else None
        if place is not None:
            masks.append(Named(path, stem(path), (place,)))
        elif not is_known(path):
            unknown.append(path)
    images = [Named(shot.path, stem(shot.path), ((shot.side, shot.folder), (None, shot.folder))) for shot in shots]
    paired = pair(root, images, masks, MASK_ENDINGS)
    return Tree(
        root,
        "mvtec",
        listing.name,
        entries_of(shots, paired),
        orphans=paired.orphans,
        unknown=(*unknown, *listing.others),
        license=license_of(listing),
        # A folder without any ground truth is a classification set, in which no single mask is missing.
        masked_classes=any(path.split("/", 1)[0].casefold() == GROUND_TRUTH for path in listing.files),
        problems=paired.problems,
        aside=paired.beside(),
        notes=paired.notes(),
    )


def read(root: Path, options: ReadOptions) -> Dataset:
    """Read a folder in MVTec AD layout; only image headers are opened.

    Raises:
        DataError: The folder is missing, may not be read or holds no images.
        ProblemsError: Images that cannot be read, and masks whose image is ambiguous by name.
    """
    return tree.dataset(scan(root), options)


def shots_of(listing: Listing) -> tuple[list[Shot], list[str]]:
    """The images at SIDE/CLASS/NAME, and all other files, both sorted by path."""
    shots: list[Shot] = []
    rest: list[str] = []
    for path in listing.files:
        parts = path.split("/")
        side = side_of(parts[0])
        if side is not None and len(parts) == 3 and is_image(path):
            shots.append(Shot(side, parts[1], path))
        else:
            rest.append(path)
    return shots, rest


def _mask_place(parts: list[str]) -> tuple[Side | None, str] | None:
    """(side, class) of ground_truth/CLASS/NAME or ground_truth/SIDE/CLASS/NAME."""
    if parts[0].casefold() != GROUND_TRUTH:
        return None
    if len(parts) == 3:
        return None, parts[1]
    side = side_of(parts[1])
    return (side, parts[2]) if len(parts) == 4 and side is not None else None


def write(export: Export[MvtecOptions]) -> ExportResult:
    """Write train, test (val with sides kept) and ground_truth.

    Raises:
        ProblemsError: Masks that are missing or damaged, up to a bound.
    """
    tally = Tally(SIDES)
    for sample in export.render(_render):
        tally.add(sample)
    if export.dataset.license:
        (export.folder / "license.txt").write_text(f"{export.dataset.license}\n", encoding="utf-8")
    return export.result(tally, _notes(export, tally))


def _render(job: ExportJob[MvtecOptions]) -> Written:
    sample = job.sample
    side = _side(job)
    notes = []
    if side == "test" and job.part not in ("test", ALL):
        notes.append(_SYNTHETIC if sample.origin == "synthetic" else _MOVED)
    class_folder = component(sample.class_name)
    regions = shared_px = hidden = 0
    if sample.annotation is not None:
        mask = job.mask()
        shared_px, hidden = mask.shared_px, mask.hidden
        pixels = to_binary(mask.runs)
        if sample.class_name != GOOD:
            job.write(f"ground_truth/{class_folder}/{job.stem}_mask.png", encode_png(pixels))
            lost, regions = _lost(mask, pixels, sample.class_name, job.connectivity)
            notes += lost
    job.place_image(f"{side}/{class_folder}/{job.image_name}")
    unmarked = sample.class_name != GOOD and regions == 0
    return Written(side, regions, unmarked=unmarked, notes=tuple(notes), shared_px=shared_px, hidden=hidden)


def _side(job: ExportJob[MvtecOptions]) -> str:
    if job.options.sides == "keep" and job.part != ALL:
        return job.part
    return "train" if job.sample.class_name == GOOD and job.part in ("train", ALL) else "test"


def _lost(
    mask: LabelMask,
    pixels: NDArray[np.bool_],
    class_name: str,
    connectivity: Connectivity,
) -> tuple[list[str], int]:
    """What a binary mask does not say of this one, and how many components it shows."""
    binary = from_binary(pixels)
    number, count = label(binary, connectivity)
    if mask.binary:
        return [], count
    lost = []
    regions = find(mask)
    if set(regions.class_names) - {class_name}:
        lost.append(_TYPES)
    runs = regions.runs
    instance = to_values(Runs(runs.height, runs.width, runs.column, runs.start, runs.stop, runs.value + 1), np.uint32)
    shown = to_values(
        Runs(binary.height, binary.width, binary.column, binary.start, binary.stop, number + 1), np.uint32
    )
    pairs = np.unique(np.stack((instance[pixels], shown[pixels])), axis=1).shape[1]
    if not pairs == count == len(regions):
        lost.append(_INSTANCES)
    return lost, count


def _notes(export: Export[Any], tally: Tally) -> list[str]:
    notes = []
    counts = tally.remarks
    if counts[_MOVED]:
        notes.append(
            f"{counted(counts[_MOVED], 'image')} of train and val went to test, since train holds good images only in "
            "MVTec's layout: do not use it to test a model trained on this split, or use --sides keep"
        )
    if counts[_SYNTHETIC]:
        notes.append(
            f"{counted(counts[_SYNTHETIC], 'image')} in test are synthetic (--sides keep leaves them in train)"
        )
    if export.split is None:
        notes.append("the data set has no split, so every good image is in train; make one with `carpet-data prepare`")
    if counts[_TYPES]:
        notes.append(
            f"{counted(counts[_TYPES], 'image')} show other defect types than their class; binary masks cannot "
            "separate them (to-coco and to-masks can)"
        )
    if counts[_INSTANCES]:
        notes.append(
            f"{counted(counts[_INSTANCES], 'image')} have instances that touch or have several parts; a binary mask "
            "holds connected components only (to-coco and to-masks --instances keep instances)"
        )
    if export.dataset.connectivity == 4:
        notes.append("instances were 4-connected; read the export with --connectivity 4")
    return notes


def _looks_like(folder: Folder) -> bool:
    """Whether ground_truth lies beside the sides, or a side holds a class without defects."""
    if GROUND_TRUTH in folder.folders:
        return bool(folder.sides)
    sides = [folder.child(path) for path in folder.sides]
    # masks/crack, test/ground_truth or crack_mask beside crack: the reader of plain folders knows more names.
    for place in (folder, *sides):
        siblings = set(place.folders)
        if any(_is_of_masks(path, siblings) for path in place.folders.values()):
            return False
    return any(good_names({path.name for path in side.class_folders()}) for side in sides)


def _is_of_masks(path: Path, siblings: Collection[str]) -> bool:
    named = role_by_name(path.name, siblings)
    if named is None or named[0] != "mask":
        return False
    inside = Folder(path)
    return inside.holds_image() or bool(inside.class_folders())


MVTEC = Format(
    "mvtec", summary_of("mvtec"), read=read, write=write, options=MvtecOptions, looks_like=_looks_like, scan=scan
)
