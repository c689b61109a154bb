"""The nouns: what a data set is made of. No pixels live here.

Paths are POSIX strings relative to the data set's root, so that a folder can be moved as a whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

GOOD = "good"
"""The class without defects."""

MASK_THRESHOLD = 128
"""A pixel of a binary mask file is defect when its value is at least this (of 255)."""

Origin: TypeAlias = Literal["real", "synthetic"]
Side: TypeAlias = Literal["train", "val", "test"]
Connectivity: TypeAlias = Literal[4, 8]
SIDES: tuple[Side, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A binary mask file: instances are the connected components of its defect pixels.

    Attributes:
        path: The mask, relative to the root.
        threshold: Values of at least this are defect (1..255; for 16-bit files, of the value scaled to 255).
    """

    path: str
    threshold: int = MASK_THRESHOLD


@dataclass(frozen=True, slots=True)
class IndexFile:
    """An instance-index PNG, for touching instances or several types in one image.

    Attributes:
        path: The mask, relative to the root; 8 or 16 bit, one channel, 0 = background.
        table: (index, class_name) of every instance in the file, by index.
    """

    path: str
    table: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class MaskStack:
    """Several binary mask files over one image, each one instance (MVTec LOCO's folder of masks).

    Attributes:
        files: (path relative to the root, class_name) of each instance.
        threshold: As in MaskFile; LOCO writes values as low as 1, so its reader uses 1.
    """

    files: tuple[tuple[str, str], ...]
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """One instance as another tool wrote it.

    Attributes:
        class_name: Its defect type.
        polygons: Flat x, y, x, y … lists in pixels, their union is the instance; None where `rle` is given.
        rle: COCO run-length counts, compressed text or a list of numbers, column by column; None where `polygons` is.
        label: How to name it in a message, such as "annotation 17".
    """

    class_name: str
    polygons: tuple[tuple[float, ...], ...] | None = None
    rle: str | tuple[int, ...] | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Instances held in an annotation file (COCO, YOLO) instead of a mask."""

    shapes: tuple[Shape, ...]


Annotation: TypeAlias = MaskFile | IndexFile | MaskStack | Shapes


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what is known of it.

    Attributes:
        id: Unique in the data set; names the files of the prepared folder.
        image_path: The image file, relative to the root.
        class_name: The class of the whole image; `good` where it has no defect.
        width: Pixels across, as displayed (after EXIF rotation).
        height: Pixels down, as displayed.
        annotation: Where the defect's pixels are recorded; None for good images and for unannotated ones.
        origin: "real" or "synthetic".
        side: The side the source folder itself puts the image on; None where it does not say.
        source: The image's path in the folder it was prepared from; None in a raw folder.
        image_sha256: Hex digest of the image file's bytes; None in a raw folder.
        mask_sha256: Hex digest of the mask file's bytes; None in a raw folder or without a mask file.
        group: Samples of one group share a side of every split; None stands for a group of its own.
        provenance: How a synthetic sample was made; None for real ones.
    """

    id: str
    image_path: str
    class_name: str
    width: int
    height: int
    annotation: Annotation | None = None
    origin: Origin = "real"
    side: Side | None = None
    source: str | None = None
    image_sha256: str | None = None
    mask_sha256: str | None = None
    group: str | None = None
    provenance: Mapping[str, Any] | None = None

    @property
    def mask_path(self) -> str | None:
        """The one mask file, relative to the root; None without one."""
        return self.annotation.path if isinstance(self.annotation, MaskFile | IndexFile) else None

    @property
    def defect_classes(self) -> tuple[str, ...]:
        """The defect types this image may show, sorted."""
        match self.annotation:
            case None:
                return ()
            case MaskFile():
                return (self.class_name,) if self.class_name != GOOD else ()
            case IndexFile(table=table):
                return tuple(sorted({name for _, name in table}))
            case MaskStack(files=files):
                return tuple(sorted({name for _, name in files}))
            case Shapes(shapes=shapes):
                return tuple(sorted({shape.class_name for shape in shapes}))


@dataclass(frozen=True, slots=True)
class Instance:
    """One defect of one image.

    Attributes:
        class_name: Its defect type.
        bbox: x, y, width, height in pixels; half-open, so x + width is the first column outside.
        area: Pixels of the mask.
        rle: COCO compressed run-length counts of the full image, column by column.
    """

    class_name: str
    bbox: tuple[int, int, int, int]
    area: int
    rle: str


@dataclass(frozen=True, slots=True)
class Split:
    """A named partition of a data set.

    Attributes:
        name: Such as "main" or "fold2".
        sides: sample id -> train | val | test; ids not in it take no part in this split.
        made: How it was made: seed, fractions, protocol, pool.
    """

    name: str
    sides: Mapping[str, Side]
    made: Mapping[str, Any] = field(default_factory=dict)

    def ids(self, side: Side) -> tuple[str, ...]:
        """The sorted ids on one side."""
        return tuple(sorted(sample_id for sample_id, its_side in self.sides.items() if its_side == side))

    def counts(self) -> dict[Side, int]:
        """How many samples each side holds, sides in the order train, val, test; empty sides left out."""
        values = list(self.sides.values())
        return {side: values.count(side) for side in SIDES if side in values}


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table of samples; no pixels are held.

    Attributes:
        root: The folder that all paths are relative to.
        name: Shown to people and written into exports.
        samples: Sorted by id, ids unique.
        categories: The defect types in the order of their COCO ids (1 …): sorted names.
        splits: Named partitions; a raw folder has "source" where its folders say train and test.
        license: The licence of the data, as text; empty where unknown.
        connectivity: 4 or 8: which pixels belong to one component of a binary mask.
        format: What it was read from: "mvtec", "prepared", "coco" …
    """

    root: Path
    name: str
    samples: tuple[Sample, ...]
    categories: tuple[str, ...]
    splits: Mapping[str, Split] = field(default_factory=dict)
    license: str = ""
    connectivity: Connectivity = 8
    format: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The image classes present, `good` first, then sorted."""
        names = {sample.class_name for sample in self.samples}
        return tuple(sorted(names, key=lambda name: (name != GOOD, name)))

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def path(self, relative: str) -> Path:
        """The absolute path of a file of this data set."""
        return self.root / relative

    def of_class(self, class_name: str) -> tuple[Sample, ...]:
        """The samples of one image class."""
        return tuple(sample for sample in self.samples if sample.class_name == class_name)

    def by_id(self) -> dict[str, Sample]:
        """sample id -> sample."""
        return {sample.id: sample for sample in self.samples}

    def on_side(self, split: str, side: Side) -> tuple[Sample, ...]:
        """The samples on one side of a split, sorted by id."""
        sides = self.splits[split].sides
        return tuple(sample for sample in self.samples if sides.get(sample.id) == side)

    def fingerprint(self, split: str | None = None) -> str:
        """A hex digest of what the data set is: ids, pixel hashes, and one split.

        A raw folder has no pixel hashes, so its fingerprint speaks of ids, classes and sizes only.
        """
        sides = self.splits[split].sides if split is not None else {}
        digest = hashlib.sha256()
        for s in self.samples:
            row = (s.id, s.class_name, s.width, s.height, s.image_sha256, s.mask_sha256, sides.get(s.id))
            digest.update(json.dumps(row, ensure_ascii=False).encode())
            digest.update(b"\n")
        return digest.hexdigest()


def categories_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The defect types that samples show, sorted: the categories of a data set in the order of their ids.

    A defect class whose images have no masks is a category too, so that ids do not move when masks are added.
    """
    names: set[str] = set()
    for sample in samples:
        if sample.annotation is not None:
            names.update(sample.defect_classes)
        elif sample.class_name != GOOD:
            names.add(sample.class_name)
    return tuple(sorted(names))
