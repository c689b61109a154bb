"""Cells: what the masks say of each cell of a feature map, and which cells a head is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.masks import load as load_mask
from carpet_data.core.masks.runs import Runs, to_binary
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import UsageError

__all__ = [
    "IGNORED",
    "CellTable",
    "chosen_cells",
    "class_cover",
    "joined",
    "moved",
    "moved_back",
    "scaled_size",
    "targets",
]

F32 = NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)

IGNORED = -1
"""The target of a cell that a defect covers in part."""
_COVERED = 0.5


def moved(array: NDArray[Number], view: int) -> NDArray[Number]:
    """An image or mask (HxW…) in one of its eight positions: quarter turns, from 4 on mirrored; 0 is the plain one."""
    turned = np.rot90(array, view % 4)
    return np.ascontiguousarray(turned[:, ::-1] if view >= 4 else turned)


def moved_back(array: NDArray[Number], view: int) -> NDArray[Number]:
    """The inverse of `moved`."""
    plain = array[:, ::-1] if view >= 4 else array
    return np.ascontiguousarray(np.rot90(plain, -(view % 4)))


def scaled_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Rows and columns of a resized image: at least one pixel each.

    Examples:
        >>> scaled_size(100, 3, 0.1)
        (10, 1)
    """
    return max(1, round(height * scale)), max(1, round(width * scale))


def class_cover(sample: Sample, classes: Sequence[str], *, scale: float, stride: int, view: int = 0) -> F32 | None:
    """How much of each cell each defect class covers.

    Args:
        sample: Of a data set, so that its mask is found.
        classes: `good` first, then the defect types.
        scale: Of the image.
        stride: Pixels of the resized image across and down a cell; cells at the border may be smaller.
        view: The position in which the image is shown, see `moved`.

    Returns:
        float32 (len(classes) - 1, rows, columns) in [0, 1]; None for a defect image without a mask, or with an
        empty one: its defect is somewhere, but not known where.

    Raises:
        DataError: The mask is missing, damaged or contradicts the image.
        UsageError: The mask shows a class that is not among the classes.
    """
    height, width = scaled_size(sample.height, sample.width, scale)
    if view % 2:
        height, width = width, height
    rows, columns = -(-height // stride), -(-width // stride)
    cover = np.zeros((len(classes) - 1, rows, columns), np.float32)
    if sample.class_name == GOOD:
        return cover
    if sample.annotation is None:
        return None
    assert sample.root is not None, "a data set sets it"
    mask = load_mask(sample.root, sample)
    runs = mask.runs
    if not len(runs):
        return None
    for name in dict.fromkeys(mask.names):
        chosen = np.isin(runs.value, [place for place, other in enumerate(mask.names, 1) if other == name])
        if not chosen.any():
            continue
        if name not in classes:
            raise UsageError(f"unknown class {name!r}", where=sample.id, hint=f"the classes are {', '.join(classes)}")
        part = Runs(runs.height, runs.width, *(each[chosen] for each in _columns(runs)))
        cover[classes.index(name) - 1] = _averaged(moved(to_binary(part), view), height, width, stride)
    return cover


def _columns(runs: Runs) -> tuple[NDArray[np.int64], ...]:
    return runs.column, runs.start, runs.stop, runs.value


def _averaged(mask: NDArray[np.bool_], height: int, width: int, stride: int) -> F32:
    """The mean of a mask over each cell of its resized image."""
    values = mask.astype(np.float32)
    if values.shape != (height, width):
        how = cv2.INTER_AREA if height * width < values.size else cv2.INTER_NEAREST_EXACT
        values = np.asarray(cv2.resize(values, (width, height), interpolation=how), np.float32)
    rows, columns = -(-height // stride), -(-width // stride)
    padded = np.zeros((rows * stride, columns * stride), np.float32)
    padded[:height, :width] = values
    total = padded.reshape(rows, stride, columns, stride).sum(axis=(1, 3))
    down = np.minimum(stride, height - stride * np.arange(rows))
    across = np.minimum(stride, width - stride * np.arange(columns))
    return np.asarray(total / (down[:, None] * across[None]), np.float32)


def targets(cover: F32) -> NDArray[np.int16]:
    """The class of each cell: 0 where no defect is, IGNORED where one covers it in part.

    A cell is of the class that covers more than half of it. A defect too thin for that, such as a scratch, has the
    cells that it covers at least half as much as it covers any.

    Args:
        cover: float32 (classes, rows, columns), see `class_cover`.

    Examples:
        >>> targets(np.array([[[0, 0.3, 1]]], np.float32)).tolist()
        [[0, -1, 1]]
    """
    found = np.where(cover.sum(axis=0) > 0, IGNORED, 0).astype(np.int16)
    if not len(cover):
        return found
    most = cover.reshape(len(cover), -1).max(axis=1)
    wanted = np.minimum(_COVERED, _COVERED * most)
    enough = (cover > wanted[:, None, None]) & (cover == cover.max(axis=0))
    for number in range(len(cover)):
        found[enough[number]] = number + 1
    return found


def chosen_cells(
    target: NDArray[np.int16], *, defect: int, background: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Random places in the flat map: at most so many cells of defects, and of the background."""
    flat = target.ravel()
    picked = []
    for places, most in ((np.flatnonzero(flat > 0), defect), (np.flatnonzero(flat == 0), background)):
        picked.append(rng.choice(places, most, replace=False) if len(places) > most else places)
    return np.sort(np.concatenate(picked)).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class CellTable:
    """Cells drawn from many maps; row i of everything is one cell.

    Attributes:
        features: float16 (n, channels).
        labels: int64 (n,), 0 for background, else the number of the class.
        weights: float32 (n,), of the sample that the cell is from.
        real: bool (n,), whether this sample is real.
        image: int64 (n,), the number of this sample.
    """

    features: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    real: torch.Tensor
    image: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def joined(tables: Sequence[CellTable]) -> CellTable:
    """The cells of several tables as one."""
    return CellTable(
        torch.cat([each.features for each in tables]),
        torch.cat([each.labels for each in tables]),
        torch.cat([each.weights for each in tables]),
        torch.cat([each.real for each in tables]),
        torch.cat([each.image for each in tables]),
    )
