"""What an image really shows, in the terms of a model: its class, the class of each pixel, its defects. No torch."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.masks import find, load, rle
from carpet_data.core.masks.runs import to_values
from carpet_data.dataset import GOOD, Connectivity, Instance, Sample
from carpet_data.errors import UsageError

__all__ = ["ANY_DEFECT", "Truth", "knows_types", "truth_of", "types_of"]

ANY_DEFECT = "defect"
"""The one defect class of a model that knows no types."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What an image shows; made by `truth_of` or `Truth.of`.

    Attributes:
        id: Of the sample.
        class_name: One of the model's classes.
        group: Images of one group are no independent evidence.
        instances: The defects, their types named as the model names them. None where the defect's pixels are unknown:
            an image without a mask, or with an empty one.
        connectivity: 4 or 8: which pixels belong to one component.
    """

    id: str
    class_name: str
    group: str
    instances: tuple[Instance, ...] | None
    connectivity: Connectivity
    _packed: bytes | None
    _shape: tuple[int, int]

    @classmethod
    def of(
        cls,
        sample_id: str,
        class_name: str,
        *,
        group: str | None = None,
        labels: NDArray[np.uint8] | None = None,
        instances: tuple[Instance, ...] | None = None,
        connectivity: Connectivity = 8,
    ) -> Truth:
        """The truth from its parts; without a group the image is one of its own."""
        packed, shape = None, (0, 0)
        if labels is not None:
            packed, shape = zlib.compress(np.ascontiguousarray(labels).tobytes(), 1), labels.shape
        unit = sample_id if group is None else group
        return cls(sample_id, class_name, unit, instances, connectivity, packed, shape)

    @property
    def labels(self) -> NDArray[np.uint8] | None:
        """uint8 (h, w), not to be written to: 0 where there is no defect, else 1 + its type's place among the types.

        None as `instances`. They are kept compressed, since masks are mostly empty.
        """
        if self._packed is None:
            return None
        return np.frombuffer(zlib.decompress(self._packed), np.uint8).reshape(self._shape)


def types_of(classes: Sequence[str]) -> tuple[str, ...]:
    """The defect types among a model's classes, in their order."""
    return tuple(name for name in classes if name != GOOD)


def knows_types(classes: Sequence[str]) -> bool:
    """Whether a model of these classes tells defect types apart, or only good images from others."""
    return types_of(classes) != (ANY_DEFECT,)


def truth_of(sample: Sample, classes: Sequence[str]) -> Truth:
    """What a sample shows, its mask read from the data set.

    For a model that knows no types, every defect is "defect".

    Args:
        sample: Of a data set.
        classes: Those of the model.

    Raises:
        UsageError: The sample belongs to no data set, or shows a class that the model does not know.
        ImageError, DataError: As `Sample.mask`.
    """
    types = types_of(classes)
    name = _named(sample.class_name, classes)
    unknown = Truth.of(sample.id, name, group=sample.group)
    if sample.unmasked:
        return unknown
    if sample.root is None:
        raise UsageError("the sample belongs to no data set", where=sample.id, hint="take it from a Dataset")
    mask = load(sample.root, sample)
    if not len(mask.runs) and sample.class_name != GOOD:
        return unknown
    number = np.array([0, *(types.index(_named(each, classes)) + 1 for each in mask.names)], np.int64)
    labels = to_values(replace(mask.runs, value=number[mask.runs.value]))
    regions = find(mask, connectivity=sample.connectivity)
    found = zip(regions, regions.bbox.tolist(), regions.area.tolist(), strict=True)
    instances = tuple(
        Instance(_named(each, classes), (x, y, w, h), area, sample.height, sample.width, rle.encode(runs))
        for (each, runs), (x, y, w, h), area in found
    )
    return Truth.of(
        sample.id, name, group=sample.group, labels=labels, instances=instances, connectivity=sample.connectivity
    )


def _named(class_name: str, classes: Sequence[str]) -> str:
    """A class of the data as the model calls it."""
    if class_name in classes:
        return class_name
    if class_name != GOOD and not knows_types(classes):
        return ANY_DEFECT
    raise UsageError(
        f"the model does not know the class {class_name!r}",
        hint=f"it knows {', '.join(classes)}; score it on images of these, or train it again",
    )
