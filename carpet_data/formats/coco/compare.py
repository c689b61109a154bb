"""A COCO file against the masks it was made from, pixel by pixel.

Everything here goes another way than the exporter: OpenCV decodes the masks and finds the components, pycocotools
decodes the annotations, and pixels are compared, so that a problem of the exporter cannot hide.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import read_indices, read_values
from carpet_data.core.masks.shapes import rasterize
from carpet_data.dataset import ClassFile, Connectivity, IndexFile, MaskFile, MaskStack, Overlap, Sample, Shapes

_ROUNDING_PX = 1.5


def source_labels(root: Path, sample: Sample, connectivity: Connectivity) -> tuple[NDArray[np.int32], list[str]]:
    """The instances of a sample.

    Returns:
        int32 HxW, 0 = background, and the class name of instance i at position i - 1.
    """
    labels = np.zeros((sample.height, sample.width), np.int32)
    match sample.annotation:
        case None:
            return labels, []
        case MaskFile(path=path, threshold=threshold):
            mask = _mask(root / path, threshold)
            count, found = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S)
            return found.astype(np.int32), [sample.class_name] * (count - 1)
        case IndexFile(path=path, table=table):
            values = read_values(root / path, general=True)
            for number, (index, _) in enumerate(table, start=1):
                labels[values == index] = number
            return labels, [name for _, name in table]
        case ClassFile(path=path, table=table):
            values = read_indices(root / path)
            classes: list[str] = []
            for value, name in table:
                count, found = cv2.connectedComponents(
                    (values == value).astype(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
                )
                labels[found > 0] = found[found > 0] + len(classes)
                classes += [name] * (count - 1)
            return labels, classes
        case MaskStack(files=files, threshold=threshold, overlap=rule):
            names = [name for _, name in files]
            return _ruled([_mask(root / path, threshold) for path, _ in files], names, rule, labels), names
        case Shapes(shapes=shapes, overlap=rule):
            names = [shape.class_name for shape in shapes]
            masks = [rasterize(shape, sample.height, sample.width, shape.label) for shape in shapes]
            return _ruled(masks, names, rule, labels), names


def _ruled(
    masks: list[NDArray[np.bool_]], names: list[str], rule: Overlap, labels: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The instance of every pixel; where several claim it, the rule decides the class, then the smallest wins."""
    claims = np.zeros(labels.shape, np.int32)
    for number, mask in enumerate(masks, start=1):
        claims += mask
        labels[mask] = number
    contested = claims > 1
    if not contested.any():
        return labels
    areas = [int(mask.sum()) for mask in masks]
    sets, which = np.unique(np.stack([mask[contested] for mask in masks]), axis=1, return_inverse=True)
    winners = []
    for claimed in sets.T:
        here = np.flatnonzero(claimed).tolist()
        winner = here[-1] if rule == "last" else here[0]
        if rule == "smaller-on-top":
            winner = min(here, key=lambda number: areas[number])
        of_class = [number for number in here if names[number] == names[winner]]
        winners.append(min(of_class, key=lambda number: areas[number]) + 1)
    labels[contested] = np.array(winners, np.int32)[which.reshape(-1)]
    return labels


def _mask(path: Path, threshold: int) -> NDArray[np.bool_]:
    values = read_values(path, general=True)
    mask: NDArray[np.bool_] = values >= (threshold if values.dtype == np.uint8 else threshold * 257)
    return mask


def differing_pixels(
    labels: NDArray[np.int32], names: list[str], annotations: list[tuple[str, NDArray[np.bool_]]]
) -> int:
    """Pixels whose class differs between source and annotations, or that two annotations claim.

    Labels and names are those of `source_labels`; the annotations are (class_name, bool HxW).
    """
    wanted, written = _classes(labels, names, annotations)
    claims = np.zeros(labels.shape, np.int32)
    for _, pixels in annotations:
        claims += pixels
    return int(((wanted != written) | (claims > 1)).sum())


def _classes(
    labels: NDArray[np.int32], names: list[str], annotations: list[tuple[str, NDArray[np.bool_]]]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The class number of every pixel, in the source and as written; 0 is background."""
    classes = sorted({*names, *(name for name, _ in annotations)})
    number = {name: position for position, name in enumerate(classes, start=1)}
    lookup = np.array([0, *(number[name] for name in names)], np.int32)
    written = np.zeros(labels.shape, np.int32)
    for name, pixels in annotations:
        written[pixels] = number[name]
    return lookup[labels], written


def far_pixels(
    labels: NDArray[np.int32], names: list[str], annotations: list[tuple[str, NDArray[np.bool_]]], tolerance_px: float
) -> int:
    """Pixels that differ and are further from every outline of the source than simplified polygons may be.

    Arguments as in `differing_pixels`. Rounding to pixels adds up to one and a half.
    """
    wanted, written = _classes(labels, names, annotations)
    far = np.zeros(labels.shape, np.bool_)
    for number in np.unique(np.concatenate((wanted, written), axis=None)):
        inside = (wanted == number).astype(np.uint8)
        padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5) + cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)
        differs = (wanted == number) != (written == number)
        far |= differs & (depth[1:-1, 1:-1] > tolerance_px + _ROUNDING_PX)
    return int(far.sum())


def unmatched_instances(
    labels: NDArray[np.int32], names: list[str], annotations: list[tuple[str, NDArray[np.bool_]]]
) -> tuple[int, int]:
    """Instances of the source without an equal annotation, and annotations without an equal instance.

    Two are equal when class and every pixel agree.
    """
    flat = labels.reshape(-1)
    marked = np.flatnonzero(flat)
    order = marked[np.argsort(flat[marked], kind="stable")]
    last = np.cumsum(np.bincount(flat[marked], minlength=len(names) + 1))
    wanted: Counter[Any] = Counter()
    for label, name in enumerate(names, start=1):
        pixels = order[last[label - 1] : last[label]]
        if len(pixels):
            wanted[(name, pixels.tobytes())] += 1
    written: Counter[Any] = Counter(
        (name, np.flatnonzero(pixels.reshape(-1)).astype(order.dtype).tobytes()) for name, pixels in annotations
    )
    return sum((wanted - written).values()), sum((written - wanted).values())
