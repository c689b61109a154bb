"""Instances that claim the same pixels: who gets them, whatever file they come from.

Within a class every claimed pixel stays of that class, and the smaller instance keeps what is shared (of two equally
large ones, the first in the file), so that a small instance inside a large one is not lost. Between classes the
overlap rule decides the class of a pixel first: an error, the first annotation in the file, the last, or the smallest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.masks.runs import LabelMask, from_values
from carpet_data.dataset import Overlap
from carpet_data.errors import OverlapError

__all__ = ["Layer", "crop", "stack"]

OVERLAP_HINT = (
    "let --overlap first, last or smaller-on-top decide the class of shared pixels, or correct the annotations"
)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One instance before pixels are given out.

    Attributes:
        top, left: Where `pixels` begins in the image.
        pixels: bool, the box of the instance.
        label: How to name it in a message, such as "annotation 17".
    """

    class_name: str
    label: str
    top: int
    left: int
    pixels: NDArray[np.bool_]

    @property
    def box(self) -> tuple[slice, slice]:
        """The part of the image that `pixels` covers."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def area(self) -> int:
        """Pixels that it claims."""
        return int(np.count_nonzero(self.pixels))

    def __str__(self) -> str:
        return f"{self.label} ({self.class_name})" if self.label else f"an instance of {self.class_name}"


def crop(pixels: NDArray[np.bool_], class_name: str, label: str) -> Layer:
    """The layer of a mask of the whole image (bool HxW); only its box is kept."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return Layer(class_name, label, 0, 0, np.zeros((0, 0), np.bool_))
    top, left = int(rows[0]), int(columns[0])
    inside = np.ascontiguousarray(pixels[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1])
    return Layer(class_name, label, top, left, inside)


def stack(layers: Iterable[Layer], height: int, width: int, *, rule: Overlap, where: str) -> LabelMask:
    """One mask of many instances, in the order of the file; every pixel belongs to one of them.

    Args:
        layers: The instances.
        height: Rows of the image.
        width: Columns of the image.
        rule: What decides where instances of different classes overlap.
        where: The image, for the error.

    Raises:
        OverlapError: Instances of different classes overlap, and the rule is "error".
    """
    values = np.zeros((height, width), np.uint32)
    taken: list[Layer] = []
    overlaps = False
    for number, layer in enumerate(layers, start=1):
        taken.append(layer)
        view = values[layer.box]
        overlaps = overlaps or bool(view[layer.pixels].any())
        view[layer.pixels] = number
    names = tuple(layer.class_name for layer in taken)
    if not overlaps:
        return LabelMask(from_values(_narrow(values, len(taken))), names, binary=False)
    owner = _owners(taken, values.shape, rule, where)
    values[:] = 0
    claims = np.zeros(values.shape, np.uint32)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}
    for position in _large_first(taken):
        layer = taken[position]
        claims[layer.box] += layer.pixels
        values[layer.box][layer.pixels & (owner[layer.box] == numbers[layer.class_name])] = position + 1
    kept = np.unique(values[values > 0])
    hidden = sum(layer.area > 0 for layer in taken) - len(kept)
    shared = int(np.count_nonzero(claims > 1))
    return LabelMask(from_values(_narrow(values, len(taken))), names, binary=False, shared_px=shared, hidden=hidden)


def _owners(layers: Sequence[Layer], shape: tuple[int, ...], rule: Overlap, where: str) -> NDArray[np.uint32]:
    """The number of the class that each pixel belongs to, 0 for background; classes are numbered as they are met."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(layer.class_name for layer in layers), 1)}
    owner = np.zeros(shape, np.uint32)
    order: Iterable[int] = range(len(layers))
    if rule == "first":
        order = reversed(range(len(layers)))
    elif rule == "smaller-on-top":
        order = _large_first(layers)
    for position in order:
        layer = layers[position]
        view, number = owner[layer.box], numbers[layer.class_name]
        if rule == "error":
            claimed = view[layer.pixels]
            if ((claimed != 0) & (claimed != number)).any():
                raise _error(layers, position, where)
        view[layer.pixels] = number
    return owner


def _large_first(layers: Sequence[Layer]) -> list[int]:
    """Positions by area, the largest first; of equally large ones the first in the file comes last, and so on top."""
    areas = [layer.area for layer in layers]
    return sorted(range(len(layers)), key=lambda position: (-areas[position], -position))


def _error(layers: Sequence[Layer], position: int, where: str) -> OverlapError:
    """Names the first earlier instance of another class that shares pixels with this one."""
    layer = layers[position]
    for other in layers[:position]:
        shared = _shared(other, layer) if other.class_name != layer.class_name else 0
        if shared and shared == layer.area == other.area:
            what = f"{layer} repeats {other}: both mark the same {shared} pixels, and a pixel can be of one class only"
            return OverlapError(what, where=where, hint=OVERLAP_HINT)
        if shared:
            what = f"{other} and {layer} share {shared} pixels, and a pixel can be of one class only"
            return OverlapError(what, where=where, hint=OVERLAP_HINT)
    raise AssertionError("a pixel of another class was painted by an earlier layer")


def _shared(one: Layer, other: Layer) -> int:
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom = min(one.top + one.pixels.shape[0], other.top + other.pixels.shape[0])
    right = min(one.left + one.pixels.shape[1], other.left + other.pixels.shape[1])
    if bottom <= top or right <= left:
        return 0
    parts = [
        layer.pixels[top - layer.top : bottom - layer.top, left - layer.left : right - layer.left]
        for layer in (one, other)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))


def _narrow(values: NDArray[np.uint32], largest: int) -> NDArray[np.uint16] | NDArray[np.uint32]:
    return values.astype(np.uint16) if largest <= np.iinfo(np.uint16).max else values
