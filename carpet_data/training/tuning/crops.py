"""The crops that a step trains on: each a pure function of the seed, the epoch and its number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.seeds import generator
from carpet_data.training.tuning.options import TuneOptions
from carpet_data.training.tuning.scenes import Scene, Scenes
from carpet_data.training.views import augment

__all__ = ["Crop", "CropSource", "ahead", "padded"]

U8 = NDArray[np.uint8]
A = TypeVar("A")
B = TypeVar("B")

_AHEAD = 2
_MOST = 255
"""Defects of one crop; of more the largest are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A square of an image.

    Attributes:
        image: uint8 (s, s, 3) RGB.
        numbers: uint8 (s, s): 0 without a defect, else a number from 1.
        classes: int64 (n + 1,): the class of each number; 0 for number 0.
    """

    image: U8
    numbers: U8
    classes: NDArray[np.int64]

    @property
    def labels(self) -> U8:
        """uint8 (s, s): the class of each pixel."""
        return np.asarray(self.classes[self.numbers], np.uint8)


class CropSource:
    """Draws crops.

    A share of them lies around a pixel of a defect: a type is drawn, then an image that shows it, then a pixel of it.
    The others lie anywhere: half of them in good images, the rest in any.

    Args:
        scenes: Of the training side.
        options: Side of the crops, shares, augmentation and seed.
        instances: Whether defects keep apart; else each class is one number.
    """

    def __init__(self, scenes: Scenes, options: TuneOptions, *, instances: bool) -> None:
        self._scenes = scenes
        self._options = options
        self._instances = instances
        self.types = sorted({each for shown in scenes.present for each in shown})
        """The classes that the scenes show, as indices."""
        self._of_type = {
            kind: [row for row, shown in enumerate(scenes.present) if kind in shown] for kind in self.types
        }
        self._good = [row for row, shown in enumerate(scenes.present) if not shown]

    def batches(self, epoch: int, count: int) -> Iterator[list[Crop]]:
        """The batches of an epoch, from 0, the next ones made while the caller works on one."""
        size = self._options.batch_size
        numbers = (range(size * step, size * (step + 1)) for step in range(count))
        return ahead(lambda of_batch: [self.draw(epoch, number) for number in of_batch], numbers)

    def draw(self, epoch: int, number: int) -> Crop:
        """One crop of an epoch, both from 0."""
        options = self._options
        rng = generator(options.seed, "crop", epoch, number)
        row, kind = self._row(rng)
        scene = self._scenes[row]
        side = options.crop
        height, width = scene.numbers.shape
        if kind is None:
            top, left = (int(rng.integers(max(length - side, 0) + 1)) for length in (height, width))
        else:
            rows, columns = np.nonzero(np.isin(scene.numbers, np.flatnonzero(scene.classes == kind)))
            chosen = int(rng.integers(len(rows)))
            top = _start(int(rows[chosen]), height, side, rng)
            left = _start(int(columns[chosen]), width, side, rng)
        image, numbers, classes = self._cut(scene, top, left, side)
        # Each crop counts as a view of its own of the image.
        view = 1 + epoch * options.epoch_steps * options.batch_size + number
        images, moved = augment(
            image[None],
            numbers[None],
            strength=options.augment,
            seed=options.seed,
            ids=[self._scenes.samples[row].id],
            view=view,
        )
        assert moved is not None
        return Crop(images[0], moved[0], classes)

    def _row(self, rng: np.random.Generator) -> tuple[int, int | None]:
        """A scene, and the class that the crop must show."""
        if self.types and rng.random() < self._options.defect_share:
            kind = self.types[int(rng.integers(len(self.types)))]
            rows = self._of_type[kind]
            return rows[int(rng.integers(len(rows)))], kind
        if self._good and rng.random() < 0.5:
            return self._good[int(rng.integers(len(self._good)))], None
        return int(rng.integers(len(self._scenes))), None

    def _cut(self, scene: Scene, top: int, left: int, side: int) -> tuple[U8, U8, NDArray[np.int64]]:
        place = np.s_[top : top + side, left : left + side]
        if self._instances:
            numbers, classes = _renumbered(scene.numbers[place], scene.classes)
        else:
            numbers, classes = scene.labels[place], np.arange(len(self._scenes.classes))
        return padded(scene.image[place], side), _zero_padded(numbers, side), classes


def padded(image: U8, side: int) -> U8:
    """An image, uint8 HxWx3, filled up to at least `side` pixels each way, right and below, with its mean color."""
    below, right = max(side - image.shape[0], 0), max(side - image.shape[1], 0)
    if not below and not right:
        return image
    color = [float(each) for each in np.rint(image.mean(axis=(0, 1)))]
    filled = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=color)
    return filled.astype(np.uint8, copy=False)


def ahead(make: Callable[[A], B], jobs: Iterable[A]) -> Iterator[B]:
    """The results of jobs in order, the next ones made in a thread while the caller works on one.

    OpenCV and numpy let go of the interpreter while they work, so one thread is enough to stay ahead.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="crops") as thread:
        left = iter(jobs)
        waiting: list[Future[B]] = [thread.submit(make, job) for job in islice(left, _AHEAD)]
        try:
            while waiting:
                done = waiting.pop(0).result()
                waiting += [thread.submit(make, job) for job in islice(left, 1)]
                yield done
        finally:
            for each in waiting:
                each.cancel()


def _start(pixel: int, length: int, side: int, rng: np.random.Generator) -> int:
    """Where a crop begins that holds a pixel, somewhere in its inner three quarters where the image allows."""
    margin = side // 8
    start = pixel - margin - int(rng.integers(max(side - 2 * margin, 1)))
    return min(max(start, 0), max(length - side, 0))


def _renumbered(numbers: NDArray[np.uint16], classes: NDArray[np.int64]) -> tuple[U8, NDArray[np.int64]]:
    counts = np.bincount(numbers.ravel(), minlength=len(classes))
    counts[0] = 0
    shown = np.argsort(-counts, kind="stable")[: min(_MOST, np.count_nonzero(counts))]
    lookup = np.zeros(len(classes), np.uint8)
    lookup[shown] = np.arange(1, len(shown) + 1)
    return lookup[numbers], np.concatenate(([0], classes[shown])).astype(np.int64)


def _zero_padded(numbers: U8, side: int) -> U8:
    filled = np.zeros((side, side), np.uint8)
    filled[: numbers.shape[0], : numbers.shape[1]] = numbers
    return filled
