"""Formats by name: those of this package, and those that others add under the entry-point group carpet_data.formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carpet_data.core.options import Options, option
from carpet_data.core.plugins import Registry
from carpet_data.dataset import MASK_THRESHOLD, Connectivity, Dataset, Overlap
from carpet_data.errors import CarpetDataError, UsageError, nearest
from carpet_data.formats.options import ExportOptions

if TYPE_CHECKING:
    from carpet_data.formats.export import Export, ExportResult
    from carpet_data.formats.glance import Folder
    from carpet_data.formats.tree import Tree

__all__ = ["FORMATS", "Format", "ReadOptions", "readable", "summary_of", "writable"]


@dataclass(frozen=True, slots=True)
class ReadOptions(Options):
    """How to read a data set."""

    format: str = option(
        "auto",
        "Layout of the data set: auto, prepared, mvtec, mvtec-loco, mvtec-ad2, coco, yolo, folder, masks, voc, visa, "
        "dagm, kolektor-sdd, kolektor-sdd2, aitex, mvtec-3d, neu-seg, real-iad, magnetic-tiles, or one that an "
        "installed package adds.",
        flag="--from",
        metavar="FORMAT",
    )
    threshold: int = option(MASK_THRESHOLD, "Mask values of at least this are a defect.", minimum=1, maximum=255)
    connectivity: Connectivity | None = option(
        None, "Neighbors that belong to one instance.", unset="the data set's own, else 8"
    )
    overlap: Overlap = option(
        "error",
        "Which annotation decides the class of a pixel that annotations of different classes claim: none (an error), "
        "the first or last in the file, or the smallest. Within a class, overlaps are always united.",
    )
    images_dir: str | None = option(None, "With --from folder: folder of the images, below the root.")
    masks_dir: str | None = option(None, "With --from folder: folder of the masks, below the root.")
    mask_suffix: str | None = option(None, "With --from folder: ending of mask names, such as _mask.")
    pair_by: str | None = option(
        None, "With --from folder: regular expression; an image and a mask with equal captures belong together."
    )
    class_by: str | None = option(
        None,
        "Regular expression, searched in the path of each image; its group named class, else its first, is the class.",
        metavar="REGEX",
    )
    class_from_mask: bool = option(
        False,
        "Take the class from the mask: empty or missing is good, others are of the class that --class-by finds, else "
        "defect; numbered folders of parts (kos01, kos02 …) become groups.",
    )
    mask_classes: str | None = option(
        None,
        "What the values of class-index masks stand for: 1=inclusion,2=patches (=ignore for pixels that are not "
        "defects; 255 always is), or a file that lists them.",
        metavar="VALUES",
    )
    skip_faulty: bool = option(False, "Skip images with errors instead of failing; they are listed.")


@dataclass(frozen=True)
class Format:
    """One layout of data sets, which can be read, written or both.

    Attributes:
        name: What `--from` and `export --to` call it.
        summary: One line.
        read: Reads the data set in a folder; raises DataError or ProblemsError for what is wrong with it.
        write: Writes an export, see `carpet_data.formats.export`.
        options: The dataclass of options that `write` takes.
        looks_like: Whether a folder has this layout, by a few of its names; None if it is never guessed.
        file_suffixes: A file with one of these stands for its data set, such as ".json".
        scan: Lists images and masks by names alone, for `doctor`; None where masks are not files of their own.
        lists_images: Whether a document lists the images and their defects (COCO): files that it does not name are no
            part of the data set. In other formats a file that the reader does not explain can be a reason to refuse.

    Examples:
        >>> from carpet_data.formats import FORMATS
        >>> FORMATS.load("coco").summary
        'COCO instances: annotations/*.json and images'
    """

    name: str
    summary: str
    read: Callable[[Path, ReadOptions], Dataset] | None = None
    write: Callable[[Export[Any]], ExportResult] | None = None
    options: type[ExportOptions] = ExportOptions
    looks_like: Callable[[Folder], bool] | None = None
    file_suffixes: tuple[str, ...] = ()
    scan: Callable[[Path, ReadOptions], Tree] | None = None
    lists_images: bool = False


FORMATS = Registry(
    "format",
    "carpet_data.formats",
    # Where several look like a folder, the first is taken: published layouts have names of their own, and COCO and YOLO
    # files may lie in folders that MVTec's and the plain layout would take for theirs.
    {
        "prepared": ("carpet_data.formats.prepared:PREPARED", "a folder made by `carpet-data prepare`"),
        "mvtec-ad2": ("carpet_data.formats.mvtec.ad2:MVTEC_AD2", "MVTec AD 2: train, validation, test_public"),
        "masks": ("carpet_data.formats.masks:MASKS", "images beside class-index masks"),
        "voc": ("carpet_data.formats.voc:VOC", "Pascal VOC: XML boxes and segmentation masks"),
        "visa": ("carpet_data.formats.layouts:VISA", "VisA: Data/Images and Data/Masks, image_anno.csv"),
        "dagm": ("carpet_data.formats.layouts:DAGM", "DAGM 2007: Train and Test, masks in Label"),
        "kolektor-sdd": (
            "carpet_data.formats.layouts:KOLEKTOR_SDD",
            "KolektorSDD: a folder per part, masks beside images",
        ),
        "kolektor-sdd2": (
            "carpet_data.formats.layouts:KOLEKTOR_SDD2",
            "KolektorSDD2: train and test, NAME and NAME_GT",
        ),
        "aitex": ("carpet_data.formats.layouts:AITEX", "AITEX: Defect_images, NODefect_images, Mask_images"),
        "mvtec-3d": ("carpet_data.formats.layouts:MVTEC_3D", "MVTec 3D-AD: rgb and gt in each class folder"),
        "neu-seg": ("carpet_data.formats.layouts:NEU_SEG", "NEU-seg: images and annotations, class-index masks"),
        "real-iad": ("carpet_data.formats.layouts:REAL_IAD", "Real-IAD: OK and NG/CODE, masks beside images"),
        "magnetic-tiles": ("carpet_data.formats.layouts:MAGNETIC_TILES", "magnetic tiles: MT_CLASS/Imgs, JPEG and PNG"),
        "coco": ("carpet_data.formats.coco:COCO", "COCO instances: annotations/*.json and images"),
        "mvtec-loco": ("carpet_data.formats.mvtec.loco:MVTEC_LOCO", "MVTec LOCO AD: a folder of masks per image"),
        "yolo": ("carpet_data.formats.yolo:YOLO", "YOLO segments or boxes: images, labels, data.yaml"),
        "mvtec": ("carpet_data.formats.mvtec.ad:MVTEC", "MVTec AD: train/good, test/CLASS, ground_truth/CLASS"),
        "anomalib": (
            "carpet_data.formats.anomalib:ANOMALIB",
            "anomalib's Folder: MVTec AD's folders and anomalib.yaml",
        ),
        "folder": ("carpet_data.formats.folder:FOLDER", "folders of images, by class or with masks paired by name"),
    },
)


def summary_of(name: str) -> str:
    """One line on a format of this package."""
    return FORMATS.builtin[name][1]


def readable(name: str) -> Format:
    """The format of a name, which has a reader.

    Raises:
        UsageError: The name is unknown, or the format can only be written.
        CarpetDataError: The package that adds it cannot be imported.
    """
    found = _load(name, "read")
    if found.read is None:
        raise UsageError(f"the format {name!r} can be written but not read", hint="use --from with another format")
    return found


def writable(name: str) -> Format:
    """The format of a name, which has a writer; raises as `readable`."""
    found = _load(name, "write")
    if found.write is None:
        hint = f"use one of: {', '.join(_of_way('write'))}"
        raise UsageError(f"the format {name!r} can be read but not written", hint=hint)
    return found


def _load(name: str, way: Literal["read", "write"]) -> Format:
    try:
        found = FORMATS.load(name)
    except UsageError as error:
        known = _of_way(way)
        hint = f"{nearest(name, known)}use one of: {', '.join(known)}"
        raise UsageError(f"unknown format {name!r}", hint=hint) from error
    if not isinstance(found, Format):
        raise CarpetDataError(
            f"the entry point of format {name!r} is not a Format", where=FORMATS.target(name), hint="update its package"
        )
    return found


def _of_way(way: Literal["read", "write"]) -> list[str]:
    """The names of the formats that can be read, or written."""
    return [name for name in FORMATS.names() if getattr(FORMATS.load(name), way, None) is not None]
