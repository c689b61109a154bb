"""Cues that an image carries apart from its defect: what corners, borders, grain and codec say of its origin."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import masks as mask_files
from carpet_data.core.images import read
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Sample

__all__ = ["GRID", "NAMES", "Reading", "read_cues"]

F32: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

GRID = 256
"""Positions across and down of the search for fixed marks."""
_MARGIN_FRAC = 0.01
"""The mask is widened by this share of the image: the rim of a defect is part of it."""
_CORNER_FRAC = 1 / 32
_BORDER_FRAC = 1 / 128
_BLOCK = 8

_CORNERS = ("top left corner", "top right corner", "bottom left corner", "bottom right corner")
_BORDERS = ("top border", "bottom border", "left border", "right border")
NAMES = (*_CORNERS, *_BORDERS, "fine grain", "8x8 blocks of JPEG", "pixels at 0 or 255", "brightness", "contrast")

Reading: TypeAlias = tuple[NDArray[np.float64], F32]
"""The cues, float64 (len(NAMES),), and the picture, float32 (GRID, GRID); nan where the mask hides what is asked."""


def read_cues(job: tuple[Path, Sample]) -> Reading:
    """The cues of one image outside its defect.

    Args:
        job: The root of the data set, and the sample.

    Raises:
        ImageError: The image or its mask cannot be read.
    """
    root, sample = job
    image = read(root / sample.image_path)
    grey = (image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).astype(np.float32)
    hidden = np.zeros(grey.shape, np.bool_)
    if sample.annotation is not None:
        hidden = to_binary(mask_files.load(root, sample).runs)
        margin = max(1, round(_MARGIN_FRAC * max(grey.shape)))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
        hidden = cv2.dilate(hidden.astype(np.uint8), kernel) > 0
    seen = ~hidden
    return _cues(grey, seen), _picture(grey, seen)


def _cues(grey: F32, seen: Mask) -> NDArray[np.float64]:
    height, width = grey.shape
    whole = float(grey[seen].mean()) if seen.any() else float("nan")
    # Against the image's own brightness, so that a darker exposure is no mark.
    values = [_mean(grey[area], seen[area]) - whole for area in (*_corners(height, width), *_borders(height, width))]
    grain = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    values += [
        _mean(grain, seen),
        _blocks(grey, seen),
        _mean(((grey <= 0) | (grey >= 255)).astype(np.float32), seen),
        whole,
        float(grey[seen].std()) if seen.any() else float("nan"),
    ]
    return np.array(values, np.float64)


def _corners(height: int, width: int) -> list[tuple[slice, slice]]:
    size = max(2, round(_CORNER_FRAC * min(height, width)))
    rows, columns = (slice(0, size), slice(height - size, height)), (slice(0, size), slice(width - size, width))
    return [(row, column) for row in rows for column in columns]


def _borders(height: int, width: int) -> list[tuple[slice, slice]]:
    size = max(2, round(_BORDER_FRAC * min(height, width)))
    everything = slice(None)
    return [
        (slice(0, size), everything),
        (slice(height - size, height), everything),
        (everything, slice(0, size)),
        (everything, slice(width - size, width)),
    ]


def _mean(values: F32, seen: Mask) -> float:
    return float(values[seen].mean()) if seen.any() else float("nan")


def _blocks(grey: F32, seen: Mask) -> float:
    """How much larger steps are where JPEG's blocks meet than elsewhere (after Wang, Sheikh and Bovik 2002)."""
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis))
        both = seen[1:] & seen[:-1] if axis == 0 else seen[:, 1:] & seen[:, :-1]
        edge = np.arange(steps.shape[axis]) % _BLOCK == _BLOCK - 1
        at = np.broadcast_to(edge[:, None] if axis == 0 else edge[None, :], steps.shape)
        here, there = _mean(steps, both & at), _mean(steps, both & ~at)
        ratios.append(here / there if there else float("nan"))
    return float(np.mean(ratios))


def _picture(grey: F32, seen: Mask) -> F32:
    """The mean of what is seen in each cell of a grid; nan where the mask touches it."""
    small = cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA)
    share = cv2.resize(seen.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.where(share > 1 - 1e-4, small, np.nan).astype(np.float32)
