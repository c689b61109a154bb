"""Seams: where the cut between two images shows least, and how much it shows.

The cut is a minimum cut on the pixel grid (Kwatra et al., "Graphcut textures", SIGGRAPH 2003), by OpenCV's finder for
panoramas.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.masks import grown, shrunk
from carpet_data.synthesis.ops.pixels import grey, in_color

_RIM_PX = 3
_FLAT_LEVELS = 6.0


def cut_between(inside: Image, outside: Image, core: Mask, reach: Mask, *, framed: bool = True) -> Mask:
    """The region whose outline runs where two images (uint8 hxwx3 or hxw) differ least, `inside` shown in it.

    `framed`: the outer image lies around the whole window, so that the cut has another side wherever the reach ends;
    otherwise the region may leave the window at no cost, as a defect does at an image's border.

    Returns:
        bool hxw, core <= region <= core | reach; the core alone where there is nothing to choose.
    """
    wide = core | reach
    if not core.any() or not (wide & ~core).any() or (wide.all() and not framed):
        return np.array(core, np.bool_)
    edge = int(framed)
    pad = ((edge, edge), (edge, edge), (0, 0))
    images = [np.pad(in_color(image), pad, mode="edge").astype(np.float32) for image in (outside, inside)]
    masks = [np.pad(~core, edge, constant_values=True), np.pad(wide, edge)]
    # OpenCV's type hints ask for its own arrays here; its code takes numpy's images, and needs UMat masks to write in.
    held: Any = cv2.UMat
    bits = [held(mask.astype(np.uint8) * np.uint8(255)) for mask in masks]
    found = cv2.detail.GraphCutSeamFinder("COST_COLOR").find([held(i) for i in images], [(0, 0), (0, 0)], bits)
    region = np.asarray(found[1].get()) > 0
    return region[1:-1, 1:-1] if framed else region


def coarse_cut(inside: Image, outside: Image, core: Mask, reach: Mask) -> Mask:
    """`cut_between` without a frame, found at reduced resolution: quick for large patches, and true to 3 pixels."""
    height, width = core.shape
    step = 1 if min(height, width) < 24 else 2 if min(height, width) < 200 else 3
    size = (max(1, width // step), max(1, height // step))
    small = [
        np.asarray(cv2.resize(in_color(i), size, interpolation=cv2.INTER_AREA), np.uint8) for i in (inside, outside)
    ]
    shares = [cv2.resize(m.view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) for m in (core, reach)]
    least = np.asarray(shares[0]) > 0
    most = (np.asarray(shares[1]) == 255) | least
    if most.all() or not (most & ~least).any():
        return np.array(core, np.bool_)
    found = cut_between(small[0], small[1], least, most, framed=False)
    bits = found.astype(np.uint8) * np.uint8(255)
    region = np.asarray(cv2.resize(bits, (width, height), interpolation=cv2.INTER_LINEAR)) >= 128
    return np.asarray((region | core) & (reach | core), np.bool_)


def seam_energy(image: Image, host: Image, region: Mask) -> float:
    """How much a seam shows: logarithm of the gradient along a region's outline over that of the host there.

    Positive where there is an edge, negative where it is blurred, 0 for a seam that is not visible.
    """
    bits = region.view(np.uint8)
    # Its outer side alone: on the inner one a defect that is cut out closely shows its own edge.
    line = np.asarray(cv2.dilate(bits, np.ones((3, 3), np.uint8))) != bits
    if not line.any():
        return 0.0
    here, there = (_gradient(x)[line].mean() for x in (image, host))
    return float(np.log((here + 1.0) / (there + 1.0)))


def rim_mismatch(inside: Image, outside: Image, region: Mask) -> float:
    """How much two images (uint8 hxwx3 or hxw) differ along a region's outline: whether structure continues there.

    The mean squared difference over the sum of both variances: 0 for the same structure, 1 for unrelated ones. A rim
    that shows nothing in either continues nothing wrongly.
    """
    rim = grown(region, _RIM_PX) & ~shrunk(region, _RIM_PX)
    here, there = grey(inside)[rim], grey(outside)[rim]
    if len(here) == 0:
        return 0.0
    error = float(np.square(here - here.mean() - there + there.mean()).mean())
    return error / max(float(here.var() + there.var()), 2 * _FLAT_LEVELS**2)


def _gradient(image: Image) -> Any:
    light = grey(image)
    return np.abs(cv2.Sobel(light, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(light, cv2.CV_32F, 0, 1))
