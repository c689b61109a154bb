"""Training images as a worker holds them: decoded once, with clean plates and donor cuts, within a limit on memory.

Clean plates are hosts made of defect images, see `plates.survey`. A class folder of three images and no good one still
holds good texture: all that surrounds the defects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import masks
from carpet_data.core.images import read, read_deep
from carpet_data.core.masks.runs import Runs, to_binary
from carpet_data.dataset import Sample
from carpet_data.synthesis.contract import Box, Donor, Image, Mask, Structure
from carpet_data.synthesis.engine.depth import EIGHT_BIT, deepened, read_scaled, scaled
from carpet_data.synthesis.engine.sources import DonorRef, HostRef
from carpet_data.synthesis.ops import foreground
from carpet_data.synthesis.ops.masks import grown
from carpet_data.synthesis.ops.period import structure_of
from carpet_data.synthesis.plates.survey import plate_path

T = TypeVar("T")

_MAX_BYTES = 192 << 20
"""Of decoded pixels a process keeps; 64 RGB images of 1024x1024."""
_COLLAR_PX, _COLLAR_FRAC, _COLLAR_CELLS = 40, 0.25, 2.0
_BESIDES_PX = 4
"""So much around a mask is not taken for clean texture: annotations stop short of bent yarns and shadows."""


class TrainImages:
    """Decoded images of one data set; the least recently used are dropped first."""

    def __init__(self, root: Path, *, is_object: bool, is_ordered: bool = False, full_scale: int = EIGHT_BIT) -> None:
        self.root = root
        self._full = full_scale
        self._is_object, self._is_ordered = is_object, is_ordered
        self._kept: OrderedDict[tuple[str, ...], tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    def image(self, sample: Sample) -> Image:
        """The decoded image of a sample, uint8; not to be written into."""
        path = self.root / sample.image_path
        return self._get(("image", _bytes_of(sample)), lambda: _frozen(read_scaled(path, self._full)))

    def host(self, ref: HostRef) -> Image:
        """The image of a host, its defects taken out if it is a plate; not to be written into."""
        if not ref.plate:
            return self.image(ref.sample)
        return self._get(
            ("plate", _bytes_of(ref.sample), ref.key), lambda: _frozen(read(plate_path(self.root, ref.key)))
        )

    def deep_host(self, ref: HostRef) -> NDArray[np.uint16] | None:
        """The image of a host in its file's 16 bits, see `depth`; None where the file has 8 bits."""
        values = read_deep(self.root / ref.sample.image_path)
        if values.dtype == np.uint8:
            return None
        deep = np.asarray(values, np.uint16)
        return deepened(deep, scaled(deep, self._full), self.host(ref), self._full) if ref.plate else deep

    def foreground(self, ref: HostRef) -> Mask | None:
        """Where the object of a host is; None where images show a texture."""
        if not self._is_object:
            return None
        return self._get(("foreground", _bytes_of(ref.sample), ref.key), lambda: foreground.find(self.host(ref)))

    def structure(self, ref: HostRef) -> Structure | None:
        """The strict order of a host's texture; None where images show objects or no such order."""
        if not self._is_ordered:
            return None
        return self._get(("structure", _bytes_of(ref.sample), ref.key), lambda: structure_of(self.host(ref)))

    def mask(self, sample: Sample, class_name: str) -> Mask:
        """The pixels of one class of a sample; not to be written into."""
        return self._get(("mask", _bytes_of(sample), class_name), partial(_class_mask, self.root, sample, class_name))

    def donor(self, ref: DonorRef, class_name: str) -> Donor:
        """The cut of a donor: its defects of the class with a collar, see `collared`."""

        def cut() -> Donor:
            sample = ref.sample
            image, mask = self.image(sample), _class_mask(self.root, sample, class_name)
            structure = structure_of(image, grown(mask, _BESIDES_PX)) if self._is_ordered else None
            box = collared(ref.box, sample.width, sample.height, structure)
            x, y, width, height = box
            place = np.s_[y : y + height, x : x + width]
            return Donor(
                id=sample.id,
                image=_frozen(image[place].copy()),
                mask=_frozen(mask[place].copy()),
                box=box,
                size=(sample.width, sample.height),
                foreground=foreground.find(image) if self._is_object else None,
                structure=structure,
            )

        return self._get(("donor", _bytes_of(ref.sample), class_name), cut)

    def _get(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        if key in self._kept:
            self._kept.move_to_end(key)
            value: T = self._kept[key][0]
            return value
        value = make()
        size = _size(value)
        self._kept[key] = (value, size)
        self._bytes += size
        while self._bytes > _MAX_BYTES and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped
        return value


def collared(box: Box, width: int, height: int, structure: Structure | None = None) -> Box:
    """A defect's box with its collar, inside its image: 40 px, a quarter of the box, or two cells of a lattice."""
    x, y, w, h = box
    cells = _COLLAR_CELLS * structure.longest_px if structure is not None else 0.0
    collar = max(_COLLAR_PX, int(_COLLAR_FRAC * max(w, h)), int(cells))
    left, top = max(0, x - collar), max(0, y - collar)
    return left, top, min(width, x + w + collar) - left, min(height, y + h + collar) - top


def _class_mask(root: Path, sample: Sample, class_name: str) -> Mask:
    found = masks.load(root, sample)
    runs = found.runs
    if class_name != sample.class_name:
        of_class = np.array([name == class_name for name in found.names], np.bool_)[runs.value - 1]
        parts = (runs.column, runs.start, runs.stop, runs.value)
        runs = Runs(runs.height, runs.width, *(part[of_class] for part in parts))
    mask: Mask = _frozen(to_binary(runs))
    return mask


def _bytes_of(sample: Sample) -> str:
    """The key of a sample's pixels, also after the data set was made again."""
    return f"{sample.id} {sample.image_sha256} {sample.mask_sha256}"


def _frozen(array: Any) -> Any:
    # A method that wrote into a kept image would change all images after it.
    array.flags.writeable = False
    return array


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, Donor):
        return _size(value.image) + _size(value.mask) + _size(value.foreground)
    return 0
