"""Read the mask of a sample from whatever it is stored in, as runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import read_indices, read_values, shape_in_alpha
from carpet_data.core.masks import classes, overlap
from carpet_data.core.masks.runs import LabelMask, Runs, from_binary, from_values
from carpet_data.core.masks.shapes import rasterize
from carpet_data.dataset import GOOD, ClassFile, IndexFile, MaskFile, MaskStack, Sample, Shape, Shapes
from carpet_data.errors import ClassNumbersError, DataError, ImageError


def load(root: Path, sample: Sample) -> LabelMask:
    """Read the mask of a sample.

    Raises:
        ImageError: A file is missing or damaged, is of another size than the image, or holds values that the
            threshold would silently drop.
        DataError: The annotation and its file disagree, or the image is labeled good and its mask marks a defect.
        OverlapError: Instances of different classes overlap, and the annotation's rule is "error".
    """
    mask = _load(root, sample)
    if sample.class_name == GOOD and len(mask.runs) and not _is_sliver(sample):
        raise DataError(
            "the image is labeled good, but its mask marks a defect",
            where=root / (sample.mask_path or sample.image_path),
            hint="move the image to its defect class, or remove the mask",
        )
    return mask


def _is_sliver(sample: Sample) -> bool:
    """Whether a tile was called good because its mask marks only a few pixels (`tile --least-pixels`)."""
    tile = (sample.provenance or {}).get("tile")
    return isinstance(tile, Mapping) and bool(tile.get("sliver"))


def _load(root: Path, sample: Sample) -> LabelMask:
    match sample.annotation:
        case None:
            return LabelMask(_no_runs(sample), (), binary=False)
        case MaskFile(path=path, threshold=threshold):
            return LabelMask(from_binary(_binary(root / path, threshold, sample)), (sample.class_name,), binary=True)
        case IndexFile(path=path, table=table):
            return _index(root / path, table, sample)
        case ClassFile(path=path, table=table, undefined=undefined):
            return _classes(root / path, table, undefined, sample)
        case MaskStack(files=files, threshold=threshold, overlap=rule):
            masks = ((_binary(root / path, threshold, sample), path, name) for path, name in files)
            layers = (overlap.crop(mask, name, path) for mask, path, name in masks)
            return overlap.stack(layers, sample.height, sample.width, rule=rule, where=str(root / sample.image_path))
        case Shapes(shapes=shapes, overlap=rule):
            layers = (_layer(shape, root, sample) for shape in shapes)
            return overlap.stack(layers, sample.height, sample.width, rule=rule, where=str(root / sample.image_path))


def _layer(shape: Shape, root: Path, sample: Sample) -> overlap.Layer:
    where = f"{root / sample.image_path} ({shape.label})" if shape.label else str(root / sample.image_path)
    pixels = rasterize(shape, sample.height, sample.width, where)
    return overlap.crop(pixels, shape.class_name, shape.label)


def _no_runs(sample: Sample) -> Runs:
    none = np.zeros(0, np.int64)
    return Runs(sample.height, sample.width, none, none, none, none)


def _binary(path: Path, threshold: int, sample: Sample) -> NDArray[np.bool_]:
    values = read_values(path)
    _check_size(values, path, sample)
    # 16-bit files are judged as if scaled to 255.
    if threshold > 1:
        _refuse_classes(path, values)
    mask: NDArray[np.bool_] = values >= (threshold if values.dtype == np.uint8 else threshold * 257)
    if not mask.any():
        _refuse_lost(values, path, threshold)
    return mask


def _refuse_lost(values: NDArray[Any], path: Path, threshold: int) -> None:
    """Refuse a mask without a defect pixel that shows a defect in another way."""
    largest = int(values.max())
    if largest:
        deep = values.dtype != np.uint8
        raise ImageError(
            f"the mask's largest value is {largest}{' of 65535' if deep else ''}, below the threshold {threshold}"
            f"{' of 255' if deep else ''}: the whole defect would be lost",
            where=path,
            hint="save the mask as 8-bit PNG, 0 and 255"
            if deep
            else "use a lower threshold (--threshold 1), or save the mask as 0 and 255; if the value numbers a "
            f"class, name it: --mask-classes {largest}=NAME",
        )
    if shape_in_alpha(path):
        raise ImageError(
            "all colors of the mask are 0, its shape is in the alpha channel: the whole defect would be lost",
            where=path,
            hint="save the alpha channel as a grayscale PNG, 0 and 255",
        )


def _refuse_classes(path: Path, values: NDArray[Any]) -> None:
    """Stop before a class-index mask is read as a binary one, which would lose classes and invent a defect."""
    found = classes.index_values(path, values)
    if found:
        named = ",".join(f"{value}={'ignore' if value == classes.IGNORED else 'NAME'}" for value in found)
        raise ClassNumbersError(
            f"this is a class-index mask (values {', '.join(map(str, found[:10]))}), not a binary one",
            where=path,
            hint=f"name its classes: --mask-classes {named} (or a file of names)",
        )


def _classes(path: Path, table: tuple[tuple[int, str], ...], undefined: tuple[int, ...], sample: Sample) -> LabelMask:
    values = read_indices(path)
    _check_size(values, path, sample)
    return classes.instances(path, values, table, undefined, sample.connectivity)


def _index(path: Path, table: tuple[tuple[int, str], ...], sample: Sample) -> LabelMask:
    values = read_values(path)
    _check_size(values, path, sample)
    indices = np.array([index for index, _ in table], np.int64)
    lookup = np.zeros(int(max(indices.max(initial=0), values.max(initial=0))) + 1, np.int64)
    lookup[indices] = np.arange(1, len(table) + 1)
    runs = from_values(values)
    number = lookup[runs.value]
    if (number == 0).any():
        unknown = sorted(set(runs.value[number == 0].tolist()))
        raise DataError(
            f"values {unknown[:5]} of the index mask are not in its table",
            where=path,
            hint="prepare the data set again from its source",
        )
    numbered = Runs(runs.height, runs.width, runs.column, runs.start, runs.stop, number)
    return LabelMask(numbered, tuple(name for _, name in table), binary=False)


def _check_size(values: NDArray[Any], path: Path, sample: Sample) -> None:
    height, width = values.shape
    if (height, width) != (sample.height, sample.width):
        raise ImageError(
            f"the mask is {width}x{height}, its image {sample.image_path} is {sample.width}x{sample.height}",
            where=path,
            hint="save the mask at the size of its image (nearest neighbor)",
        )
