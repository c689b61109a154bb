"""What the inside of a defect looks like, as numbers, without a network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import images, masks
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Connectivity, Sample
from carpet_data.errors import CarpetDataError
from carpet_data.synthesis.contract import Image, Mask

__all__ = ["BINS", "NAMES", "Crop", "Job", "describe", "measure"]

F64 = NDArray[np.float64]

NAMES = (
    "lightness", "lightness spread", "lightness skew", "a", "a spread", "b", "b spread",
    "lightness against rim", "a against rim", "b against rim",
    "band 1 px", "band 2 px", "band 4 px", "band 8 px", "edges 1 px", "edges 2 px", "edges 4 px", "direction",
)  # fmt: skip
"""The statistics of a crop, in the order of `Crop.statistics`."""
BINS = 64
"""Of the color histograms, over 0 … 255."""
_MOST_CROPS = 8
"""Per image, the largest ones: an image of many specks must not outweigh all others."""
_LONGEST = 256
"""Larger crops are reduced to this side: statistics of more pixels say no more."""
_SIDE = 128
"""Side of the square crops for a network."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sample with a mask to measure; `pixels` says whether the crops are needed too, for a network."""

    root: Path
    sample: Sample
    connectivity: Connectivity
    pixels: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """One defect.

    Attributes:
        class_name: Its type.
        statistics: float64 (18,), see NAMES.
        colors: float64 (3, BINS), shares of its pixels by CIE L, a and b (as OpenCV scales them to 0 … 255).
        area_frac: Its share of the image.
        pixels: uint8 128x128x3 RGB, the crop around it; None unless asked for.
        inside: float32 128x128, 1 inside the mask; None unless asked for.
    """

    class_name: str
    statistics: F64
    colors: F64
    area_frac: float
    pixels: Image | None = None
    inside: NDArray[np.float32] | None = None


def measure(job: Job) -> tuple[Crop, ...] | CarpetDataError:
    """Measure the defects of one sample, the eight largest at most; an error in its files is returned. Pure."""
    sample = job.sample
    try:
        regions = masks.find(masks.load(job.root, sample), connectivity=job.connectivity)
        image = images.read(job.root / sample.image_path)
    except CarpetDataError as error:
        return error
    largest = sorted(range(len(regions)), key=lambda k: (-int(regions.area[k]), k))[:_MOST_CROPS]
    crops = []
    for k in largest:
        inside = to_binary(regions.one(k))
        x, y, width, height = (int(value) for value in regions.bbox[k])
        collar = max(4, round(0.25 * max(width, height)))
        rows = slice(max(y - collar, 0), y + height + collar)
        columns = slice(max(x - collar, 0), x + width + collar)
        crop, mask = image[rows, columns], inside[rows, columns]
        statistics, colors = describe(crop, mask)
        pixels, weight = _square(crop, mask) if job.pixels else (None, None)
        area = float(regions.area[k]) / (sample.width * sample.height)
        crops.append(Crop(regions.class_names[k], statistics, colors, area, pixels, weight))
    return tuple(crops)


def describe(image: Image, mask: Mask) -> tuple[F64, F64]:
    """Statistics and colors of the pixels inside a mask.

    Bands are differences of Gaussians, edges are gradients of the image blurred to a scale; both as log10 of 1 + their
    root mean square inside the mask. The direction is the coherence of the structure tensor (Bigün and Granlund 1987).

    Args:
        image: uint8 hxwx3 RGB or hxw, a crop with some surroundings.
        mask: bool hxw, at least one pixel.

    Returns:
        float64 (18,) as NAMES says, and float64 (3, BINS) of shares.
    """
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    lab = np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB))
    colors = np.stack([np.histogram(lab[..., c][mask], BINS, (0, 256))[0] for c in range(3)]) / mask.sum()
    longest = max(mask.shape)
    if longest > _LONGEST:
        size = tuple(max(1, round(edge * _LONGEST / longest)) for edge in mask.shape[::-1])
        lab = np.asarray(cv2.resize(lab, size, interpolation=cv2.INTER_AREA))
        reduced = np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA))
        # A line thinner than a reduced pixel must not vanish.
        mask = reduced >= min(0.5, float(reduced.max()))
    values = lab.astype(np.float32)
    inside = values[mask].astype(np.float64)
    rim = ~cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_)
    around = values[rim].mean(axis=0) if rim.any() else inside.mean(axis=0)
    mean, spread = inside.mean(axis=0), inside.std(axis=0)
    skew = float(((inside[:, 0] - mean[0]) ** 3).mean()) / max(float(spread[0]) ** 3, 1.0)
    light = values[..., 0]
    blurred = [light, *(np.asarray(cv2.GaussianBlur(light, (0, 0), sigma)) for sigma in (1.0, 2.0, 4.0, 8.0))]
    bands = [_strength((fine - coarse)[mask]) for fine, coarse in pairwise(blurred)]
    edges, direction = [], 0.0
    for level, soft in enumerate(blurred[1:4]):
        dx, dy = (cv2.Sobel(soft, cv2.CV_32F, 1 - k, k, ksize=3, scale=1 / 8)[mask].astype(np.float64) for k in (0, 1))
        edges.append(_strength(np.hypot(dx, dy)))
        if level == 0:
            xx, yy, xy = float((dx * dx).mean()), float((dy * dy).mean()), float((dx * dy).mean())
            direction = float(np.hypot(xx - yy, 2 * xy)) / max(xx + yy, 1e-9)
    color = (mean[0], spread[0], skew, mean[1], spread[1], mean[2], spread[2], *(mean - around))
    return np.array([*color, *bands, *edges, direction], np.float64), np.asarray(colors, np.float64)


def _strength(values: NDArray[np.floating]) -> float:
    return float(np.log10(1 + np.sqrt(np.mean(np.square(values, dtype=np.float64)))))


def _square(image: Image, mask: Mask) -> tuple[Image, NDArray[np.float32]]:
    """The crop as a square, its surroundings mirrored where they end, reduced or enlarged to 128x128."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height, width = mask.shape
    edge = max(height, width)
    pad = ((edge - height) // 2, edge - height - (edge - height) // 2)
    side = ((edge - width) // 2, edge - width - (edge - width) // 2)
    square = cv2.copyMakeBorder(np.ascontiguousarray(image), *pad, *side, cv2.BORDER_REFLECT)
    weight = cv2.copyMakeBorder(mask.astype(np.float32), *pad, *side, cv2.BORDER_CONSTANT, value=0)
    how = cv2.INTER_AREA if edge > _SIDE else cv2.INTER_LINEAR
    pixels = cv2.resize(square, (_SIDE, _SIDE), interpolation=how)
    return np.asarray(pixels, np.uint8), np.asarray(cv2.resize(weight, (_SIDE, _SIDE), interpolation=how), np.float32)
