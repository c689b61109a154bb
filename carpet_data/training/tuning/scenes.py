"""Images with the number of the defect in each pixel, decoded and resized when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import read
from carpet_data.core.masks import find, load, rle
from carpet_data.core.masks.regions import Regions
from carpet_data.core.masks.runs import Runs, from_binary, to_binary, to_values
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Dataset, Instance, Sample
from carpet_data.errors import DataError
from carpet_data.training.truth import ANY_DEFECT

__all__ = ["Scene", "Scenes", "load_scene", "resized"]

U8 = NDArray[np.uint8]
_MEMORY_BYTES = 2 * 2**30


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One image and its defects.

    Attributes:
        image: uint8 (h, w, 3) RGB.
        numbers: uint16 (h, w): 0 without a defect, else the number of the defect.
        classes: int64 (n + 1,): the class of each number, an index of the model's classes; 0 for number 0.
    """

    image: U8
    numbers: NDArray[np.uint16]
    classes: NDArray[np.int64]

    @property
    def labels(self) -> U8:
        """uint8 (h, w): the class of each pixel."""
        return np.asarray(self.classes[self.numbers], np.uint8)

    def instances(self, classes: Sequence[str]) -> tuple[Instance, ...]:
        """The defects at the scene's own size; classes are those that it was loaded with."""
        height, width = self.numbers.shape
        found = []
        for number in np.unique(self.numbers[self.numbers > 0]).tolist():
            mask = self.numbers == number
            x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
            encoded = rle.encode(from_binary(mask))
            name = classes[int(self.classes[number])]
            found.append(Instance(name, (x, y, w, h), int(np.count_nonzero(mask)), height, width, encoded))
        return tuple(found)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.image.nbytes + self.numbers.nbytes


def resized(image: U8, size: int | None) -> U8:
    """An image, RGB, whose longer side has `size` pixels; None leaves it as it is.

    Args:
        image: uint8 HxWx3, or HxW gray, which becomes three equal channels.
        size: Shrinking averages over areas, enlarging is bilinear.
    """
    height, width = _new_shape(image.shape[0], image.shape[1], size)
    if (height, width) != image.shape[:2]:
        how = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
        image = cv2.resize(image, (width, height), interpolation=how).astype(np.uint8, copy=False)
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def load_scene(dataset: Dataset, sample: Sample, classes: Sequence[str], size: int | None) -> Scene:
    """Decode one sample.

    A shrunken defect takes the pixels that it covers at least half as much as it covers any pixel, so that no scratch
    vanishes, however thin.

    Raises:
        ImageError: Image or mask cannot be read.
        DataError: The annotation contradicts itself, or a defect image has none.
    """
    if sample.unmasked:
        raise DataError(
            f"the image shows {sample.class_name}, but has no mask",
            where=dataset.path(sample.image_path),
            hint="draw its mask, or leave the image out",
        )
    image = read(dataset.path(sample.image_path))
    regions = find(load(dataset.root, sample), connectivity=dataset.connectivity)
    index = {name: number for number, name in enumerate(classes)}
    of_number = [index[name if name in index else ANY_DEFECT] for name in regions.class_names]
    height, width = image.shape[:2]
    new_shape = _new_shape(height, width, size)
    numbers = _numbers(regions) if new_shape == (height, width) else _shrunken(regions, *new_shape)
    return Scene(resized(image, size), numbers, np.array([0, *of_number], np.int64))


def _new_shape(height: int, width: int, size: int | None) -> tuple[int, int]:
    if size is None:
        return height, width
    factor = size / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _numbers(regions: Regions) -> NDArray[np.uint16]:
    runs = regions.runs
    counted = Runs(runs.height, runs.width, runs.column, runs.start, runs.stop, runs.value + 1)
    return np.asarray(to_values(counted, np.uint16), np.uint16)


def _shrunken(regions: Regions, height: int, width: int) -> NDArray[np.uint16]:
    numbers = np.zeros((height, width), np.uint16)
    most = np.zeros((height, width), np.float32)
    smaller = height < regions.runs.height
    for number, (_, runs) in enumerate(regions, start=1):
        mask = to_binary(runs).astype(np.float32)
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        cover = cv2.resize(mask, (width, height), interpolation=how)
        taken = (cover >= cover.max() / 2) & (cover > most)
        numbers[taken] = number
        most[taken] = cover[taken]
    return numbers


class Scenes:
    """The scenes of one side of a split, kept in memory as far as they fit.

    Attributes:
        samples: In their order.
        present: The classes that each shows, as indices.

    Args:
        dataset: The data set.
        samples: Of one side; may be empty.
        classes: Of the model, `good` first.
        size: As in `resized`.
        memory_bytes: Limit of what is kept.
        progress: Called with the images read.

    Raises:
        DataError: A sample cannot be read, or shows a defect and has no mask.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Sequence[Sample],
        classes: Sequence[str],
        size: int | None,
        *,
        memory_bytes: int = _MEMORY_BYTES,
        progress: Progress | None = None,
    ) -> None:
        self.dataset = dataset
        self.samples = tuple(samples)
        self.classes = tuple(classes)
        self.size = size
        self._left = memory_bytes
        self._kept: dict[str, Scene] = {}
        present: list[tuple[int, ...]] = []
        for number, sample in enumerate(samples, start=1):
            scene = self._load(sample)
            shown = scene.classes[np.unique(scene.numbers)]
            present.append(tuple(sorted({int(each) for each in shown if each})))
            if progress is not None:
                progress(Step(number, len(samples), "reading images"))
        self.present = tuple(present)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> Scene:
        """The scene of a sample."""
        return self._load(self.samples[row])

    def _load(self, sample: Sample) -> Scene:
        held = self._kept.get(sample.id)
        if held is not None:
            return held
        scene = load_scene(self.dataset, sample, self.classes, self.size)
        if scene.nbytes <= self._left:
            self._left -= scene.nbytes
            self._kept[sample.id] = scene
        return scene
