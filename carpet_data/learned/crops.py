"""What a fit may look at: crops around the defects of the training images, and crops of clean background.

Everything comes through the sources of synthesis, so that no image of val or test, no dropped and no synthetic one
can reach a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from carpet_data.dataset import GOOD, Dataset
from carpet_data.learned.windows import CropWindow, around, cut, cut_mask
from carpet_data.synthesis.contract import Box, Facts, Image, Mask
from carpet_data.synthesis.engine import sources
from carpet_data.synthesis.engine.train_images import TrainImages
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["CropBatch", "CropDataset", "Example", "GeneratedCrop"]

F32 = NDArray[np.float32]

_BACKGROUND_BYTES = 256 << 20
"""Decoded good images that a fit holds; evenly spaced ones if there are more."""
_SHIFT = 0.15
"""Maximum shift of a window off the center of its defect, as a share of its side."""
_ZOOM = (0.85, 1.25)
_LIGHT = 0.04


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One training image that shows a defect.

    Attributes:
        image: uint8 HxWx3 or HxW.
        mask: bool HxW: its pixels of the class; `box` is around them.
        group: Group of the sample: images of one group show the same piece; None for a piece of its own.
    """

    sample: str
    class_name: str
    image: Image
    mask: Mask
    box: Box
    group: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CropBatch:
    """Crops as a network takes them, still in numpy.

    Attributes:
        images: uint8 n x c x c x3.
        masks: float32 n x c x c, 0..1: the share of each pixel that is defect; for clean crops a place where a defect
            could be, with the background still in it.
        labels: int64 n: index of the class; `CropDataset.good` for clean crops.
    """

    images: NDArray[np.uint8]
    masks: F32
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedCrop:
    """One sample of a network: uint8 c x c x3 with a mask float32 c x c, 0..1; for sheets and the check for copies."""

    class_name: str
    image: NDArray[np.uint8]
    mask: F32


@dataclass(frozen=True, eq=False)
class CropDataset:
    """The training images as crops.

    Attributes:
        classes: Defect classes, sorted; a label is the index of one.
        background: uint8 good images (or defect images with their defects removed).
        facts: class -> what its masks say.
        read: Ids of the samples that were read.
        crop_px: Width and height of a crop.
        context: How much wider than the defect a window is.
        is_object: Whether images show an object on a background: then crops are not flipped.
    """

    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    background: tuple[Image, ...]
    facts: Mapping[str, Facts]
    read: tuple[str, ...]
    crop_px: int
    context: float
    is_object: bool

    @classmethod
    def of(cls, dataset: Dataset, split: str, recipe: Recipe, *, crop_px: int, context: float) -> CropDataset:
        """The crops of the training images of a split.

        Raises:
            DataError: An image or mask cannot be read.
        """
        train = dataset.on_side("train", split).of_origin("real")
        names = sorted({name for s in train for name in (s.class_name, *s.defect_classes)} - {GOOD})
        found = {name: sources.build(dataset, split, name, recipe) for name in names}
        found = {name: pool for name, pool in found.items() if pool.donors}
        is_object = any(pool.facts.is_object for pool in found.values())
        full = max((pool.facts.full_scale for pool in found.values()), default=255)
        images = TrainImages(dataset.root, is_object=is_object, full_scale=full)
        examples = tuple(
            Example(
                ref.sample.id, name, images.image(ref.sample), images.mask(ref.sample, name), ref.box, ref.sample.group
            )
            for name, pool in found.items()
            for ref in pool.donors
        )
        hosts = next(iter(found.values())).hosts if found else ()
        largest = max((host.sample.width * host.sample.height * 3 for host in hosts), default=1)
        taken = hosts[:: max(1, -(-len(hosts) * largest // _BACKGROUND_BYTES))]
        background = tuple(images.host(host) for host in taken)
        lent = {name for host in taken for name in host.filled_from}
        read = sorted({example.sample for example in examples} | {host.sample.id for host in taken} | lent)
        facts = {name: pool.facts for name, pool in found.items()}
        return cls(tuple(found), examples, background, facts, tuple(read), crop_px, context, is_object)

    def only(self, classes: tuple[str, ...]) -> CropDataset:
        """The same without the other classes; `read` stays."""
        if classes == self.classes:
            return self
        examples = tuple(example for example in self.examples if example.class_name in classes)
        facts = {name: self.facts[name] for name in classes}
        return replace(self, classes=classes, examples=examples, facts=facts)

    @property
    def good(self) -> int:
        """The label of clean crops."""
        return len(self.classes)

    @property
    def unknown(self) -> int:
        """The label of no class, for classifier-free guidance; it is the largest one."""
        return len(self.classes) + 1

    @cached_property
    def _of_class(self) -> tuple[tuple[Example, ...], ...]:
        return tuple(tuple(e for e in self.examples if e.class_name == name) for name in self.classes)

    def window(self, example: Example) -> CropWindow:
        """The window of an example, not moved."""
        return around(example.box, self.crop_px, self.context)

    def crop(self, example: Example) -> tuple[NDArray[np.uint8], F32]:
        """An example, not moved: uint8 c x c x3 and float32 c x c."""
        window = self.window(example)
        return cut(example.image, window, self.crop_px), cut_mask(example.mask, window, self.crop_px)

    def all_crops(self) -> NDArray[np.uint8]:
        """All examples, not moved, uint8 n x c x c x3."""
        return np.stack([self.crop(example)[0] for example in self.examples])

    def draw(self, rng: np.random.Generator, count: int, defect_share: float, *, only: int | None = None) -> CropBatch:
        """A random batch of crops with their masks, moved, zoomed, lit and, for textures, flipped.

        The expected share `defect_share` shows a defect, each class as often; the others are clean. `only` is the label
        of the one class whose masks are used; None for all.
        """
        size = self.crop_px
        images = np.empty((count, size, size, 3), np.uint8)
        masks = np.empty((count, size, size), np.float32)
        labels = np.empty(count, np.int64)
        for row in range(count):
            label = int(rng.integers(len(self.classes))) if only is None else only
            of_class = self._of_class[label]
            example = of_class[int(rng.integers(len(of_class)))]
            window = self.drawn_window(example, rng)
            is_defect = rng.random() < defect_share
            mask = cut_mask(example.mask, window, size)
            if is_defect:
                image = cut(example.image, window, size)
            else:
                image, label = self._clean(window.side, rng), self.good
            image, mask = self._varied(image, mask, rng)
            images[row], masks[row], labels[row] = image, mask, label
        return CropBatch(images, masks, labels)

    def drawn_window(self, example: Example, rng: np.random.Generator) -> CropWindow:
        """A window at a drawn place and zoom; the box of the defect is whole in it."""
        window = self.window(example)
        # Still wide enough for the box of the defect, whatever the zoom.
        side = max(self.crop_px, max(example.box[2:]), round(window.side * rng.uniform(*_ZOOM)))
        shift = rng.uniform(-_SHIFT, _SHIFT, 2) * side
        left, top, width, height = example.box
        x = window.x + (window.side - side) // 2 + round(float(shift[0]))
        y = window.y + (window.side - side) // 2 + round(float(shift[1]))
        # Moved only as far as the defect stays whole: a network would learn the cut as the end of a defect.
        x = min(max(x, left + width - side), left)
        y = min(max(y, top + height - side), top)
        return CropWindow(x, y, side)

    def _clean(self, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        image = self.background[int(rng.integers(len(self.background)))]
        height, width = image.shape[:2]
        x = int(rng.integers(max(1, width - side + 1))) - max(0, side - width) // 2
        y = int(rng.integers(max(1, height - side + 1))) - max(0, side - height) // 2
        return cut(image, CropWindow(x, y, side), self.crop_px)

    def _varied(self, image: NDArray[np.uint8], mask: F32, rng: np.random.Generator) -> tuple[NDArray[np.uint8], F32]:
        flips = rng.integers(2, size=2)
        gain = 1.0 + _LIGHT * float(rng.uniform(-1, 1))
        if not self.is_object:
            rows, columns = slice(None, None, -1 if flips[0] else 1), slice(None, None, -1 if flips[1] else 1)
            image, mask = image[rows, columns], mask[rows, columns]
        lit = np.clip(np.rint(image * np.float32(gain)), 0, 255).astype(np.uint8)
        return lit, mask
