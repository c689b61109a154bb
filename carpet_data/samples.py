"""One image and what is known about it. No pixels are held; methods load them when they are called.

Paths are POSIX strings relative to the data set's root, so that a folder can be moved as a whole.

This is the ground floor: nothing of the package but its errors is imported. Methods that need a room above call the
function of the same purpose in the package itself, when they are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GOOD = "good"
"""The class without defects."""

MASK_THRESHOLD = 128
"""A pixel of a binary mask file is defect when its value is at least this (of 255)."""

Origin: TypeAlias = Literal["real", "synthetic"]
Side: TypeAlias = Literal["train", "val", "test"]
Connectivity: TypeAlias = Literal[4, 8]
SIDES: tuple[Side, ...] = ("train", "val", "test")
Overlap: TypeAlias = Literal["error", "first", "last", "smaller-on-top"]
"""Which annotation decides the class of a pixel that annotations of different classes claim."""


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
class ClassFile:
    """A class-index mask file: each value is a class, and instances are the connected components of each class.

    Attributes:
        path: The mask, relative to the root; 8 or 16 bit, one channel or a palette, which is read by index and never by
            color.
        table: (value, class_name) of the defect classes that the file may hold, by value.
        undefined: Values that are no defect: the background, and what the annotators left undecided, such as VOC's 255.
    """

    path: str
    table: tuple[tuple[int, str], ...]
    undefined: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class MaskStack:
    """Several binary mask files over one image, each one instance (MVTec LOCO's folder of masks).

    Where instances of one class overlap, the smaller keeps the shared pixels.

    Attributes:
        files: (path relative to the root, class_name) of each instance.
        threshold: As in MaskFile; LOCO writes values as low as 1, so its reader uses 1.
        overlap: What decides where instances of different classes overlap.
    """

    files: tuple[tuple[str, str], ...]
    threshold: int = 1
    overlap: Overlap = "error"


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
    """Instances held in an annotation file (COCO, YOLO) instead of a mask; overlaps are ruled as in MaskStack."""

    shapes: tuple[Shape, ...]
    overlap: Overlap = "error"


Annotation: TypeAlias = MaskFile | IndexFile | ClassFile | MaskStack | Shapes


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """One image and what is known about it.

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
        provenance: How a synthetic sample was made; of a tile, under "tile", which part of which image it is. None for
            other real samples.
        root: The folder that the paths are relative to; a `Dataset` sets it, as it does `connectivity`. Neither is
            part of what the sample is: samples that differ in nothing else are equal.
        connectivity: 4 or 8: which pixels belong to one component of a binary mask.

    Examples:
        >>> sample = Sample("test_hole_000", "test/hole/000.png", "hole", 64, 48)
        >>> sample
        Sample('test_hole_000', hole, 64x48, test/hole/000.png)
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
    provenance: Mapping[str, Any] | None = field(default=None, hash=False)
    root: Path | None = field(default=None, compare=False)
    connectivity: Connectivity = field(default=8, compare=False)

    def __repr__(self) -> str:
        made = "" if self.origin == "real" else f", {self.origin}"
        return f"Sample({self.id!r}, {self.class_name}, {self.width}x{self.height}, {self.image_path}{made})"

    def _repr_html_(self) -> str:
        import carpet_data

        return carpet_data.sample_html(self)

    def image(self) -> NDArray[np.uint8]:
        """The image as people see it: EXIF rotation applied, palettes expanded, 16 bits scaled to 8.

        Returns:
            uint8, HxWx3 RGB, or HxW where the file is grey.

        Raises:
            ImageError: The file is missing, damaged or too large.
            UsageError: The sample belongs to no data set.
        """
        import carpet_data

        return carpet_data.load_image(self)

    def mask(self) -> NDArray[np.bool_]:
        """Which pixels are defect, of whatever class.

        Returns:
            bool HxW, all False for good images.

        Raises:
            DataError: The image shows a defect but has no mask; or its annotation is invalid.
            ImageError: The mask file is missing, damaged, or of another size than the image.
            UsageError: The sample belongs to no data set.
        """
        import carpet_data

        return carpet_data.load_mask(self)

    def instances(self) -> tuple[Instance, ...]:
        """The defects, each with its class, box, area and mask; none for good images.

        Raises:
            DataError, ImageError, UsageError: As `mask`.
        """
        import carpet_data

        return carpet_data.load_instances(self)

    @property
    def mask_path(self) -> str | None:
        """The one mask file, relative to the root; None without one."""
        return self.annotation.path if isinstance(self.annotation, MaskFile | IndexFile | ClassFile) else None

    @property
    def unmasked(self) -> bool:
        """Whether it shows a defect but has no mask or other annotation, not even an empty one."""
        return self.annotation is None and self.class_name != GOOD

    @property
    def defect_classes(self) -> tuple[str, ...]:
        """The defect types this image may show, sorted."""
        match self.annotation:
            case None:
                return ()
            case MaskFile():
                return (self.class_name,) if self.class_name != GOOD else ()
            case IndexFile(table=table) | ClassFile(table=table):
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
        area: Number of pixels.
        height: Rows of the whole image.
        width: Columns of the whole image.
        rle: COCO's compressed run-length counts over the whole image, column by column.
    """

    class_name: str
    bbox: tuple[int, int, int, int]
    area: int
    height: int
    width: int
    rle: str = field(repr=False)

    def mask(self) -> NDArray[np.bool_]:
        """The pixels of this defect alone: bool HxW, the size of the image."""
        import carpet_data

        return carpet_data.instance_mask(self)


def lacking_masks(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The defect samples that lack a mask where others have one; none where no sample has a mask.

    A data set without any mask is one for classification, and nothing is missing there.
    """
    defects = [sample for sample in samples if sample.class_name != GOOD]
    without = tuple(sample for sample in defects if sample.unmasked)
    return without if len(without) < len(defects) else ()
