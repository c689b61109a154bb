"""Samples to arrays: what `Sample.image`, `Sample.mask` and `Sample.instances` call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import images, masks
from carpet_data.core.masks import rle
from carpet_data.core.masks.runs import LabelMask, to_binary
from carpet_data.dataset import GOOD, Instance, Sample
from carpet_data.errors import DataError, UsageError

__all__ = ["instance_mask", "load_image", "load_instances", "load_mask"]


def load_image(sample: Sample) -> NDArray[np.uint8]:
    """The image of a sample: uint8, HxWx3 RGB or HxW; see `Sample.image`."""
    return images.read(_root(sample) / sample.image_path)


def load_mask(sample: Sample) -> NDArray[np.bool_]:
    """The defect pixels of a sample: bool HxW; see `Sample.mask`."""
    return to_binary(_label_mask(sample).runs)


def load_instances(sample: Sample) -> tuple[Instance, ...]:
    """The defects of a sample; see `Sample.instances`."""
    regions = masks.find(_label_mask(sample), connectivity=sample.connectivity)
    found = zip(regions, regions.bbox.tolist(), regions.area.tolist(), strict=True)
    return tuple(
        Instance(class_name, (x, y, w, h), area, sample.height, sample.width, rle.encode(runs))
        for (class_name, runs), (x, y, w, h), area in found
    )


def instance_mask(instance: Instance) -> NDArray[np.bool_]:
    """The pixels of one defect: bool HxW, the size of the image."""
    return to_binary(rle.decode(instance.rle, instance.height, instance.width))


def _label_mask(sample: Sample) -> LabelMask:
    root = _root(sample)
    if sample.annotation is None and sample.class_name != GOOD:
        raise DataError(
            f"the image shows {sample.class_name}, but has no mask",
            where=root / sample.image_path,
            hint="add its mask to the source, or leave such samples out: where(lambda s: s.annotation is not None)",
        )
    return masks.load(root, sample)


def _root(sample: Sample) -> Path:
    if sample.root is None:
        raise UsageError(
            "the sample belongs to no data set, so its files cannot be found",
            where=sample.id,
            hint="take it from a Dataset, such as carpet_data.read(root)[0]",
        )
    return sample.root
